"""The averaged gradients of local and shared layers: the deck's D for a band of weights, or for one filter.

arch.local.layer.grad_w       D_ik = Σ_batch d_i x_{i+k−h} / n + λ w_ik,  0 in the corners of the band, which see no x
arch.local.layer.grad_b       Db_i = Σ_batch d_i / n
arch.shared.layer.grad_theta  D_k = Σ_batch Σ_i d_i x_{i+k−h} / n + λ θ_k
arch.shared.layer.grad_b      Db = Σ_batch Σ_i d_i / n
arch.local.grad_Theta         the band of arch.local.layer.grad_w for m = 3, one example and λ = 0
arch.shared.grad_theta        arch.shared.layer.grad_theta for one example and λ = 0

The gradient of a tied weight is the sum over its ties, here over the nodes. Sums over many examples are split into
parts, which a second kernel adds in their order. The intercept is one tap more, whose input is 1.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.tiles import divided, regularised
from ..runtime import checks
from ..runtime.configs import choose, processors
from ..runtime.launch import current_arch, launch
from . import checks as band_checks
from .kernels import strides


@triton.jit
def average_kernel(
    d, x, w, D, Db, partial, batch, nodes, m, first, d_b, d_i, x_b, x_i, w_i, w_k, n, lam, steps, chunk,
    SHARED: tl.constexpr, INTERCEPTS: tl.constexpr, REGULARISED: tl.constexpr, SPLIT: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    """BK taps from `first` on, and one part of the steps, each of BM examples and BN nodes: the same ones, or all."""
    blocks = tl.cdiv(nodes, BN)
    k = first + tl.program_id(1) * BK + tl.arange(0, BK)
    part = tl.program_id(2)
    total = tl.zeros((BM, BN, BK), tl.float32)
    for step in range(part * chunk, tl.minimum((part + 1) * chunk, steps)):
        block, own = (step // blocks, step % blocks) if SHARED else (step, tl.program_id(0))
        r, i = tl.cast(block, tl.int64) * BM + tl.arange(0, BM), tl.cast(own, tl.int64) * BN + tl.arange(0, BN)
        inside = (r < batch)[:, None] & (i < nodes)[None, :]
        t = i[:, None] + k[None, :] - (m - 1) // 2
        seen = (k < m)[None, :] & (t >= 0) & (t < nodes)
        error = tl.load(d + (r * d_b)[:, None] + (i * d_i)[None, :], mask=inside, other=0.0).to(tl.float32)
        at = (r * x_b)[:, None, None] + (t * x_i)[None, :, :]
        met = tl.load(x + at, mask=inside[:, :, None] & seen[None, :, :], other=0.0).to(tl.float32)
        if INTERCEPTS:
            met = tl.where((k == m)[None, None, :], 1.0, met)
            seen |= (k == m)[None, :]
        total += tl.where(seen[None, :, :], error[:, :, None] * met, 0.0)
    sums = tl.sum(total, 0)
    i = tl.program_id(0) * BN + tl.arange(0, BN)
    if SHARED:
        sums, i = tl.sum(sums, 0)[None, :], tl.zeros((1,), tl.int32)
    rows = 1 if SHARED else nodes
    mask = (i < rows)[:, None] & (k < m + INTERCEPTS)[None, :]
    row, tap = tl.broadcast_to(i.to(tl.int64)[:, None], mask.shape), tl.broadcast_to(k[None, :], mask.shape)
    if SPLIT:
        width = m + INTERCEPTS - first
        to_part = partial + tl.cast(part, tl.int64) * rows * width
        tl.store(to_part + row * width + tap - first, sums, mask=mask)
    else:
        store_mean(sums, row, tap, nodes, m, n, lam, w, D, Db, w_i, w_k, mask, SHARED, REGULARISED)


@triton.jit
def store_mean(
    total, row, k, nodes, m, n, lam, w, D, Db, w_i, w_k, mask, SHARED: tl.constexpr, REGULARISED: tl.constexpr
):
    """D = total / n + λ w where k is a tap, Db = total / n where it is the intercept."""
    n, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    mean = divided(total, n)
    tl.store(Db + row, mean.to(Db.dtype.element_ty), mask=mask & (k == m))
    mask &= k < m
    if REGULARISED:
        t = row + k - (m - 1) // 2
        exists = mask if SHARED else mask & (t >= 0) & (t < nodes)
        own = tl.load(w + row * w_i + tl.cast(k, tl.int64) * w_k, mask=exists, other=0.0).to(tl.float32)
        mean = regularised(mean, lam, own)
    tl.store(D + row * m + k, mean.to(D.dtype.element_ty), mask=mask)


@triton.jit
def join_kernel(
    partial, w, D, Db, parts, rows, nodes, m, first, width, w_i, w_k, n, lam,
    SHARED: tl.constexpr, REGULARISED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):
    """The parts' sums of BN elements, BM parts at a time, in their order."""
    e = tl.program_id(0).to(tl.int64) * BN + tl.arange(0, BN)
    total = tl.zeros((BN,), tl.float32)
    for start in range(0, parts, BM):
        part = start + tl.arange(0, BM)
        at = (part.to(tl.int64) * rows * width)[:, None] + e[None, :]
        inside = (part < parts)[:, None] & (e < rows * width)[None, :]
        total += tl.sum(tl.load(partial + at, mask=inside, other=0.0), 0)
    k = first + e % width
    store_mean(total, e // width, k, nodes, m, n, lam, w, D, Db, w_i, w_k, e < rows * width, SHARED, REGULARISED)


def averaged(
    d: Tensor, x: Tensor, w: Tensor | None, m: int, shared: bool, lam: float, n: float, weights: bool, intercepts: bool
) -> tuple[Tensor, Tensor]:
    """(D, Db); the one that is not asked for comes back empty."""
    checks.kernel_dtype(band_checks.LAYERS[shared], d)
    (batch, nodes), rows = d.shape, 1 if shared else d.shape[1]
    D = torch.empty(((m,) if shared else (nodes, m)) if weights else (0,), dtype=d.dtype, device=d.device)
    Db = torch.empty(rows if intercepts else 0, dtype=d.dtype, device=d.device)
    first, arch = 0 if weights else m, current_arch(d.device)
    width = m + intercepts - first
    row = choose("arch.band.grad", (rows, width), d.dtype, arch)
    blocks = triton.cdiv(nodes, row.BN)
    steps = triton.cdiv(batch, row.BM) * (blocks if shared else 1)
    grid = (1 if shared else blocks, triton.cdiv(width, row.BK))
    chunk = max(4, triton.cdiv(steps, max(1, 2 * processors(arch) // max(1, grid[0] * grid[1]))))
    parts = max(1, triton.cdiv(steps, chunk))
    partial = torch.empty((parts if parts > 1 else 0, rows, width), dtype=torch.float32, device=d.device)
    own = D if w is None else w
    last = *(strides(own) if weights else (0, 0)), n, lam
    how = {"SHARED": shared, "REGULARISED": w is not None and lam != 0}
    if rows:
        launch(
            average_kernel, (*grid, parts), d, x, own, D, Db, partial, batch, nodes, m, first, *d.stride(), *x.stride(),
            *last, steps, chunk, row=row, **how, INTERCEPTS=intercepts, SPLIT=parts > 1, BM=row.BM, BN=row.BN,
            BK=row.BK,
        )
    if parts > 1:
        join = choose("arch.band.join", (parts, rows * width), torch.float32, arch)
        launch(
            join_kernel, (triton.cdiv(rows * width, join.BN),), partial, own, D, Db, parts, rows, nodes, m, first,
            width, *last, row=join, **how, BM=join.BM, BN=join.BN,
        )
    return D, Db


def sums(d: Tensor, x: Tensor, m: int, shared: bool, weights: bool, intercepts: bool) -> tuple[Tensor, Tensor]:
    """∂w and ∂b, not averaged; the one that is not asked for comes back empty."""
    return averaged(d, x, None, m, shared, 0.0, 1.0, weights, intercepts)


def local_grad_w(d: Tensor, x: Tensor, m: int, w: Tensor | None = None, lam: float = 0.0, n: float = 1.0) -> Tensor:
    band_checks.averaging("arch.local.layer.grad_w", False, d, x, m, w, lam, n)
    return averaged(d, x, w, m, False, float(lam), float(n), True, False)[0]


def local_grad_b(d: Tensor, n: float = 1.0) -> Tensor:
    band_checks.intercepts("arch.local.layer.grad_b", d, n)
    return averaged(d, d, None, 1, False, 0.0, float(n), False, True)[1]


def shared_grad_theta(
    d: Tensor, x: Tensor, m: int, theta: Tensor | None = None, lam: float = 0.0, n: float = 1.0
) -> Tensor:
    band_checks.averaging("arch.shared.layer.grad_theta", True, d, x, m, theta, lam, n)
    return averaged(d, x, theta, m, True, float(lam), float(n), True, False)[0]


def shared_grad_b(d: Tensor, n: float = 1.0) -> Tensor:
    band_checks.intercepts("arch.shared.layer.grad_b", d, n)
    return averaged(d, d, None, 1, True, 0.0, float(n), False, True)[1]


OPS = {
    "arch.local.layer.grad_w": local_grad_w, "arch.local.layer.grad_b": local_grad_b,
    "arch.shared.layer.grad_theta": shared_grad_theta, "arch.shared.layer.grad_b": shared_grad_b,
}
