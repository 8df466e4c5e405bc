"""Numpy arrays as lanes: each scalar of a formula is an array, so one pass of the reference judges many cases.

An object array carries any other number type in its lanes (Fraction, mpf); a float64 array is quickest.
Importing this module registers arrays with `chainrule.scalar`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .... import scalar

Array = np.ndarray[Any, Any]

ERROR = {name: np.vectorize(getattr(math, name), otypes=[np.float64]) for name in ("erf", "erfc")}    # numpy has none

for _name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "erf", "erfc", "sin", "cos"):
    def _lanewise(x: Array, name: str = _name) -> Array:
        """Apply the function lane by lane; an object lane asks its own number type."""
        if x.dtype == object:
            return np.asarray(np.frompyfunc(getattr(scalar, name), 1, 1)(x), dtype=object)
        with np.errstate(all="ignore"):
            return np.asarray((ERROR.get(name) or getattr(np, name))(x))

    getattr(scalar, _name).register(np.ndarray, _lanewise)


@scalar.pi.register(np.ndarray)
def _pi(like: Array) -> Any:
    return np.asarray(np.frompyfunc(scalar.pi, 1, 1)(like), dtype=object) if like.dtype == object else np.pi


@scalar.number.register(np.ndarray)
def _number(like: Array, n: int) -> Any:
    if like.dtype != object:
        return float(n)
    return np.asarray(np.frompyfunc(lambda lane: scalar.number(lane, n), 1, 1)(like), dtype=object)


def chosen(value: Any) -> Any:
    """A branch of a cases brace: evaluate it if it is a thunk. Lanes that discard it may overflow there."""
    if not callable(value):
        return value
    with np.errstate(all="ignore"):
        return value()


@scalar.where.register(np.ndarray)
def _where(condition: Array, then: Any, otherwise: Any) -> Any:
    then, otherwise = chosen(then), chosen(otherwise)
    for branch in (then, otherwise):
        if hasattr(branch, "select"):
            return branch.select(condition, then, otherwise)
    return np.where(condition.astype(bool), then, otherwise)


def exact(x: Array) -> Array:
    """Lanes of int or Fraction holding exactly the float64 values of x."""
    def one(v: float) -> int | Fraction:
        v = float(v)
        return int(v) if v.is_integer() else Fraction(v)

    return np.asarray(np.frompyfunc(one, 1, 1)(np.asarray(x)), dtype=object)


def lanes_of(kind: Callable[[float], Any]) -> Callable[[Array], Array]:
    """A lift: an array into lanes of the number type `kind` (mpf, say)."""
    return lambda x: np.asarray(np.frompyfunc(lambda v: kind(float(v)), 1, 1)(np.asarray(x)), dtype=object)
