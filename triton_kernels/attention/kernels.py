"""Attention of queries q (B, H, S, D) to keys k (B, H, T, D) and values v (B, H, T, E), forward and backward.

attn.head       o_s = Σ_t P_st v_t,   P_s = softmax_t(c q_s · k_t),   c = 1/√D unless `scale` says otherwise
attn.head.grad_V   Σ_s P_st d_s
attn.head.grad_Q   c Σ_t B_st k_t        attn.head.grad_K   c Σ_s B_st q_s
                B_st = P_st (d_s · v_t − M_s),   M_s = Σ_t P_st d_s · v_t = d_s · o_s

Keys enter a tile at a time, under a running maximum; of all P only one logarithm a row is kept, log Σ_t e^(c q·k).
Backward is one launch without atomics: some programs own a tile of queries and write its ∂Q, the others own a tile of
keys and write its ∂K and ∂V; each sums in a fixed order, for any length.

A key takes part in a row where `keep` allows it and, if `causal`, where t ≤ s. A row without keys is 0, as in torch;
of a key that is left out nothing is read. With 16-bit operands P and B are rounded to their dtype where they meet V, K
or Q, as is o where it meets d.

Traps: the running maximum starts at −∞, not at 0; a row that has seen no key yet has no maximum to subtract; c is of D,
not of the tile's width; a tile's tail behind the last key has P = 0, not e⁰.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.elementary import LOG2E
from ..blocks.tiles import product
from ..runtime.checks import kernel_dtype
from ..runtime.configs import Row, choose
from ..runtime.launch import current_arch, launch, math_mode
from .checks import apart, head, scaled


@triton.jit
def tile(t, r, there, c, C, t_r, t_c):
    """Rows r, where they are there, of C columns; zeros around."""
    at = t + r.to(tl.int64)[:, None] * t_r + c.to(tl.int64)[None, :] * t_c
    return tl.load(at, mask=there[:, None] & (c < C)[None, :], other=0.0)


@triton.jit
def present(keep, t, T, k_t, KEPT: tl.constexpr):
    """Which of the keys t there are."""
    there = t < T
    if KEPT:
        there = there & (tl.load(keep + t.to(tl.int64) * k_t, mask=there, other=0) != 0)
    return there


@triton.jit
def taking_part(s, t, S, there, CAUSAL: tl.constexpr):
    """Which keys t take part in which rows s."""
    part = (s < S)[:, None] & there[None, :]
    if CAUSAL:
        part = part & (t[None, :] <= s[:, None])
    return part


@triton.jit
def met(a, b, a_tile, b_tile, r, c, R, C, K, a_r, a_k, b_c, b_k, HELD: tl.constexpr, BR: tl.constexpr,
        BC: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr):
    """Σ_k a[r, k] b[c, k]: of two tiles that are held, or a few k at a time."""
    if HELD:
        return tl.dot(a_tile, tl.trans(b_tile), input_precision=PRECISION)
    return product(a, b, r, c, R, C, K, a_r, a_k, b_k, b_c, BR, BC, BK, PRECISION)


@triton.jit
def share(z, lse):
    """P from its logarithm: e^(z − lse)."""
    return tl.exp2((z - lse) * LOG2E)


@triton.jit
def forward_kernel(
    q, k, v, keep, o, lse, H, S, T, D, E, scale, q_b, q_h, q_s, q_d, k_b, k_h, k_t, k_d, v_b, v_h, v_t, v_e,
    o_b, o_h, o_s, keep_b, keep_t, KEPT: tl.constexpr, CAUSAL: tl.constexpr, HELD: tl.constexpr, BM: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr, BD: tl.constexpr, BE: tl.constexpr, PRECISION: tl.constexpr,
):
    tiles = tl.cdiv(S, BM)
    bh, first = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles * BM
    b, h = bh // H, bh % H
    q += b * q_b + h * q_h
    k += b * k_b + h * k_h
    v += b * v_b + h * v_h
    keep += b * keep_b
    s, d, e = first + tl.arange(0, BM), tl.arange(0, BD), tl.arange(0, BE)
    scale = tl.cast(scale, tl.float32)
    queries = tile(q, s, s < S, d, D, q_s, q_d) if HELD else 0
    m = tl.full((BM,), -float("inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    out = tl.zeros((BM, BE), tl.float32)
    last = tl.minimum(T, first + BM) if CAUSAL else T
    for start in range(0, last, BN):
        t = start + tl.arange(0, BN)
        there = present(keep, t, T, keep_t, KEPT)
        keys = tile(k, t, there, d, D, k_t, k_d) if HELD else 0
        z = scale * met(q, k, queries, keys, s, t, S, T, D, q_s, q_d, k_t, k_d, HELD, BM, BN, BK, PRECISION)
        z = tl.where(taking_part(s, t, S, there, CAUSAL), z, -float("inf"))
        largest = tl.maximum(m, tl.max(z, 1))
        base = tl.where(largest == -float("inf"), 0.0, largest)
        p = share(z, base[:, None])
        old = share(m, base)
        total = total * old + tl.sum(p, 1)
        values = tile(v, t, there, e, E, v_t, v_e)
        out = tl.dot(p.to(values.dtype), values, out * old[:, None], input_precision=PRECISION)
        m = largest
    empty = total == 0.0
    out = out / tl.where(empty, 1.0, total)[:, None]
    at = o + b * o_b + h * o_h + s.to(tl.int64)[:, None] * o_s + e[None, :]
    tl.store(at, out.to(o.dtype.element_ty), mask=(s < S)[:, None] & (e < E)[None, :])
    tl.store(lse + bh * S + s, tl.where(empty, float("inf"), m + tl.log(total)), mask=s < S)


@triton.jit
def queries_gradient(
    q, k, v, keep, o, d, lse, dq, first, S, T, D, E, scale, q_s, q_d, k_t, k_d, v_t, v_e, o_s, d_s, d_e, keep_t,
    dq_s, KEPT: tl.constexpr, CAUSAL: tl.constexpr, HELD: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, BD: tl.constexpr, BE: tl.constexpr, PRECISION: tl.constexpr,
):
    """∂Q of one tile of queries, all keys passing by."""
    s, j, e = first + tl.arange(0, BM), tl.arange(0, BD), tl.arange(0, BE)
    queries = tile(q, s, s < S, j, D, q_s, q_d) if HELD else 0
    upstream = tile(d, s, s < S, e, E, d_s, d_e)
    M = tl.sum(upstream.to(tl.float32) * tile(o, s, s < S, e, E, o_s, 1).to(tl.float32), 1)
    logs = tl.load(lse + s, mask=s < S, other=float("inf"))
    total = tl.zeros((BM, BD), tl.float32)
    last = tl.minimum(T, first + BM) if CAUSAL else T
    for start in range(0, last, BN):
        t = start + tl.arange(0, BN)
        there = present(keep, t, T, keep_t, KEPT)
        keys = tile(k, t, there, j, D, k_t, k_d)
        values = tile(v, t, there, e, E, v_t, v_e) if HELD else 0
        z = scale * met(q, k, queries, keys, s, t, S, T, D, q_s, q_d, k_t, k_d, HELD, BM, BN, BK, PRECISION)
        g = met(d, v, upstream, values, s, t, S, T, E, d_s, d_e, v_t, v_e, HELD, BM, BN, BK, PRECISION)
        part = taking_part(s, t, S, there, CAUSAL)
        B = tl.where(part, share(z, logs[:, None]) * (g - M[:, None]), 0.0)
        total = tl.dot(B.to(keys.dtype), keys, total, input_precision=PRECISION)
    at = dq + s.to(tl.int64)[:, None] * dq_s + j[None, :]
    tl.store(at, (total * scale).to(dq.dtype.element_ty), mask=(s < S)[:, None] & (j < D)[None, :])


@triton.jit
def keys_gradient(
    q, k, v, keep, o, d, lse, dk, dv, first, S, T, D, E, scale, q_s, q_d, k_t, k_d, v_t, v_e, o_s, d_s, d_e, keep_t,
    dk_t, dv_t, KEPT: tl.constexpr, CAUSAL: tl.constexpr, HELD: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, BD: tl.constexpr, BE: tl.constexpr, PRECISION: tl.constexpr,
):
    """∂K and ∂V of one tile of keys, all queries passing by."""
    t, j, e = first + tl.arange(0, BN), tl.arange(0, BD), tl.arange(0, BE)
    there = present(keep, t, T, keep_t, KEPT)
    keys = tile(k, t, there, j, D, k_t, k_d) if HELD else 0
    values = tile(v, t, there, e, E, v_t, v_e) if HELD else 0
    to_k = tl.zeros((BN, BD), tl.float32)
    to_v = tl.zeros((BN, BE), tl.float32)
    for start in range(first // BM * BM if CAUSAL else 0, S, BM):
        s = start + tl.arange(0, BM)
        queries = tile(q, s, s < S, j, D, q_s, q_d)
        upstream = tile(d, s, s < S, e, E, d_s, d_e)
        M = tl.sum(upstream.to(tl.float32) * tile(o, s, s < S, e, E, o_s, 1).to(tl.float32), 1)
        logs = tl.load(lse + s, mask=s < S, other=float("inf"))
        z = scale * met(k, q, keys, queries, t, s, T, S, D, k_t, k_d, q_s, q_d, HELD, BN, BM, BK, PRECISION)
        part = tl.trans(taking_part(s, t, S, there, CAUSAL))
        P = tl.where(part, share(z, logs[None, :]), 0.0)
        to_v = tl.dot(P.to(upstream.dtype), upstream, to_v, input_precision=PRECISION)
        g = met(v, d, values, upstream, t, s, T, S, E, v_t, v_e, d_s, d_e, HELD, BN, BM, BK, PRECISION)
        B = tl.where(part, P * (g - M[None, :]), 0.0)
        to_k = tl.dot(B.to(queries.dtype), queries, to_k, input_precision=PRECISION)
    at = t.to(tl.int64)[:, None]
    tl.store(dk + at * dk_t + j[None, :], (to_k * scale).to(dk.dtype.element_ty),
             mask=(t < T)[:, None] & (j < D)[None, :])
    tl.store(dv + at * dv_t + e[None, :], to_v.to(dv.dtype.element_ty), mask=(t < T)[:, None] & (e < E)[None, :])


@triton.jit
def backward_kernel(
    q, k, v, keep, o, d, lse, dq, dk, dv, H, S, T, D, E, scale, q_b, q_h, q_s, q_d, k_b, k_h, k_t, k_d, v_b, v_h, v_t,
    v_e, o_b, o_h, o_s, d_b, d_h, d_s, d_e, keep_b, keep_t, dq_b, dq_h, dq_s, dk_b, dk_h, dk_t, dv_b, dv_h, dv_t,
    beside, PACKED: tl.constexpr, KEPT: tl.constexpr, CAUSAL: tl.constexpr, HELD: tl.constexpr, BM: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr, BD: tl.constexpr, BE: tl.constexpr, PRECISION: tl.constexpr,
):
    """The first programs of a head own tiles of queries, the others tiles of keys. PACKED: ∂K and ∂V lie in the memory
    of ∂Q, so many numbers further each."""
    if PACKED:
        dk = dq + tl.cast(beside, tl.int64)
        dv = dk + tl.cast(beside, tl.int64)
    of_queries = tl.cdiv(S, BM)
    tiles = of_queries + tl.cdiv(T, BN)
    bh, i = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles
    b, h = bh // H, bh % H
    q += b * q_b + h * q_h
    k += b * k_b + h * k_h
    v += b * v_b + h * v_h
    o += b * o_b + h * o_h
    d += b * d_b + h * d_h
    lse += bh * S
    keep += b * keep_b
    scale = tl.cast(scale, tl.float32)
    if i < of_queries:
        queries_gradient(
            q, k, v, keep, o, d, lse, dq + b * dq_b + h * dq_h, i * BM, S, T, D, E, scale, q_s, q_d, k_t, k_d, v_t,
            v_e, o_s, d_s, d_e, keep_t, dq_s, KEPT, CAUSAL, HELD, BM, BN, BK, BD, BE, PRECISION)
    else:
        keys_gradient(
            q, k, v, keep, o, d, lse, dk + b * dk_b + h * dk_h, dv + b * dv_b + h * dv_h, (i - of_queries) * BN,
            S, T, D, E, scale, q_s, q_d, k_t, k_d, v_t, v_e, o_s, d_s, d_e, keep_t, dk_t, dv_t, KEPT, CAUSAL, HELD,
            BM, BN, BK, BD, BE, PRECISION)


def _tiles(table: str, q: Tensor, v: Tensor, math: str | None) -> tuple[Row, dict[str, Any]]:
    """The row of the table, and what the kernels are told of tiles."""
    D, E = q.shape[-1], v.shape[-1]
    row = choose(table, (q.shape[2], max(D, E)), q.dtype, current_arch(q.device))
    wide, broad = (max(16, triton.next_power_of_2(n)) for n in (D, E))
    return row, {
        "row": row, "HELD": max(wide, broad) <= row.BK, "BM": row.BM, "BN": row.BN, "BK": row.BK, "BD": wide,
        "BE": broad, "PRECISION": math_mode(math)}


def _kept(keep: Tensor | None, stand_in: Tensor) -> tuple[Tensor, tuple[int, int]]:
    return (stand_in, (0, 0)) if keep is None else (keep.view(torch.uint8), (keep.stride(0), keep.stride(1)))


def heads(B: int, H: int, S: int, E: int, like: Tensor) -> Tensor:
    """Memory of (B, H, S, E), the heads of a token side by side as the next product reads them."""
    return torch.empty_strided((B, H, S, E), (S * H * E, E, H * E, 1), dtype=like.dtype, device=like.device)


def forward(
    q: Tensor, k: Tensor, v: Tensor, scale: float, keep: Tensor | None = None, causal: bool = False,
    math: str | None = None,
) -> tuple[Tensor, Tensor]:
    """(o, log Σ_t e^(c q·k) in float32)."""
    B, H, S, D = q.shape
    T, E = v.shape[2:]
    o = heads(B, H, S, E, q)
    lse = torch.empty((B, H, S), dtype=torch.float32, device=q.device)
    if o.numel():
        row, how = _tiles("attn.head", q, v, math)
        mask, steps = _kept(keep, lse)
        launch(
            forward_kernel, (triton.cdiv(S, row.BM) * B * H,), q, k, v, mask, o, lse, H, S, T, D, E, scale,
            *q.stride(), *k.stride(), *v.stride(), *o.stride()[:3], *steps, KEPT=keep is not None, CAUSAL=causal,
            **how)
    return o, lse


def backward(
    d: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, scale: float, keep: Tensor | None = None,
    causal: bool = False, math: str | None = None, out: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(∂Q, ∂K, ∂V); in the memory of `out` (B, S, 3, H, D) where that is given, numbers of a head side by side."""
    B, H, S, D = q.shape
    T, E = v.shape[2:]
    if out is None:
        dq, dk, dv = heads(B, H, S, D, q), heads(B, H, T, D, k), heads(B, H, T, E, v)
        written = dq, dk, dv
    else:
        dq, dk, dv = apart(out)
        written = out, lse, lse                             # a graph follows writes to a tensor, not to views of it
    o = o if o.stride(3) == 1 else o.contiguous()
    if q.numel() + k.numel() + v.numel():
        row, how = _tiles("attn.head.grad", q, v, math)
        mask, steps = _kept(keep, lse)
        tiles = triton.cdiv(S, row.BM) + triton.cdiv(T, row.BN)
        launch(
            backward_kernel, (tiles * B * H,), q, k, v, mask, o, d, lse, *written, H, S, T, D, E, scale,
            *q.stride(), *k.stride(), *v.stride(), *o.stride()[:3], *d.stride(), *steps, *dq.stride()[:3],
            *dk.stride()[:3], *dv.stride()[:3], 0 if out is None else out.stride(2), PACKED=out is not None,
            KEPT=keep is not None, CAUSAL=causal, **how)
    return dq, dk, dv


def packed_backward(
    d: Tensor, qkv: Tensor, o: Tensor, lse: Tensor, scale: float, keep: Tensor | None, causal: bool,
    math: str | None,
) -> Tensor:
    """∂(Q, K, V) side by side, as qkv (B, S, 3, H, D) has them; numbers of a head lie side by side there."""
    out = torch.empty_like(qkv)
    backward(d, *apart(qkv), o, lse, scale, keep, causal, math, out)
    return out


def attention(
    Q: Tensor, K: Tensor, V: Tensor, scale: float | None = None, keep: Tensor | None = None, causal: bool = False, *,
    precision: str | None = None,
) -> Tensor:
    head("attn.head", Q, K, V, keep)
    kernel_dtype("attn.head", Q)
    return forward(Q, K, V, scaled(Q, scale), keep, causal, precision)[0]


def _gradients(name: str, d: Tensor, Q: Tensor, K: Tensor, V: Tensor, scale: float | None, keep: Tensor | None,
               causal: bool, precision: str | None) -> tuple[Tensor, Tensor, Tensor]:
    head(name, Q, K, V, keep, d)
    kernel_dtype(name, Q)
    c = scaled(Q, scale)
    o, lse = forward(Q, K, V, c, keep, causal, precision)
    return backward(d, Q, K, V, o, lse, c, keep, causal, precision)


def grad_Q(
    d: Tensor, Q: Tensor, K: Tensor, V: Tensor, scale: float | None = None, keep: Tensor | None = None,
    causal: bool = False, *, precision: str | None = None,
) -> Tensor:
    return _gradients("attn.head.grad_Q", d, Q, K, V, scale, keep, causal, precision)[0]


def grad_K(
    d: Tensor, Q: Tensor, K: Tensor, V: Tensor, scale: float | None = None, keep: Tensor | None = None,
    causal: bool = False, *, precision: str | None = None,
) -> Tensor:
    return _gradients("attn.head.grad_K", d, Q, K, V, scale, keep, causal, precision)[1]


def grad_V(
    d: Tensor, Q: Tensor, K: Tensor, V: Tensor, scale: float | None = None, keep: Tensor | None = None,
    causal: bool = False, *, precision: str | None = None,
) -> Tensor:
    return _gradients("attn.head.grad_V", d, Q, K, V, scale, keep, causal, precision)[2]


OPS = {
    "attn.head": attention, "attn.head.grad_Q": grad_Q, "attn.head.grad_K": grad_K, "attn.head.grad_V": grad_V,
}
