"""Convolution layers and pooling over batches: images, and the filters of one group, are lanes.

The reference sees one image, and one filter (or one channel) per group, each number of it an array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import backprop, convolution, pooling
from ..numbers.bounded import Bounded, total
from ..numbers.lanes import Array
from . import whole_images
from .base import Form, Lift, Outputs, filled, g, gathered, operation, rearranged

Sides = int | tuple[int, int]


def images(lift: Lift, x: Array) -> list[Any]:
    """x (B, C, H, W) as the reference's lists [channel][row][column] of lanes (B, 1)."""
    _, C, H, W = x.shape
    return [[[lift(x[:, k, None, p, q]) for q in range(W)] for p in range(H)] for k in range(C)]


def stacked(numbers: Any) -> Any:
    """Lists [group][row][column] of lanes (B, C) as one array (B, group · C, row, column)."""
    whole = gathered(numbers)

    def images_first(v: Array) -> Array:
        groups, P, Q, batch, C = v.shape
        return v.transpose(3, 0, 4, 1, 2).reshape(batch, groups * C, P, Q)
    return rearranged(whole, images_first)


@operation("conv2d.layer", "y", dot=True, axes="x B ., w F . . ., b F -> y B F")
def layer(lift: Lift, form: Form, x: Array, w: Array, b: Array | None, stride: Sides = 1, padding: Sides = 0,
          dilation: Sides = 1, groups: int = 1, act: str = "identity") -> Outputs:
    F, C, M, N = w.shape
    bias = np.zeros(F) if b is None else b
    how = pairs(stride, padding, dilation)
    size = [convolution.output_size("conv2d.layer", *one) for one in zip(x.shape[2:], (M, N), *how)]
    if groups == 1 and size[0] * size[1] * C * M * N > whole_images.LARGE:
        z = whole_images.layer(lift, x, w, (size[0], size[1]), *how) + lift(bias[:, None, None])
        return {"y": g(form, act)(z)}
    grouped = w.reshape(groups, F // groups, C, M, N)
    filters = [[[[lift(one[None, :, c, m, n]) for n in range(N)] for m in range(M)] for c in range(C)]
               for one in grouped]
    B = [lift(np.tile(one, (len(x), 1))) for one in bias.reshape(groups, F // groups)]
    z = stacked(convolution.conv2d_layer(images(lift, x), filters, B, stride, padding, dilation, groups))
    return {"y": g(form, act)(z)}


@operation("conv2d.layer.grad_x", "dx", dot=True, axes="d B ., w . C, z B C -> dx B C")
def grad_x(lift: Lift, form: Form, d: Array, w: Array, H: int, W: int, stride: Sides = 1, padding: Sides = 0,
           dilation: Sides = 1, groups: int = 1, z: Array | None = None, act: str = "identity") -> Outputs:
    """∂x, times g′(z) of the layer before where z is given."""
    F, _, M, N = w.shape
    prime = 1 if z is None else g(form, act, ".prime")(lift(z))
    if groups == 1 and H * W * F * M * N > whole_images.LARGE:
        return {"dx": whole_images.grad_x(lift, d, w, H, W, *pairs(stride, padding, dilation)) * prime}
    filters = [[[[lift(w[None, f, :, m, n]) for n in range(N)] for m in range(M)]] for f in range(F)]
    found = form("conv2d.layer.grad_x")(images(lift, d), filters, H, W, stride, padding, dilation, groups)
    dx = stacked(filled(found, lift(np.zeros((len(d), w.shape[1])))))
    return {"dx": dx * prime}


@operation("conv2d.layer.grad_w", "D", dot=True, axes="d . F, x . C, w F C -> D F C")
def grad_w(lift: Lift, form: Form, d: Array, x: Array, M: int, N: int, stride: Sides = 1, padding: Sides = 0,
           dilation: Sides = 1, groups: int = 1, w: Array | None = None, lam: Any = 0, n: Any = 1) -> Outputs:
    """Δ summed over the images, then D = Δ/n + λΘ."""
    F, C = d.shape[1], x.shape[1] // groups
    if groups == 1 and d.shape[2] * d.shape[3] * M * N > whole_images.LARGE:
        summed = whole_images.grad_w(lift, d, x, M, N, *pairs(stride, padding, dilation))
        return {"D": averaged(lift, shaped(summed, (F, C, M, N)), w, lam, n)}
    deltas = [[[lift(v[..., None]) for v in row] for row in channel] for channel in _by_group(d, groups)]
    inputs = [[[lift(v[:, None, :]) for v in row] for row in channel] for channel in _by_group(x, groups)]
    found = form("conv2d.layer.grad_w")(deltas, inputs, M, N, stride, padding, dilation, groups)
    whole = gathered(filled(found, lift(np.zeros((len(d), F // groups, C)))))
    summed = total(whole, 4)                                      # whole: group, 1, M, N, image, filter, channel

    def laid(v: Array) -> Array:
        return v[:, 0].transpose(0, 3, 4, 1, 2).reshape(F, C, M, N)
    return {"D": averaged(lift, rearranged(summed, laid), w, lam, n)}


def pairs(*sides: Sides) -> tuple[whole_images.Pair, ...]:
    return tuple(convolution.pair(one) for one in sides)


def shaped(number: Any, shape: tuple[int, ...]) -> Any:
    return rearranged(number, lambda v: v.reshape(shape))


def averaged(lift: Lift, Delta: Any, w: Array | None, lam: Any, n: Any) -> Any:
    """D = Δ/n + λΘ as the algorithm slide has it for one weight; without a w there is nothing to regularise."""
    if w is None and n == 1:
        return Delta
    weights = lift(np.zeros(Delta.v.shape if isinstance(Delta, Bounded) else Delta.shape)) if w is None else lift(w)
    return backprop.average([None, [0, Delta]], [None, [0, weights]], lam, n)[1][1]


@operation("conv2d.layer.grad_b", "Db", axes="d . F -> Db F")
def grad_b(lift: Lift, form: Form, d: Array, n: Any = 1) -> Outputs:
    (sums,) = form("conv2d.layer.grad_b")([[[lift(v) for v in row] for row in d.transpose(2, 3, 0, 1)]])
    Delta = total(sums, 0)
    return {"Db": Delta if n == 1 else backprop.average([None, [Delta]], [None, [0]], 0, n)[1][0]}


def _by_group(x: Array, groups: int) -> Array:
    """x (B, C, H, W) as (group, H, W, B, C of the group)"""
    B, C, H, W = x.shape
    return x.reshape(B, groups, C // groups, H, W).transpose(1, 3, 4, 0, 2)


@operation("pool.max", "y", "index", integers=("index",), axes="x B C -> y B C, index B C")
def pool(lift: Lift, form: Form, x: Array, k: Sides, stride: Sides | None = None, padding: Sides = 0) -> Outputs:
    """Values, and where in its window each stood: the reference's row-major place in x, less the window's corner."""
    # which of several wins is a comparison of the data themselves, never of rounded numbers
    plain = [list(row) for row in x.transpose(2, 3, 0, 1)]
    y = np.array(pooling.maxpool(plain, k, stride, padding))
    places = pooling.maxpool_index(plain, k, stride, padding)          # a window of one element has a place for all
    at = np.array([[np.broadcast_to(one, x.shape[:2]) for one in row] for row in places], dtype=np.int64)
    return {"y": lift(pixels_last(y)), "index": lift(local_places(at, x, k, stride, padding))}


def local_places(at: Array, x: Array, k: Sides, stride: Sides | None, padding: Sides) -> Array:
    """Places in their windows (B, C, P, Q), of places in the image (P, Q, B, C)."""
    (_, columns), (s, t) = convolution.pair(k), convolution.pair(k if stride is None else stride)
    pad, qad = convolution.pair(padding)
    i, j = np.indices((*at.shape[:2], 1, 1))[:2]
    local = (at // x.shape[3] - (i * s - pad)) * columns + at % x.shape[3] - (j * t - qad)
    return np.asarray(local.transpose(2, 3, 0, 1), dtype=np.float64)


@operation("conv2d.layer.pool", "y", dot=True, axes="x B ., w F . . ., b F -> y B F")
def layer_pooled(lift: Lift, form: Form, x: Array, w: Array, b: Array | None, stride: Sides = 1, padding: Sides = 0,
                 dilation: Sides = 1, groups: int = 1, act: str = "identity", k: Sides = 2) -> Outputs:
    """The layer, and the largest of each window side by side: no maximum is further off than what it is chosen from."""
    y = layer(lift, form, x, w, b, stride, padding, dilation, groups, act)["y"]

    def largest(v: Array) -> Array:
        return np.asarray(pixels_last(np.array(pooling.maxpool([list(row) for row in v.transpose(2, 3, 0, 1)], k))))
    return {"y": Bounded(largest(y.v), y.ar, e=largest(y.error)) if isinstance(y, Bounded) else largest(y)}


def pixels_last(numbers: Any) -> Any:
    """(P, Q, B, C) as (B, C, P, Q)"""
    return rearranged(numbers, lambda v: v.transpose(2, 3, 0, 1))


@operation("pool.max.grad_x", "dx", axes="d B C, index B C, saved B C -> dx B C")
def pool_grad_x(lift: Lift, form: Form, d: Array, index: Array, H: int, W: int, k: Sides, stride: Sides | None = None,
                padding: Sides = 0, saved: Array | None = None, act: str = "identity") -> Outputs:
    """Each window hands its d to its maximum; times g′ of what was pooled, where that is given."""
    (_, columns), (s, t) = convolution.pair(k), convolution.pair(k if stride is None else stride)
    (pad, qad), within = convolution.pair(padding), index.astype(np.int64)
    i, j = np.indices(index.shape[2:])
    at = W * (i * s - pad + within // columns) + j * t - qad + within % columns
    number = lift(d) if saved is None else lift(d) * g(form, act, ".prime")(lift(saved))
    lanes = [[number[:, :, p, q] for q in range(d.shape[3])] for p in range(d.shape[2])]
    places = [list(rows) for rows in at.transpose(2, 3, 0, 1)]
    found = form("pool.max.grad_x")(lanes, places, H, W, k, stride, padding)
    return {"dx": pixels_last(gathered(filled(found, lift(np.zeros(d.shape[:2])))))}
