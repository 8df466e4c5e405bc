"""Data for the optimizers: parameters, gradients, and states as earlier steps would have left them."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from .base import Arguments, Family, Source, drawn


def momentum(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind == "exact":
        return {"theta": s.integers(size, 9), "D": s.integers(size, 5), "v": s.integers(size, 3), "eta": 0.25,
                "mu": 0.5}
    return {"theta": drawn(s, size, kind), "D": drawn(s, size, kind), "v": s.normal(size), "eta": 0.01, "mu": 0.9}


def adagrad(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    D = drawn(s, size, kind)
    return {"theta": s.normal(size), "D": D, "G": squares(s, D), "eta": 0.1, "eps": 2.0**-10}


def squares(s: Source, D: np.ndarray) -> np.ndarray:
    """A sum of squares like D's own; far from the format's largest."""
    limit = 2.0**14 if s.dtype == "fp16" else 2.0**60
    return round_to(np.minimum(D * D * s.rng.uniform(0.25, 4.0, D.shape), limit), s.dtype)


def adam(s: Source, size: tuple[int, ...], kind: str, lam: float | None = None) -> Arguments:
    """`first` is the step from zero moments, where β₂ = 0.999 leaves 1 − β₂ᵗ few digits in float32."""
    D = drawn(s, size, "normal" if kind == "first" else kind)
    zero = np.zeros(size)
    first = {"m": zero, "v": zero, "t": 1}
    later = {"m": round_to(D * s.rng.uniform(-1, 1, size), s.dtype), "v": squares(s, D), "t": 3}
    decay = {} if lam is None else {"lam": lam}
    return {"theta": s.normal(size), "D": D, **(first if kind == "first" else later), "eta": 0.05, **decay,
            "beta1": 0.9, "beta2": 0.999, "eps": 2.0**-10}


def decayed(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    return adam(s, size, kind, lam=0.125)


_FLAT = ((3, 43), (1,), (129,))
_REAL = ("normal", "small", "positive", "wide")
FAMILIES: dict[str, Family] = {
    "opt.momentum": Family(momentum, _FLAT),
    "opt.nesterov": Family(momentum, _FLAT),
    "opt.adagrad": Family(adagrad, _FLAT, (), _REAL),
    "opt.adam": Family(adam, _FLAT, (), (*_REAL, "first")),
    "opt.adamw": Family(decayed, _FLAT, (), (*_REAL, "first")),
    "opt.lamb": Family(decayed, ((3, 11), (1,), (37,)), (), (*_REAL, "first")),
}
