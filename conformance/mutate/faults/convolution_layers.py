"""Wrong convolution layers, gradients of them, and pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .activations import PRIME, VALUE
from .base import Outputs, fault, zero_last

Pair = tuple[int, int]


def places(x: Array, stride: Pair, padding: Pair, dilation: Pair, taps: Pair, size: Pair) -> list[tuple[Any, Array]]:
    """For every tap (m, n) the entries of x that it meets, x zero beyond its edges; `padding` may be uneven."""
    top, left = padding
    bottom = max(stride[0] * (size[0] - 1) + dilation[0] * (taps[0] - 1) + 1 - x.shape[2] - top, 0)
    right = max(stride[1] * (size[1] - 1) + dilation[1] * (taps[1] - 1) + 1 - x.shape[3] - left, 0)
    wide = np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)])
    rows, columns = stride[0] * (size[0] - 1) + 1, stride[1] * (size[1] - 1) + 1
    return [((m, n), wide[:, :, dilation[0] * m:, dilation[1] * n:][:, :, :rows:stride[0], :columns:stride[1]])
            for m in range(taps[0]) for n in range(taps[1])]


def output(x: Pair, taps: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    P, Q = ((n + 2 * p - e * (m - 1) - 1) // s + 1 for n, m, s, p, e in zip(x, taps, stride, padding, dilation))
    return P, Q


def conv(x: Array, w: Array, b: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int, act: str = "identity",
         size: Pair | None = None, corner: Pair | None = None, group: Callable[[int], int] = lambda g: g) -> Array:
    """The layer; `size` and `corner` where a fault has its own, `group` which group's channels group g reads."""
    F, C, M, N = w.shape
    size = output(x.shape[2:], (M, N), stride, padding, dilation) if size is None else size
    y = np.zeros((len(x), F, *size))
    each = F // groups
    for (m, n), seen in places(x, stride, corner or padding, dilation, (M, N), size):
        for g in range(groups):
            mine, read = slice(g * each, (g + 1) * each), slice(group(g) * C, (group(g) + 1) * C)
            y[:, mine] += np.einsum("bcpq,fc->bfpq", seen[:, read], w[mine, :, m, n])
    return np.asarray(VALUE[act](y + np.reshape(b, (1, -1, 1, 1))))


def into_x(d: Array, w: Array, H: int, W: int, stride: Pair, padding: Pair, dilation: Pair, groups: int,
           group: Callable[[int], int] = lambda g: g) -> Array:
    F, C, M, N = w.shape
    reach = [s * (p - 1) + e * (m - 1) + 1 for s, p, e, m in zip(stride, d.shape[2:], dilation, (M, N))]
    wide = np.zeros((len(d), C * groups, max(reach[0], H + padding[0]) + padding[0],
                     max(reach[1], W + padding[1]) + padding[1]))
    each = F // groups
    for (m, n), met in places(wide, stride, (0, 0), dilation, (M, N), d.shape[2:]):
        for g in range(groups):
            mine, read = slice(g * each, (g + 1) * each), slice(group(g) * C, (group(g) + 1) * C)
            met[:, read] += np.einsum("bfpq,fc->bcpq", d[:, mine], w[mine, :, m, n])
        _put(wide, met, (m, n), stride, dilation)
    return np.asarray(wide[:, :, padding[0]:padding[0] + H, padding[1]:padding[1] + W])


def _put(wide: Array, met: Array, tap: Pair, stride: Pair, dilation: Pair) -> None:
    """`places` copies where it pads; write what was added back."""
    (m, n), (rows, columns) = tap, (s * (p - 1) + 1 for s, p in zip(stride, met.shape[2:]))
    wide[:, :, dilation[0] * m:, dilation[1] * n:][:, :, :rows:stride[0], :columns:stride[1]] = met


def into_w(d: Array, x: Array, M: int, N: int, stride: Pair, padding: Pair, dilation: Pair, groups: int,
           group: Callable[[int], int] = lambda g: g) -> Array:
    F, C = d.shape[1], x.shape[1] // groups
    D = np.zeros((F, C, M, N))
    each = F // groups
    for (m, n), seen in places(x, stride, padding, dilation, (M, N), d.shape[2:]):
        for g in range(groups):
            mine, read = slice(g * each, (g + 1) * each), slice(group(g) * C, (group(g) + 1) * C)
            D[mine, :, m, n] = np.einsum("bfpq,bcpq->fc", d[:, mine], seen[:, read])
    return D


def turned(pair: Pair) -> Pair:
    return pair[1], pair[0]


def swapped(w: Array) -> Array:
    """Filters read with rows and columns of their taps exchanged."""
    return w.transpose(0, 1, 3, 2).reshape(w.shape)


def crossed(w: Array) -> Array:
    """Filters read as (c, f, m, n)."""
    return w.transpose(1, 0, 2, 3).reshape(w.shape)


def without(x: Array, axis: int, block: int = 1) -> Array:
    """The last entries along an axis as a loop over whole blocks leaves them: zero."""
    kept = np.array(x)
    np.moveaxis(kept, axis, 0)[(x.shape[axis] - 1) // block * block:] = 0
    return kept


def _forward() -> None:
    op = "conv2d.layer"

    def wrong(name: str, change: Callable[..., Array]) -> None:
        fault(op, name, lambda x, w, b, stride, padding, dilation, groups, act: change(
            x, w, b, stride, padding, dilation, groups, act))

    wrong("filter flipped (a true convolution)", lambda x, w, b, *how: conv(x, w[..., ::-1, ::-1], b, *how))
    wrong("rows and columns of the filter swapped", lambda x, w, b, *how: conv(x, swapped(w), b, *how))
    wrong("filters and channels swapped", lambda x, w, b, *how: conv(x, crossed(w), b, *how))
    wrong("stride on the wrong axis", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, turned(s), p, e, G, act, output(x.shape[2:], w.shape[2:], s, p, e)))
    wrong("dilation on the wrong axis", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, s, p, turned(e), G, act, output(x.shape[2:], w.shape[2:], s, p, e)))
    wrong("dilation missing", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, s, p, (1, 1), G, act, output(x.shape[2:], w.shape[2:], s, p, e)))
    wrong("padding on the wrong side", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, s, p, e, G, act, None, (2 * p[0], 2 * p[1])))
    wrong("padding on the wrong axis", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, s, p, e, G, act, output(x.shape[2:], w.shape[2:], s, p, e), turned(p)))
    wrong("window off by one", lambda x, w, b, *how: conv(np.roll(x, -1, axis=3), w, b, *how))
    wrong("the edge repeated for zero padding", lambda x, w, b, s, p, e, G, act: conv(
        np.pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])], mode="edge"), w, b, s, (0, 0), e, G, act))
    wrong("groups mixed up", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, s, p, e, G, act, group=lambda g: (g + 1) % G))
    wrong("every group reads the first", lambda x, w, b, s, p, e, G, act: conv(
        x, w, b, s, p, e, G, act, group=lambda g: 0))
    wrong("filters interleaved over the groups", lambda x, w, b, s, p, e, G, act: interleaved(
        conv(x, w, b, s, p, e, G, act), G))
    wrong("bias missing", lambda x, w, b, *how: conv(x, w, 0 * b, *how))
    wrong("bias twice", lambda x, w, b, *how: conv(x, w, 2 * b, *how))
    wrong("bias of the wrong filter", lambda x, w, b, *how: conv(x, w, np.roll(b, 1), *how))
    wrong("g missing", lambda x, w, b, s, p, e, G, act: conv(x, w, b, s, p, e, G))
    wrong("bias added after g", lambda x, w, b, *how: conv(x, w, 0 * b, *how) + b[:, None, None])
    wrong("last channel dropped", lambda x, w, b, *how: conv(x, without(w, 1), b, *how))
    wrong("last row of taps dropped", lambda x, w, b, *how: conv(x, without(w, 2), b, *how))
    wrong("last column of taps dropped", lambda x, w, b, *how: conv(x, without(w, 3), b, *how))
    for block in (16, 32):
        wrong(f"terms beyond the last whole {block} dropped", lambda x, w, b, *how, block=block: conv(
            x, dropped_terms(w, block), b, *how))
    wrong("filters beyond the last whole 16 unwritten", lambda x, w, b, *how: without(conv(x, w, b, *how), 1, 16))
    wrong("images of the batch shifted by one", lambda x, w, b, *how: conv(np.roll(x, 1, axis=0), w, b, *how))
    wrong("last element unwritten", lambda x, w, b, *how: zero_last(conv(x, w, b, *how)))


def interleaved(y: Array, groups: int) -> Array:
    B, F, P, Q = y.shape
    return y.reshape(B, groups, F // groups, P, Q).swapaxes(1, 2).reshape(y.shape)


def dropped_terms(w: Array, block: int) -> Array:
    """Taps and channels, channels fastest, beyond the last whole block left out."""
    F, C, M, N = w.shape
    terms = w.transpose(0, 2, 3, 1).reshape(F, -1).copy()
    terms[:, terms.shape[1] // block * block:] = 0
    return terms.reshape(F, M, N, C).transpose(0, 3, 1, 2)


def _input_gradient() -> None:
    op = "conv2d.layer.grad_x"

    def wrong(name: str, change: Callable[..., Array], prime: Any = lambda z, p: p(z)) -> None:
        def outputs(d: Array, w: Array, H: int, W: int, stride: Pair, padding: Pair, dilation: Pair, groups: int,
                    z: Array | None = None, act: str = "identity") -> Array:
            dx = change(d, w, H, W, stride, padding, dilation, groups)
            return dx if z is None else dx * prime(z, PRIME[act])
        fault(op, name, outputs)

    wrong("filter flipped", lambda d, w, *how: into_x(d, w[..., ::-1, ::-1], *how))
    wrong("rows and columns of the filter swapped", lambda d, w, *how: into_x(d, swapped(w), *how))
    wrong("filters and channels swapped", lambda d, w, *how: into_x(d, crossed(w), *how))
    wrong("stride on the wrong axis", lambda d, w, H, W, s, *how: into_x(d, w, H, W, turned(s), *how))
    wrong("stride missing: δ not spread out", lambda d, w, H, W, s, *how: into_x(d, w, H, W, (1, 1), *how))
    wrong("padding missing", lambda d, w, H, W, s, p, e, G: into_x(d, w, H, W, s, (0, 0), e, G))
    wrong("padding on the wrong axis", lambda d, w, H, W, s, p, e, G: into_x(d, w, H, W, s, turned(p), e, G))
    wrong("dilation missing", lambda d, w, H, W, s, p, e, G: into_x(d, w, H, W, s, p, (1, 1), G))
    wrong("dilation on the wrong axis", lambda d, w, H, W, s, p, e, G: into_x(d, w, H, W, s, p, turned(e), G))
    wrong("shifted by one", lambda *how: np.roll(into_x(*how), 1, axis=3))
    wrong("only the first class of the stride written", lambda d, w, H, W, s, p, e, G: masked(
        into_x(d, w, H, W, s, p, e, G), s))
    wrong("last filter dropped", lambda d, w, *how: into_x(without(d, 1), w, *how))
    wrong("last column of taps dropped", lambda d, w, *how: into_x(d, without(w, 3), *how))
    wrong("groups mixed up", lambda d, w, H, W, s, p, e, G: into_x(
        d, w, H, W, s, p, e, G, group=lambda g: (g + 1) % G))
    wrong("g′ missing", into_x, lambda z, p: 1.0)
    wrong("g′ of the wrong image", into_x, lambda z, p: p(np.roll(z, 1, axis=3)))
    wrong("sign flipped", lambda *how: -into_x(*how))
    wrong("last element unwritten", lambda *how: zero_last(into_x(*how)))


def masked(x: Array, stride: Pair) -> Array:
    kept = np.zeros(x.shape)
    kept[:, :, ::stride[0], ::stride[1]] = x[:, :, ::stride[0], ::stride[1]]
    return kept


def _filter_gradient() -> None:
    op = "conv2d.layer.grad_w"

    def wrong(name: str, change: Callable[..., Array] = into_w,
              fold: Callable[..., Array] = lambda D, w, l, n, d: D / n + l * w) -> None:
        def outputs(d: Array, x: Array, M: int, N: int, stride: Pair, padding: Pair, dilation: Pair, groups: int,
                    w: Array | None = None, lam: Any = 0, n: Any = 1) -> Array:
            D = change(d, x, M, N, stride, padding, dilation, groups)
            return fold(D, np.zeros(D.shape) if w is None else w, float(lam), n, d)
        fault(op, name, outputs)

    wrong("filter gradient flipped", lambda *how: into_w(*how)[..., ::-1, ::-1])
    wrong("rows and columns swapped", lambda *how: swapped(into_w(*how)))
    wrong("filters and channels swapped", lambda *how: crossed(into_w(*how)))
    wrong("stride missing", lambda d, x, M, N, s, *how: into_w(d, x, M, N, (1, 1), *how))
    wrong("stride on the wrong axis", lambda d, x, M, N, s, *how: into_w(d, x, M, N, turned(s), *how))
    wrong("dilation missing", lambda d, x, M, N, s, p, e, G: into_w(d, x, M, N, s, p, (1, 1), G))
    wrong("padding missing", lambda d, x, M, N, s, p, e, G: into_w(d, x, M, N, s, (0, 0), e, G))
    wrong("padding on the wrong axis", lambda d, x, M, N, s, p, e, G: into_w(d, x, M, N, s, turned(p), e, G))
    wrong("dilation on the wrong axis", lambda d, x, M, N, s, p, e, G: into_w(d, x, M, N, s, p, turned(e), G))
    wrong("pixels off by one", lambda d, x, *how: into_w(d, np.roll(x, -1, axis=3), *how))
    wrong("channels shifted by one", lambda d, x, *how: into_w(d, np.roll(x, 1, axis=1), *how))
    wrong("last image dropped", lambda d, x, *how: into_w(without(d, 0), x, *how))
    wrong("last column of positions dropped", lambda d, x, *how: into_w(without(d, 3), x, *how))
    wrong("groups mixed up", lambda d, x, M, N, s, p, e, G: into_w(
        d, x, M, N, s, p, e, G, group=lambda g: (g + 1) % G))
    for part in (128, 256):
        wrong(f"only the first {part} pixels", lambda d, x, *how, part=part: into_w(first_pixels(d, part), x, *how))
    wrong("1/n missing", fold=lambda D, w, l, n, d: D + l * w)
    wrong("averaged over the pixels", fold=lambda D, w, l, n, d: D / d[:, 0].size + l * w)
    wrong("λ missing", fold=lambda D, w, l, n, d: D / n)
    wrong("λ/n for λ", fold=lambda D, w, l, n, d: D / n + l / n * w)
    wrong("2λ for λ", fold=lambda D, w, l, n, d: D / n + 2 * l * w)
    wrong("sign of λ", fold=lambda D, w, l, n, d: D / n - l * w)
    wrong("sign flipped", lambda *how: -into_w(*how))
    wrong("last element unwritten", lambda *how: zero_last(into_w(*how)))
    op = "conv2d.layer.grad_b"
    fault(op, "1/n missing", lambda d, n: d.sum((0, 2, 3)))
    fault(op, "averaged over the positions", lambda d, n: d.mean((2, 3)).sum(0) / n)
    fault(op, "last image dropped", lambda d, n: without(d, 0).sum((0, 2, 3)) / n)
    fault(op, "last column dropped", lambda d, n: without(d, 3).sum((0, 2, 3)) / n)
    fault(op, "only the first 128 pixels", lambda d, n: first_pixels(d, 128).sum((0, 2, 3)) / n)
    fault(op, "intercept regularised", lambda d, n: d.sum((0, 2, 3)) / n + 0.25)
    fault(op, "filters shifted by one", lambda d, n: np.roll(d.sum((0, 2, 3)), 1) / n)
    fault(op, "sign flipped", lambda d, n: -d.sum((0, 2, 3)) / n)
    fault(op, "last element unwritten", lambda d, n: zero_last(d.sum((0, 2, 3)) / n))


def first_pixels(d: Array, many: int) -> Array:
    pixels = d.transpose(1, 0, 2, 3).reshape(d.shape[1], -1).copy()
    pixels[:, many:] = 0
    return pixels.reshape(d.shape[1], d.shape[0], *d.shape[2:]).transpose(1, 0, 2, 3)


def windows(x: Array, k: Pair, stride: Pair, padding: Pair, fill: float = -np.inf) -> Array:
    """(B, C, P, Q, window)"""
    wide = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2], constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(wide, k, (2, 3))[:, :, ::stride[0], ::stride[1]]
    return seen.reshape(*seen.shape[:4], -1)


def _pooling() -> None:
    op = "pool.max"

    def wrong(name: str, change: Callable[..., Outputs], structural: bool = True) -> None:
        fault(op, name, lambda x, k, stride, padding: change(x, k, stride, padding), structural)

    def right(x: Array, k: Pair, stride: Pair, padding: Pair) -> Outputs:
        seen = windows(x, k, stride, padding)
        return seen.max(-1), seen.argmax(-1)

    wrong("the last of equal values", lambda x, k, s, p: (
        right(x, k, s, p)[0], k[0] * k[1] - 1 - windows(x, k, s, p)[..., ::-1].argmax(-1)))
    wrong("place counted by columns", lambda x, k, s, p: (
        right(x, k, s, p)[0], right(x, k, s, p)[1] % k[1] * k[0] + right(x, k, s, p)[1] // k[1]))
    wrong("zero padding for none", lambda x, k, s, p: (
        windows(x, k, s, p, 0.0).max(-1), windows(x, k, s, p, 0.0).argmax(-1)))
    wrong("average for the maximum", lambda x, k, s, p: (windows(x, k, s, p).mean(-1), right(x, k, s, p)[1]))
    wrong("minimum", lambda x, k, s, p: (-right(-x, k, s, p)[0], right(-x, k, s, p)[1]))
    wrong("magnitude", lambda x, k, s, p: (right(np.abs(x), k, s, p)[0], right(np.abs(x), k, s, p)[1]))
    wrong("window shifted by one", lambda x, k, s, p: right(np.roll(x, -1, axis=3), k, s, p))
    wrong("stride on the wrong axis", lambda x, k, s, p: _cut(right(x, k, turned(s), p), right(x, k, s, p)))
    wrong("last entry of the window dropped", lambda x, k, s, p: (
        windows(x, k, s, p)[..., :-1].max(-1), windows(x, k, s, p)[..., :-1].argmax(-1)))
    wrong("place off by one", lambda x, k, s, p: (right(x, k, s, p)[0], right(x, k, s, p)[1] + 1))
    wrong("NaN stepped over", lambda x, k, s, p: right(np.where(np.isnan(x), -np.inf, x), k, s, p), False)
    wrong("last element unwritten", lambda x, k, s, p: (zero_last(right(x, k, s, p)[0]), right(x, k, s, p)[1]))
    op = "pool.max.grad_x"

    def back(name: str, change: Callable[..., Array] = lambda dx: dx, *, index: Any = None, share: Any = None) -> None:
        def outputs(d: Array, index_: Array, H: int, W: int, k: Pair, stride: Pair, padding: Pair,
                    saved: Array | None, act: str) -> Array:
            at = index_ if index is None else index(index_, k)
            own = d * (1.0 if saved is None else PRIME[act](saved))
            return change(scattered(own if share is None else share(d, own), at, H, W, k, stride, padding))
        fault(op, name, lambda d, index, H, W, k, stride, padding, saved=None, act="identity": outputs(
            d, index, H, W, k, stride, padding, saved, act))

    back("place read by columns", index=lambda at, k: at % k[0] * k[1] + at // k[0])
    back("place off by one", index=lambda at, k: (at + 1) % (k[0] * k[1]))
    back("to the first of the window", index=lambda at, k: 0 * at)
    back("g′ missing", share=lambda d, own: d)
    back("shifted by one", lambda dx: np.roll(dx, 1, axis=3))
    back("sign flipped", lambda dx: -dx)
    back("averaged over the window", lambda dx: dx / 4)
    back("last window dropped", share=lambda d, own: zero_last(own))
    back("last element unwritten", zero_last)
    fault(op, "overlapping windows overwrite", lambda d, index, H, W, k, stride, padding, saved=None, act="identity":
          scattered(d * (1.0 if saved is None else PRIME[act](saved)), index, H, W, k, stride, padding, False))
    fault(op, "stride on the wrong axis", lambda d, index, H, W, k, stride, padding, saved=None, act="identity":
          scattered(d * (1.0 if saved is None else PRIME[act](saved)), index, H, W, k, turned(stride), padding))


def _cut(wrong: Outputs, right: Outputs) -> Outputs:
    """What of a result of another size lies where the right one does; the rest stays 0."""
    results = []
    for one, model in zip(wrong, right):
        whole = np.zeros(model.shape)
        p, q = (min(a, b) for a, b in zip(one.shape[2:], model.shape[2:]))
        whole[:, :, :p, :q] = one[:, :, :p, :q]
        results.append(whole)
    return tuple(results)


def scattered(d: Array, index: Array, H: int, W: int, k: Pair, stride: Pair, padding: Pair, add: bool = True) -> Array:
    dx = np.zeros((*d.shape[:2], H + 2 * padding[0] + max(k) * 3, W + 2 * padding[1] + max(k) * 9))
    b, c, i, j = np.indices(d.shape)
    at = (b, c, i * stride[0] + index // k[1], j * stride[1] + index % k[1])
    if add:
        np.add.at(dx, at, d)
    else:
        dx[at] = d
    return np.asarray(dx[:, :, padding[0]:padding[0] + H, padding[1]:padding[1] + W])


_forward()
_input_gradient()
_filter_gradient()
_pooling()
