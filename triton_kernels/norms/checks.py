"""What the norms ask of their arguments."""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime.checks import called, floating, short, whole
from ..runtime.refusals import WrongType, WrongValue


def layer_norm(name: str, x: Tensor, **features: Tensor | None) -> None:
    """x (rows, D) with D ≥ 1, and D numbers in each of the others; these may be float32."""
    floating(name, x=x)
    if x.dim() != 2 or not x.shape[1]:
        raise WrongValue(f"{name}: x has shape {tuple(x.shape)}; expected (rows, D) with at least one number a row")
    for label, t in features.items():
        if t is None:
            continue
        if not isinstance(t, torch.Tensor):
            raise WrongType(f"{name}: {label} is a {type(t).__name__}; expected a tensor")
        whole(name, label, t)
        if t.dtype not in (x.dtype, torch.float32):
            raise WrongType(f"{name}: {label} is {t.dtype}, x is {x.dtype}; expected that, or torch.float32")
        if t.device != x.device:
            raise ValueError(f"{name}: {label} is on {t.device}, x is on {x.device}; expected one device")
        if t.shape != (x.shape[1],):
            raise WrongValue(f"{name}: {label} has shape {tuple(t.shape)}; expected ({x.shape[1]},), one per feature")


def batch_norm(name: str, x: Tensor, **channels: Tensor | None) -> None:
    """x (N, C, …) with at least one row, and one number per channel in each of the others; these may be float32."""
    (X,) = called(name, "x")
    floating(name, **{X: x})
    if x.dim() < 2 or not x.numel() or x.numel() // x.shape[1] >= 2**31:
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}; expected (N, C) or (N, C, …) with 1 to 2³¹ − 1 rows")
    for label, t in channels.items():
        if t is None:
            continue
        whole(name, label, t)
        if t.dtype not in (x.dtype, torch.float32):
            raise WrongType(f"{name}: {label} is {short(t)}, {X} is {short(x)}; expected that, or float32")
        if t.device != x.device:
            raise ValueError(f"{name}: {label} is on {t.device}, {X} is on {x.device}; expected one device")
        if t.shape != (x.shape[1],):
            raise WrongValue(f"{name}: {label} has shape {tuple(t.shape)}; expected ({x.shape[1]},), one per channel")


def several(name: str, x: Tensor) -> None:
    if x.numel() // x.shape[1] < 2:
        (X,) = called(name, "x")
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}: one value per channel has no unbiased variance")
