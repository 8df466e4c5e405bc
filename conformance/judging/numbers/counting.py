"""Numbers that count, to measure what the deck claims: backpropagation takes O(L), the naive scheme O(L²).

Multiplying by the constants 0 and 1 of a formula (the intercept unit a_0 = 1), and adding the 0 a sum starts
with, is no work and is not counted.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

FREE = {"+": (0,), "-": (0,), "*": (0, 1), "/": (1,)}


class Counted:
    """A float whose operations are tallied in the `Counter` it was made with."""

    __slots__ = ("tally", "v")

    def __init__(self, v: float, tally: Counter[str]) -> None:
        self.v, self.tally = v, tally

    def _count(self, sign: str, other: Any, v: float) -> Counted:
        if not (isinstance(other, int) and other in FREE[sign]):
            self.tally[sign] += 1
        return Counted(v, self.tally)

    def _apply(self, name: str, f: Callable[[float], float]) -> Counted:
        self.tally[name] += 1
        return Counted(f(self.v), self.tally)

    def __add__(self, other: Any) -> Counted:
        return self._count("+", other, self.v + value(other))

    def __sub__(self, other: Any) -> Counted:
        return self._count("-", other, self.v - value(other))

    def __rsub__(self, other: Any) -> Counted:
        return self._count("-", other, value(other) - self.v)

    def __mul__(self, other: Any) -> Counted:
        return self._count("*", other, self.v * value(other))

    def __truediv__(self, other: Any) -> Counted:
        return self._count("/", other, self.v / value(other))

    def __rtruediv__(self, other: Any) -> Counted:
        self.tally["/"] += 1
        return Counted(value(other) / self.v, self.tally)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Counted:
        return Counted(-self.v, self.tally)

    def _compare(self, holds: Callable[[float, float], bool], other: Any) -> bool:
        self.tally["compare"] += 1
        return holds(self.v, value(other))

    def __gt__(self, other: Any) -> bool:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Any) -> bool:
        return self._compare(operator.ge, other)

    def __lt__(self, other: Any) -> bool:
        return self._compare(operator.lt, other)

    def __le__(self, other: Any) -> bool:
        return self._compare(operator.le, other)

    def exp(self) -> Counted:
        return self._apply("exp", math.exp)

    def log(self) -> Counted:
        return self._apply("log", math.log)

    def sqrt(self) -> Counted:
        return self._apply("sqrt", math.sqrt)

    def tanh(self) -> Counted:
        return self._apply("tanh", math.tanh)

    def erf(self) -> Counted:
        return self._apply("erf", math.erf)

    def number(self, n: int) -> Counted:
        return Counted(n, self.tally)

    def pi(self) -> Counted:
        return Counted(math.pi, self.tally)


def value(x: Any) -> Any:
    """The float in a counted number; any other number is itself."""
    return x.v if isinstance(x, Counted) else x


def polynomial(points: Sequence[tuple[int, int]]) -> list[Fraction]:
    """The coefficients, lowest first, of the polynomial through these points; leading zeros are dropped."""
    zero = Fraction(0)
    coefficients = [zero] * len(points)
    for at, height in points:
        basis, scale = [Fraction(1)], Fraction(height)
        for other, _ in points:
            if other != at:                                     # multiply the basis by (L − other)
                basis = [low - other * high for low, high in zip([zero, *basis], [*basis, zero])]
                scale /= at - other
        coefficients = [c + scale * b for c, b in zip(coefficients, basis)]
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    return coefficients
