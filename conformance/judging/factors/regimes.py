"""Regimes of values: kinds of data in which kernels have gone wrong, from far below zero to numbers that are none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..numbers.formats import FORMATS, round_to
from ..numbers.lanes import Array
from ..recipes import Source
from ..recipes.base import drawn

Shape = tuple[int, ...]
FAR = 120.0                  # beyond where e^z is a float32 number that is not 0 or infinite


def _sprinkled(s: Source, shape: Shape, *specials: float) -> Array:
    """Plain numbers, and one special number in every third row of them: the others must not notice."""
    x = s.normal(shape)
    rows = x.reshape(-1, shape[-1])
    for k in range(0, len(rows), 3):
        rows[k, s.rng.integers(shape[-1])] = specials[k // 3 % len(specials)]
    return x


def _two_values(s: Source, shape: Shape) -> Array:
    return s.rng.choice([-0.5, 1.5], shape)


REGIMES: dict[str, Callable[[Source, Shape], Array]] = {
    **{kind: lambda s, shape, kind=kind: drawn(s, shape, kind)                       # type: ignore[misc]
       for kind in ("normal", "small", "positive", "wide", "cancelling")},
    "low": lambda s, shape: round_to(s.normal(shape) - FAR, s.dtype),
    "high": lambda s, shape: round_to(s.normal(shape) + FAR, s.dtype),
    "spread": lambda s, shape: s.normal(shape, 4.0),
    "ties": lambda s, shape: s.rng.integers(-1, 2, shape).astype(float),
    "constant": lambda s, shape: np.full(shape, 0.75),
    "two": _two_values,
    "zero": lambda s, shape: np.zeros(shape),
    "one far": lambda s, shape: _one_far(s, shape),
    "subnormal": lambda s, shape: round_to(s.normal(shape) * FORMATS[s.dtype].smallest / 4, s.dtype),
    "large": lambda s, shape: round_to(s.normal(shape) * FORMATS[s.dtype].largest**0.5, s.dtype),
    "nan": lambda s, shape: _sprinkled(s, shape, np.nan),
    "infinite": lambda s, shape: _sprinkled(s, shape, np.inf, -np.inf),
    "minus infinity": lambda s, shape: _masked(s, shape),
}


def values(s: Source, shape: Shape, regime: str) -> Array:
    """Numbers of a regime, as the dtype holds them."""
    return np.asarray(REGIMES[regime](s, shape), dtype=np.float64)


def _one_far(s: Source, shape: Shape) -> Array:
    """One number of each row far above the others."""
    x = s.normal(shape)
    if x.size:
        rows = x.reshape(-1, shape[-1])
        rows[np.arange(len(rows)), s.rng.integers(0, shape[-1], len(rows))] = 40.0
    return x


def _masked(s: Source, shape: Shape) -> Array:
    """−∞ where a mask forbids, but never in the first of a row: its sum is not 0."""
    x = s.normal(shape)
    mask = s.rng.random(shape) < 0.3
    mask[..., :1] = False
    x[mask] = -np.inf
    return x
