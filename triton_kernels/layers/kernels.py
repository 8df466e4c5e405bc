"""A layer, its delta and its averaged gradient: one tiled matrix product, three endings.

net.layer.affine   a = g(x wᵀ + b)
bp.delta.chain     δ_prev = (δ w) ⊙ g′(z)        db = Σ_batch δ_prev
bp.delta.rec       δ_prev = (δ w) ⊙ a (1 − a)    the sigmoid form, as printed
alg.average        D = δᵀ a / n + λ w            Db = Σ_batch δ / n, the intercepts unregularised

Traps: float32 operands enter the product as `precision` says, never as the compiler's default (tf32);
offsets are 64 bits wide before a stride multiplies them; column sums are added in a fixed order, so a run
can be repeated bit by bit; Δ is divided by n, not multiplied by a rounded 1/n.
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
from ..blocks.reduce import column_sums, sum_rows
from ..blocks.tiles import divided, product, regularised, tile_of
from ..runtime import checks
from ..runtime.configs import Row, choose
from ..runtime.launch import current_arch, launch, math_mode, traced
from . import boxes
from . import checks as layer_checks


@triton.jit
def affine_kernel(
    x, w, bias, added, out, kept, M, N, K, x_m, x_k, w_n, w_k, b_n, p,
    G: tl.constexpr, HAS_BIAS: tl.constexpr, ADDED: tl.constexpr, KEEP_Z: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    tm, tn = tile_of(tl.program_id(0), M, N, BM, BN)
    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)
    z = product(x, w, rm, rn, M, N, K, x_m, x_k, w_k, w_n, BM, BN, BK, PRECISION)
    if HAS_BIAS:
        z += tl.load(bias + rn.to(tl.int64) * b_n, mask=rn < N, other=0.0).to(tl.float32)[None, :]
    at = rm.to(tl.int64)[:, None] * N + rn[None, :]
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    if KEEP_Z:
        tl.store(kept + at, z.to(kept.dtype.element_ty), mask=inside)
    if ADDED:
        a = G(z, tl.cast(p, tl.float32)) + tl.load(added + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(out + at, a.to(out.dtype.element_ty), mask=inside)
    else:                               # one expression: with the address behind a heavy g sm_80 spills
        tl.store(out + at, G(z, tl.cast(p, tl.float32)).to(out.dtype.element_ty), mask=inside)


@triton.jit
def delta_kernel(
    delta, w, saved, out, partial, M, N, K, d_m, d_k, w_k, w_n, s_m, s_n, p,
    G: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    tm, tn = tile_of(tl.program_id(0), M, N, BM, BN)
    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)
    chained = product(delta, w, rm, rn, M, N, K, d_m, d_k, w_k, w_n, BM, BN, BK, PRECISION)
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    at_saved = rm.to(tl.int64)[:, None] * s_m + rn.to(tl.int64)[None, :] * s_n
    s = tl.load(saved + at_saved, mask=inside, other=0.0).to(tl.float32)
    d = chained * G(s, tl.cast(p, tl.float32))
    tl.store(out + rm.to(tl.int64)[:, None] * N + rn[None, :], d.to(out.dtype.element_ty), mask=inside)
    tl.store(partial + tm.to(tl.int64) * N + rn, tl.sum(tl.where(inside, d, 0.0), 0), mask=rn < N)


@triton.jit
def averaged_tile(
    t, delta, a, w, D, Db, M, N, K, d_k, d_m, a_k, a_n, w_m, w_n, n, lam,
    REGULARISED: tl.constexpr, INTERCEPTS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """M outputs, N inputs, K examples; the first column of tiles also sums δ for the intercepts."""
    tm, tn = tile_of(t, M, N, BM, BN)
    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)
    n, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    total = product(delta, a, rm, rn, M, N, K, d_m, d_k, a_k, a_n, BM, BN, BK, PRECISION)
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    at_w = rm.to(tl.int64)[:, None] * w_m + rn.to(tl.int64)[None, :] * w_n
    value = divided(total, n)
    if REGULARISED:
        value = regularised(value, lam, tl.load(w + at_w, mask=inside, other=0.0).to(tl.float32))
    tl.store(D + rm.to(tl.int64)[:, None] * N + rn[None, :], value.to(D.dtype.element_ty), mask=inside)
    if INTERCEPTS and tn == 0:
        summed = sum_rows(delta, 0, K, rm, M, d_k, d_m, BK, BM)
        tl.store(Db + rm, divided(summed, n).to(Db.dtype.element_ty), mask=rm < M)


@triton.jit
def average_kernel(
    delta, a, w, D, Db, M, N, K, d_k, d_m, a_k, a_n, w_m, w_n, n, lam,
    REGULARISED: tl.constexpr, INTERCEPTS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    averaged_tile(tl.program_id(0), delta, a, w, D, Db, M, N, K, d_k, d_m, a_k, a_n, w_m, w_n, n, lam, REGULARISED,
                  INTERCEPTS, BM, BN, BK, PRECISION)


def _tiles(op: str, out: Tensor, name: str, operand: Tensor | None = None) -> tuple[Row, tuple[int], dict[str, Any]]:
    checks.kernel_dtype(name, out)
    dtype = out.dtype if operand is None else operand.dtype
    row = choose(op, tuple(out.shape), dtype, current_arch(out.device))
    grid = (triton.cdiv(out.shape[0], row.BM) * triton.cdiv(out.shape[1], row.BN),)
    return row, grid, {"BM": row.BM, "BN": row.BN, "BK": row.BK}


def moving_boxes(table: str, out: Tensor, *operands: Tensor) -> Any:
    """The kernels that move boxes, where GPU and tensors allow them, else None; a traced tensor has no address."""
    if traced(out):
        return None
    return boxes if boxes.serves(table, out, *operands) else None


def affine_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool, math: str | None = None
) -> tuple[Tensor, Tensor]:
    """(a, z), where z is stored only if it is to be kept; otherwise it is a itself."""
    out = x.new_empty((x.shape[0], w.shape[0]))
    return _affine(x, w, b, act, p, out, torch.empty_like(out) if keep_z else out, math)


def affine_into(x: Tensor, w: Tensor, b: Tensor | None, out: Tensor, math: str | None = None) -> None:
    """out ← x wᵀ + b, rows of a contiguous matrix."""
    _affine(x, w, b, "identity", 0.0, out, out, math)


def affine_added(x: Tensor, w: Tensor, b: Tensor | None, added: Tensor, math: str | None = None) -> Tensor:
    """x wᵀ + b + added, a sum that is rounded once."""
    out = x.new_empty((x.shape[0], w.shape[0]))
    return _affine(x, w, b, "identity", 0.0, out, out, math, added.contiguous())[0]


def _affine(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, out: Tensor, z: Tensor, math: str | None,
    added: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    keep_z = z is not out
    plus = out if added is None else added
    moving = None if ACTIVATIONS[act].heavy else moving_boxes("net.layer.affine", out, x, w, plus)
    if moving:
        moving.affine(x, w, b, activations.VALUE[act], p, keep_z, out, z, added)
        return out, z
    row, grid, tile = _tiles("net.layer.affine", out, "net.layer.affine")
    if out.numel():
        launch(
            affine_kernel, grid, x, w, x if b is None else b, plus, out, z, x.shape[0], w.shape[0], x.shape[1],
            *x.stride(), *w.stride(), 1 if b is None else b.stride(0), p, row=row, **tile, G=activations.VALUE[act],
            HAS_BIAS=b is not None, ADDED=added is not None, KEEP_Z=keep_z, PRECISION=math_mode(math),
        )
    return out, z


def affine(
    x: Tensor, w: Tensor, b: Tensor | None = None, act: str = "identity", *, precision: str | None = None,
    **parameter: float,
) -> Tensor:
    layer_checks.affine(x, w, b)
    p = activation("net.layer.affine", act, **parameter)
    return affine_keeping(x, w, b, act, p, False, precision)[0]


def delta_partial(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, form: str, p: float, name: str, math: str | None = None
) -> tuple[Tensor, Tensor]:
    """((δ w) ⊙ g′(saved), its sums over parts of the batch), one row a part, in float32."""
    G = activations.derivative(act, form)
    out = torch.empty(saved.shape, dtype=delta.dtype, device=delta.device)
    heavy = ACTIVATIONS[act].heavy
    moving = None if heavy or saved.stride(-1) != 1 else moving_boxes("bp.delta", out, delta, w, saved)
    if moving:
        return out, moving.delta(delta, w, saved, G, p, out)
    row, grid, tile = _tiles("bp.delta.heavy" if heavy else "bp.delta", out, name)
    partial = torch.empty(
        (triton.cdiv(out.shape[0], row.BM), out.shape[1]), dtype=torch.float32, device=delta.device)
    if out.numel():
        launch(
            delta_kernel, grid, delta, w, saved, out, partial, *out.shape, delta.shape[1],
            *delta.stride(), *w.stride(), *saved.stride(), p, row=row, **tile, G=G, PRECISION=math_mode(math),
        )
    return out, partial


def delta_through(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, form: str, p: float, name: str, math: str | None = None,
    summed: bool = True,
) -> tuple[Tensor, Tensor]:
    """((δ w) ⊙ g′(saved), its sum over the batch), which is empty unless it is to be summed."""
    out, partial = delta_partial(delta, w, saved, act, form, p, name, math)
    return out, column_sums(partial, delta.dtype) if summed else out.new_empty(0)


def delta_chain(
    delta: Tensor, w: Tensor, z: Tensor, act: str, *, precision: str | None = None, **parameter: float
) -> tuple[Tensor, Tensor]:
    layer_checks.delta("bp.delta.chain", delta, w, z, "z")
    p = activation("bp.delta.chain", act, **parameter)
    return delta_through(delta, w, z, act, "z", p, "bp.delta.chain", precision)


def delta_rec(delta: Tensor, w: Tensor, a: Tensor, *, precision: str | None = None) -> tuple[Tensor, Tensor]:
    layer_checks.delta("bp.delta.rec", delta, w, a, "a")
    return delta_through(delta, w, a, "sigmoid", "a", 0.0, "bp.delta.rec", precision)


def average(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, *, precision: str | None = None
) -> tuple[Tensor, Tensor]:
    checks.average(delta, a, w, n)
    D, Db = averaged(delta, a, w, float(lam), float(n), True, precision)
    assert Db is not None
    return D, Db


def averaged(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, math: str | None = None
) -> tuple[Tensor, Tensor | None]:
    """(D, Db), or (D, None) where the intercepts' sum is known from elsewhere."""
    D = torch.empty(w.shape, dtype=w.dtype, device=w.device)
    return _averaged(delta, a, w, lam, n, intercepts, D, math)


def accumulate(delta: Tensor, a: Tensor, D: Tensor, Db: Tensor | None, math: str | None = None) -> None:
    """D ← D + δᵀ a and Db ← Db + Σ δ, both float32 and contiguous: λ = 1 and n = 1, read and written at one place."""
    _, sums = _averaged(delta, a, D, 1.0, 1.0, Db is not None, D, math)
    if Db is not None and sums is not None:
        Db += sums


def _averaged(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, D: Tensor, math: str | None
) -> tuple[Tensor, Tensor | None]:
    Db = torch.empty(w.shape[0], dtype=w.dtype, device=w.device)
    moving = moving_boxes("alg.average", D, delta, a, w) if w.stride(-1) == 1 else None
    if moving:
        moving.average(delta, a, w, lam, n, intercepts, D, Db)
        return D, Db if intercepts else None
    row, grid, tile = _tiles("alg.average", D, "alg.average", delta)
    if not a.shape[1]:              # no inputs: the intercepts alone, through one empty column of tiles
        grid = (triton.cdiv(D.shape[0], row.BM),)
    if Db.numel():
        launch(
            average_kernel, grid, delta, a, w, D, Db, *D.shape, delta.shape[0],
            *delta.stride(), *a.stride(), *w.stride(), n, lam, row=row, **tile,
            REGULARISED=lam != 0, INTERCEPTS=intercepts, PRECISION=math_mode(math),
        )
    return D, Db if intercepts else None


__all__ = ["OPS", "accumulate", "affine_added", "affine_into", "affine_keeping", "averaged", "delta_partial",
           "delta_through", "moving_boxes"]

OPS = {
    "net.layer.affine": affine,
    "bp.delta.chain": delta_chain, "bp.delta.rec": delta_rec, "alg.average": average,
}
