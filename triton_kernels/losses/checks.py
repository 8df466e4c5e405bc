"""What the losses ask of their arguments."""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongType, WrongValue


def are_classes(z: Tensor, y: Tensor) -> bool:
    """Is all well, as `classes` asks it? Without words."""
    if not (checks.alike(z) and isinstance(y, torch.Tensor) and y.dtype is torch.int64):
        return False
    shape = z.shape
    return len(shape) == 2 and shape[1] > 0 and y.shape == shape[:1] and y.device == z.device


def classes(z: Tensor, y: Tensor, name: str = "loss.softmax") -> None:
    if are_classes(z, y):
        return
    Z, Y = checks.called(name, "z", "y")
    checks.floating(name, **{Z: z})
    if not isinstance(y, torch.Tensor) or y.dtype != torch.int64:
        raise WrongType(f"{name}: {Y} is {checks.short(y)}; expected int64 class indices (shares of classes have no "
                        "kernel)")
    checks.rank(name, 2, **{Z: z})
    checks.rank(name, 1, **{Y: y})
    checks.sizes(name, f"{Z} (B, K), {Y} (B,)", **{f"rows of {Z} and entries of {Y}": (z.shape[0], y.shape[0])})
    if y.device != z.device:
        raise ValueError(f"{name}: {Y} is on {y.device}, {Z} is on {z.device}; expected one device")
    if z.shape[1] == 0:
        raise WrongValue(f"{name}: {Z} has shape {tuple(z.shape)}; expected at least one class")


def weighted_classes(name: str, z: Tensor, y: Tensor, w: Tensor | None, smoothing: float) -> None:
    """Classes, a weight for each, and a share of the label that goes to all of them."""
    classes(z, y, name)
    if not 0 <= smoothing <= 1:
        raise WrongValue(f"{name}: label smoothing is {smoothing}; expected 0 to 1")
    if w is None:
        return
    Z, W = checks.called(name, "z", "w")
    checks.floating(name, **{Z: z, W: w})
    checks.rank(name, 1, **{W: w})
    checks.sizes(name, f"{Z} (B, K), {W} (K,)", **{f"columns of {Z} and entries of {W}": (z.shape[1], w.shape[0])})


def linear_classes(name: str, x: Tensor, w: Tensor, y: Tensor, weight: Tensor | None, smoothing: float) -> None:
    """The classes of logits that nobody has: as many as rows of w."""
    weighted_classes(name, w.new_empty(1).expand(x.shape[0], w.shape[0]), y, weight, smoothing)


def reduction(name: str, how: str, size_average: object = None, reduce: object = None) -> None:
    if size_average is not None or reduce is not None:
        raise WrongValue(f"{name}: size_average and reduce are gone from torch; give reduction='{{mean, sum or none}}'")
    if how not in ("mean", "sum", "none"):
        raise WrongValue(f"{name}: reduction = {how!r} is unknown; choose 'mean', 'sum' or 'none'")
