"""Wrong local and shared layers, and gradients of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .activations import PRIME, VALUE
from .base import fault, zero_last

Change = Callable[..., Array]


def corners(n: int, m: int) -> Array:
    t = np.arange(n)[:, None] + np.arange(m) - m // 2
    return np.asarray((t < 0) | (t >= n))


def banded(w: Array, n: int) -> Array:
    """The weights as a band, a filter once per node; the corners 0."""
    band = np.broadcast_to(w, (n, w.shape[-1]))
    return np.where(corners(*band.shape), 0.0, band)


def clean(w: Array) -> Array:
    """Weights as they are meant: a filter, or a band whose corners are 0."""
    return w if w.ndim == 1 else banded(w, len(w))


def seen(x: Array, m: int, before: int | None = None, mode: str = "constant") -> Array:
    """What every node sees, (B, N, m); `before` entries of padding on the left."""
    left = m // 2 if before is None else before
    padded = np.pad(x, ((0, 0), (left, m - 1 - left)), mode=mode)                            # type: ignore[call-overload]
    return np.lib.stride_tricks.sliding_window_view(padded, m, 1)


def forward(x: Array, w: Array, before: int | None = None) -> Array:
    return np.asarray((seen(x, w.shape[-1], before) * banded(w, x.shape[1])).sum(-1))


def back(d: Array, w: Array) -> Array:
    (_, n), m = d.shape, w.shape[-1]
    wide = np.zeros((len(d), n + m - 1))
    for k, column in enumerate(banded(w, n).T):
        wide[:, k:k + n] += d * column
    return wide[:, m // 2:m // 2 + n]


def without(x: Array, axis: int, at: int) -> Array:
    kept = np.array(x)
    np.moveaxis(kept, axis, 0)[at:at + 1 or None] = 0
    return kept


def turned(w: Array) -> Array:
    return w[..., ::-1]


def _forward(op: str, which: str) -> None:
    def wrong(name: str, z: Change, g: Callable[..., Array] = lambda z, b, g: g(z + b)) -> None:
        fault(op, name, lambda x, b, act, **w: g(z(x, clean(w[which])), b, VALUE[act]))

    wrong("window turned round", lambda x, w: forward(x, turned(w)))
    wrong("padding on the left only", lambda x, w: forward(x, w, w.shape[-1] - 1))
    wrong("padding on the right only", lambda x, w: forward(x, w, 0))
    wrong("window off by one", lambda x, w: forward(np.roll(x, -1, axis=1), w))
    wrong("first tap dropped", lambda x, w: forward(x, without(w, -1, 0)))
    wrong("last tap dropped", lambda x, w: forward(x, without(w, -1, -1)))
    wrong("examples shifted by one", lambda x, w: forward(np.roll(x, 1, axis=0), w))
    wrong("bias missing", forward, lambda z, b, g: g(z))
    wrong("bias twice", forward, lambda z, b, g: g(z + 2 * b))
    wrong("bias added after g", forward, lambda z, b, g: g(z) + b)
    wrong("g missing", forward, lambda z, b, g: z + b)
    wrong("sign of z", forward, lambda z, b, g: g(-(z + b)))
    wrong("last element unwritten", forward, lambda z, b, g: zero_last(g(z + b)))
    if which == "w":
        wrong("weights of the next node", lambda x, w: forward(x, np.roll(w, -1, axis=0)))
        wrong("every node has the first one's weights", lambda x, w: forward(x, w[len(w) // 2]))
        wrong("bias of the wrong node", forward, lambda z, b, g: g(z + np.roll(b, 1)))
        fault(op, "the corners read", lambda x, w, b, act: VALUE[act]((seen(x, w.shape[1]) * w).sum(-1) + b))
    else:
        wrong("the edge repeated for zero padding", lambda x, w: (seen(x, len(w), mode="edge") * w).sum(-1))
        wrong("the ends joined for zero padding", lambda x, w: (seen(x, len(w), mode="wrap") * w).sum(-1))


def _input(op: str, which: str) -> None:
    def wrong(name: str, change: Change = back, prime: Any = lambda z, p: p(z)) -> None:
        def outputs(d: Array, z: Array | None = None, act: str = "identity", **w: Array) -> Array:
            dx = change(d, clean(w[which]))
            return dx if z is None else dx * prime(z, PRIME[act])
        fault(op, name, outputs)

    wrong("window not turned round: the forward sum again", forward)
    wrong("shifted by one", lambda d, w: np.roll(back(d, w), 1, axis=1))
    wrong("last tap dropped", lambda d, w: back(d, without(w, -1, -1)))
    wrong("first tap dropped", lambda d, w: back(d, without(w, -1, 0)))
    wrong("last node dropped", lambda d, w: back(without(d, 1, -1), w))
    wrong("g′ missing", prime=lambda z, p: 1.0)
    wrong("g′ of the next node", prime=lambda z, p: p(np.roll(z, 1, axis=1)))
    wrong("g′ of another example", prime=lambda z, p: p(np.roll(z, 1, axis=0)))
    wrong("sign flipped", lambda d, w: -back(d, w))
    wrong("last element unwritten", lambda d, w: zero_last(back(d, w)))
    if which == "w":
        wrong("weights of the node it stands at, not of the node it goes to",
              lambda d, w: (seen(d, w.shape[1]) * turned(banded(w, len(w)))).sum(-1))


def _weights(op: str, which: str) -> None:
    shared = which == "theta"

    def sums(d: Array, x: Array, m: int, before: int | None = None) -> Array:
        """Δ of the band; of a filter, the sum over its nodes."""
        Delta = (d[:, :, None] * seen(x, m, before)).sum(0)
        return np.asarray(Delta.sum(0)) if shared else np.where(corners(*Delta.shape), 0.0, Delta)

    def wrong(name: str, change: Change = sums, fold: Change = lambda D, w, l, n, d: D / n + l * w) -> None:
        def outputs(d: Array, x: Array, m: int, lam: Any = 0, n: Any = 1, **w: Array) -> Array:
            D = change(d, x, m)
            own = np.zeros(D.shape) if which not in w else w[which] if shared else banded(w[which], len(D))
            return fold(D, own, float(lam), n, d)
        fault(op, name, outputs)

    wrong("turned round", lambda d, x, m: turned(sums(d, x, m)))
    wrong("δ and x swapped", lambda d, x, m: sums(x, d, m))
    wrong("padding on the left only", lambda d, x, m: sums(d, x, m, m - 1))
    wrong("window off by one", lambda d, x, m: sums(d, np.roll(x, -1, axis=1), m))
    wrong("last example dropped", lambda d, x, m: sums(without(d, 0, -1), x, m))
    wrong("last example only (Δ overwritten, not accumulated)", lambda d, x, m: sums(d[-1:], x[-1:], m))
    wrong("last node dropped", lambda d, x, m: sums(without(d, 1, -1), x, m))
    wrong("last tap unwritten", lambda d, x, m: without(sums(d, x, m), -1, -1))
    wrong("sign flipped", lambda d, x, m: -sums(d, x, m))
    wrong("1/n missing", fold=lambda D, w, l, n, d: D + l * w)
    wrong("batch size for n", fold=lambda D, w, l, n, d: D / len(d) + l * w)
    wrong("averaged over the nodes", fold=lambda D, w, l, n, d: D / n / d.shape[1] + l * w)
    wrong("λ missing", fold=lambda D, w, l, n, d: D / n)
    wrong("λ/n for λ", fold=lambda D, w, l, n, d: D / n + l / n * w)
    wrong("2λ for λ", fold=lambda D, w, l, n, d: D / n + 2 * l * w)
    wrong("sign of λ", fold=lambda D, w, l, n, d: D / n - l * w)
    wrong("λ of the weights turned round", fold=lambda D, w, l, n, d: D / n + l * turned(w))
    if shared:
        wrong("of one tie only: a node in the middle",
              lambda d, x, m: (d[:, :, None] * seen(x, m)).sum(0)[d.shape[1] // 2])
        wrong("ties of the first 64 nodes only", lambda d, x, m: sums(first(d), x, m))
        wrong("λ once per tie", fold=lambda D, w, l, n, d: D / n + d.shape[1] * l * w)
    else:
        wrong("nodes shifted by one", lambda d, x, m: np.roll(sums(d, x, m), 1, axis=0))
        wrong("shared after all: the sum over the nodes",
              lambda d, x, m: np.broadcast_to(sums(d, x, m).sum(0), (d.shape[1], m)))
        fault(op, "λ on the corners", lambda d, x, m, lam=0, n=1, w=None: sums(d, x, m) / n + (
            0 if w is None else float(lam) * w))


def first(d: Array, nodes: int = 64) -> Array:
    kept = np.array(d)
    kept[:, nodes:] = 0
    return kept


def _intercepts(op: str, axis: int | None) -> None:
    def summed(d: Array) -> Array:
        return np.reshape(d.sum(axis), -1)

    fault(op, "1/n missing", lambda d, n: summed(d))
    fault(op, "batch size for n", lambda d, n: summed(d) / len(d))
    fault(op, "last example dropped", lambda d, n: summed(without(d, 0, -1)) / n)
    fault(op, "last node dropped", lambda d, n: summed(without(d, 1, -1)) / n)
    fault(op, "intercept regularised", lambda d, n: summed(d) / n + 0.25)
    fault(op, "sign flipped", lambda d, n: -summed(d) / n)
    if axis is None:
        fault(op, "of one tie only: the first node", lambda d, n: d[:, :1].sum(0) / n)
        fault(op, "averaged over the nodes", lambda d, n: summed(d) / n / d.shape[1])
    else:
        fault(op, "nodes shifted by one", lambda d, n: np.roll(summed(d), 1) / n)
        fault(op, "shared after all: the sum over the nodes", lambda d, n: 0 * summed(d) + d.sum() / n)


for _op, _which in (("arch.local.layer", "w"), ("arch.shared.layer", "theta")):
    _forward(_op, _which)
    _input(f"{_op}.grad_x", _which)
    _weights(f"{_op}.grad_{_which}", _which)
    _intercepts(f"{_op}.grad_b", 0 if _which == "w" else None)
