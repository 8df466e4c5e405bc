"""The same three products for GPUs that fetch a box of a matrix at a time: Hopper and later.

net.layer.affine   a = g(x wᵀ + b)
bp.delta.chain     δ_prev = (δ w) ⊙ g′(z), and its sum over the batch
alg.average        D = δᵀ a / n + λ w, and Db

A tensor descriptor, made here once the row is chosen, says where a matrix lies and how large a box is; copies then run
beside the tensor cores, and what a box has outside its matrix reads as 0 and is not written. Blocks stay: each takes
tile after tile. Both operands of a product may be stored either way round.

Traps: what a descriptor wants, `blocks.boxes.fits`; rows beyond the
matrix are 0, but 0 · ∞ is not, so sums over the batch mask them; warp specialisation is off, since the compilers that
are current silently ignore it, refuse it or get it wrong with descriptors made outside the kernel.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.boxes import box, fits, halves, plan, product, turned
from ..blocks.reduce import sum_rows
from ..blocks.tiles import divided, regularised, tile_of
from ..runtime.configs import is_pinned, rows
from ..runtime.launch import current_arch, launch

EXAMPLES = tl.constexpr(16)             # at a time, where δ is summed: more would take registers


@triton.jit
def finish_affine(z, out, kept, bias, added, m, n, N, b_n, p, G: tl.constexpr, HAS_BIAS: tl.constexpr,
                  ADDED: tl.constexpr, KEEP_Z: tl.constexpr, WIDTH: tl.constexpr):
    if HAS_BIAS:
        rn = n + tl.arange(0, WIDTH)
        z += tl.load(bias + rn.to(tl.int64) * b_n, mask=rn < N, other=0.0).to(tl.float32)[None, :]
    if KEEP_Z:
        kept.store([m, n], z.to(kept.dtype))
    a = G(z, p)
    if ADDED:
        a += added.load([m, n]).to(tl.float32)
    out.store([m, n], a.to(out.dtype))


@triton.jit
def affine_boxes_kernel(
    x, w, out, kept, added, bias, M, N, K, b_n, p, G: tl.constexpr, HAS_BIAS: tl.constexpr, ADDED: tl.constexpr,
    KEEP_Z: tl.constexpr, A_T: tl.constexpr, B_T: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PARTS: tl.constexpr, BLOCKS: tl.constexpr,
):
    p = tl.cast(p, tl.float32)
    for t in tl.range(tl.program_id(0), tl.cdiv(M, BM) * tl.cdiv(N, BN), BLOCKS):
        tm, tn = tile_of(tl.cast(t, tl.int32), M, N, BM, BN)
        m, n = tm * BM, tn * BN
        z = product(x, w, m, n, 0, K, A_T, B_T, BM, BN, BK)
        if PARTS == 2:
            left, right = halves(z, BM, BN)
            finish_affine(left, out, kept, bias, added, m, n, N, b_n, p, G, HAS_BIAS, ADDED, KEEP_Z, BN // 2)
            finish_affine(right, out, kept, bias, added, m, n + BN // 2, N, b_n, p, G, HAS_BIAS, ADDED, KEEP_Z,
                          BN // 2)
        else:
            finish_affine(z, out, kept, bias, added, m, n, N, b_n, p, G, HAS_BIAS, ADDED, KEEP_Z, BN)


@triton.jit
def finish_delta(chained, saved, out, partial, m, n, tm, M, N, p, G: tl.constexpr, BM: tl.constexpr,
                 WIDTH: tl.constexpr):
    d = chained * G(saved.load([m, n]).to(tl.float32), p)
    out.store([m, n], d.to(out.dtype))
    rm, rn = m + tl.arange(0, BM), n + tl.arange(0, WIDTH)
    tl.store(partial + tm.to(tl.int64) * N + rn, tl.sum(tl.where((rm < M)[:, None], d, 0.0), 0), mask=rn < N)


@triton.jit
def delta_boxes_kernel(
    delta, w, saved, out, partial, M, N, K, p, G: tl.constexpr, A_T: tl.constexpr, B_T: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PARTS: tl.constexpr, BLOCKS: tl.constexpr,
):
    p = tl.cast(p, tl.float32)
    for t in tl.range(tl.program_id(0), tl.cdiv(M, BM) * tl.cdiv(N, BN), BLOCKS):
        tm, tn = tile_of(tl.cast(t, tl.int32), M, N, BM, BN)
        m, n = tm * BM, tn * BN
        chained = product(delta, w, m, n, 0, K, A_T, B_T, BM, BN, BK)
        if PARTS == 2:
            left, right = halves(chained, BM, BN)
            finish_delta(left, saved, out, partial, m, n, tm, M, N, p, G, BM, BN // 2)
            finish_delta(right, saved, out, partial, m, n + BN // 2, tm, M, N, p, G, BM, BN // 2)
        else:
            finish_delta(chained, saved, out, partial, m, n, tm, M, N, p, G, BM, BN)


@triton.jit
def finish_average(total, w, D, m, n, count, lam, REGULARISED: tl.constexpr):
    value = divided(total, count)
    if REGULARISED:
        value = regularised(value, lam, w.load([m, n]).to(tl.float32))
    D.store([m, n], value.to(D.dtype))


@triton.jit
def average_boxes_kernel(
    delta, a, w, D, to_delta, Db, M, N, K, d_k, d_m, n, lam, REGULARISED: tl.constexpr, INTERCEPTS: tl.constexpr,
    A_T: tl.constexpr, B_T: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PARTS: tl.constexpr, BLOCKS: tl.constexpr,
):
    """M outputs, N inputs, K examples; who has the first column of tiles also sums δ for the intercepts."""
    count, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    for t in tl.range(tl.program_id(0), tl.cdiv(M, BM) * tl.cdiv(N, BN), BLOCKS):
        tm, tn = tile_of(tl.cast(t, tl.int32), M, N, BM, BN)
        m, n0 = tm * BM, tn * BN
        total = product(delta, a, m, n0, 0, K, A_T, B_T, BM, BN, BK)
        if PARTS == 2:
            left, right = halves(total, BM, BN)
            finish_average(left, w, D, m, n0, count, lam, REGULARISED)
            finish_average(right, w, D, m, n0 + BN // 2, count, lam, REGULARISED)
        else:
            finish_average(total, w, D, m, n0, count, lam, REGULARISED)
        if INTERCEPTS and tn == 0:
            rm = m + tl.arange(0, BM)
            summed = sum_rows(to_delta, 0, K, rm, M, d_k, d_m, EXAMPLES, BM)
            tl.store(Db + rm, divided(summed, count).to(Db.dtype.element_ty), mask=rm < M)


def serves(table: str, out: Tensor, *operands: Tensor) -> bool:
    """Whether these tensors take the kernel here: a GPU that has it, boxes that fit, no row of the other pinned."""
    return (
        fits(out, *operands) and not is_pinned(table)
        and bool(rows(f"{table}.boxes", current_arch(out.device), out.dtype)))


def affine(
    x: Tensor, w: Tensor, b: Tensor | None, G: Any, p: float, keep_z: bool, out: Tensor, z: Tensor,
    added: Tensor | None = None,
) -> None:
    """out = g(x wᵀ + b), and z; with a matrix added the tiles are δ's, which leave room for a second one."""
    row, grid, tile = plan("net.layer.affine" if added is None else "bp.delta", out, x.shape[1])
    part = row.BN // row.parts
    launch(
        affine_boxes_kernel, grid, box(x, row.BM, row.BK), box(w, row.BN, row.BK), box(out, row.BM, part),
        box(z, row.BM, part), box(out if added is None else added, row.BM, part), x if b is None else b, *out.shape,
        x.shape[1], 1 if b is None else b.stride(0), p, row=row, **tile, G=G, HAS_BIAS=b is not None,
        ADDED=added is not None, KEEP_Z=keep_z, A_T=turned(x), B_T=not turned(w),
    )


def delta(delta: Tensor, w: Tensor, saved: Tensor, G: Any, p: float, out: Tensor) -> Tensor:
    """out = (δ w) ⊙ G(saved); returns its sums over parts of the batch."""
    row, grid, tile = plan("bp.delta", out, delta.shape[1])
    part = row.BN // row.parts
    partial = torch.empty((triton.cdiv(out.shape[0], row.BM), out.shape[1]), dtype=torch.float32, device=out.device)
    launch(
        delta_boxes_kernel, grid, box(delta, row.BM, row.BK), box(w, row.BK, row.BN), box(saved, row.BM, part),
        box(out, row.BM, part), partial, *out.shape, delta.shape[1], p,
        row=row, **tile, G=G, A_T=turned(delta), B_T=turned(w),
    )
    return partial


def average(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, D: Tensor, Db: Tensor
) -> None:
    """D = δᵀ a / n + λ w, and Db."""
    row, grid, tile = plan("alg.average", D, delta.shape[0])
    part = row.BN // row.parts
    launch(
        average_boxes_kernel, grid, box(delta, row.BK, row.BM), box(a, row.BK, row.BN), box(w, row.BM, part),
        box(D, row.BM, part), delta, Db, *D.shape, delta.shape[0], *delta.stride(), n, lam,
        row=row, **tile, REGULARISED=lam != 0, INTERCEPTS=intercepts, A_T=not turned(delta), B_T=turned(a),
    )
