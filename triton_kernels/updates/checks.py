"""What the updates ask of their arguments."""

from __future__ import annotations

from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongValue


def writable(name: str, **tensors: Tensor) -> None:
    """No two elements share memory, as they do in an expanded tensor."""
    for label, t in tensors.items():
        if any(stride == 0 and size > 1 for stride, size in zip(t.stride(), t.shape)):
            raise WrongValue(
                f"{name}: {label} has strides {t.stride()}; an expanded tensor cannot be written in place")


def optimizer(name: str, theta: Tensor, D: Tensor, states: dict[str, Tensor], t: int) -> None:
    """θ, D and the states are alike, and steps are counted from 1."""
    for label, one in {"D": D, **states}.items():
        checks.same(name, **{"theta": theta, label: one})
    if t < 1:
        raise WrongValue(f"{name}: t = {t}; steps are counted from 1")
