"""The averaged gradient of a convolution layer's filters and intercepts: the deck's D, summed over pixels.

conv2d.layer.grad_w   D_fcmn = Σ_batch Σ_{i,j} d_fij x_{c, iS − P + mD, jS′ − P′ + nD′} / n + λ w_fcmn
conv2d.layer.grad_b   Db_f = Σ_batch Σ_{i,j} d_fij / n, the intercepts unregularised

A product of filters with columns (tap, channel) over many pixels and few outputs: the pixels are split into parts,
so that every processor has work, and a second kernel adds the parts in their order. The intercepts are one column
more of the same sums.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.tiles import divided
from ..runtime import checks
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch, math_mode
from ..runtime.layout import like
from . import checks as image_checks
from . import filters_boxes as boxes
from .checks import Layer, Sides
from .join import join, parts_of, store_mean
from .tiles import terms


@triton.jit
def average_kernel(
    d, x, w, D, Db, partial, filters, channels, source, size, taps, batch, d_s, x_s, w_s, D_s,
    stride, padding, dilation, n, lam, chunk, width,
    COLUMNS: tl.constexpr, INTERCEPTS: tl.constexpr, REGULARISED: tl.constexpr, SPLIT: tl.constexpr,
    TAPWISE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """BM filters of one group, BN columns (tap, channel), and the pixels (image, i, j) of one part, BK at a time."""
    tiles = tl.cdiv(filters, BM)
    group, f = tl.program_id(1) // tiles, tl.program_id(1) % tiles * BM + tl.arange(0, BM)
    every = taps[0] * taps[1] * channels
    a, b, c, inside = terms(tl.program_id(0), channels, taps[1], every, BN, TAPWISE)
    pixels = batch * size[0] * size[1]
    part = tl.program_id(2)
    to_d = d + (tl.cast(group * filters, tl.int64) + f)[None, :] * d_s[1]
    to_x = x + (tl.cast(group * channels, tl.int64) + c) * x_s[1]
    total, summed = tl.zeros((BM, BN), tl.float32), tl.zeros((BM,), tl.float32)
    for begin in range(part * chunk, tl.minimum((part + 1) * chunk, pixels), BK):
        q = begin + tl.arange(0, BK)
        here = (q < pixels)[:, None]
        image, i, j = q // (size[0] * size[1]), q // size[1] % size[0], q % size[1]
        at = image.to(tl.int64) * d_s[0] + i.to(tl.int64) * d_s[2] + j.to(tl.int64) * d_s[3]
        error = tl.load(to_d + at[:, None], mask=here & (f < filters)[None, :], other=0.0)
        if COLUMNS:
            row = i[:, None] * stride[0] - padding[0] + a * dilation[0]
            column = j[:, None] * stride[1] - padding[1] + b * dilation[1]
            seen = here & (row >= 0) & (row < source[0]) & (column >= 0) & (column < source[1])
            at = image.to(tl.int64)[:, None] * x_s[0] + row.to(tl.int64) * x_s[2] + column.to(tl.int64) * x_s[3]
            tile = tl.load(to_x + at, mask=seen & inside, other=0.0)
            total = tl.dot(tl.trans(error), tile, total, input_precision=PRECISION)
        if INTERCEPTS:
            summed += tl.sum(error.to(tl.float32), 0)
    n, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    exists = f < filters
    f = tl.cast(group * filters, tl.int64) + f
    if SPLIT:       # a filter's columns in a row, its intercept at the end
        rows = tl.num_programs(1) // tiles * filters
        to_part = partial + (tl.cast(part, tl.int64) * rows + f) * width
        if COLUMNS:
            at = (a * taps[1] + b) * channels + c
            tl.store(to_part[:, None] + at, total, mask=exists[:, None] & inside)
        if INTERCEPTS and tl.program_id(0) == 0:
            tl.store(to_part + every, summed, mask=exists)
    else:
        if COLUMNS:
            store_mean(total, f, a, b, c, n, lam, w, D, w_s, D_s, exists[:, None] & inside, REGULARISED)
        if INTERCEPTS and tl.program_id(0) == 0:
            tl.store(Db + f, divided(summed, n).to(Db.dtype.element_ty), mask=exists)


def _moving_boxes(sizes: Layer, d: Tensor, x: Tensor) -> Any:
    """The kernel that moves boxes, where GPU and tensors allow it, else None."""
    return boxes if boxes.serves(sizes, d, x) else None


def averaged(
    d: Tensor, x: Tensor, w: Tensor | None, sizes: Layer, lam: float, n: float, columns: bool, intercepts: bool,
    math: str | None = None,
) -> tuple[Tensor, Tensor]:
    """(D, Db); the one that is not asked for stays unwritten. D lies in memory as w does, or as x."""
    model = x if w is None else w
    arch = current_arch(d.device)
    checks.kernel_dtype("conv2d.layer.grad_w", d)
    D = like(sizes.w_shape if columns else (0, 0, 0, 0), model)
    Db = torch.empty(sizes.filters if intercepts else 0, dtype=d.dtype, device=d.device)
    moving = _moving_boxes(sizes, d, x) if columns else None
    if moving:
        moving.averaged(d, x, D if w is None else w, D, Db, sizes, lam, n, intercepts, w is not None and lam != 0)
        return D, Db
    filters, every = sizes.filters // sizes.groups, sizes.channels * sizes.taps[0] * sizes.taps[1]
    row = choose("conv2d.layer.grad_w", (filters, every), d.dtype, arch)
    tapwise = -(-sizes.channels // row.BN) * row.BN <= 1.34 * sizes.channels
    taps = sizes.taps[0] * sizes.taps[1]
    blocks = taps * triton.cdiv(sizes.channels, row.BN) if tapwise else triton.cdiv(every, row.BN)
    grid = (blocks if columns else 1, sizes.groups * triton.cdiv(filters, row.BM))
    parts, chunk = parts_of(grid[0] * grid[1], sizes.batch * sizes.output[0] * sizes.output[1], row.BK, arch,
                            "conv2d.layer.grad_w")
    width = 16 * triton.cdiv(every + 1, 16)             # so that rows stay aligned
    partial = torch.empty((parts if parts > 1 else 0, sizes.filters, width), dtype=torch.float32, device=d.device)
    what = {"COLUMNS": columns, "INTERCEPTS": intercepts, "REGULARISED": w is not None and lam != 0}
    weights = D if w is None else w
    launch(
        average_kernel, (*grid, parts), d, x, weights, D, Db, partial, filters, sizes.channels, sizes.input,
        sizes.output, sizes.taps, sizes.batch, d.stride(), x.stride(), weights.stride(), D.stride(), sizes.stride,
        sizes.padding, sizes.dilation, n, lam, chunk, width, row=row, **what, SPLIT=parts > 1, TAPWISE=tapwise,
        BM=row.BM, BN=row.BN, BK=row.BK, PRECISION=math_mode(math),
    )
    if parts > 1:
        join(partial, weights, D, Db, sizes, n, lam, what, arch)
    return D, Db


def grad_w(
    d: Tensor, x: Tensor, M: int, N: int, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, w: Tensor | None = None, lam: float = 0.0, n: float = 1.0, *, precision: str | None = None,
) -> Tensor:
    sizes = image_checks.grad_w(d, x, M, N, stride, padding, dilation, groups, w, lam, n)
    return averaged(d, x, w, sizes, float(lam), float(n), True, False, precision)[0]


def grad_b(d: Tensor, n: float = 1.0) -> Tensor:
    image_checks.grad_b(d, n)
    batch, filters, *size = d.shape
    sizes = Layer(batch, 1, filters, (size[0], size[1]), (1, 1), (size[0], size[1]), (1, 1), (0, 0), (1, 1), 1)
    return averaged(d, d, None, sizes, 0.0, float(n), False, True)[1]


OPS = {"conv2d.layer.grad_w": grad_w, "conv2d.layer.grad_b": grad_b}
