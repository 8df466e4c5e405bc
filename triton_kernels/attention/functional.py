"""Attention as autograd nodes, and torch.nn.functional's name and contract for it.

Kept for backward: Q, K, V, o, and of P one logarithm a row. Where one product has made Q, K and V, their gradients are
written side by side as well, and nothing adds them up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.instead import or_torch
from ..runtime.launch import by_torch
from ..runtime.library import room
from ..runtime.nodes import applied, aside, once
from ..runtime.refusals import WrongType, WrongValue
from . import ops as _declared  # noqa: F401  the room that the nodes ask for
from .checks import apart, head, scaled

torchs = torch.nn.functional.scaled_dot_product_attention


class Attention(Function):
    """(o, log Σ e^(c q·k)); how: (c, causal)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, scale: float, causal: bool
    ) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = room("attention.kernels", "attn.head", q).forward(
            q, k, v, scale, keep, causal, None)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        q, k, v, keep, ctx.scale, ctx.causal = inputs
        aside(ctx, output[1])
        ctx.save_for_backward(q, k, v, keep, *output)

    @staticmethod
    @once
    def backward(ctx: Any, d: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, keep, o, lse = ctx.saved_tensors
        gradients = room("attention.kernels", "attn.head.grad_Q", d).backward(
            d, q, k, v, o, lse, ctx.scale, keep, ctx.causal, None)
        return (*(g if wanted else None for g, wanted in zip(gradients, ctx.needs_input_grad)), None, None, None)


class SelfAttention(Function):
    """The same of Q, K and V side by side: (B, S, 3, H, D)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(qkv: Tensor, keep: Tensor | None, scale: float, causal: bool) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = room("attention.kernels", "attn.head", qkv).forward(
            *apart(qkv), scale, keep, causal, None)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        qkv, keep, ctx.scale, ctx.causal = inputs
        aside(ctx, output[1])
        ctx.save_for_backward(qkv, keep, *output)

    @staticmethod
    @once
    def backward(ctx: Any, d: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        qkv, keep, o, lse = ctx.saved_tensors
        kernels = room("attention.kernels", "attn.head.grad_Q", d)
        return kernels.packed_backward(d, qkv, o, lse, ctx.scale, keep, ctx.causal, None), None, None, None


@or_torch(torchs)
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:
    """attn.head   Σ_t softmax_t(c q_s · k_t) v_t: query (…, S, D), key (…, T, D), value (…, T, E), c = 1/√D or scale.

    A mask of truth values that is alike for all heads and rows of an example, (B, 1, 1, T), leaves keys out; a row
    without keys is 0. Any other mask, dropout, and fewer heads of keys than of queries are torch's own.
    """
    name = "scaled_dot_product_attention"
    query, key, value = casting.products(query, key, value)
    checks.floating(name, query=query, key=key, value=value)
    if dropout_p:
        raise WrongValue(f"{name}: dropout_p = {dropout_p} has no kernel")
    if is_causal and attn_mask is not None:
        raise WrongValue(f"{name}: attn_mask and is_causal exclude each other")
    if query.dim() < 3 or key.dim() != query.dim() or value.dim() != query.dim():
        raise WrongValue(f"{name}: query, key and value have {query.dim()}, {key.dim()} and {value.dim()} dimensions; "
                         "expected (…, S, D), (…, T, D) and (…, T, E), at least three")
    q, k, v = (_four(t) for t in (query, key, value))
    keep = None if attn_mask is None else _keys(name, attn_mask, query.dim(), q.shape[0], k.shape[2])
    head(name, q, k, v, keep)
    if by_torch(query):
        return torchs(query, key, value, attn_mask, 0.0, is_causal, scale=scale)
    o: Tensor = applied(Attention, q, k, v, keep, scaled(q, scale), bool(is_causal))[0]
    return o if query.dim() == 4 else o.reshape(*query.shape[:-1], value.shape[-1])


def _four(t: Tensor) -> Tensor:
    """(B, H, S, D); of three dimensions one head each."""
    return t if t.dim() == 4 else t[:, None] if t.dim() == 3 else t.flatten(0, -4)


def _keys(name: str, mask: Tensor, dims: int, B: int, T: int) -> Tensor:
    """Which keys of each example take part, (B, T), if the mask says no more than that."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise WrongType(f"{name}: attn_mask is no tensor of truth values; scores to be added have no kernel")
    shape = (1,) * (4 - mask.dim()) + tuple(mask.shape)
    if dims != 4 or len(shape) != 4 or shape[1:3] != (1, 1) or shape[0] not in (1, B) or shape[3] not in (1, T):
        raise WrongValue(f"{name}: attn_mask has shape {tuple(mask.shape)}; a kernel takes one value a key, "
                         "(B, 1, 1, T)")
    return mask.reshape(shape[0], shape[3]).expand(B, T)


def self_attention(qkv: Tensor, keep: Tensor | None, causal: bool, scale: float | None = None) -> Tensor:
    """attn.head of Q, K and V side by side: qkv (B, S, 3, H, D), keep (B, T); gives (B, S, H, D)."""
    q, k, v = apart(qkv)
    head("attn.head", q, k, v, keep)
    if by_torch(qkv) and not (causal and keep is not None):
        mask = None if keep is None else keep[:, None, None]
        return torchs(q, k, v, mask, 0.0, causal, scale=scale).transpose(1, 2)
    o: Tensor = applied(SelfAttention, qkv, keep, scaled(q, scale), causal)[0]
    return o.transpose(1, 2)
