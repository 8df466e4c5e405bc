"""What autocast asks for, as torch does it: products in the 16-bit type, losses in float32; gradients return to each
tensor in its own dtype."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def products(*tensors: Any) -> tuple[Any, ...]:
    """Under autocast the operands of a product in autocast's dtype, float64 as it is; else the same tensors."""
    return _cast(tensors, lambda device: torch.get_autocast_dtype(device))


def losses(*tensors: Any) -> tuple[Any, ...]:
    """Under autocast a loss's floating arguments in float32; else the same tensors."""
    return _cast(tensors, lambda device: torch.float32)


def _cast(tensors: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    device = tensors[0].device.type if isinstance(tensors[0], Tensor) else "cpu"
    if device not in ("cpu", "cuda") or not torch.is_autocast_enabled(device):
        return tensors
    return tuple(t.to(dtype(device)) if isinstance(t, Tensor) and t.is_floating_point() and t.dtype != torch.float64
                 else t for t in tensors)
