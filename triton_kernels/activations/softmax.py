"""Softmax of the rows of z (R, K): each row's numbers as shares of 1.

act.softmax         p_k = e^(z_k) / Σ_q e^(z_q)
act.softmax.prime   ∂ℒ/∂z_i = p_i (d_i − Σ_k p_k d_k)

Kept for backward is p. Rows that registers hold are read once; longer ones a tile at a time, twice: in the first pass
every lane keeps the largest number and the sum that it has seen.

Traps: the largest number is subtracted before any exponential, and it starts at −∞, not at 0; −∞ itself is a share of
0, and a row of nothing else has no answer, NaN; a tile's tail behind the last number is e^(−∞), not e⁰.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.elementary import exp
from ..runtime.checks import kernel_dtype, same
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from .checks import rows as checked


@triton.jit
def row_at(t, r, k, t_r, t_k):
    return t + r.to(tl.int64)[:, None] * t_r + k.to(tl.int64)[None, :] * t_k


@triton.jit
def softmax_kernel(z, p, R, K, z_r, z_k, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows that registers hold, as narrow as they were loaded."""
    r, k = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    inside = (r < R)[:, None] & (k < K)[None, :]
    x = tl.load(row_at(z, r, k, z_r, z_k), mask=inside, other=-float("inf"))
    largest = tl.where(r < R, tl.max(x, 1).to(tl.float32), 0.0)
    e = exp(x.to(tl.float32) - largest[:, None])
    total = tl.sum(tl.where(inside, e, 0.0), 1)
    share = e / tl.where(r < R, total, 1.0)[:, None]
    tl.store(row_at(p, r, k, K, 1), share.to(p.dtype.element_ty), mask=inside)


@triton.jit
def softmax_long_kernel(z, p, R, K, z_r, z_k, COLUMNS: tl.constexpr):
    """One row of any length."""
    r = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, COLUMNS)
    m = tl.full((COLUMNS,), -float("inf"), tl.float32)
    s = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, K, COLUMNS):
        k = start + lane
        x = tl.load(z + r * z_r + k.to(tl.int64) * z_k, mask=k < K, other=-float("inf")).to(tl.float32)
        above = tl.maximum(m, x, propagate_nan=tl.PropagateNan.ALL)
        base = tl.where(above == -float("inf"), 0.0, above)             # a lane that has seen nothing but −∞
        s = s * exp(m - base) + exp(x - base)
        m = above
    largest = tl.max(m, 0)
    total = tl.sum(s * exp(tl.where(m == -float("inf"), -float("inf"), m - largest)), 0)
    for start in range(0, K, COLUMNS):
        k = start + lane
        x = tl.load(z + r * z_r + k.to(tl.int64) * z_k, mask=k < K, other=-float("inf")).to(tl.float32)
        tl.store(p + r * K + k, (exp(x - largest) / total).to(p.dtype.element_ty), mask=k < K)


@triton.jit
def through(p, d, mean):
    return p * (d - mean)


@triton.jit
def gradient_kernel(d, p, dz, R, K, d_r, d_k, p_r, p_k, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    r, k = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    inside = (r < R)[:, None] & (k < K)[None, :]
    share = tl.load(row_at(p, r, k, p_r, p_k), mask=inside, other=0.0).to(tl.float32)
    slope = tl.load(row_at(d, r, k, d_r, d_k), mask=inside, other=0.0).to(tl.float32)
    out = through(share, slope, tl.sum(share * slope, 1)[:, None])
    tl.store(row_at(dz, r, k, K, 1), out.to(dz.dtype.element_ty), mask=inside)


@triton.jit
def gradient_long_kernel(d, p, dz, R, K, d_r, d_k, p_r, p_k, COLUMNS: tl.constexpr):
    r = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, K, COLUMNS):
        k = start + lane
        share = tl.load(p + r * p_r + k.to(tl.int64) * p_k, mask=k < K, other=0.0).to(tl.float32)
        total += share * tl.load(d + r * d_r + k.to(tl.int64) * d_k, mask=k < K, other=0.0).to(tl.float32)
    mean = tl.sum(total, 0)
    for start in range(0, K, COLUMNS):
        k = start + lane
        share = tl.load(p + r * p_r + k.to(tl.int64) * p_k, mask=k < K, other=0.0).to(tl.float32)
        slope = tl.load(d + r * d_r + k.to(tl.int64) * d_k, mask=k < K, other=0.0).to(tl.float32)
        tl.store(dz + r * K + k, through(share, slope, mean).to(dz.dtype.element_ty), mask=k < K)


def _launched(
    short: Any, long: Any, tensors: tuple[Tensor, ...], strides: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """The kernel whose registers hold a row, or the one that walks it."""
    lead, (R, K) = tensors[0], tensors[0].shape
    out = torch.empty((R, K), dtype=dtype, device=lead.device)
    if R and K:
        arch = current_arch(lead.device)
        row = choose("act.softmax", (R, K), lead.dtype, arch)
        if row.BN >= K:
            launch(short, (triton.cdiv(R, row.BM),), *tensors, out, R, K, *strides, row=row, ROWS=row.BM,
                   COLUMNS=row.BN)
        else:
            row = choose("act.softmax.long", (R, K), lead.dtype, arch)
            launch(long, (R,), *tensors, out, R, K, *strides, row=row, COLUMNS=row.BN)
    return out


def forward(z: Tensor, dtype: torch.dtype) -> Tensor:
    """p of a matrix, in a dtype."""
    return _launched(softmax_kernel, softmax_long_kernel, (z,), z.stride(), dtype)


def backward(d: Tensor, p: Tensor) -> Tensor:
    """p (d − Σ p d)."""
    return _launched(gradient_kernel, gradient_long_kernel, (d, p), (*d.stride(), *p.stride()), d.dtype)


def shares(z: Tensor) -> Tensor:
    checked("act.softmax", z)
    kernel_dtype("act.softmax", z)
    return forward(z, z.dtype)


def prime(d: Tensor, z: Tensor) -> Tensor:
    same("act.softmax.prime", d=d, z=z)
    checked("act.softmax.prime", z)
    kernel_dtype("act.softmax.prime", z)
    return backward(d, forward(z, torch.float32))


OPS = {"act.softmax": shares, "act.softmax.prime": prime}
