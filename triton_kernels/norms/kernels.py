"""Batch normalization of x (N, C) or (N, C, …), each channel over all its rows (examples and positions).

norm.batch             y = γ (x − μ) / √(σ² + ε) + β
norm.batch.inference   the same with μ and σ² given
norm.batch.running     μ̄ ← (1 − ρ) μ̄ + ρ μ,   σ̄² ← (1 − ρ) σ̄² + ρ σ² n / (n − 1)
norm.batch.grad_x      ∂ℒ/∂x = γ (d − m₁ − x̂ m₂) / s,   m₁ = mean of d,  m₂ = mean of d x̂,  s = √(σ² + ε)
norm.batch.grad_gamma  Σ d x̂         norm.batch.grad_beta  Σ d

Statistics: every program takes a share of the rows, tile by tile, and merges (n, mean, M2) as Chan does; a second
launch merges the shares in a fixed order, a third applies. Backward is two-stage likewise. Channels-last and
channels-first tensors are walked as they lie.

Traps: E x² − (E x)² cancels where the mean is large, so squares are taken of x − mean only; running σ² is unbiased,
σ² is not. A ReLU behind, and a tensor added before it, ride along; g′ is then read off y.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import math
from itertools import pairwise
from typing import Any

import attrs
import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks import pointwise
from ..runtime import checks
from ..runtime.configs import Row, choose
from ..runtime.launch import current_arch, launch, number
from . import checks as norm_checks

PROGRAMS = 512               # shares of the rows: enough to keep every processor busy, few enough to merge at once
MERGED = tl.constexpr(8)     # channels a merging program takes


@triton.jit
def places(r, c, S, by_n, by_s, by_c, FLAT: tl.constexpr):
    """Where row r = (example, position) of channel c lies."""
    if FLAT:
        at = r.to(tl.int64) * by_s
    else:
        at = (r // S).to(tl.int64) * by_n + (r % S).to(tl.int64) * by_s
    return at[:, None] + c.to(tl.int64)[None, :] * by_c


@triton.jit
def merged(n, mean, m2, more, its_mean, its_m2):
    """Chan: two samples' (count, mean, sum of squared deviations) as one."""
    both = n + more
    apart = its_mean - mean
    share = tl.div_rn(more, tl.maximum(both, 1.0))
    return both, mean + apart * share, m2 + its_m2 + apart * apart * (n * share)


@triton.jit
def statistics_kernel(
    x, partial, rows, C, per, S, x_n, x_s, x_c, FLAT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):
    """(mean, M2) of each channel over one share of the rows."""
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    first = tl.program_id(0) * per
    last = tl.minimum(first + per, rows)
    n = tl.zeros((CHANNELS,), tl.float32)
    mean = tl.zeros((CHANNELS,), tl.float32)
    m2 = tl.zeros((CHANNELS,), tl.float32)
    for start in range(first, last, ROWS):
        r = start + tl.arange(0, ROWS)
        inside = (r < last)[:, None] & (c < C)[None, :]
        tile = tl.load(x + places(r, c, S, x_n, x_s, x_c, FLAT), mask=inside, other=0.0).to(tl.float32)
        more = tl.zeros((CHANNELS,), tl.float32) + tl.minimum(last - start, ROWS)
        its_mean = tl.div_rn(tl.sum(tile, 0), more)
        apart = tl.where(inside, tile - its_mean[None, :], 0.0)
        n, mean, m2 = merged(n, mean, m2, more, its_mean, tl.sum(apart * apart, 0))
    at = partial + tl.program_id(0).to(tl.int64) * 2 * C + c
    tl.store(at, mean, mask=c < C)
    tl.store(at + C, m2, mask=c < C)


@triton.jit
def as_one(partial, c, C, shares, per, rows, SHARES: tl.constexpr):
    """(mean, M2) of the channels c: all shares of so many rows, SHARES at a time."""
    n = tl.zeros_like(c).to(tl.float32)
    mean, m2 = n, n
    for first in range(0, shares, SHARES):
        k = first + tl.arange(0, SHARES)
        inside = (k < shares)[:, None] & (c < C)[None, :]
        at = k.to(tl.int64)[:, None] * 2 * C + c[None, :]
        means = tl.load(partial + at, mask=inside, other=0.0)
        sizes = tl.where(inside, tl.minimum(rows - k * per, per)[:, None].to(tl.float32), 0.0)
        count = tl.maximum(tl.sum(sizes, 0), 1.0)
        its_mean = tl.div_rn(tl.sum(sizes * means, 0), count)
        apart = means - its_mean[None, :]
        its_m2 = tl.sum(tl.load(partial + C + at, mask=inside, other=0.0) + sizes * apart * apart, 0)
        n, mean, m2 = merged(n, mean, m2, count, its_mean, its_m2)
    return mean, m2


@triton.jit
def settle(c, here, mean, m2, mean_out, rstd_out, mu, var, mu_out, var_out, rows, eps, rho, RUNNING: tl.constexpr):
    """1/√(σ² + ε), stored beside μ `here`; and the running statistics."""
    count = tl.zeros_like(mean) + rows
    root = tl.sqrt_rn(tl.div_rn(m2, count) + tl.cast(eps, tl.float32))
    rstd = tl.div_rn(tl.zeros_like(root) + 1.0, root)
    tl.store(mean_out + c, mean, mask=here)
    tl.store(rstd_out + c, rstd, mask=here)
    if RUNNING:
        share = tl.cast(rho, tl.float32)
        rest = 1.0 - share
        old_mean = tl.load(mu + c, mask=here, other=0.0).to(tl.float32)
        old_var = tl.load(var + c, mask=here, other=0.0).to(tl.float32)
        new_mean = rest * old_mean + share * mean
        new_var = rest * old_var + share * tl.div_rn(m2, count - 1.0)
        tl.store(mu_out + c, new_mean.to(mu_out.dtype.element_ty), mask=here)
        tl.store(var_out + c, new_var.to(var_out.dtype.element_ty), mask=here)
    return rstd


@triton.jit
def merge_kernel(
    partial, mean_out, rstd_out, mu, var, mu_out, var_out, rows, C, per, shares, eps, rho,
    RUNNING: tl.constexpr, SHARES: tl.constexpr,
):
    """All shares of a channel as one: μ, 1/√(σ² + ε), and the running statistics."""
    c = tl.program_id(0) * MERGED + tl.arange(0, MERGED)
    mean, m2 = as_one(partial, c, C, shares, per, rows, SHARES)
    settle(c, c < C, mean, m2, mean_out, rstd_out, mu, var, mu_out, var_out, rows, eps, rho, RUNNING)


@triton.jit
def roots_kernel(var, rstd, C, eps, CHANNELS: tl.constexpr):
    c = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    root = tl.sqrt_rn(tl.load(var + c, mask=c < C, other=1.0).to(tl.float32) + tl.cast(eps, tl.float32))
    tl.store(rstd + c, tl.div_rn(tl.zeros_like(root) + 1.0, root), mask=c < C)


@triton.jit
def normalized(x, mean, rstd, gamma, beta):
    return (x - mean) * rstd * gamma + beta


@triton.jit
def apply_kernel(
    x, mean, rstd, gamma, beta, added, y, rows, C, S, x_n, x_s, x_c, a_n, a_s, a_c, y_n, y_s, y_c,
    AFFINE: tl.constexpr, ADDED: tl.constexpr, RELU: tl.constexpr,
    FLAT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (r < rows)[:, None] & (c < C)[None, :]
    here = c < C
    m = tl.load(mean + c, mask=here, other=0.0).to(tl.float32)
    s = tl.load(rstd + c, mask=here, other=0.0)
    g = tl.load(gamma + c, mask=here, other=0.0).to(tl.float32) if AFFINE else tl.zeros_like(s) + 1.0
    b = tl.load(beta + c, mask=here, other=0.0).to(tl.float32) if AFFINE else tl.zeros_like(s)
    tile = tl.load(x + places(r, c, S, x_n, x_s, x_c, FLAT), mask=inside, other=0.0).to(tl.float32)
    z = normalized(tile, m[None, :], s[None, :], g[None, :], b[None, :])
    if ADDED:
        z += tl.load(added + places(r, c, S, a_n, a_s, a_c, FLAT), mask=inside, other=0.0).to(tl.float32)
    if RELU:
        z = tl.where(z <= 0, 0.0, z)
    tl.store(y + places(r, c, S, y_n, y_s, y_c, FLAT), z.to(y.dtype.element_ty), mask=inside)


@triton.jit
def slope(d, y, inside, at_d, at_y, RELU: tl.constexpr):
    """d g′, g′ read off y."""
    value = tl.load(d + at_d, mask=inside, other=0.0).to(tl.float32)
    if RELU:
        above = tl.load(y + at_y, mask=inside, other=0.0).to(tl.float32)
        value = tl.where(above <= 0, 0.0, value)
    return value


@triton.jit
def sums_kernel(
    d, y, x, mean, rstd, partial, rows, C, per, S, d_n, d_s, d_c, y_n, y_s, y_c, x_n, x_s, x_c,
    RELU: tl.constexpr, CENTRED: tl.constexpr, FLAT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):
    """(Σ d, Σ d x̂) of each channel over one share of the rows."""
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    first = tl.program_id(0) * per
    last = tl.minimum(first + per, rows)
    plain = tl.zeros((CHANNELS,), tl.float32)
    weighted = tl.zeros((CHANNELS,), tl.float32)
    for start in range(first, last, ROWS):
        r = start + tl.arange(0, ROWS)
        inside = (r < last)[:, None] & (c < C)[None, :]
        slopes = slope(d, y, inside, places(r, c, S, d_n, d_s, d_c, FLAT), places(r, c, S, y_n, y_s, y_c, FLAT), RELU)
        plain += tl.sum(slopes, 0)
        if CENTRED:
            m = tl.load(mean + c, mask=c < C, other=0.0).to(tl.float32)
            s = tl.load(rstd + c, mask=c < C, other=0.0)
            tile = tl.load(x + places(r, c, S, x_n, x_s, x_c, FLAT), mask=inside, other=0.0).to(tl.float32)
            weighted += tl.sum(tl.where(inside, slopes * ((tile - m[None, :]) * s[None, :]), 0.0), 0)
    at = partial + tl.program_id(0).to(tl.int64) * 2 * C + c
    tl.store(at, plain, mask=c < C)
    tl.store(at + C, weighted, mask=c < C)


@triton.jit
def added_up(partial, c, C, shares, SHARES: tl.constexpr):
    """(Σ d, Σ d x̂) of the channels c: all shares, SHARES at a time."""
    plain = tl.zeros_like(c).to(tl.float32)
    weighted = plain
    for first in range(0, shares, SHARES):
        k = first + tl.arange(0, SHARES)
        inside = (k < shares)[:, None] & (c < C)[None, :]
        at = k.to(tl.int64)[:, None] * 2 * C + c[None, :]
        plain += tl.sum(tl.load(partial + at, mask=inside, other=0.0), 0)
        weighted += tl.sum(tl.load(partial + C + at, mask=inside, other=0.0), 0)
    return plain, weighted


@triton.jit
def leave(c, here, plain, weighted, sums, dgamma, dbeta, C):
    """Both sums of the channels c, stored `here` in float32 and as ∂ℒ/∂β and ∂ℒ/∂γ."""
    tl.store(sums + c, plain, mask=here)
    tl.store(sums + C + c, weighted, mask=here)
    tl.store(dbeta + c, plain.to(dbeta.dtype.element_ty), mask=here)
    tl.store(dgamma + c, weighted.to(dgamma.dtype.element_ty), mask=here)


@triton.jit
def join_kernel(partial, sums, dgamma, dbeta, C, shares, SHARES: tl.constexpr):
    c = tl.program_id(0) * MERGED + tl.arange(0, MERGED)
    plain, weighted = added_up(partial, c, C, shares, SHARES)
    leave(c, c < C, plain, weighted, sums, dgamma, dbeta, C)


@triton.jit
def grad_x(d, x, mean, rstd, gamma, m1, m2):
    return gamma * rstd * (d - m1 - (x - mean) * rstd * m2)


@triton.jit
def grad_x_kernel(
    d, y, x, mean, rstd, gamma, sums, dx, dz, rows, C, S, d_n, d_s, d_c, y_n, y_s, y_c, x_n, x_s, x_c, o_n, o_s, o_c,
    z_n, z_s, z_c, AFFINE: tl.constexpr, RELU: tl.constexpr, BATCH: tl.constexpr, ADDED: tl.constexpr,
    FLAT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):
    """∂ℒ/∂x; with BATCH unset μ and σ² were constants. ADDED: the gradient of what was added, d g′, beside it."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (r < rows)[:, None] & (c < C)[None, :]
    here = c < C
    slopes = slope(d, y, inside, places(r, c, S, d_n, d_s, d_c, FLAT), places(r, c, S, y_n, y_s, y_c, FLAT), RELU)
    s = tl.load(rstd + c, mask=here, other=0.0)
    g = tl.load(gamma + c, mask=here, other=0.0).to(tl.float32) if AFFINE else tl.zeros_like(s) + 1.0
    if BATCH:
        count = tl.zeros_like(s) + rows
        m = tl.load(mean + c, mask=here, other=0.0).to(tl.float32)
        m1 = tl.div_rn(tl.load(sums + c, mask=here, other=0.0), count)
        m2 = tl.div_rn(tl.load(sums + C + c, mask=here, other=0.0), count)
        tile = tl.load(x + places(r, c, S, x_n, x_s, x_c, FLAT), mask=inside, other=0.0).to(tl.float32)
        out = grad_x(slopes, tile, m[None, :], s[None, :], g[None, :], m1[None, :], m2[None, :])
    else:
        out = slopes * (g * s)[None, :]
    tl.store(dx + places(r, c, S, o_n, o_s, o_c, FLAT), out.to(dx.dtype.element_ty), mask=inside)
    if ADDED:
        tl.store(dz + places(r, c, S, z_n, z_s, z_c, FLAT), slopes.to(dz.dtype.element_ty), mask=inside)


@attrs.frozen
class Walk:
    """How the tensors of one launch are walked: rows, channels, positions per example, their strides, the tile."""

    rows: int
    channels: int
    positions: int
    strides: tuple[int, ...]
    flat: bool
    row: Row

    @property
    def grid(self) -> tuple[int, int]:
        return triton.cdiv(self.rows, self.row.BM), triton.cdiv(self.channels, self.row.BN)

    @property
    def meta(self) -> dict[str, Any]:
        return {"FLAT": self.flat, "ROWS": self.row.BM, "CHANNELS": self.row.BN, "row": self.row}

    def shares(self) -> tuple[int, int]:
        """(rows a share, shares): whole tiles, of equal number but for the last."""
        tiles, across = self.grid
        per = triton.cdiv(tiles, min(tiles, max(1, PROGRAMS // across)))
        return per * self.row.BM, triton.cdiv(tiles, per)


def power_of_2(shares: int) -> int:
    """The least that is not below, found by comparing, so that a size which a tracer leaves open stays open."""
    power = 1
    while power < shares:
        power *= 2
    return power


def steps(t: Tensor) -> tuple[int, int, int] | None:
    """(per example, per position, per channel), if one stride can walk all positions."""
    inner = [(size, stride) for size, stride in zip(t.shape[2:], t.stride()[2:]) if size != 1]
    if any(outer != size * stride for (_, outer), (size, stride) in pairwise(inner)):
        return None
    return t.stride(0), inner[-1][1] if inner else 0, t.stride(1)


def walked(t: Tensor) -> Tensor:
    """t, or a dense copy where its positions have no common stride."""
    return t if steps(t) is not None else pointwise.copy(t, torch.empty(t.shape, dtype=t.dtype, device=t.device))


def walk(*tensors: Tensor) -> Walk:
    lead = tensors[0]
    positions = math.prod(lead.shape[2:])
    found = [steps(t) for t in tensors]
    strides = [s for s in found if s is not None]
    assert len(strides) == len(found)
    flat = all(positions == 1 or lead.shape[0] == 1 or n == s * positions for n, s, _ in strides)
    if flat:
        strides = [(0, n if positions == 1 else s, c) for n, s, c in strides]
    rows = lead.shape[0] * positions
    table = "norm.channels" if strides[0][2] == 1 else "norm.planes"
    row = choose(table, (rows, lead.shape[1]), lead.dtype, current_arch(lead.device))
    return Walk(rows, lead.shape[1], positions, tuple(n for one in strides for n in one), flat, row)


def statistics(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return _statistics(x, eps)


def running_statistics(x: Tensor, eps: float, mu: Tensor, var: Tensor, rho: float) -> tuple[Tensor, Tensor]:
    """The same, and the running statistics move."""
    return _statistics(x, eps, (mu, var), rho, (mu, var))


def _statistics(
    x: Tensor, eps: float, running: tuple[Tensor, Tensor] | None = None, rho: float = 0.0,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """(μ, 1/√(σ² + ε)) of each channel, float32; the new running statistics go to `out`, which may be `running`."""
    x = walked(x)
    how = walk(x)
    per, shares = how.shares()
    partial = torch.empty((shares, 2, how.channels), dtype=torch.float32, device=x.device)
    launch(statistics_kernel, (shares, how.grid[1]), x, partial, how.rows, how.channels, per, how.positions,
           *how.strides, **how.meta)
    mean, rstd = (torch.empty(how.channels, dtype=torch.float32, device=x.device) for _ in range(2))
    mu, var = running or (mean, rstd)
    mu_out, var_out = out or (mean, rstd)
    launch(
        merge_kernel, (triton.cdiv(how.channels, 8),), partial, mean, rstd, mu, var, mu_out, var_out, how.rows,
        how.channels, per, shares, float(eps), number(rho), row=Row(8), RUNNING=running is not None,
        SHARES=power_of_2(shares),
    )
    return mean, rstd


def reciprocal_root(var: Tensor, eps: float) -> Tensor:
    """1/√(σ² + ε), float32."""
    rstd = torch.empty(var.shape, dtype=torch.float32, device=var.device)
    (C,) = var.shape
    launch(roots_kernel, (triton.cdiv(C, 256),), dense(var), rstd, C, float(eps), row=Row(256), CHANNELS=256)
    return rstd


def applied(
    x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, beta: Tensor | None, added: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """γ (x − μ) · rstd + β, + added, ReLU: in the memory order of x."""
    x = walked(x)
    y = torch.empty_like(x)
    residual = x if added is None else walked(added)
    how = walk(x, residual, y)
    launch(
        apply_kernel, how.grid, x, mean, rstd, *_or(mean, gamma, beta), residual, y, how.rows, how.channels,
        how.positions, *how.strides, AFFINE=gamma is not None, ADDED=added is not None, RELU=relu, **how.meta)
    return y


def sums(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, dtype: torch.dtype, relu: bool, centred: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """(both sums in float32, ∂ℒ/∂γ, ∂ℒ/∂β)."""
    d, y, x = walked(d), walked(y), walked(x)
    how = walk(d, y, x)
    per, shares = how.shares()
    partial = torch.empty((shares, 2, how.channels), dtype=torch.float32, device=x.device)
    launch(sums_kernel, (shares, how.grid[1]), d, y, x, mean, rstd, partial, how.rows, how.channels, per,
           how.positions, *how.strides, RELU=relu, CENTRED=centred, **how.meta)
    both = torch.empty((2, how.channels), dtype=torch.float32, device=x.device)
    dgamma, dbeta = (torch.empty(how.channels, dtype=dtype, device=x.device) for _ in range(2))
    launch(join_kernel, (triton.cdiv(how.channels, 8),), partial, both, dgamma, dbeta, how.channels, shares,
           row=Row(8), SHARES=power_of_2(shares))
    return both, dgamma, dbeta


def backward(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, both: Tensor | None,
    relu: bool, added: bool,
) -> tuple[Tensor, Tensor | None]:
    """(∂ℒ/∂x, the gradient of what was added); without `both` the statistics were constants."""
    d, y, x = walked(d), walked(y), walked(x)
    dx = torch.empty_like(x)
    dz = torch.empty_like(x) if added else dx
    how = walk(d, y, x, dx, dz)
    launch(
        grad_x_kernel, how.grid, d, y, x, mean, rstd, *_or(mean, gamma), rstd if both is None else both, dx, dz,
        how.rows, how.channels, how.positions, *how.strides, AFFINE=gamma is not None, RELU=relu,
        BATCH=both is not None, ADDED=added, **how.meta)
    return dx, dz if added else None


def _or(stand_in: Tensor, *given: Tensor | None) -> list[Tensor]:
    """A kernel's argument for a tensor that is left out; never read."""
    return [stand_in if t is None else dense(t) for t in given]


def dense(t: Tensor) -> Tensor:
    """Numbers per channel side by side, as the kernels read them."""
    return t if t.is_contiguous() else pointwise.copy(t, torch.empty(t.shape, dtype=t.dtype, device=t.device))


def batch(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    norm_checks.batch_norm("norm.batch", x, gamma=gamma, beta=beta)
    checks.kernel_dtype("norm.batch", x)
    x = walked(x)
    return applied(x, *statistics(x, eps), gamma, beta)


def inference(x: Tensor, mu: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    norm_checks.batch_norm("norm.batch.inference", x, mu=mu, var=var, gamma=gamma, beta=beta)
    checks.kernel_dtype("norm.batch.inference", x)
    return applied(walked(x), dense(mu), reciprocal_root(var, eps), gamma, beta)


def running(x: Tensor, mu: Tensor, var: Tensor, rho: float) -> tuple[Tensor, Tensor]:
    norm_checks.batch_norm("norm.batch.running", x, mu=mu, var=var)
    norm_checks.several("norm.batch.running", x)
    checks.kernel_dtype("norm.batch.running", x)
    out = torch.empty_like(mu), torch.empty_like(var)
    _statistics(x, 0.0, (dense(mu), dense(var)), rho, out)
    return out


def grad_x_op(d: Tensor, x: Tensor, gamma: Tensor, eps: float) -> Tensor:
    checks.same("norm.batch.grad_x", d=d, x=x)
    norm_checks.batch_norm("norm.batch.grad_x", x, gamma=gamma)
    checks.kernel_dtype("norm.batch.grad_x", x)
    d, x = walked(d), walked(x)
    mean, rstd = statistics(x, eps)
    both, _, _ = sums(d, d, x, mean, rstd, x.dtype, False)
    return backward(d, d, x, mean, rstd, gamma, both, False, False)[0]


def grad_gamma(d: Tensor, x: Tensor, eps: float) -> Tensor:
    checks.same("norm.batch.grad_gamma", d=d, x=x)
    norm_checks.batch_norm("norm.batch.grad_gamma", x)
    checks.kernel_dtype("norm.batch.grad_gamma", x)
    d, x = walked(d), walked(x)
    return sums(d, d, x, *statistics(x, eps), x.dtype, False)[1]


def grad_beta(d: Tensor) -> Tensor:
    norm_checks.batch_norm("norm.batch.grad_beta", d)
    checks.kernel_dtype("norm.batch.grad_beta", d)
    d = walked(d)
    stand_in = torch.empty(d.shape[1], dtype=torch.float32, device=d.device)
    return sums(d, d, d, stand_in, stand_in, d.dtype, False, centred=False)[2]


OPS = {
    "norm.batch": batch, "norm.batch.inference": inference, "norm.batch.running": running,
    "norm.batch.grad_x": grad_x_op, "norm.batch.grad_gamma": grad_gamma, "norm.batch.grad_beta": grad_beta,
}
