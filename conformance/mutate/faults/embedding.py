"""Wrong embeddings of patches, and wrong gradients of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .base import fault, half_sum, rounded, zero_last


def cut(x: Array, P: int, order: tuple[int, ...] = (0, 2, 4, 1, 3, 5)) -> Array:
    """Patches (B, N, C P P) in an order of (image, channel, patch row, row, patch column, column)."""
    B, C, H, W = x.shape
    apart = x.reshape(B, C, H // P, P, W // P, P).transpose(order)
    return np.asarray(apart.reshape(B, H // P * (W // P), C * P * P))


COLUMNS, TURNED, CHANNELS_LAST = (0, 4, 2, 1, 3, 5), (0, 2, 4, 1, 5, 3), (0, 2, 4, 3, 5, 1)


def without_last(x: Array, axis: int) -> Array:
    """Zero at the last place along an axis."""
    kept = np.array(x)
    np.moveaxis(kept, axis, 0)[-1:] = 0
    return kept


def laid(p: Array, C: int, H: int, W: int, P: int, order: tuple[int, ...] = (0, 2, 4, 1, 3, 5)) -> Array:
    """Such patches laid into images."""
    sizes = np.array([len(p), C, H // P, P, W // P, P])
    return np.asarray(p.reshape(sizes[list(order)]).transpose(np.argsort(order)).reshape(len(p), C, H, W))


def _forward() -> None:
    op = "vit.embed"

    def embed(patches: Callable[[Array, int], Array] = cut, first: Callable[..., Array] = lambda token, b, z: token,
              bias: Callable[[Any], Any] = lambda b: b, places: Callable[[Array], Array] = lambda p: p,
              product: Callable[[Array, Array], Array] = lambda p, w: p @ w.T,
              put: Callable[[Array, Array], tuple[Array, Array]] = lambda token, z: (token, z)) -> Callable[..., Array]:
        def outputs(x: Array, w: Array, b: Array | None, token: Array, position: Array) -> Array:
            intercept = np.zeros(len(w)) if b is None else b
            z = product(patches(x, w.shape[2]), w.reshape(len(w), -1)) + bias(intercept)
            row = np.broadcast_to(first(token, intercept, z), (len(x), 1, len(w)))
            return np.asarray(np.concatenate(put(row, z), 1) + places(position))
        return outputs

    fault(op, "positions shifted by one", embed(places=lambda p: np.roll(p, 1, 0)))
    fault(op, "class token last", embed(put=lambda row, z: (z, row)))
    fault(op, "class token without its position", embed(places=lambda p: np.concatenate([0 * p[:1], p[1:]])))
    fault(op, "class token with the intercept", embed(first=lambda token, b, z: token + b))
    fault(op, "class token is the mean of the patches", embed(first=lambda token, b, z: z.mean(1, keepdims=True)))
    fault(op, "positions missing", embed(places=lambda p: 0 * p))
    fault(op, "the first position for all", embed(places=lambda p: np.broadcast_to(p[:1], p.shape)))
    fault(op, "intercepts missing", embed(bias=lambda b: 0 * b))
    fault(op, "patches column by column", embed(lambda x, P: cut(x, P, COLUMNS)))
    fault(op, "rows and columns of a patch exchanged", embed(lambda x, P: cut(x, P, TURNED)))
    fault(op, "channels last in a patch", embed(lambda x, P: cut(x, P, CHANNELS_LAST)))
    fault(op, "the first patch for all", embed(lambda x, P: np.broadcast_to(cut(x, P)[:, :1], cut(x, P).shape)))
    fault(op, "the last number of a patch dropped", embed(lambda x, P: without_last(cut(x, P), 2)))
    fault(op, "the last patch dropped", embed(lambda x, P: without_last(cut(x, P), 1)))
    fault(op, "fp16 accumulator", embed(product=lambda p, w: half_sum(p.reshape(-1, p.shape[2]), w).reshape(
        *p.shape[:2], len(w))), False)
    fault(op, "operands in bfloat16", embed(product=lambda p, w: rounded(p, 8) @ rounded(w, 8).T), False)
    fault(op, "last element unwritten", lambda **a: zero_last(embed()(**a)))


def _gradients() -> None:
    op = "vit.embed.grad_patch"

    def to_patch(rows: Callable[[Array], Array] = lambda d: d[:, 1:], weights: Callable[[Array], Array] = lambda w: w,
                 order: tuple[int, ...] = (0, 2, 4, 1, 3, 5)) -> Callable[..., Array]:
        def outputs(d: Array, w: Array, H: int, W: int) -> Array:
            return laid(rows(d) @ weights(w).reshape(len(w), -1), w.shape[1], H, W, w.shape[2], order)
        return outputs

    fault(op, "rows shifted by one: the class token's for the first patch", to_patch(lambda d: d[:, :-1]))
    fault(op, "patches laid column by column", to_patch(order=COLUMNS))
    fault(op, "rows and columns of a patch exchanged", to_patch(order=TURNED))
    fault(op, "channels last in a patch", to_patch(order=CHANNELS_LAST))
    fault(op, "last number of a token dropped", to_patch(weights=lambda w: np.concatenate([w[:-1], 0 * w[-1:]])))
    fault(op, "the first image's for all", to_patch(lambda d: np.broadcast_to(d[:1, 1:], d[:, 1:].shape)))
    fault(op, "operands in bfloat16", to_patch(lambda d: rounded(d[:, 1:], 8), lambda w: rounded(w, 8)), False)
    fault(op, "last element unwritten", lambda **a: zero_last(to_patch()(**a)))
    op = "vit.embed.grad_Theta"

    def to_theta(rows: Callable[[Array], Array] = lambda d: d[:, 1:], patches: Callable[[Array, int], Array] = cut,
                 own: Callable[[Array], Array] | None = None, how: float = 1.0) -> Callable[..., tuple[Array, Array]]:
        def outputs(d: Array, x: Array, P: int) -> tuple[Array, Array]:
            dw = np.einsum("btd,btk->dk", rows(d), patches(x, P)) * how
            return dw.reshape(d.shape[2], x.shape[1], P, P), (own or rows)(d).sum((0, 1)) * how
        return outputs

    fault(op, "rows shifted by one", to_theta(lambda d: d[:, :-1]))
    fault(op, "the class token's d in the intercepts", to_theta(own=lambda d: d))
    fault(op, "patches column by column", to_theta(patches=lambda x, P: cut(x, P, COLUMNS)))
    fault(op, "rows and columns of a patch exchanged", to_theta(patches=lambda x, P: cut(x, P, TURNED)))
    fault(op, "the last patch dropped", to_theta(lambda d: without_last(d[:, 1:], 1)))
    fault(op, "the last image dropped", to_theta(lambda d: without_last(d[:, 1:], 0)))
    fault(op, "a mean over the images", lambda d, x, P: to_theta(how=1 / len(d))(d, x, P))
    fault(op, "operands in bfloat16", to_theta(lambda d: rounded(d[:, 1:], 8), lambda x, P: rounded(cut(x, P), 8)),
          False)
    fault(op, "last element unwritten", lambda **a: tuple(map(zero_last, to_theta()(**a))))
    op = "vit.embed.grad_position"
    fault(op, "shifted by one", lambda d: np.roll(d.sum(0), 1, 0))
    fault(op, "a mean over the images", lambda d: d.mean(0))
    fault(op, "the first image's", lambda d: d[0])
    fault(op, "the last image dropped", lambda d: d[:-1].sum(0))
    fault(op, "the class token has none", lambda d: np.concatenate([0 * d.sum(0)[:1], d.sum(0)[1:]]))
    fault(op, "one for all tokens", lambda d: np.broadcast_to(d.sum((0, 1)), d.shape[1:]))
    fault(op, "summed in bfloat16", lambda d: rounded(d.sum(0), 8), False)
    fault(op, "last element unwritten", lambda d: zero_last(d.sum(0)))
    op = "vit.embed.grad_token"
    fault(op, "the last row's", lambda d: d[:, -1].sum(0))
    fault(op, "of every row", lambda d: d.sum((0, 1)))
    fault(op, "a mean over the images", lambda d: d[:, 0].mean(0))
    fault(op, "the first image's", lambda d: d[0, 0])
    fault(op, "the last image dropped", lambda d: d[:-1, 0].sum(0))
    fault(op, "summed in bfloat16", lambda d: rounded(d[:, 0].sum(0), 8), False)
    fault(op, "last element unwritten", lambda d: zero_last(d[:, 0].sum(0)))


_forward()
_gradients()
