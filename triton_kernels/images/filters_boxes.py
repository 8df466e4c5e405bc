"""The averaged gradient of a convolution layer's filters by boxes: Hopper and later.

conv2d.layer.grad_w   D_fcmn = Σ_batch Σ_{i,j} d_fij x_{c, iS − P + mD, jS′ − P′ + nD′} / n + λ w_fcmn
conv2d.layer.grad_b   Db_f = Σ_batch Σ_{i,j} d_fij / n, the intercepts unregularised

One tap, filters × channels, and a part of the pixels: a box of d and one of x at a time. The parts are added in their
order by the kernel that adds the pointer kernel's (`join`). Taps that read one view of x
(`plan.classes`) are one launch.

Traps: no box reaches over the edge of an image, since there d reads as 0 but x need not, and 0 · ∞ is NaN; where that
would waste more than a third, the pointer kernel is better. Beyond the batch both are 0.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.tiles import divided
from ..runtime.configs import choose, is_pinned
from ..runtime.launch import current_arch, launch
from . import plan as conv_tiles
from .checks import Layer
from .join import join, parts_of, store_mean
from .layer_boxes import box, corner, fits, onward, served, views
from .plan import pixels_first, view

TABLE = "conv2d.layer.grad_w.boxes"
WASTE = 4 / 3


@triton.jit
def average_boxes_kernel(
    d, x, w, D, Db, partial, size, filters, channels, taps, walk, chunk, boxes, width, w_s, D_s, n, lam,
    INTERCEPTS: tl.constexpr, REGULARISED: tl.constexpr, SPLIT: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr,
):
    """BM filters, BN channels of one tap, and the boxes of pixels of one part.

    walk: how many of the view's taps lie side by side; the row and column of the first, and the steps to the next; the
    same in the view.
    """
    B, first, first2, period, period2, h, v, dh, dv = walk
    blocks = tl.cdiv(channels, BN)
    a, b = tl.program_id(0) // (B * blocks), tl.program_id(0) // blocks % B
    f0, c0 = tl.program_id(1) * BM, tl.program_id(0) % blocks * BN
    part = tl.program_id(2)
    end = tl.minimum((part + 1) * chunk, boxes)
    total = tl.zeros((BM, BN), tl.float32)
    m, i, j = corner(part * chunk, size, BI, TH, TW)
    for _ in range(part * chunk, end):
        error = tl.reshape(d.load([m, i, j, f0]), (BI * TH * TW, BM))
        tile = tl.reshape(x.load([m, i + h + a * dh, j + v + b * dv, c0]), (BI * TH * TW, BN))
        total = tl.dot(error.T, tile, total)
        m, i, j = onward(m, i, j, BI, TH, TW, size[0], size[1])
    f, c = f0 + tl.arange(0, BM), (c0 + tl.arange(0, BN))[None, :]
    exists = f < filters
    f, a, b = f.to(tl.int64), first + a * period, first2 + b * period2
    n, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    mask = exists[:, None] & (c < channels)
    to_part = partial + (tl.cast(part, tl.int64) * filters + f) * width
    if SPLIT:
        tl.store(to_part[:, None] + (a * taps[1] + b) * channels + c, total, mask=mask)
    else:
        store_mean(total, f, a, b, c, n, lam, w, D, w_s, D_s, mask, REGULARISED)
    if INTERCEPTS and tl.program_id(0) == 0:
        summed = tl.zeros((BM,), tl.float32)
        m, i, j = corner(part * chunk, size, BI, TH, TW)
        for _ in tl.range(part * chunk, end, num_stages=1):
            summed += tl.sum(tl.reshape(d.load([m, i, j, f0]), (BI * TH * TW, BM)).to(tl.float32), 0)
            m, i, j = onward(m, i, j, BI, TH, TW, size[0], size[1])
        if SPLIT:
            tl.store(to_part + taps[0] * taps[1] * channels, summed, mask=exists)
        else:
            tl.store(Db + f, divided(summed, n).to(Db.dtype.element_ty), mask=exists)


def block(sizes: Layer) -> int:
    """The largest power of two of pixels, 64 at most, that whole tiles hold without much waste; 0 if there is none."""
    for pixels in (64, 32):
        if conv_tiles.tile(pixels, sizes.batch, sizes.output, whole=True).waste(sizes.batch, sizes.output) <= WASTE:
            return pixels
    return 0


def serves(sizes: Layer, d: Tensor, x: Tensor) -> bool:
    """Whether D takes the kernel here: a GPU that has it, images that a descriptor can say, little waste or a pin."""
    return (
        bool(sizes.batch) and served("conv2d.layer.grad_w", sizes, d) and fits(d) and fits(x)
        and (is_pinned(TABLE) or block(sizes) > 0))


def averaged(
    d: Tensor, x: Tensor, weights: Tensor, D: Tensor, Db: Tensor, sizes: Layer, lam: float, n: float,
    intercepts: bool, regularised: bool,
) -> None:
    """D, and Db if intercepts are asked for."""
    arch = current_arch(d.device)
    row = choose(TABLE, (sizes.filters, sizes.channels, block(sizes) or 64), d.dtype, arch)
    tile = conv_tiles.tile(row.BK, sizes.batch, sizes.output, whole=True)
    boxes, taken = tile.count(sizes.batch, sizes.output), views(sizes)
    blocks, rows = triton.cdiv(sizes.channels, row.BN), triton.cdiv(sizes.filters, row.BM)
    most = max(a.many * b.many for _, _, a, b in taken)
    parts, chunk = parts_of(most * blocks * rows, boxes * row.BK, row.BK, arch, TABLE)
    width = 16 * triton.cdiv(sizes.taps[0] * sizes.taps[1] * sizes.channels + 1, 16)
    partial = torch.empty((parts if parts > 1 else 0, sizes.filters, width), dtype=torch.float32, device=d.device)
    for k, (r, q, a, b) in enumerate(taken):
        walk = (b.many, a.first, b.first, a.period, b.period, a.start, b.start, a.step, b.step)
        launch(
            average_boxes_kernel, (a.many * b.many * blocks, rows, parts), box(pixels_first(d), tile, row.BM),
            box(view(x, r, q, sizes.stride), tile, row.BN), weights, D, Db, partial, sizes.output, sizes.filters,
            sizes.channels, sizes.taps, walk, chunk // row.BK, boxes, width, weights.stride(), D.stride(), n, lam,
            row=row, INTERCEPTS=intercepts and k == 0, REGULARISED=regularised, SPLIT=parts > 1, BM=row.BM, BN=row.BN,
            BI=tile.BI, TH=tile.TH, TW=tile.TW,
        )
    if parts > 1:
        join(partial, weights, D, Db, sizes, n, lam,
             {"COLUMNS": True, "INTERCEPTS": intercepts, "REGULARISED": regularised}, arch)
