"""Attention as ops of training code."""

from __future__ import annotations

from torch import Tensor

from ..runtime.library import Op, declare
from . import composite, recalled_composite
from .checks import apart


def _pairs(q: Tensor, k: Tensor, logits: int, values: int, v: Tensor) -> int:
    """So many products over every pair of a query and a key, of the length of a key and of a value."""
    return 2 * q.shape[:3].numel() * k.shape[2] * (logits * q.shape[3] + values * v.shape[3])


def _packed(d: Tensor, qkv: Tensor, *_: object, **__: object) -> int:
    q, k, v = apart(qkv)
    return _pairs(q, k, 3, 2, v)


declare(
    "attention.kernels", composite,
    Op("attention_forward", "forward", "attn.head", flops=lambda q, k, v, *_, **__: _pairs(q, k, 1, 1, v)),
    Op("attention_backward", "backward", "attn.head.grad_Q", flops=lambda d, q, k, v, *_, **__: _pairs(q, k, 3, 2, v)),
    Op("attention_packed_backward", "packed_backward", "attn.head.grad_Q", flops=_packed),
    ids=composite.OPS,
)
declare(
    "attention.recalled", recalled_composite,
    Op("recalled", "gradients", "alg.average",
       flops=lambda delta, w, *_, **__: 4 * delta.numel() * w.shape[1]),
)
