"""What is kept for the backward pass: a = g(z), z, or nothing; the table of activations says why."""

from __future__ import annotations

import torch
from torch import Tensor

from .table import ACTIVATIONS


def form(act: str, dtype: torch.dtype, p: float) -> str:
    """`a`, `z` or `nothing`."""
    if act == "identity":
        return "nothing"
    return "a" if ACTIVATIONS[act].keeps_a(dtype, p) else "z"


def shown(act: str, dtype: torch.dtype, p: float) -> str:
    """`form`, where a is handed out, and may be written over afterwards wherever torch allows that: behind a leaky
    ReLU, which torch reads off z."""
    return "z" if act == "leaky" else form(act, dtype, p)


def pooled(act: str) -> str:
    """Behind a pooling, where torch allows a to be written over whatever act is: `z`; `side`, which finds room beside
    the place of the maximum, where g′ asks for no more than the side of 0 that z lies on; or `nothing`."""
    return "nothing" if act == "identity" else "side" if ACTIVATIONS[act].two_sided else "z"


def points(dtype: torch.dtype) -> Tensor:
    """Every 16-bit number of |z| ≤ 6; for float32 a grid that is fine where g′ is small."""
    if dtype == torch.float32:
        return torch.cat([torch.linspace(-6, 6, 200_001), torch.linspace(-1e-3, 1e-3, 1001)])
    every = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(dtype)
    return every[every.abs() <= 6]


def error(act: str, dtype: torch.dtype, p: float = 0.1) -> float:
    """The largest relative error of g′ recomputed from a rounded to dtype, |z| ≤ 6; all else in float64."""
    z = points(dtype).double()
    g = ACTIVATIONS[act]
    assert g.prime_of_a is not None
    wanted = g.prime(z, p)
    got = g.prime_of_a(g.value(z, p).to(dtype).double(), p)
    return float(torch.where(wanted == got, 0.0, (got - wanted).abs() / wanted.abs()).max())
