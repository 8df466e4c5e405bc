"""Attention as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..runtime.wide import wide
from .checks import apart, head, scaled


def _parts(keep: Tensor | None, causal: bool, S: int, T: int, like: Tensor) -> Tensor | None:
    """Which keys take part in which rows, or None for all in all."""
    part = None if keep is None else keep[:, None, None, :]
    if causal:
        below = torch.ones(S, T, dtype=torch.bool, device=like.device).tril()
        part = below if part is None else part & below
    return part


def _logits(q: Tensor, k: Tensor, scale: float, part: Tensor | None) -> Tensor:
    z = scale * (wide(q) @ wide(k).transpose(2, 3))
    return z if part is None else z.masked_fill(~part, -torch.inf)


def beside(t: Tensor) -> Tensor:
    """(B, H, S, E) with the heads of a token side by side, as the next product reads them."""
    return t.transpose(1, 2).contiguous().transpose(1, 2)


def forward(
    q: Tensor, k: Tensor, v: Tensor, scale: float, keep: Tensor | None = None, causal: bool = False,
    math: str | None = None,
) -> tuple[Tensor, Tensor]:
    """(o, log Σ_t e^(c q·k)); of a row without keys 0, and ∞."""
    part = _parts(keep, causal, q.shape[2], k.shape[2], q)
    z = _logits(q, k, scale, part)
    lse = torch.logsumexp(z, 3)
    lse = torch.where(lse == -torch.inf, torch.inf, lse)
    P = torch.exp(z - lse[..., None])
    values = wide(v) if keep is None else wide(v).masked_fill(~keep[:, None, :, None], 0)
    return beside((P @ values).to(q.dtype)), lse


def backward(
    d: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, scale: float, keep: Tensor | None = None,
    causal: bool = False, math: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(∂Q, ∂K, ∂V)."""
    part = _parts(keep, causal, q.shape[2], k.shape[2], q)
    keys, values = wide(k), wide(v)
    if keep is not None:
        keys, values = (t.masked_fill(~keep[:, None, :, None], 0) for t in (keys, values))
    P = torch.exp(_logits(q, k, scale, part) - lse[..., None])
    upstream = wide(d)
    B = P * (upstream @ values.transpose(2, 3) - (upstream * wide(o)).sum(3, keepdim=True))
    to_v = P.transpose(2, 3) @ upstream
    to_q, to_k = scale * (B @ keys), scale * (B.transpose(2, 3) @ wide(q))
    return beside(to_q.to(q.dtype)), beside(to_k.to(k.dtype)), beside(to_v.to(v.dtype))


def packed_backward(
    d: Tensor, qkv: Tensor, o: Tensor, lse: Tensor, scale: float, keep: Tensor | None, causal: bool,
    math: str | None,
) -> Tensor:
    """∂(Q, K, V) side by side, as qkv (B, S, 3, H, D) has them."""
    out = torch.empty_like(qkv)
    for place, gradient in zip(apart(out), backward(d, *apart(qkv), o, lse, scale, keep, causal, math)):
        place.copy_(gradient)
    return out


def attention(
    Q: Tensor, K: Tensor, V: Tensor, scale: float | None = None, keep: Tensor | None = None, causal: bool = False, *,
    precision: str | None = None,
) -> Tensor:
    """attn.head   Σ_t softmax_t(c q_s · k_t) v_t: Q (B, H, S, D), K (B, H, T, D), V (B, H, T, E); keep (B, T)."""
    head("attn.head", Q, K, V, keep)
    return forward(Q, K, V, scaled(Q, scale), keep, causal)[0]


def _gradient(letter: str) -> Callable[..., Tensor]:
    name = f"attn.head.grad_{letter}"

    def gradient(
        d: Tensor, Q: Tensor, K: Tensor, V: Tensor, scale: float | None = None, keep: Tensor | None = None,
        causal: bool = False, *, precision: str | None = None,
    ) -> Tensor:
        head(name, Q, K, V, keep, d)
        c = scaled(Q, scale)
        o, lse = forward(wide(Q), wide(K), wide(V), c, keep, causal)
        return backward(d, Q, K, V, o, lse, c, keep, causal)["QKV".index(letter)]

    gradient.__doc__ = f"{name}   d (B, H, S, E), the rest as in attn.head."
    return gradient


OPS: dict[str, Callable[..., Any]] = {
    "attn.head": attention, **{f"attn.head.grad_{letter}": _gradient(letter) for letter in "QKV"},
}
