"""Images x (B, C, H, W) as sequences z (B, N + 1, D): a class token, then N patches of P × P under one linear map.

vit.embed              z_0 = token + position_0,   z_t = b + Σ_q w_q patch_{t−1,q} + position_t
vit.embed.grad_patch   ∂patch_{t−1,q} = Σ_e d_te w_eq, laid where the patch lay in the image
vit.embed.grad_Theta   ∂w_eq = Σ_batch Σ_{t≥1} d_te patch_{t−1,q},   ∂b_e = Σ_batch Σ_{t≥1} d_te
vit.embed.grad_position   Σ_batch d_te          vit.embed.grad_token   Σ_batch d_0e

One product, whose operand is read from where the patches lie: nothing is cut out, turned round or put together first.
Number q of a patch is its channel, row and column. Intercepts, token and positions enter where a tile is written, the
token's row as one whose patch is not read. Backward no pixel is written twice, and every sum has a fixed order.

Traps: row t belongs to patch t − 1; the class token has a position and no intercept; a patch's neighbour to the right
comes before the one below.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.tiles import tile_of
from ..runtime.checks import kernel_dtype
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch, math_mode
from . import checks


@triton.jit
def number(q, P: tl.constexpr, s):
    """Where number q of a patch lies, from the patch's corner; s holds strides of (image or filter, channel, row,
    column)."""
    c, m, n = q // (P * P), q // P % P, q % P
    return c.to(tl.int64) * s[1] + m.to(tl.int64) * s[2] + n.to(tl.int64) * s[3]


@triton.jit
def corner(b, p, across, P: tl.constexpr, s):
    """Where patch p of image b begins; a row of patches has `across` of them."""
    row, column = p // across * P, p % across * P
    return b.to(tl.int64) * s[0] + row.to(tl.int64) * s[2] + column.to(tl.int64) * s[3]


@triton.jit
def embed_kernel(
    x, w, bias, token, position, z, rows, D, K, tokens, across, x_s, w_s, b_0, t_0, p_s, P: tl.constexpr,
    HAS_BIAS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """A row for each token of each image."""
    tm, tn = tile_of(tl.program_id(0), rows, D, BM, BN)
    r, e, k = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN), tl.arange(0, BK)
    t = r % tokens
    of_patch = (r < rows) & (t > 0)
    to_x = x + corner(r // tokens, tl.maximum(t - 1, 0), across, P, x_s)[:, None]
    to_w = w + e.to(tl.int64)[:, None] * w_s[0]
    total = tl.zeros((BM, BN), tl.float32)
    for start in range(0, K, BK):
        q = start + k
        inside = (q < K)[None, :]
        patch = tl.load(to_x + number(q, P, x_s)[None, :], mask=of_patch[:, None] & inside, other=0.0)
        taken = tl.load(to_w + number(q, P, w_s)[None, :], mask=(e < D)[:, None] & inside, other=0.0)
        total = tl.dot(patch, tl.trans(taken), total, input_precision=PRECISION)
    first = tl.load(token + e.to(tl.int64) * t_0, mask=e < D, other=0.0).to(tl.float32)
    other = tl.zeros((BN,), tl.float32)
    if HAS_BIAS:
        other = tl.load(bias + e.to(tl.int64) * b_0, mask=e < D, other=0.0).to(tl.float32)
    total += tl.where(of_patch[:, None], other[None, :], first[None, :])
    mask = (r < rows)[:, None] & (e < D)[None, :]
    at = t.to(tl.int64)[:, None] * p_s[0] + e.to(tl.int64)[None, :] * p_s[1]
    total += tl.load(position + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(z + r.to(tl.int64)[:, None] * D + e[None, :], total.to(z.dtype.element_ty), mask=mask)


@triton.jit
def to_patch_kernel(
    d, w, dx, patches, K, D, of_image, across, d_s, w_s, x_s, P: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """A row for each patch of each image; K numbers, each of which is one pixel's."""
    tm, tn = tile_of(tl.program_id(0), patches, K, BM, BN)
    r, q, k = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN), tl.arange(0, BK)
    b, p = r // of_image, r % of_image
    to_d = d + (b.to(tl.int64) * d_s[0] + (p + 1).to(tl.int64) * d_s[1])[:, None]
    to_w = w + number(q, P, w_s)[None, :]
    total = tl.zeros((BM, BN), tl.float32)
    for start in range(0, D, BK):
        e = start + k
        error = tl.load(to_d + e.to(tl.int64)[None, :] * d_s[2], mask=(r < patches)[:, None] & (e < D)[None, :],
                        other=0.0)
        taken = tl.load(to_w + e.to(tl.int64)[:, None] * w_s[0], mask=(e < D)[:, None] & (q < K)[None, :], other=0.0)
        total = tl.dot(error.to(taken.dtype), taken, total, input_precision=PRECISION)
    at = corner(b, p, across, P, x_s)[:, None] + number(q, P, x_s)[None, :]
    tl.store(dx + at, total.to(dx.dtype.element_ty), mask=(r < patches)[:, None] & (q < K)[None, :])


@triton.jit
def to_theta_kernel(
    d, x, dw, db, D, K, patches, of_image, across, d_s, x_s, P: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """D rows, K numbers of a patch, and all patches of all images pass by; the intercepts are one column more."""
    tm, tn = tile_of(tl.program_id(0), D, K, BM, BN)
    e, q, k = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN), tl.arange(0, BK)
    to_d = d + e.to(tl.int64)[None, :] * d_s[2]
    to_x = x + number(q, P, x_s)[None, :]
    total, summed = tl.zeros((BM, BN), tl.float32), tl.zeros((BM,), tl.float32)
    for start in range(0, patches, BK):
        r = start + k
        b, p = r // of_image, r % of_image
        at = b.to(tl.int64) * d_s[0] + (p + 1).to(tl.int64) * d_s[1]
        error = tl.load(to_d + at[:, None], mask=(r < patches)[:, None] & (e < D)[None, :], other=0.0)
        patch = tl.load(to_x + corner(b, p, across, P, x_s)[:, None], mask=(r < patches)[:, None] & (q < K)[None, :],
                        other=0.0)
        total = tl.dot(tl.trans(error).to(patch.dtype), patch, total, input_precision=PRECISION)
        summed += tl.sum(error.to(tl.float32), 0)
    tl.store(dw + e.to(tl.int64)[:, None] * K + q[None, :], total.to(dw.dtype.element_ty),
             mask=(e < D)[:, None] & (q < K)[None, :])
    if tn == 0:
        tl.store(db + e, summed.to(db.dtype.element_ty), mask=e < D)


@triton.jit
def sums_kernel(d, position, token, images, tokens, D, d_s, BM: tl.constexpr, BN: tl.constexpr):
    """Σ over the images of some tokens' numbers; those of row 0 are the class token's as well."""
    t, e = tl.program_id(0) * BM + tl.arange(0, BM)[:, None], tl.program_id(1) * BN + tl.arange(0, BN)[None, :]
    inside = (t < tokens) & (e < D)
    at = d + t.to(tl.int64) * d_s[1] + e.to(tl.int64) * d_s[2]
    total = tl.zeros((BM, BN), tl.float32)
    for _ in range(images):
        total += tl.load(at, mask=inside, other=0.0).to(tl.float32)
        at += d_s[0]
    tl.store(position + t.to(tl.int64) * D + e, total.to(position.dtype.element_ty), mask=inside)
    tl.store(token + t + e, total.to(token.dtype.element_ty), mask=inside & (t == 0))


def _how(table: str, rows: int, columns: int, like: Tensor, math: str | None) -> tuple[tuple[int], dict[str, Any]]:
    row = choose(table, (rows, columns), like.dtype, current_arch(like.device))
    grid = (triton.cdiv(rows, row.BM) * max(triton.cdiv(columns, row.BN), 1),)
    return grid, {"row": row, "BM": row.BM, "BN": row.BN, "BK": row.BK, "PRECISION": math_mode(math)}


def forward(
    x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor, math: str | None = None
) -> Tensor:
    """z (B, N + 1, D), of the dtype of token and positions."""
    D, C, P, _ = w.shape
    rows, tokens = x.shape[0] * position.shape[0], position.shape[0]
    z = torch.empty((x.shape[0], tokens, D), dtype=position.dtype, device=x.device)
    if z.numel():
        grid, how = _how("vit.embed", rows, D, x, math)
        launch(embed_kernel, grid, x, w, x if b is None else b, token, position, z, rows, D, C * P * P, tokens,
               max(x.shape[3] // P, 1), x.stride(), w.stride(), 1 if b is None else b.stride(0), token.stride(0),
               position.stride(), P=P, HAS_BIAS=b is not None, **how)
    return z


def to_patch(d: Tensor, w: Tensor, H: int, W: int, math: str | None = None) -> Tensor:
    """∂x (B, C, H, W) of w's dtype."""
    D, C, P, _ = w.shape
    dx = torch.empty((d.shape[0], C, H, W), dtype=w.dtype, device=d.device)
    if dx.numel():
        patches, K = d.shape[0] * (d.shape[1] - 1), C * P * P
        grid, how = _how("vit.embed.grad_patch", patches, K, w, math)
        launch(to_patch_kernel, grid, d, w, dx, patches, K, D, d.shape[1] - 1, W // P, d.stride(), w.stride(),
               dx.stride(), P=P, **how)
    return dx


def to_theta(d: Tensor, x: Tensor, P: int, math: str | None = None) -> tuple[Tensor, Tensor]:
    """(∂w, ∂b) of x's dtype."""
    D, C = d.shape[2], x.shape[1]
    dw = torch.empty((D, C, P, P), dtype=x.dtype, device=d.device)
    db = torch.empty(D, dtype=x.dtype, device=d.device)
    if D:
        grid, how = _how("vit.embed.grad_Theta", D, C * P * P, x, math)
        launch(to_theta_kernel, grid, d, x, dw, db, D, C * P * P, d.shape[0] * (d.shape[1] - 1),
               max(d.shape[1] - 1, 1), max(x.shape[3] // P, 1), d.stride(), x.stride(), P=P, **how)
    return dw, db


def sums(d: Tensor) -> tuple[Tensor, Tensor]:
    """(∂position, ∂token) of d's dtype."""
    images, tokens, D = d.shape
    position, token = (torch.empty(shape, dtype=d.dtype, device=d.device) for shape in ((tokens, D), (D,)))
    if D:
        row = choose("vit.embed.grad_position", (tokens, D), d.dtype, current_arch(d.device))
        launch(sums_kernel, (triton.cdiv(tokens, row.BM), triton.cdiv(D, row.BN)), d, position, token, images, tokens,
               D, d.stride(), row=row, BM=row.BM, BN=row.BN)
    return position, token


def embed(
    x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor, *, precision: str | None = None
) -> Tensor:
    checks.embed(checks.NAME, x, w, b, token, position)
    kernel_dtype(checks.NAME, x)
    return forward(x, w, b, token, position, precision)


def grad_patch(d: Tensor, w: Tensor, H: int, W: int, *, precision: str | None = None) -> Tensor:
    checks.to_patch("vit.embed.grad_patch", d, w, H, W)
    kernel_dtype("vit.embed.grad_patch", d)
    return to_patch(d, w, H, W, precision)


def grad_Theta(d: Tensor, x: Tensor, P: int, *, precision: str | None = None) -> tuple[Tensor, Tensor]:
    checks.to_theta("vit.embed.grad_Theta", d, x, P)
    kernel_dtype("vit.embed.grad_Theta", d)
    return to_theta(d, x, P, precision)


def grad_position(d: Tensor) -> Tensor:
    checks.tokens("vit.embed.grad_position", d)
    kernel_dtype("vit.embed.grad_position", d)
    return sums(d)[0]


def grad_token(d: Tensor) -> Tensor:
    checks.tokens("vit.embed.grad_token", d)
    kernel_dtype("vit.embed.grad_token", d)
    return sums(d[:, :1])[1]


OPS = {
    "vit.embed": embed, "vit.embed.grad_patch": grad_patch, "vit.embed.grad_Theta": grad_Theta,
    "vit.embed.grad_position": grad_position, "vit.embed.grad_token": grad_token,
}
