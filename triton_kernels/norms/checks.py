"""What the norms ask of their arguments."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..runtime.checks import called, floating, short, tensors, whole
from ..runtime.refusals import WrongType, WrongValue


def layer_norm(name: str, x: Tensor, **features: Tensor | None) -> None:
    """x (rows, D) with D ≥ 1, and D numbers in each of the others; these may be float32."""
    (X,) = called(name, "x")
    floating(name, **{X: x})
    if x.dim() != 2 or not x.shape[1]:
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}; expected (rows, D) with at least one number a row")
    _one_per("feature", name, X, x, features)


def batch_norm(name: str, x: Tensor, **channels: Tensor | None) -> None:
    """x (N, C, …) with at least one row, and one number per channel in each of the others; these may be float32."""
    (X,) = called(name, "x")
    floating(name, **{X: x})
    if x.dim() < 2 or not x.numel() or x.numel() // x.shape[1] >= 2**31:
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}; expected (N, C) or (N, C, …) with 1 to 2³¹ − 1 rows")
    _one_per("channel", name, X, x, channels)


def _one_per(what: str, name: str, X: str, x: Tensor, given: Mapping[str, Tensor | None]) -> None:
    """As many numbers in each as x has of them in its second axis, in its dtype or float32."""
    for label, t in given.items():
        if t is None:
            continue
        tensors(name, **{label: t})
        whole(name, label, t)
        if t.dtype not in (x.dtype, torch.float32):
            raise WrongType(f"{name}: {label} is {short(t)}, {X} is {short(x)}; expected that, or float32")
        if t.device != x.device:
            raise ValueError(f"{name}: {label} is on {t.device}, {X} is on {x.device}; expected one device")
        if t.shape != (x.shape[1],):
            raise WrongValue(f"{name}: {label} has shape {tuple(t.shape)}; expected ({x.shape[1]},), one per {what}")


def several(name: str, x: Tensor) -> None:
    if x.numel() // x.shape[1] < 2:
        (X,) = called(name, "x")
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}: one value per channel has no unbiased variance")
