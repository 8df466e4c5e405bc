"""conv2d.layer.pool: a convolution layer and the 2 × 2 max pooling after it in one pass, pool.max(conv2d.layer(x)).

y_fij = max_{m,n ∈ {0,1}} a_{f, 2i+m, 2j+n} = g(b_f + max_{m,n} (x ∗ w)_{f, 2i+m, 2j+n}), and (m, n) as 8 bits

The four positions of a window are four sums over the same filters, so a block of filters is read once for all of them
and the unpooled image is never written. No g of the deck falls, so the largest sum has the largest a: one activation a
window, not four, and y is to the bit what the two ops in turn give. Where several a are equal, made so by rounding or
by a ReLU, the place is that of the largest sum, at which a is a maximum too. Kept for backward, where g′ needs it: z at
that place, or only on which side of 0 it lies, in bits that the place leaves free.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..activations.checks import activation
from ..activations.table import ACTIVATIONS
from ..runtime import checks
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch, math_mode
from ..runtime.layout import like
from . import checks as image_checks
from . import layer, pool
from . import pooled_boxes as boxes
from .checks import Layer, Sides
from .tiles import best_of_four, terms, with_side


@triton.jit
def window_sum(
    total, at_image, here, y, u, a, b, c, inside, taken, source, x_s, dilation, PRECISION: tl.constexpr
):
    """One block of terms of the positions (y, u), added to their sums."""
    row, column = y[:, None] + a * dilation[0], u[:, None] + b * dilation[1]
    seen = here[:, None] & (row >= 0) & (row < source[0]) & (column >= 0) & (column < source[1])
    at = row.to(tl.int64) * x_s[2] + column.to(tl.int64) * x_s[3] + c.to(tl.int64) * x_s[1]
    tile = tl.load(at_image + at, mask=seen & inside, other=0.0)
    return tl.dot(tile, taken, total, input_precision=PRECISION)


@triton.jit
def conv_pool_kernel(
    x, w, bias, out, index, kept, batch, depth, filters, source, pooled, taps, x_s, w_s, out_s, b_0,
    stride, padding, dilation, p,
    G: tl.constexpr, HAS_BIAS: tl.constexpr, KEPT: tl.constexpr, PLACES: tl.constexpr, SIDES: tl.constexpr,
    TAPWISE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """BM pooled positions, BN filters of one group; w_s: the strides of (group, filter, channel, row, column)."""
    tiles = tl.cdiv(filters, BN)
    group, o = tl.program_id(1) // tiles, tl.program_id(1) % tiles * BN + tl.arange(0, BN)
    exists = o < filters
    q = tl.program_id(0) * BM + tl.arange(0, BM)
    here = q < batch * pooled[0] * pooled[1]
    image, i, j = q // (pooled[0] * pooled[1]), q // pooled[1] % pooled[0], q % pooled[1]
    y, u = 2 * i * stride[0] - padding[0], 2 * j * stride[1] - padding[1]
    at_image = x + (image.to(tl.int64) * x_s[0] + tl.cast(group * depth, tl.int64) * x_s[1])[:, None]
    at_filter = w + (tl.cast(group, tl.int64) * w_s[0] + o.to(tl.int64) * w_s[1])[:, None]
    every = taps[0] * taps[1] * depth
    blocks = taps[0] * taps[1] * tl.cdiv(depth, BK) if TAPWISE else tl.cdiv(every, BK)
    t00 = tl.zeros((BM, BN), tl.float32)
    t01, t10, t11 = t00, t00, t00
    for k in range(blocks):
        a, b, c, inside = terms(k, depth, taps[1], every, BK, TAPWISE)
        at = c.to(tl.int64) * w_s[2] + tl.cast(a, tl.int64) * w_s[3] + tl.cast(b, tl.int64) * w_s[4]
        taken = tl.trans(tl.load(at_filter + at, mask=exists[:, None] & inside, other=0.0))
        y1, u1 = y + stride[0], u + stride[1]
        t00 = window_sum(t00, at_image, here, y, u, a, b, c, inside, taken, source, x_s, dilation, PRECISION)
        t01 = window_sum(t01, at_image, here, y, u1, a, b, c, inside, taken, source, x_s, dilation, PRECISION)
        t10 = window_sum(t10, at_image, here, y1, u, a, b, c, inside, taken, source, x_s, dilation, PRECISION)
        t11 = window_sum(t11, at_image, here, y1, u1, a, b, c, inside, taken, source, x_s, dilation, PRECISION)
    o = group * filters + o
    z, at = best_of_four(t00, t01, t10, t11, PLACES)
    if HAS_BIAS:
        z += tl.load(bias + o.to(tl.int64) * b_0, mask=exists, other=0.0).to(tl.float32)[None, :]
    place = image.to(tl.int64) * out_s[0] + i.to(tl.int64) * out_s[2] + j.to(tl.int64) * out_s[3]
    place = place[:, None] + o.to(tl.int64)[None, :] * out_s[1]
    mask = here[:, None] & exists[None, :]
    tl.store(out + place, G(z, tl.cast(p, tl.float32)).to(out.dtype.element_ty), mask=mask)
    if SIDES:
        at = with_side(at, z.to(out.dtype.element_ty))
    if PLACES:
        tl.store(index + place, at.to(tl.uint8), mask=mask)
    if KEPT:
        tl.store(kept + place, z.to(kept.dtype.element_ty), mask=mask)


def _moving_boxes(sizes: Layer, *tensors: Tensor) -> Any:
    """The kernel that moves boxes, where GPU and tensors allow it, else None."""
    return boxes if boxes.serves(sizes, *tensors) else None


def pooled_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, keep_z: bool, math: str | None = None,
    places: bool = True, sides: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, index, z at the maxima). z is stored only if it is to be kept, otherwise it is y itself; index only if places
    are asked for, as a backward pass does, otherwise it is empty. `sides`: it says on which side of 0 z lies, too."""
    checks.kernel_dtype("conv2d.layer", x)
    rows, columns = sizes.output[0] // 2, sizes.output[1] // 2
    out = like((sizes.batch, sizes.filters, rows, columns), x)
    index = torch.empty_like(out, dtype=torch.uint8) if places else out.new_empty(0, dtype=torch.uint8)
    z = torch.empty_like(out) if keep_z else out
    filters, positions = sizes.filters // sizes.groups, sizes.batch * rows * columns
    moving = _moving_boxes(sizes, x, w, out, index)
    if moving:
        moving.layer(x, w, b, sizes, activations.VALUE[act], p, keep_z, places, sides, out, index, z)
    elif out.numel():
        row = choose("conv2d.layer.pool", (positions, filters), x.dtype, current_arch(x.device))
        tapwise = -(-sizes.channels // row.BK) * row.BK <= 1.34 * sizes.channels
        launch(
            conv_pool_kernel, (triton.cdiv(positions, row.BM), sizes.groups * triton.cdiv(filters, row.BN)),
            x, w, x if b is None else b, out, index, z, sizes.batch, sizes.channels, filters, sizes.input,
            (rows, columns), sizes.taps, x.stride(), (filters * w.stride(0), *w.stride()), out.stride(),
            1 if b is None else b.stride(0), sizes.stride, sizes.padding, sizes.dilation, p, row=row,
            G=activations.VALUE[act], HAS_BIAS=b is not None, KEPT=keep_z, PLACES=places, SIDES=sides,
            TAPWISE=tapwise, BM=row.BM, BN=row.BN, BK=row.BK, PRECISION=math_mode(math),
        )
    return out, index, z


def layer_pooled(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, act: str = "identity", k: Sides = 2, *, precision: str | None = None, **parameter: float,
) -> Tensor:
    """conv2d.layer.pool   in one pass for windows of 2 × 2 and a g that rises; else a layer, and a pooling of it."""
    sizes, windows = image_checks.layer_pooled(x, w, b, stride, padding, dilation, groups, k)
    p = activation("conv2d.layer.pool", act, **parameter)
    if windows.window == (2, 2) and ACTIVATIONS[act].rises(p):
        return pooled_keeping(x, w, b, sizes, act, p, False, precision, places=False)[0]
    return pool.pooled(layer.keeping(x, w, b, sizes, act, p, False, precision)[0], windows)[0]


__all__ = ["OPS", "pooled_keeping"]

OPS = {"conv2d.layer.pool": layer_pooled}
