"""What autocast asks for, as torch does it: products in the 16-bit type, losses in float32; gradients return to each
tensor in its own dtype."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _is_any_autocast_enabled

autocast_somewhere = _is_any_autocast_enabled


def products(*tensors: Any) -> tuple[Any, ...]:
    """Under autocast the operands of a product in autocast's dtype, float64 as it is; else the same tensors."""
    device = _autocasts(tensors[0]) if autocast_somewhere() else ""
    return _cast(tensors, torch.get_autocast_dtype(device)) if device else tensors


def losses(*tensors: Any) -> tuple[Any, ...]:
    """Under autocast a loss's floating arguments in float32; else the same tensors."""
    return _cast(tensors, torch.float32) if autocast_somewhere() and _autocasts(tensors[0]) else tensors


def statistics(*tensors: Any) -> tuple[Any, ...]:
    """What a norm of rows and a softmax take in float32: under autocast of CUDA, but not of the CPU, as in torch."""
    return _cast(tensors, torch.float32) if autocast_somewhere() and _autocasts(tensors[0]) == "cuda" else tensors


def _autocasts(first: Any) -> str:
    """The kind of device that a tensor is on, if autocast is on there."""
    device = first.device.type if isinstance(first, Tensor) else ""
    return device if device in ("cpu", "cuda") and torch.is_autocast_enabled(device) else ""


def _cast(tensors: tuple[Any, ...], dtype: torch.dtype) -> tuple[Any, ...]:
    return tuple(t.to(dtype) if isinstance(t, Tensor) and t.is_floating_point() and t.dtype != torch.float64
                 else t for t in tensors)
