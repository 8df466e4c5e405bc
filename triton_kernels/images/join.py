"""The averaged gradient of the filters from parts of the pixels, added in their order: the end of either kernel."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.tiles import divided, regularised
from ..runtime.configs import Row, choose, is_pinned, processors
from ..runtime.launch import launch
from .checks import Layer

FEWEST = 1024           # pixels that a part has at least: fewer cost less than to write parts and read them


@triton.jit
def store_mean(total, f, a, b, c, n, lam, w, D, w_s, D_s, mask, REGULARISED: tl.constexpr):
    """D = total / n + λ w for filters f and columns (a, b, c)."""
    mean = divided(total, n)
    f, a, b, c = f[:, None], tl.cast(a, tl.int64), tl.cast(b, tl.int64), c.to(tl.int64)
    if REGULARISED:
        at = f * w_s[0] + c * w_s[1] + a * w_s[2] + b * w_s[3]
        mean = regularised(mean, lam, tl.load(w + at, mask=mask, other=0.0).to(tl.float32))
    at = f * D_s[0] + c * D_s[1] + a * D_s[2] + b * D_s[3]
    tl.store(D + at, mean.to(D.dtype.element_ty), mask=mask)


@triton.jit
def join_kernel(
    partial, w, D, Db, parts, filters, channels, width, taps, w_s, D_s, n, lam,
    COLUMNS: tl.constexpr, INTERCEPTS: tl.constexpr, REGULARISED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr,
):
    """The parts' sums for BM filters and BN columns, added in the order of the parts."""
    every = taps[0] * taps[1] * channels
    f, column = tl.program_id(1) * BM + tl.arange(0, BM), tl.program_id(0) * BN + tl.arange(0, BN)
    exists = (f < filters)[:, None] & (column < every + INTERCEPTS)[None, :]
    if not COLUMNS:
        exists &= (column == every)[None, :]
    if not INTERCEPTS:
        exists &= (column < every)[None, :]
    f = f.to(tl.int64)
    to_part = partial + f[:, None] * width + column[None, :]
    total = tl.zeros((BM, BN), tl.float32)
    for part in range(parts):
        at = tl.cast(part, tl.int64) * filters * width
        total += tl.load(to_part + at, mask=exists, other=0.0)
    n, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    if COLUMNS:
        tap, c = column // channels, column % channels
        mask = exists & (column < every)[None, :]
        store_mean(total, f, (tap // taps[1])[None, :], (tap % taps[1])[None, :], c[None, :], n, lam, w, D, w_s, D_s,
                   mask, REGULARISED)
    if INTERCEPTS:
        last = (column == every)[None, :]
        at = Db + f[:, None] + tl.zeros((1, BN), tl.int64)
        tl.store(at, divided(total, n).to(Db.dtype.element_ty), mask=exists & last)


def parts_of(tiles: int, pixels: int, block: int, arch: str, table: str) -> tuple[int, int]:
    """(parts, pixels of a part): two programs a processor, and no part of few pixels; of a pinned row, which is tried
    on few, none of fewer than four blocks."""
    wanted = max(1, 2 * processors(arch) // tiles)
    fewest = 4 if is_pinned(table) else -(-FEWEST // block)
    chunk = block * max(fewest, -(-pixels // (block * wanted)))
    return max(1, -(-pixels // chunk)), chunk


def join(
    partial: Tensor, w: Tensor, D: Tensor, Db: Tensor, sizes: Layer, n: float, lam: float, what: dict[str, bool],
    arch: str,
) -> None:
    parts, filters, width = partial.shape
    row: Row = choose("conv2d.layer.join", (filters, width), torch.float32, arch)
    every = sizes.channels * sizes.taps[0] * sizes.taps[1]
    grid = (triton.cdiv(every + 1, row.BN), triton.cdiv(filters, row.BM))
    launch(
        join_kernel, grid, partial, w, D, Db, parts, filters, sizes.channels, width, sizes.taps, w.stride(), D.stride(),
        n, lam, row=row, **what, BM=row.BM, BN=row.BN,
    )
