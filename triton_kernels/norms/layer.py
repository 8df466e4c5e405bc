"""Layer normalization of the rows of x (R, D): each row over its own D numbers.

norm.layer              y = γ (x − μ) / √(σ² + ε) + β
norm.layer.grad_x       ∂ℒ/∂x = (g − m₁ − x̂ m₂) / s,   g = γ d,   m₁ = mean of g,   m₂ = mean of g x̂,   s = √(σ² + ε)
norm.layer.grad_gamma   Σ d x̂ over the rows         norm.layer.grad_beta   Σ d

What is kept for backward is x and two numbers a row. A tensor added before rides along: the sum is written once, and
is what the row's numbers are of. In backward a program takes a share of the rows and sums γ's and β's gradients as it
goes; a second launch adds the shares in a fixed order.

Traps: squares are taken of x − μ only, since E x² − (E x)² cancels where the mean is large; statistics are float32
whatever x is; n is D, never the tile's width. Rows that no tile holds are merged as Chan merges.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.reduce import column_sums, sum_rows
from ..runtime.checks import kernel_dtype, same
from ..runtime.configs import Row, choose, processors, rows
from ..runtime.launch import current_arch, launch
from .checks import layer_norm
from .kernels import dense, merged, normalized

SHARE = 16          # rows that a program of the backward pass takes at least: each share is read once more


@triton.jit
def at(t, r, c, t_r, t_c):
    """Where the numbers (r, c) of a matrix lie."""
    return t + r.to(tl.int64)[:, None] * t_r + c.to(tl.int64)[None, :] * t_c


@triton.jit
def channels(t, c, D, otherwise, GIVEN: tl.constexpr):
    """γ or β, or what stands for one that is left out."""
    if GIVEN:
        return tl.load(t + c, mask=c < D, other=0.0).to(tl.float32)[None, :]
    return (tl.zeros_like(c) + otherwise).to(tl.float32)[None, :]


@triton.jit
def entering(x, added, summed, r, c, R, D, x_r, x_c, a_r, a_c, ADDED: tl.constexpr):
    """A tile of x, or of x + added, rounded and written as it is to be read again."""
    inside = (r < R)[:, None] & (c < D)[None, :]
    tile = tl.load(at(x, r, c, x_r, x_c), mask=inside, other=0.0).to(tl.float32)
    if ADDED:
        tile += tl.load(at(added, r, c, a_r, a_c), mask=inside, other=0.0).to(tl.float32)
        narrow = tile.to(summed.dtype.element_ty)
        tl.store(at(summed, r, c, D, 1), narrow, mask=inside)
        tile = narrow.to(tl.float32)
    return tile, inside


@triton.jit
def reciprocal_root(m2, n, eps):
    root = tl.sqrt_rn(tl.div_rn(m2, n) + tl.cast(eps, tl.float32))
    return tl.div_rn(tl.zeros_like(root) + 1.0, root)


@triton.jit
def forward_kernel(
    x, added, summed, gamma, beta, y, mean, rstd, R, D, eps, x_r, x_c, a_r, a_c, ADDED: tl.constexpr,
    SCALED: tl.constexpr, SHIFTED: tl.constexpr, WRITTEN: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """Rows that registers hold: one read of x."""
    r, c = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    tile, inside = entering(x, added, summed, r, c, R, D, x_r, x_c, a_r, a_c, ADDED)
    n = tl.zeros((ROWS,), tl.float32) + D
    mu = tl.div_rn(tl.sum(tile, 1), n)
    away = tl.where(inside, tile - mu[:, None], 0.0)
    s = reciprocal_root(tl.sum(away * away, 1), n, eps)
    tl.store(mean + r, mu, mask=r < R)
    tl.store(rstd + r, s, mask=r < R)
    if WRITTEN:
        g, b = channels(gamma, c, D, 1.0, SCALED), channels(beta, c, D, 0.0, SHIFTED)
        out = normalized(tile, mu[:, None], s[:, None], g, b)
        tl.store(at(y, r, c, D, 1), out.to(y.dtype.element_ty), mask=inside)


@triton.jit
def forward_long_kernel(
    x, added, summed, gamma, beta, y, mean, rstd, R, D, eps, x_r, x_c, a_r, a_c, ADDED: tl.constexpr,
    SCALED: tl.constexpr, SHIFTED: tl.constexpr, WRITTEN: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """Rows of any length, a tile at a time; the second pass reads what the first has left in the cache."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n = tl.zeros((ROWS,), tl.float32)
    mu = tl.zeros((ROWS,), tl.float32)
    m2 = tl.zeros((ROWS,), tl.float32)
    for start in range(0, D, COLUMNS):
        c = start + tl.arange(0, COLUMNS)
        tile, inside = entering(x, added, summed, r, c, R, D, x_r, x_c, a_r, a_c, ADDED)
        more = tl.zeros((ROWS,), tl.float32) + tl.minimum(D - start, COLUMNS)
        its_mu = tl.div_rn(tl.sum(tile, 1), more)
        away = tl.where(inside, tile - its_mu[:, None], 0.0)
        n, mu, m2 = merged(n, mu, m2, more, its_mu, tl.sum(away * away, 1))
    s = reciprocal_root(m2, n, eps)
    tl.store(mean + r, mu, mask=r < R)
    tl.store(rstd + r, s, mask=r < R)
    if WRITTEN:
        for start in range(0, D, COLUMNS):
            c = start + tl.arange(0, COLUMNS)
            tile, inside = entering(x, added, summed, r, c, R, D, x_r, x_c, a_r, a_c, False)
            if ADDED:
                tile += tl.load(at(added, r, c, a_r, a_c), mask=inside, other=0.0).to(tl.float32)
                tile = tile.to(summed.dtype.element_ty).to(tl.float32)
            g, b = channels(gamma, c, D, 1.0, SCALED), channels(beta, c, D, 0.0, SHIFTED)
            out = normalized(tile, mu[:, None], s[:, None], g, b)
            tl.store(at(y, r, c, D, 1), out.to(y.dtype.element_ty), mask=inside)


@triton.jit
def grad_x(g, hat, s, m1, m2):
    return (g - m1 - hat * m2) * s


@triton.jit
def backward_kernel(
    d, x, mean, rstd, gamma, past, dx, partial, R, D, per, d_r, d_c, x_r, x_c, p_r, p_c, SCALED: tl.constexpr,
    PAST: tl.constexpr, INPUT: tl.constexpr, SUMMED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """∂ℒ/∂x of a share of the rows (with `past`, what reaches x on another way, added), and its (Σ d x̂, Σ d)."""
    c = tl.arange(0, COLUMNS)
    first = tl.program_id(0) * per
    last = tl.minimum(first + per, R)
    g = channels(gamma, c, D, 1.0, SCALED)
    weighted = tl.zeros((COLUMNS,), tl.float32)
    plain = tl.zeros((COLUMNS,), tl.float32)
    n = tl.zeros((ROWS,), tl.float32) + D
    for start in range(first, last, ROWS):
        r = start + tl.arange(0, ROWS)
        inside = (r < last)[:, None] & (c < D)[None, :]
        slopes = tl.load(at(d, r, c, d_r, d_c), mask=inside, other=0.0).to(tl.float32)
        mu = tl.load(mean + r, mask=r < last, other=0.0)[:, None]
        s = tl.load(rstd + r, mask=r < last, other=0.0)[:, None]
        tile = tl.load(at(x, r, c, x_r, x_c), mask=inside, other=0.0).to(tl.float32)
        hat = tl.where(inside, (tile - mu) * s, 0.0)
        if INPUT:
            upstream = slopes * g
            m1 = tl.div_rn(tl.sum(upstream, 1), n)
            m2 = tl.div_rn(tl.sum(upstream * hat, 1), n)
            out = grad_x(upstream, hat, s, m1[:, None], m2[:, None])
            if PAST:
                out += tl.load(at(past, r, c, p_r, p_c), mask=inside, other=0.0).to(tl.float32)
            tl.store(at(dx, r, c, D, 1), out.to(dx.dtype.element_ty), mask=inside)
        if SUMMED:
            weighted += tl.sum(slopes * hat, 0)
            plain += tl.sum(slopes, 0)
    if SUMMED:
        to = partial + tl.program_id(0).to(tl.int64) * 2 * D + c
        tl.store(to, weighted, mask=c < D)
        tl.store(to + D, plain, mask=c < D)


@triton.jit
def backward_long_kernel(
    d, x, mean, rstd, gamma, past, dx, R, D, d_r, d_c, x_r, x_c, p_r, p_c, SCALED: tl.constexpr, PAST: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """∂ℒ/∂x of rows of any length, in two passes."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n = tl.zeros((ROWS,), tl.float32) + D
    mu = tl.load(mean + r, mask=r < R, other=0.0)[:, None]
    s = tl.load(rstd + r, mask=r < R, other=0.0)[:, None]
    plain = tl.zeros((ROWS,), tl.float32)
    weighted = tl.zeros((ROWS,), tl.float32)
    for start in range(0, D, COLUMNS):
        c = start + tl.arange(0, COLUMNS)
        inside = (r < R)[:, None] & (c < D)[None, :]
        upstream = tl.load(at(d, r, c, d_r, d_c), mask=inside, other=0.0).to(tl.float32)
        upstream *= channels(gamma, c, D, 1.0, SCALED)
        tile = tl.load(at(x, r, c, x_r, x_c), mask=inside, other=0.0).to(tl.float32)
        plain += tl.sum(upstream, 1)
        weighted += tl.sum(tl.where(inside, upstream * ((tile - mu) * s), 0.0), 1)
    m1, m2 = tl.div_rn(plain, n)[:, None], tl.div_rn(weighted, n)[:, None]
    for start in range(0, D, COLUMNS):
        c = start + tl.arange(0, COLUMNS)
        inside = (r < R)[:, None] & (c < D)[None, :]
        upstream = tl.load(at(d, r, c, d_r, d_c), mask=inside, other=0.0).to(tl.float32)
        upstream *= channels(gamma, c, D, 1.0, SCALED)
        tile = tl.load(at(x, r, c, x_r, x_c), mask=inside, other=0.0).to(tl.float32)
        out = grad_x(upstream, (tile - mu) * s, s, m1, m2)
        if PAST:
            out += tl.load(at(past, r, c, p_r, p_c), mask=inside, other=0.0).to(tl.float32)
        tl.store(at(dx, r, c, D, 1), out.to(dx.dtype.element_ty), mask=inside)


@triton.jit
def sums_kernel(
    d, x, mean, rstd, partial, R, D, per, d_r, d_c, x_r, x_c, CENTRED: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """(Σ d x̂, Σ d) of some columns over one share of the rows."""
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    first = tl.program_id(0) * per
    last = tl.minimum(first + per, R)
    to = partial + tl.program_id(0).to(tl.int64) * 2 * D + c
    if CENTRED:
        weighted = tl.zeros((COLUMNS,), tl.float32)
        for start in range(first, last, ROWS):
            r = start + tl.arange(0, ROWS)
            inside = (r < last)[:, None] & (c < D)[None, :]
            slopes = tl.load(at(d, r, c, d_r, d_c), mask=inside, other=0.0).to(tl.float32)
            mu = tl.load(mean + r, mask=r < last, other=0.0)[:, None]
            s = tl.load(rstd + r, mask=r < last, other=0.0)[:, None]
            tile = tl.load(at(x, r, c, x_r, x_c), mask=inside, other=0.0).to(tl.float32)
            weighted += tl.sum(tl.where(inside, slopes * ((tile - mu) * s), 0.0), 0)
        tl.store(to, weighted, mask=c < D)
    tl.store(to + D, sum_rows(d, first, last, c, D, d_r, d_c, ROWS, COLUMNS), mask=c < D)


def _how(x: Tensor) -> tuple[Row, bool, dict[str, Any]]:
    """(the row of the table, whether it holds whole rows of x, what the kernels are told)."""
    arch, D = current_arch(x.device), x.shape[1]
    widest = rows("norm.rows", arch, x.dtype)[-1].BN
    row = choose("norm.rows" if widest >= D else "norm.rows.long", tuple(x.shape), x.dtype, arch)
    return row, row.BN >= D, {"row": row, "ROWS": row.BM, "COLUMNS": row.BN}


def _or(stand_in: Tensor, given: Tensor | None) -> Tensor:
    return stand_in if given is None else dense(given)


def forward(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float, added: Tensor | None = None,
    written: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(y, μ, 1/√(σ² + ε), x + added): y empty unless `written`, the sum where nothing is added."""
    (R, D), device = x.shape, x.device
    mean, rstd = (torch.empty(R, dtype=torch.float32, device=device) for _ in range(2))
    y = torch.empty((R if written else 0, D), dtype=x.dtype, device=device)
    summed = torch.empty((0 if added is None else R, D), dtype=x.dtype, device=device)
    row, whole, how = _how(x)
    other = x if added is None else added
    if R:
        launch(
            forward_kernel if whole else forward_long_kernel, (triton.cdiv(R, row.BM),), x, other, summed,
            _or(mean, gamma), _or(mean, beta), y, mean, rstd, R, D, float(eps), *x.stride(), *other.stride(),
            ADDED=added is not None, SCALED=gamma is not None, SHIFTED=beta is not None, WRITTEN=written, **how)
    return y, mean, rstd, summed


def _shares(R: int, row: Row, device: torch.device) -> tuple[int, int]:
    """(rows a share, shares)."""
    at_least = max(SHARE, row.BM, triton.cdiv(R, 2 * processors(current_arch(device))))
    per = triton.cdiv(at_least, row.BM) * row.BM
    return per, triton.cdiv(R, per)


def backward(
    d: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, past: Tensor | None = None,
    wants_x: bool = True, wants_sums: bool = True,
) -> tuple[Tensor | None, Tensor | None]:
    """(∂ℒ/∂x + past, the shares of (Σ d x̂, Σ d)), each only where it is wanted."""
    R, D = x.shape
    dx = torch.empty((R, D), dtype=x.dtype, device=x.device) if wants_x else None
    if not R:
        return dx, torch.empty((0, 2 * D), dtype=torch.float32, device=x.device) if wants_sums else None
    row, whole, how = _how(x)
    other = d if past is None else past
    how |= {"SCALED": gamma is not None, "PAST": past is not None}
    if not whole:
        if dx is not None:
            launch(
                backward_long_kernel, (triton.cdiv(R, row.BM),), d, x, mean, rstd, _or(mean, gamma), other, dx, R, D,
                *d.stride(), *x.stride(), *other.stride(), **how)
        return dx, sums(d, x, mean, rstd, True) if wants_sums else None
    per, shares = _shares(R, row, x.device)
    partial = torch.empty((shares, 2 * D), dtype=torch.float32, device=x.device) if wants_sums else None
    launch(
        backward_kernel, (shares,), d, x, mean, rstd, _or(mean, gamma), other, mean if dx is None else dx,
        mean if partial is None else partial, R, D, per, *d.stride(), *x.stride(), *other.stride(), INPUT=wants_x,
        SUMMED=wants_sums, **how)
    return dx, partial


def sums(d: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, centred: bool) -> Tensor:
    """The shares of (Σ d x̂, Σ d) for rows of any length; without `centred` the first is left unwritten."""
    R, D = d.shape
    row = choose("columns", (R, D), torch.float32, current_arch(d.device))
    per, shares = _shares(R, row, d.device)
    partial = torch.empty((shares, 2 * D), dtype=torch.float32, device=d.device)
    launch(sums_kernel, (shares, triton.cdiv(D, row.BN)), d, x, mean, rstd, partial, R, D, per, *d.stride(),
           *x.stride(), CENTRED=centred, row=row, ROWS=row.BM, COLUMNS=row.BN)
    return partial


def gradients(
    d: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, past: Tensor | None, dtype: torch.dtype,
    wants_x: bool, wants_sums: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """(∂ℒ/∂x + past, (Σ d x̂, Σ d) in a row of this dtype), each only where it is wanted."""
    dx, partial = backward(d, x, mean, rstd, gamma, past, wants_x, wants_sums)
    return dx, None if partial is None else column_sums(partial, dtype)


def layer(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    layer_norm("norm.layer", x, gamma=gamma, beta=beta)
    kernel_dtype("norm.layer", x)
    return forward(x, gamma, beta, eps)[0]


def grad_x_op(d: Tensor, x: Tensor, gamma: Tensor, eps: float) -> Tensor:
    same("norm.layer.grad_x", d=d, x=x)
    layer_norm("norm.layer.grad_x", x, gamma=gamma)
    kernel_dtype("norm.layer.grad_x", x)
    _, mean, rstd, _ = forward(x, None, None, eps, written=False)
    dx, _ = backward(d, x, mean, rstd, gamma, wants_sums=False)
    assert dx is not None
    return dx


def grad_gamma(d: Tensor, x: Tensor, eps: float) -> Tensor:
    same("norm.layer.grad_gamma", d=d, x=x)
    layer_norm("norm.layer.grad_gamma", x)
    kernel_dtype("norm.layer.grad_gamma", x)
    _, mean, rstd, _ = forward(x, None, None, eps, written=False)
    partial = sums(d, x, mean, rstd, True)
    return column_sums(partial[:, : x.shape[1]], d.dtype)


def grad_beta(d: Tensor) -> Tensor:
    layer_norm("norm.layer.grad_beta", d)
    kernel_dtype("norm.layer.grad_beta", d)
    D = d.shape[1]
    unused = torch.empty(1, dtype=torch.float32, device=d.device)
    return column_sums(sums(d, d, unused, unused, False)[:, D:], d.dtype)


OPS = {
    "norm.layer": layer, "norm.layer.grad_x": grad_x_op, "norm.layer.grad_gamma": grad_gamma,
    "norm.layer.grad_beta": grad_beta,
}
