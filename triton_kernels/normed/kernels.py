"""A convolution, its batch norm and a ReLU, in which neither what the norm gives nor its gradient is ever in memory.

conv2d.layer   z = a ∗ w         norm.batch   u = γ (z − μ) / √(σ² + ε) + β         act.relu   a = max(0, u), the next a
norm.batch.grad_x   ∂z = γ (s − m₁ − ẑ m₂) / √(σ² + ε),   s = ∂a [u > 0],   m₁, m₂ the means of s and s ẑ
conv2d.layer.grad_x   ∂a = ∂z ∗ w, turned round

A convolution that reads z makes a on the way, and leaves a share of the next statistics, one of each tile of positions;
back, one that reads (s, z) makes ∂z, and leaves s of the norm below with a share of its sums. Whoever reads up to
LIMIT shares adds them up itself, in their order; of more a launch of its own makes one before.

Traps: a and ∂z are rounded as if they had been stored; a is 0 outside of the image, not what the norm makes of 0; the
statistics are those of the rounded z; on which side of 0 u lies is computed as it was forward.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from math import gcd
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..images.checks import Layer
from ..images.layer import parity
from ..norms.kernels import (
    added_up,
    as_one,
    dense,
    grad_x,
    join_kernel,
    leave,
    merge_kernel,
    normalized,
    power_of_2,
    settle,
)
from ..runtime.configs import Row, choose
from ..runtime.launch import current_arch, launch, math_mode
from ..runtime.layout import like
from .state import Norm, Sums

BESIDE, ALONE = 16, 512         # shares at once, beside a product or where nothing else is in registers
TABLE = "conv2d.normed"


@triton.jit
def recall(z, mean, rstd, gamma, beta):
    """a = max(0, γ (z − μ) r + β), in float32; NaN stays."""
    u = normalized(z.to(tl.float32), mean[None, :], rstd[None, :], gamma[None, :], beta[None, :])
    return tl.where(u <= 0, 0.0, u)


@triton.jit
def statistics(
    c, C, norm, shares, per, rows, eps, rho, writes, MERGED: tl.constexpr, RUNNING: tl.constexpr, TRACKED: tl.constexpr,
    SHARES: tl.constexpr,
):
    """(μ, r, γ, β) of the channels c; if they are made of shares, whoever `writes` keeps them."""
    partial, mean, rstd, gamma, beta, mu, var, tracked = norm
    here = c < C
    if MERGED:
        m = tl.load(mean + c, mask=here, other=0.0)
        r = tl.load(rstd + c, mask=here, other=0.0)
    else:
        m, m2 = as_one(partial, c, C, shares, per, rows, SHARES)
        r = settle(c, here & writes, m, m2, mean, rstd, mu, var, mu, var, rows, eps, rho, RUNNING)
        if TRACKED:
            one = tracked + tl.zeros_like(c)
            once = (c == 0) & writes
            tl.store(one, tl.load(one, mask=once, other=0) + 1, mask=once)
    g = tl.load(gamma + c, mask=here, other=0.0).to(tl.float32)
    b = tl.load(beta + c, mask=here, other=0.0).to(tl.float32)
    return m, r, g, b


@triton.jit
def means(c, C, sums, shares, rows, writes, MERGED: tl.constexpr, SHARES: tl.constexpr):
    """(m₁, m₂) of the channels c; if they are made of shares, whoever `writes` keeps the sums."""
    partial, both, dgamma, dbeta = sums
    here = c < C
    if MERGED:
        plain = tl.load(both + c, mask=here, other=0.0)
        weighted = tl.load(both + C + c, mask=here, other=0.0)
    else:
        plain, weighted = added_up(partial, c, C, shares, SHARES)
        leave(c, here & writes, plain, weighted, both, dgamma, dbeta, C)
    count = tl.zeros_like(plain) + rows
    return tl.div_rn(plain, count), tl.div_rn(weighted, count)


@triton.jit
def forward_kernel(
    x, w, z, shares_out, norm, shares, per, rows, eps, rho, batch, depth, filters, source, target, taps, x_s, w_s, z_s,
    stride, padding, dilation, NORMED: tl.constexpr, MERGED: tl.constexpr, RUNNING: tl.constexpr,
    TRACKED: tl.constexpr, SHARES: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """z = a ∗ w for BM positions and BN filters, a being x or made of it, and their (mean, M2)."""
    o = tl.program_id(1) * BN + tl.arange(0, BN)
    exists = o < filters
    positions = batch * target[0] * target[1]
    start = tl.program_id(0) * BM
    q = start + tl.arange(0, BM)
    here = q < positions
    image, i, j = q // (target[0] * target[1]), q // target[1] % target[0], q % target[1]
    top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
    to_image = x + image.to(tl.int64) * x_s[0]
    to_filter = w + o.to(tl.int64) * w_s[0]
    writes = (tl.program_id(0) == 0) & (tl.program_id(1) == 0)
    total = tl.zeros((BM, BN), tl.float32)
    for block in range(0, depth, BK):
        c = block + tl.arange(0, BK)
        inside = c < depth
        if NORMED:
            m, r, g, b = statistics(
                c, depth, norm, shares, per, rows, eps, rho, writes, MERGED, RUNNING, TRACKED, SHARES)
        for tap in range(taps[0] * taps[1]):
            tap_row, tap_column = tap // taps[1], tap % taps[1]
            row, column = top + tap_row * dilation[0], left + tap_column * dilation[1]
            seen = here & (row >= 0) & (row < source[0]) & (column >= 0) & (column < source[1])
            at = to_image + row.to(tl.int64) * x_s[2] + column.to(tl.int64) * x_s[3]
            mask = seen[:, None] & inside[None, :]
            tile = tl.load(at[:, None] + c.to(tl.int64)[None, :] * x_s[1], mask=mask, other=0.0)
            if NORMED:
                tile = tl.where(mask, recall(tile, m, r, g, b), 0.0).to(x.dtype.element_ty)
            at = to_filter + tl.cast(tap_row, tl.int64) * w_s[2] + tl.cast(tap_column, tl.int64) * w_s[3]
            taken = tl.load(at[:, None] + c.to(tl.int64)[None, :] * w_s[1], mask=exists[:, None] & inside[None, :],
                            other=0.0)
            total = tl.dot(tile, tl.trans(taken), total, input_precision=PRECISION)
    mask = here[:, None] & exists[None, :]
    at = image.to(tl.int64) * z_s[0] + i.to(tl.int64) * z_s[2] + j.to(tl.int64) * z_s[3]
    stored = total.to(z.dtype.element_ty)
    tl.store(z + at[:, None] + o.to(tl.int64)[None, :] * z_s[1], stored, mask=mask)
    value = tl.where(mask, stored.to(tl.float32), 0.0)
    mean = tl.div_rn(tl.sum(value, 0), tl.zeros((BN,), tl.float32) + tl.minimum(positions - start, BM))
    apart = tl.where(mask, value - mean[None, :], 0.0)
    to_share = shares_out + tl.program_id(0).to(tl.int64) * 2 * filters + o
    tl.store(to_share, mean, mask=exists)
    tl.store(to_share + filters, tl.sum(apart * apart, 0), mask=exists)


@triton.jit
def backward_kernel(
    s, z, w, out, past, norm, sums, below, shares, rows, batch, depth, channels, source, target, taps,
    s_s, z_s, w_s, out_s, past_s, below_s, stride, padding, dilation, divisor, inverse,
    MERGED: tl.constexpr, BELOW: tl.constexpr, ADDED: tl.constexpr, SHARES: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """∂a for BM positions of one class (`images.layer`) and BN channels; BELOW: a's own s, and a share of its sums."""
    o = tl.program_id(1) * BN + tl.arange(0, BN)
    exists = o < channels
    kind = tl.program_id(2)
    r, r2 = kind // stride[1], kind % stride[1]
    first, A, h = parity(r, taps[0], padding[0], dilation[0], stride[0], divisor[0], inverse[0])
    first2, B, v = parity(r2, taps[1], padding[1], dilation[1], stride[1], divisor[1], inverse[1])
    high, wide = tl.cdiv(target[0] - r, stride[0]), tl.cdiv(target[1] - r2, stride[1])
    positions = batch * high * wide
    q = tl.program_id(0) * BM + tl.arange(0, BM)
    here = q < positions
    image, i, j = q // (high * wide), q // wide % high, q % wide
    to_s, to_z = s + image.to(tl.int64) * s_s[0], z + image.to(tl.int64) * z_s[0]
    to_filter = w + o.to(tl.int64) * w_s[1]
    mean, rstd, gamma = norm
    writes = (tl.program_id(0) == 0) & (tl.program_id(1) == 0) & (kind == 0)
    total = tl.zeros((BM, BN), tl.float32)
    for block in range(0, depth, BK):
        f = block + tl.arange(0, BK)
        inside = f < depth
        m1, m2 = means(f, depth, sums, shares, rows, writes, MERGED, SHARES)
        m = tl.load(mean + f, mask=inside, other=0.0)
        rs = tl.load(rstd + f, mask=inside, other=0.0)
        g = tl.load(gamma + f, mask=inside, other=0.0).to(tl.float32)
        for tap in range(A * B):
            a, b = tap // B, tap % B
            row, column = i + h - a * (dilation[0] // divisor[0]), j + v - b * (dilation[1] // divisor[1])
            seen = here & (row >= 0) & (row < source[0]) & (column >= 0) & (column < source[1])
            mask = seen[:, None] & inside[None, :]
            at = to_s + row.to(tl.int64) * s_s[2] + column.to(tl.int64) * s_s[3]
            slope = tl.load(at[:, None] + f.to(tl.int64)[None, :] * s_s[1], mask=mask, other=0.0).to(tl.float32)
            at = to_z + row.to(tl.int64) * z_s[2] + column.to(tl.int64) * z_s[3]
            value = tl.load(at[:, None] + f.to(tl.int64)[None, :] * z_s[1], mask=mask, other=0.0).to(tl.float32)
            error = grad_x(slope, value, m[None, :], rs[None, :], g[None, :], m1[None, :], m2[None, :])
            error = tl.where(mask, error, 0.0).to(s.dtype.element_ty)
            at = to_filter + tl.cast(first + a * (stride[0] // divisor[0]), tl.int64) * w_s[2]
            at += tl.cast(first2 + b * (stride[1] // divisor[1]), tl.int64) * w_s[3]
            taken = tl.load(at[:, None] + f.to(tl.int64)[None, :] * w_s[0], mask=exists[:, None] & inside[None, :],
                            other=0.0)
            total = tl.dot(error, tl.trans(taken), total, input_precision=PRECISION)
    i, j = (r + i * stride[0]).to(tl.int64), (r2 + j * stride[1]).to(tl.int64)
    image, column = image.to(tl.int64), o.to(tl.int64)[None, :]
    mask = here[:, None] & exists[None, :]
    if BELOW:
        z_b, mean_b, rstd_b, gamma_b, beta_b, shares_out = below
        at = (image * below_s[0] + i * below_s[2] + j * below_s[3])[:, None] + column * below_s[1]
        value = tl.load(z_b + at, mask=mask, other=0.0).to(tl.float32)
        m_b = tl.load(mean_b + o, mask=exists, other=0.0)
        r_b = tl.load(rstd_b + o, mask=exists, other=0.0)
        g_b = tl.load(gamma_b + o, mask=exists, other=0.0).to(tl.float32)
        b_b = tl.load(beta_b + o, mask=exists, other=0.0).to(tl.float32)
        above = recall(value, m_b, r_b, g_b, b_b).to(z_b.dtype.element_ty)
        total = tl.where(above <= 0, 0.0, total)
        rounded = tl.where(mask, total.to(out.dtype.element_ty).to(tl.float32), 0.0)
        standard = (value - m_b[None, :]) * r_b[None, :]
        share = tl.program_id(0).to(tl.int64) * tl.num_programs(2) + kind
        to_share = shares_out + share * 2 * channels + o
        tl.store(to_share, tl.sum(rounded, 0), mask=exists)
        tl.store(to_share + channels, tl.sum(tl.where(mask, rounded * standard, 0.0), 0), mask=exists)
    if ADDED:
        at = (image * past_s[0] + i * past_s[2] + j * past_s[3])[:, None] + column * past_s[1]
        total += tl.load(past + at, mask=mask, other=0.0).to(tl.float32)
    at = (image * out_s[0] + i * out_s[2] + j * out_s[3])[:, None] + column * out_s[1]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=mask)


def tile(positions: int, outputs: int, t: Tensor) -> tuple[Row, dict[str, Any]]:
    row = choose(TABLE, (positions, outputs), t.dtype, current_arch(t.device))
    return row, {"BM": row.BM, "BN": row.BN, "BK": row.BK}


def shares_of(partial: Tensor | None) -> dict[str, Any]:
    """How a kernel reads so many shares; none: they have been made one."""
    shares = 1 if partial is None else len(partial)
    return {"MERGED": partial is None, "SHARES": min(power_of_2(shares), BESIDE)}


def passed(norm: Norm) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """A norm's tensors, stand-ins for those that are left out, and what a kernel asks of it."""
    mu, var = norm.running or (norm.mean, norm.rstd)
    tensors = (norm.mean if norm.partial is None else norm.partial, norm.mean, norm.rstd, dense(norm.gamma),
               dense(norm.beta), mu, var, norm.mean if norm.tracked is None else norm.tracked)
    own = norm.partial is not None
    return tensors, {"RUNNING": own and norm.running is not None, "TRACKED": own and norm.tracked is not None,
                     **shares_of(norm.partial)}


def counts(norm: Norm, z: Tensor) -> tuple[int, int, int, float, float]:
    """(shares, rows a share, rows, ε, ρ)."""
    shares = 1 if norm.partial is None else len(norm.partial)
    return shares, norm.per, z.numel() // z.shape[1], float(norm.eps), float(norm.rho)


def convolved(x: Tensor, w: Tensor, sizes: Layer, norm: Norm | None, math: str | None) -> tuple[Tensor, Tensor, int]:
    """(z, the shares of its statistics, rows a share); x is a, or with `norm` the z that a is made of."""
    z = like(sizes.y_shape, x)
    positions = sizes.batch * sizes.output[0] * sizes.output[1]
    row, blocks = tile(positions, sizes.filters, x)
    shares = triton.cdiv(positions, row.BM)
    partial = torch.empty((shares, 2, sizes.filters), dtype=torch.float32, device=x.device)
    if norm is None:
        tensors: tuple[Tensor, ...] = (partial,) * 8
        how: dict[str, Any] = {"RUNNING": False, "TRACKED": False, "MERGED": True, "SHARES": 1}
        numbers: tuple[Any, ...] = (1, 1, 1, 1.0, 1.0)
    else:
        (tensors, how), numbers = passed(norm), counts(norm, x)
    launch(
        forward_kernel, (shares, triton.cdiv(sizes.filters, row.BN)), x, w, z, partial, tensors, *numbers, sizes.batch,
        sizes.channels, sizes.filters, sizes.input, sizes.output, sizes.taps, x.stride(), w.stride(), z.stride(),
        sizes.stride, sizes.padding, sizes.dilation, row=row, NORMED=norm is not None, **how, **blocks,
        PRECISION=math_mode(math))
    return z, partial, row.BM


def settled(z: Tensor, norm: Norm) -> None:
    """Many shares as one, by a launch of its own."""
    assert norm.partial is not None
    tensors, how = passed(norm)
    shares, per, rows, eps, rho = counts(norm, z)
    C = z.shape[1]
    partial, mean, rstd, _, _, mu, var, _ = tensors
    launch(merge_kernel, (triton.cdiv(C, 8),), partial, mean, rstd, mu, var, mu, var, rows, C, per, shares, eps, rho,
           row=Row(8), RUNNING=how["RUNNING"], SHARES=min(power_of_2(shares), ALONE))
    if norm.tracked is not None:
        norm.tracked.add_(1)


def joined(s: Tensor, z: Tensor, norm: Norm, sums: Sums) -> None:
    """Many shares of the sums of (s, z) as one, by a launch of its own."""
    assert sums.partial is not None
    shares, _, C = sums.partial.shape
    launch(join_kernel, (triton.cdiv(C, 8),), sums.partial, sums.both, sums.dgamma, sums.dbeta, C, shares, row=Row(8),
           SHARES=min(power_of_2(shares), ALONE))


def to_image(
    s: Tensor, z: Tensor, norm: Norm, sums: Sums, w: Tensor, sizes: Layer, below: tuple[Tensor, Norm] | None,
    past: Tensor | None, math: str | None,
) -> tuple[Tensor, Tensor | None]:
    """(∂a, None), past added; or of the z and the norm below (its s, shares of its sums). (s, z) lie above."""
    out = like(sizes.x_shape, s)
    stride = sizes.stride
    positions = sizes.batch * triton.cdiv(sizes.input[0], stride[0]) * triton.cdiv(sizes.input[1], stride[1])
    row, blocks = tile(positions * stride[0] * stride[1], sizes.channels, s)
    divisor = tuple(gcd(e, t) for e, t in zip(sizes.dilation, stride))
    inverse = tuple(pow(e // g, -1, t // g) for e, t, g in zip(sizes.dilation, stride, divisor))
    grid = triton.cdiv(positions, row.BM), triton.cdiv(sizes.channels, row.BN), stride[0] * stride[1]
    partial, under, z_below = None, (out,) * 6, out
    if below is not None:
        z_below, under_norm = below
        partial = torch.empty((grid[0] * grid[2], 2, sizes.channels), dtype=torch.float32, device=s.device)
        under = (z_below, under_norm.mean, under_norm.rstd, dense(under_norm.gamma), dense(under_norm.beta), partial)
    added = out if past is None else past
    made = sums.both if sums.partial is None else sums.partial
    launch(
        backward_kernel, grid, s, z, w, out, added, (norm.mean, norm.rstd, dense(norm.gamma)),
        (made, sums.both, sums.dgamma, sums.dbeta), under, 1 if sums.partial is None else len(sums.partial),
        z.numel() // z.shape[1], sizes.batch, sizes.filters, sizes.channels, sizes.output, sizes.input, sizes.taps,
        s.stride(), z.stride(), w.stride(), out.stride(), added.stride(), z_below.stride(), stride, sizes.padding,
        sizes.dilation, divisor, inverse, row=row, **shares_of(sums.partial), BELOW=below is not None,
        ADDED=past is not None, **blocks, PRECISION=math_mode(math))
    return out, partial
