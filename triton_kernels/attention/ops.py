"""Attention as ops of training code."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite

declare(
    "attention.kernels", composite,
    Op("attention_forward", "forward", "attn.head"),
    Op("attention_backward", "backward", "attn.head.grad_Q"),
    ids=composite.OPS,
)
