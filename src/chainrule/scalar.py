"""The alphabet of every formula: what the deck uses beyond + − × ÷, over any number type.

A number takes part by being a Python number, by being registered (`exp.register(mpf, mpmath.exp)`), or by having a
method of that name. Standard library only; this module knows no number type of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import singledispatch
from typing import Any

Scalar = Any


class NoExactValue(TypeError):
    """The result is not a fraction (exp(1), say): use mpmath, or a rational activation."""


def _elementary(name: str, exact: dict[int, int]) -> Any:
    """A function that asks the number itself, knows floats and ints, and refuses what a Fraction cannot hold."""

    def ask_the_number(x: Scalar) -> Scalar:
        method = getattr(x, name, None)
        if method is None:
            raise TypeError(f"{name}: no rule for {type(x).__name__}; give it a method {name}() or register one")
        return method()

    function = singledispatch(ask_the_number)
    function.__name__ = name                                    # type: ignore[attr-defined]
    of_float: Callable[[float], float] = getattr(math, name)
    function.register(float, of_float)
    function.register(int, of_float)

    @function.register(Fraction)
    def _(x: Fraction) -> Fraction:
        if x in exact:
            return Fraction(exact[int(x)])
        raise NoExactValue(f"{name}({x}) is not a fraction")

    return function


exp = _elementary("exp", {0: 1})
expm1 = _elementary("expm1", {0: 0})
log = _elementary("log", {1: 0})
log1p = _elementary("log1p", {0: 0})
sqrt = _elementary("sqrt", {})
tanh = _elementary("tanh", {0: 0})
erf = _elementary("erf", {0: 0})
erfc = _elementary("erfc", {0: 1})
sin = _elementary("sin", {0: 0})
cos = _elementary("cos", {0: 1})


@sqrt.register(Fraction)  # type: ignore[untyped-decorator]
def _exact_root(x: Fraction) -> Fraction:
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
    if root * root != x:
        raise NoExactValue(f"sqrt({x}) is not a fraction")
    return root


@singledispatch
def pi(like: Scalar) -> Scalar:
    """π, as a number of the same kind as `like`: with as many digits, say."""
    method = getattr(like, "pi", None)
    if method is None:
        raise TypeError(f"pi: no rule for {type(like).__name__}; give it a method pi() or register one")
    return method()


pi.register(float, lambda like: math.pi)
pi.register(int, lambda like: math.pi)


@pi.register(Fraction)
def _exact_pi(like: Fraction) -> Fraction:
    raise NoExactValue("π is not a fraction")


@singledispatch
def number(like: Scalar, n: int) -> Scalar:
    """The constant n as a number of the same kind as `like`: √n then has as many digits."""
    method = getattr(like, "number", None)
    if method is None:
        raise TypeError(f"number: no rule for {type(like).__name__}; give it a method number(n) or register one")
    return method(n)


number.register(float, lambda like, n: float(n))
number.register(int, lambda like, n: n)
number.register(Fraction, lambda like, n: Fraction(n))


@singledispatch
def where(condition: Any, then: Scalar, otherwise: Scalar) -> Scalar:
    """The brace of a cases environment. `then` and `otherwise` are values, or thunks where only one is defined."""
    chosen = then if condition else otherwise
    return chosen() if callable(chosen) else chosen


def maximum(a: Scalar, b: Scalar) -> Scalar:
    """max(a, b) as the deck prints it: the first argument wins a tie, and so owns the derivative there."""
    return where(a >= b, a, b)
