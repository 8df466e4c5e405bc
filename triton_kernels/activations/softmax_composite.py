"""Softmax of rows as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..runtime.checks import same
from ..runtime.wide import rounded, wide
from .checks import rows


def forward(z: Tensor, dtype: torch.dtype) -> Tensor:
    """p of a matrix, in a dtype."""
    return rounded(torch.softmax(wide(z), 1), dtype)


def backward(d: Tensor, p: Tensor) -> Tensor:
    """p (d − Σ p d)."""
    slope, share = wide(d), wide(p)
    return rounded(share * (slope - (share * slope).sum(1, keepdim=True)), d.dtype)


def shares(z: Tensor) -> Tensor:
    """act.softmax   e^(z_k) / Σ_q e^(z_q): z (R, K), each row by itself."""
    rows("act.softmax", z)
    return forward(z, z.dtype)


def prime(d: Tensor, z: Tensor) -> Tensor:
    """act.softmax.prime   p_i (d_i − Σ_k p_k d_k): d and z (R, K)."""
    same("act.softmax.prime", d=d, z=z)
    rows("act.softmax.prime", z)
    return backward(d, torch.softmax(wide(z), 1))


OPS: dict[str, Callable[..., Any]] = {"act.softmax": shares, "act.softmax.prime": prime}
