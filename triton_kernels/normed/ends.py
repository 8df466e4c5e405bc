"""Where a run of normed convolutions ends: y, and backward the s that it begins with.

norm.batch, act.relu   y = max(0, u),   u = γ (z − μ) / √(σ² + ε) + β + past
norm.batch.grad_beta   Σ s of each channel, s = d [u > 0]         norm.batch.grad_gamma   Σ s ẑ

y is not kept: on which side of 0 u lies is computed as it was forward. Shares as `normed.kernels` has them.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..norms.kernels import dense, normalized, places, walk, walked
from ..runtime.launch import launch
from .kernels import counts, passed, statistics
from .state import Norm


@triton.jit
def last(z, past, at_past, inside, mean, rstd, gamma, beta, PAST: tl.constexpr):
    """u in float32."""
    u = normalized(z, mean[None, :], rstd[None, :], gamma[None, :], beta[None, :])
    if PAST:
        u += tl.load(past + at_past, mask=inside, other=0.0).to(tl.float32)
    return u


@triton.jit
def ended_kernel(
    z, past, y, norm, shares, per, rows, eps, rho, C, S, z_n, z_s, z_c, p_n, p_s, p_c, y_n, y_s, y_c,
    PAST: tl.constexpr, MERGED: tl.constexpr, RUNNING: tl.constexpr, TRACKED: tl.constexpr, SHARES: tl.constexpr,
    FLAT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (r < rows)[:, None] & (c < C)[None, :]
    m, rs, g, b = statistics(
        c, C, norm, shares, per, rows, eps, rho, tl.program_id(0) == 0, MERGED, RUNNING, TRACKED, SHARES)
    value = tl.load(z + places(r, c, S, z_n, z_s, z_c, FLAT), mask=inside, other=0.0).to(tl.float32)
    u = last(value, past, places(r, c, S, p_n, p_s, p_c, FLAT), inside, m, rs, g, b, PAST)
    out = tl.where(u <= 0, 0.0, u).to(y.dtype.element_ty)
    tl.store(y + places(r, c, S, y_n, y_s, y_c, FLAT), out, mask=inside)


@triton.jit
def slopes_kernel(
    d, z, past, s, partial, mean, rstd, gamma, beta, rows, C, extent, S, d_n, d_s, d_c, z_n, z_s, z_c, p_n, p_s, p_c,
    s_n, s_s, s_c, PAST: tl.constexpr, FLAT: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):
    """s, and a share of (Σ s, Σ s ẑ)."""
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    here = c < C
    m = tl.load(mean + c, mask=here, other=0.0)
    rs = tl.load(rstd + c, mask=here, other=0.0)
    g = tl.load(gamma + c, mask=here, other=0.0).to(tl.float32)
    b = tl.load(beta + c, mask=here, other=0.0).to(tl.float32)
    begin = tl.program_id(0) * extent
    end = tl.minimum(begin + extent, rows)
    plain = tl.zeros((CHANNELS,), tl.float32)
    weighted = tl.zeros((CHANNELS,), tl.float32)
    for start in range(begin, end, ROWS):
        r = start + tl.arange(0, ROWS)
        inside = (r < end)[:, None] & here[None, :]
        value = tl.load(z + places(r, c, S, z_n, z_s, z_c, FLAT), mask=inside, other=0.0).to(tl.float32)
        u = last(value, past, places(r, c, S, p_n, p_s, p_c, FLAT), inside, m, rs, g, b, PAST)
        slope = tl.load(d + places(r, c, S, d_n, d_s, d_c, FLAT), mask=inside, other=0.0)
        slope = tl.where(u.to(s.dtype.element_ty) <= 0, 0.0, slope)
        tl.store(s + places(r, c, S, s_n, s_s, s_c, FLAT), slope.to(s.dtype.element_ty), mask=inside)
        plain += tl.sum(slope.to(tl.float32), 0)
        standard = (value - m[None, :]) * rs[None, :]
        weighted += tl.sum(tl.where(inside, slope.to(tl.float32) * standard, 0.0), 0)
    at = partial + tl.program_id(0).to(tl.int64) * 2 * C + c
    tl.store(at, plain, mask=here)
    tl.store(at + C, weighted, mask=here)


def ended(z: Tensor, norm: Norm, past: Tensor | None) -> Tensor:
    """y, in memory as z lies."""
    y = torch.empty_like(z)
    added = z if past is None else walked(past)
    how = walk(z, added, y)
    tensors, what = passed(norm)
    launch(ended_kernel, how.grid, z, added, y, tensors, *counts(norm, z), how.channels, how.positions, *how.strides,
           PAST=past is not None, **what, **how.meta)
    return y


def slopes(d: Tensor, z: Tensor, norm: Norm, past: Tensor | None) -> tuple[Tensor, Tensor]:
    """(s, in memory as z lies; shares of its sums)."""
    s, d = torch.empty_like(z), walked(d)
    added = z if past is None else walked(past)
    how = walk(z, d, added, s)
    per, shares = how.shares()
    partial = torch.empty((shares, 2, how.channels), dtype=torch.float32, device=z.device)
    to_z, to_d, to_past, to_s = (how.strides[k:k + 3] for k in (0, 3, 6, 9))
    launch(slopes_kernel, (shares, how.grid[1]), d, z, added, s, partial, norm.mean, norm.rstd, dense(norm.gamma),
           dense(norm.beta), how.rows, how.channels, per, how.positions, *to_d, *to_z, *to_past, *to_s,
           PAST=past is not None, **how.meta)
    return s, partial
