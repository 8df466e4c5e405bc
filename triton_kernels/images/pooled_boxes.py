"""A convolution layer and the 2 × 2 max pooling after it in one pass, by boxes: Hopper and later.

y_fij = max_{m,n ∈ {0,1}} a_{f, 2i+m, 2j+n} = g(b_f + max_{m,n} (x ∗ w)_{f, 2i+m, 2j+n}), and (m, n) as 8 bits

The tile is the layer's (`conv_boxes`), with an even number of rows and columns, so that no window is cut: the four
positions of each are split off its sums, and a quarter of it is written. Rules as in `conv_pool`.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from . import plan as conv_tiles
from .checks import Layer
from .layer_boxes import (
    VIEWS,
    box,
    corner,
    described,
    filters_fit,
    fits,
    over_views,
    served,
    taps_first,
    taps_of,
    views,
)
from .plan import pixels_first, view
from .tiles import best_of_four, with_side


@triton.jit
def windows(x, BM: tl.constexpr, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr):
    """The four positions of every window, in their order, each as filters × windows."""
    x = tl.permute(tl.reshape(x, (BM * BI * (TH // 2), 2, TW // 2, 2)), (0, 2, 1, 3))
    left, right = tl.split(x)
    upper_left, lower_left = tl.split(left)
    upper_right, lower_right = tl.split(right)
    size: tl.constexpr = (BM, BI * TH * TW // 4)
    return (tl.reshape(upper_left, size), tl.reshape(upper_right, size),
            tl.reshape(lower_left, size), tl.reshape(lower_right, size))


@triton.jit
def pixels(x, BM: tl.constexpr, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr):
    """Filters × windows as a box of images × rows × columns × filters."""
    return tl.reshape(tl.trans(x), (BI, TH // 2, TW // 2, BM))


@triton.jit
def conv_pool_boxes_kernel(
    x0, x1, x2, x3, w, bias, out, index, kept, size, depth, outputs, b_0, walks, p,
    VIEWS: tl.constexpr, G: tl.constexpr, HAS_BIAS: tl.constexpr, KEPT: tl.constexpr, PLACES: tl.constexpr,
    SIDES: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr,
):
    """size: rows and columns of the positions that are in a window."""
    BN: tl.constexpr = BI * TH * TW
    tiles = tl.cdiv(outputs, BM)
    t, o = tl.program_id(0) // tiles, tl.program_id(0) % tiles * BM
    n, i, j = corner(t, size, BI, TH, TW)
    total = over_views(x0, x1, x2, x3, w, n, i, j, o, depth, walks, VIEWS, False, BM, BN, BK)
    z00, z01, z10, z11 = windows(total, BM, BI, TH, TW)
    z, at = best_of_four(z00, z01, z10, z11, PLACES)
    if HAS_BIAS:
        ro = o + tl.arange(0, BM)
        z += tl.load(bias + ro.to(tl.int64) * b_0, mask=ro < outputs, other=0.0).to(tl.float32)[:, None]
    i, j = i // 2, j // 2
    out.store([n, i, j, o], pixels(G(z, tl.cast(p, tl.float32)).to(out.dtype), BM, BI, TH, TW))
    if SIDES:
        at = with_side(at, z.to(out.dtype))
    if PLACES:
        index.store([n, i, j, o], pixels(at.to(tl.uint8), BM, BI, TH, TW))
    if KEPT:
        kept.store([n, i, j, o], pixels(z.to(kept.dtype), BM, BI, TH, TW))


def serves(sizes: Layer, x: Tensor, w: Tensor, out: Tensor, index: Tensor) -> bool:
    """Whether a pooled layer takes the kernel here; 16 places, of 8 bits each, fill the 16 bytes of its strides."""
    return (
        served("conv2d.layer.pool", sizes, x) and filters_fit(w) and fits(x) and fits(out)
        and sizes.filters % 16 == 0 and index.data_ptr() % 16 == 0 and len(views(sizes)) <= VIEWS)


def layer(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, G: Any, p: float, keep_z: bool, places: bool,
    sides: bool, out: Tensor, index: Tensor, z: Tensor,
) -> None:
    """out, and what is asked for of index and z at the maxima."""
    pooled = out.shape[2], out.shape[3]
    positions = sizes.batch * pooled[0] * pooled[1]
    row = choose("conv2d.layer.pool.boxes", (sizes.filters, 4 * positions, sizes.channels), x.dtype,
                 current_arch(x.device))
    size = 2 * pooled[0], 2 * pooled[1]
    tile = conv_tiles.tile(row.BN, sizes.batch, size, even=True)
    taken = views(sizes)
    sources = [box(view(x, r, q, sizes.stride), tile, row.BK) for r, q, _, _ in taken]
    launch(
        conv_pool_boxes_kernel, (tile.count(sizes.batch, size) * triton.cdiv(sizes.filters, row.BM),),
        *(sources + sources[:1] * VIEWS)[:VIEWS], described(taps_first(w), [1, row.BM, row.BK]), x if b is None else b,
        *(box(pixels_first(t), tile.pooled, row.BM) for t in (out, index if places else out, z)), size, sizes.channels,
        sizes.filters, 1 if b is None else b.stride(0), tuple(taps_of(m, n, sizes.taps[1], 1) for _, _, m, n in taken),
        p, row=row, VIEWS=len(taken), G=G, HAS_BIAS=b is not None, KEPT=keep_z, PLACES=places, SIDES=sides, BM=row.BM,
        BK=row.BK, BI=tile.BI, TH=tile.TH, TW=tile.TW,
    )
