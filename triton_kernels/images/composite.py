"""The ops on images as ATen composites: convolution layers, their gradients, pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..activations.checks import activation
from ..activations.composite import g, times
from ..runtime.layout import is_channels_last
from ..runtime.wide import NARROW, as_given, rounded, wide
from . import checks as image_checks
from .checks import Layer, Pool, Sides


def stored(result: Tensor, model: Tensor, dtype: torch.dtype) -> Tensor:
    """Rounded to dtype, in memory as the model."""
    return ordered(rounded(result, dtype), model)


def ordered(result: Tensor, model: Tensor) -> Tensor:
    """In memory as the model."""
    if is_channels_last(model):
        return result.contiguous(memory_format=torch.channels_last)
    return result if result.is_contiguous() else result.contiguous()


def _plain(t: Tensor, sizes: Layer) -> Tensor:
    """Widened; a group's channels by rows, since torch 2.13 on a CPU crashes for some grouped channels_last layers."""
    return wide(t).contiguous() if sizes.groups > 1 else wide(t)


def affine(x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer) -> Tensor:
    """z = b + x ∗ w, wide."""
    if not sizes.batch:
        return wide(x).new_empty(sizes.y_shape)
    if sizes.groups > 1 or x.dtype in NARROW:
        x, w, b = _plain(x, sizes), _plain(w, sizes), None if b is None else wide(b)
    return torch.conv2d(x, w, b, sizes.stride, sizes.padding, sizes.dilation, sizes.groups)


@as_given
def keeping(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, keep_z: bool, math: str | None = None
) -> tuple[Tensor, Tensor]:
    z = affine(x, w, b, sizes)
    a = stored(g(z, act, p), x, x.dtype)
    return a, stored(z, x, x.dtype) if keep_z else a


def layer(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, act: str = "identity", *, precision: str | None = None, **parameter: float,
) -> Tensor:
    """conv2d.layer   g(b + x ∗ w): x (B, C·groups, H, W), w (F, C, M, N), b (F,) or None; x counts zero outside."""
    sizes = image_checks.forward(x, w, b, stride, padding, dilation, groups)
    return keeping(x, w, b, sizes, act, activation("conv2d.layer", act, **parameter), False)[0]


def layer_pooled(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, act: str = "identity", k: Sides = 2, *, precision: str | None = None, **parameter: float,
) -> Tensor:
    """conv2d.layer.pool   the largest of each k × k window of g(b + x ∗ w), side by side; else as conv2d.layer."""
    sizes, window = image_checks.layer_pooled(x, w, b, stride, padding, dilation, groups, k)
    if not sizes.batch:
        return x.new_empty(window.y_shape)
    z = g(affine(x, w, b, sizes), act, activation("conv2d.layer.pool", act, **parameter))
    return stored(F.max_pool2d(z, window.window), x, x.dtype)


def _backward(d: Tensor, x: Tensor, w: Tensor, sizes: Layer, wanted: tuple[bool, bool]) -> Any:
    return torch.ops.aten.convolution_backward(
        _plain(d, sizes), _plain(x, sizes), _plain(w, sizes), None, sizes.stride, sizes.padding, sizes.dilation,
        False, (0, 0), sizes.groups, (*wanted, False))


def delta_through(
    d: Tensor, w: Tensor, sizes: Layer, saved: Tensor | None, act: str, p: float, math: str | None = None
) -> Tensor:
    model = d if saved is None else saved
    if not sizes.batch:
        return stored(d.new_empty(sizes.x_shape), model, d.dtype)
    dx = _backward(d, wide(d).new_empty(1).expand(sizes.x_shape), w, sizes, (True, False))[0]
    return stored(dx if saved is None else times(dx, wide(saved), act, "z", p), model, d.dtype)


def grad_x(
    d: Tensor, w: Tensor, H: int, W: int, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, z: Tensor | None = None, act: str = "identity", *, precision: str | None = None,
    **parameter: float,
) -> Tensor:
    """conv2d.layer.grad_x   ∂x of an H × W image, times g′(z) where z is given: d (B, F, P, Q), w (F, C, M, N)."""
    sizes = image_checks.grad_x(d, w, H, W, stride, padding, dilation, groups, z)
    p = activation("conv2d.layer.grad_x", act, **parameter)
    return delta_through(d, w, sizes, z, act, p)


def averaged(
    d: Tensor, x: Tensor, w: Tensor | None, sizes: Layer, lam: float, n: float, columns: bool, intercepts: bool,
    math: str | None = None,
) -> tuple[Tensor, Tensor]:
    if columns and sizes.batch:
        D = _backward(d, x, wide(d).new_empty(1).expand(sizes.w_shape), sizes, (False, True))[1]
    else:
        D = wide(d).new_zeros(sizes.w_shape if columns else (0, 0, 0, 0))
    Db = wide(d).sum((0, 2, 3)) if intercepts else wide(d).new_zeros(0)
    if n != 1:
        D, Db = D / n, Db / n
    D = D if w is None or lam == 0 else D + lam * wide(w)
    return stored(D, x if w is None else w, d.dtype), rounded(Db, d.dtype)


def grad_w(
    d: Tensor, x: Tensor, M: int, N: int, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, w: Tensor | None = None, lam: float = 0.0, n: float = 1.0, *, precision: str | None = None,
) -> Tensor:
    """conv2d.layer.grad_w   ∂w / n + λ w of M × N filters: d (B, F, P, Q), x (B, C·groups, H, W)."""
    sizes = image_checks.grad_w(d, x, M, N, stride, padding, dilation, groups, w, lam, n)
    return averaged(d, x, w, sizes, lam, n, True, False)[0]


def grad_b(d: Tensor, n: float = 1.0) -> Tensor:
    """conv2d.layer.grad_b   the sum of d (B, F, P, Q) over images and positions, / n."""
    image_checks.grad_b(d, n)
    return (wide(d).sum((0, 2, 3)) / n).to(d.dtype)


def in_image(index: Tensor, sizes: Pool) -> Tensor:
    """Places in windows as row-major places in the image, int64, as torch counts them."""
    (rows, columns), width = sizes.window, sizes.x_shape[3]
    i, j = _corners(index, sizes)
    steps = _grid(rows, width, columns, index)
    return steps.take(index.long()).add_(i + j)             # a look in a table, where a division is slow


def _grid(rows: int, stride: int, columns: int, like: Tensor) -> Tensor:
    """row · stride + column."""
    row = torch.arange(0, rows * stride, stride, device=like.device)
    return row.unsqueeze(1) + torch.arange(columns, device=like.device)


def _corners(index: Tensor, sizes: Pool) -> tuple[Tensor, Tensor]:
    """Every window's first entry: its row times the image's width, and its column."""
    (P, Q), (s, t), (p, q), width = sizes.output, sizes.stride, sizes.padding, sizes.x_shape[3]
    i = torch.arange(-p * width, (P * s - p) * width, s * width, device=index.device)
    return i.unsqueeze(1), torch.arange(-q, Q * t - q, t, device=index.device)


def pooled(x: Tensor, sizes: Pool) -> tuple[Tensor, Tensor]:
    """torch's tie and NaN rules are the deck's."""
    if not sizes.x_shape[0] * sizes.x_shape[1]:
        y = x.new_empty(sizes.y_shape)
        return y, y.to(torch.uint8)
    y, at = F.max_pool2d(wide(x), sizes.window, sizes.stride, sizes.padding, return_indices=True)
    (rows, columns), width = sizes.window, x.shape[3]
    i, j = _corners(at, sizes)
    local = _grid(rows, columns, width, x).take(at.sub_(i)).sub_(j)         # as in `in_image`, the other way
    return stored(y, x, x.dtype), stored(local, x, torch.uint8)


@as_given
def pooled_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, keep_z: bool, math: str | None = None,
    places: bool = True, sides: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, index, z at the maxima) of a layer and its 2 × 2 pooling; no g falls, so z is pooled. `sides`: index says on
    which side of 0 z lies, too: + 4 for z ≤ 0."""
    z = affine(x, w, b, sizes)
    if places:
        best, index = pooled(z, image_checks.pool("pool.max", tuple(z.shape), 2, 2, 0))
        index = stored(index, x, torch.uint8)
    else:
        best, index = F.max_pool2d(z, 2), z.new_empty(0, dtype=torch.uint8)
    if sides:
        index += (rounded(best, x.dtype) <= 0) * 4
    y = stored(g(best, act, p), x, x.dtype)
    return y, index, stored(best, x, x.dtype) if keep_z else y


def pooled_backward(
    d: Tensor, index: Tensor, sizes: Pool, saved: Tensor | None, act: str, form: str, p: float
) -> Tensor:
    if form == "side":
        saved = (index < 4).to(d.dtype)
        index, form = index & 3, "z"
    share = wide(d) if saved is None else times(wide(d), wide(saved), act, form, p)
    if not share.numel():
        return share.new_zeros(sizes.x_shape)
    shape = share.new_empty(1).expand(sizes.x_shape)
    dx = torch.ops.aten.max_pool2d_with_indices_backward(
        share.contiguous(), shape, sizes.window, sizes.stride, sizes.padding, (1, 1), False,
        in_image(index, sizes).contiguous())
    return stored(dx, index, d.dtype)


def maxpool(
    x: Tensor, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0, ceil_mode: bool = False
) -> tuple[Tensor, Tensor]:
    """pool.max   (values, uint8 places in their windows): x (B, C, H, W), windows of k × k, a stride apart."""
    return pooled(x, image_checks.pooling("pool.max", x, k, stride, padding, ceil_mode))


def maxpool_grad_x(
    d: Tensor, index: Tensor, H: int, W: int, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0,
    saved: Tensor | None = None, act: str = "identity", **parameter: float,
) -> Tensor:
    """pool.max.grad_x   d (B, C, P, Q) at the places in `index`, times g′(saved) where that is given; x is H × W."""
    sizes = image_checks.pooled_gradient(d, index, H, W, k, stride, padding, saved)
    p = activation("pool.max.grad_x", act, **parameter)
    return pooled_backward(d, index, sizes, saved, act, "z", p)


__all__ = ["OPS", "averaged", "delta_through", "keeping", "pooled", "pooled_backward", "pooled_keeping"]

OPS: dict[str, Callable[..., Any]] = {
    "conv2d.layer": layer, "conv2d.layer.pool": layer_pooled, "conv2d.layer.grad_x": grad_x,
    "conv2d.layer.grad_w": grad_w, "conv2d.layer.grad_b": grad_b, "pool.max": maxpool,
    "pool.max.grad_x": maxpool_grad_x,
}
