"""Data for average and update in one: alg.average's own, and states as earlier steps would have left them."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from . import networks
from .base import Arguments, Family, Source
from .training import squares


def sgd(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """Exact: n is a power of two and λ, η are dyadic, so that D and the step are exact too."""
    given = networks.average(s, size, kind)
    exact = kind.startswith("exact")
    outputs = size[1]
    given["theta"] = given.pop("w")
    given["b"] = s.integers((outputs,), 3) if exact else s.normal((outputs,))
    return {**given, "eta": 0.5 if exact else 0.01}


def momentum(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    given = sgd(s, size, kind)
    exact = kind.startswith("exact")
    for name, like in (("v", given["theta"]), ("vb", given["b"])):
        given[name] = s.integers(like.shape, 2) * 2 if exact else s.normal(like.shape)
    return {**given, "mu": 0.5 if exact else 0.9}


def adamw(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    given = sgd(s, size, kind)
    for name, like in (("", given["theta"]), ("b", given["b"])):
        D = s.normal(like.shape)
        given[f"m{name}"] = round_to(D * s.rng.uniform(-1, 1, like.shape), s.dtype)
        given[f"v{name}"] = _apart(s, D)
    return {**given, "t": 3, "decay": 0.125, "beta1": 0.9, "beta2": 0.999, "eps": 2.0**-4}


def _apart(s: Source, D: Array) -> Array:
    return np.maximum(squares(s, D), 2.0**-6)


_SIZES = ((33, 40, 17), (5, 70, 3), (1, 1, 1), (1100, 9, 13))      # the last is split over its examples
_REAL = ("normal", "small", "positive", "cancelling")
FAMILIES: dict[str, Family] = {
    "alg.average.sgd": Family(sgd, _SIZES, real=_REAL),
    "alg.average.momentum": Family(momentum, _SIZES, real=_REAL),
    "alg.average.adamw": Family(adamw, _SIZES, (), _REAL),
}
