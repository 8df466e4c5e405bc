"""Wrong convolution layers with their pooling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...judging.numbers.lanes import Array
from .base import fault, zero_last
from .convolution_layers import Pair, conv, swapped, turned, windows, without

OP = "conv2d.layer.pool"


def side_by_side(y: Array, k: Pair) -> Array:
    """(B, F, P, Q, window): windows that do not overlap; a ragged last one is dropped."""
    return windows(y, k, k, (0, 0))


def wrong(name: str, pool: Callable[..., Array] = lambda seen: seen.max(-1),
          layer: Callable[..., Array] = conv, window: Callable[[Pair], Pair] = lambda k: k) -> None:
    def outputs(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int, act: str,
                k: Pair) -> Array:
        y = layer(x, w, b, stride, padding, dilation, groups, act)
        return cut(pool(side_by_side(y, window(k))), y, k)
    fault(OP, name, outputs)


def cut(found: Array, y: Array, k: Pair) -> Array:
    """As large as the right result; what is not there stays 0."""
    whole = np.zeros((*y.shape[:2], y.shape[2] // k[0], y.shape[3] // k[1]))
    P, Q = (min(n, m) for n, m in zip(whole.shape[2:], found.shape[2:]))
    whole[:, :, :P, :Q] = found[:, :, :P, :Q]
    return whole


wrong("average for the maximum", lambda seen: seen.mean(-1))
wrong("minimum", lambda seen: seen.min(-1))
wrong("magnitude", lambda seen: np.abs(seen).max(-1))
wrong("a maximum of at least 0", lambda seen: seen.max(-1).clip(min=0.0))
wrong("the first of the window", lambda seen: seen[..., 0])
wrong("last entry of the window dropped", lambda seen: seen[..., :-1].max(-1, initial=-np.inf))
wrong("window on the wrong axis", window=turned)
wrong("window shifted by one", layer=lambda *given: np.roll(conv(*given), -1, axis=3))
wrong("last column of windows unwritten", lambda seen: without(seen.max(-1), 3))
wrong("last element unwritten", lambda seen: zero_last(seen.max(-1)))
wrong("bias missing", layer=lambda x, w, b, *how: conv(x, w, 0 * b, *how))
wrong("bias of the wrong filter", layer=lambda x, w, b, *how: conv(x, w, np.roll(b, 1), *how))
wrong("bias added after g", layer=lambda x, w, b, *how: conv(x, w, 0 * b, *how) + b[:, None, None])
wrong("g missing", layer=lambda x, w, b, s, p, e, G, act: conv(x, w, b, s, p, e, G))
wrong("filter flipped (a true convolution)", layer=lambda x, w, b, *how: conv(x, w[..., ::-1, ::-1], b, *how))
wrong("rows and columns of the filter swapped", layer=lambda x, w, b, *how: conv(x, swapped(w), b, *how))
wrong("groups mixed up", layer=lambda x, w, b, s, p, e, G, act: conv(
    x, w, b, s, p, e, G, act, group=lambda g: (g + 1) % G))
wrong("last channel dropped", layer=lambda x, w, b, *how: conv(x, without(w, 1), b, *how))
