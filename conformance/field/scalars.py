"""The number that the reference computes with: an element, its exponent, and a float that decides comparisons.

The same algebra as `elements`, one number at a time and written apart from it, in Python's integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ..judging.numbers.lanes import Array  # its import registers arrays with the alphabet of formulas
from . import constants
from .algebra import BASE, FACTORS, GENERATOR, UNITS, P, Q
from .elements import Unseen

U = 2.0**-24                 # of the float32 that a kernel decides by


class Ledger:
    """What the numbers of one evaluation notice: comparisons that a kernel's rounding may decide otherwise."""

    def __init__(self) -> None:
        self.doubts = 0
        self.constants: dict[Any, Number] = {}


class Number:
    """v modulo P, w modulo Q, the float f; Σ|terms| and how many there are say how well a kernel knows f. `sure` is
    False behind the root of a number that has none."""

    __slots__ = ("f", "ledger", "m", "n", "sure", "v", "w")

    def __init__(self, v: int, w: int, f: float, ledger: Ledger, m: float = 0.0, n: int = 0, sure: bool = True) -> None:
        self.v, self.w, self.f, self.ledger, self.m, self.n, self.sure = v, w, f, ledger, m, n, sure

    def _of(self, x: Any) -> Number:
        return x if x.__class__ is Number else number(x, self.ledger)

    def _made(self, v: int, w: int, f: float, m: float, n: int, *parents: Number) -> Number:
        return Number(v % P, w % Q, f, self.ledger, m, n, all(p.sure for p in parents))

    def __add__(self, other: Any) -> Number:
        if other.__class__ is not Number:
            if isinstance(other, np.ndarray):
                return NotImplemented
            if other.__class__ is int and other == 0:
                return self
            other = number(other, self.ledger)
        f, g, n, k = self.f, other.f, self.n, other.n
        return Number((self.v + other.v) % P, (self.w + other.w) % Q, f + g, self.ledger,
                      (self.m or abs(f)) + (other.m or abs(g)), (n if n > k else k) + 1, self.sure and other.sure)

    __radd__ = __add__

    def __neg__(self) -> Number:
        return Number(-self.v % P, -self.w % Q, -self.f, self.ledger, self.m, self.n, self.sure)

    def __pos__(self) -> Number:
        return self

    def __abs__(self) -> Number:
        return -self if math.copysign(1.0, self.f) < 0 else self

    def __sub__(self, other: Any) -> Number:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self + (-self._of(other))

    def __rsub__(self, other: Any) -> Number:
        return self._of(other) + (-self)

    def __mul__(self, other: Any) -> Number:
        if other.__class__ is not Number:
            if isinstance(other, np.ndarray):
                return NotImplemented
            other = number(other, self.ledger)
        f, g, n, k = self.f, other.f, self.n, other.n
        product = f * g
        return Number(self.v * other.v % P, self.w * other.w % Q, product, self.ledger,
                      abs(f) * other.m + abs(g) * self.m + abs(product), (n if n > k else k) + 1,
                      self.sure and other.sure)

    __rmul__ = __mul__

    def inverse(self) -> Number:
        f = 1 / self.f if self.f else math.copysign(math.inf, self.f)
        return self._made(pow(self.v, P - 2, P), pow(self.w, UNITS - 1, Q), f, abs(f), self.n + 1, self)

    def __truediv__(self, other: Any) -> Number:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self * self._of(other).inverse()

    def __rtruediv__(self, other: Any) -> Number:
        return self._of(other) * self.inverse()

    def __pow__(self, n: Any) -> Number:
        if n.__class__ is Number:
            return (n * self.log()).exp()
        if n == 0.5:
            return self.sqrt()
        if n != int(n):
            raise Unseen(f"a power of {n}")
        if n < 0:
            inverted: Number = self.inverse() ** -n
            return inverted
        result = number(1, self.ledger)
        for _ in range(int(n)):
            result = result * self
        return result

    def _known_modulo_p(self, v: int, f: float) -> Number:
        return self._made(v, exponent(v), f, abs(f), self.n + 1, self)

    def exp(self) -> Number:
        f = math.exp(max(-700.0, min(700.0, self.f)))
        return self._known_modulo_p(0 if self.f == -math.inf else pow(BASE, self.w, P), f)

    def log(self) -> Number:
        f = math.log(self.f) if self.f > 0 else -math.inf
        return self._made(formal("log", self.v), logarithm(self.v), f, abs(f), self.n + 1, self)

    def sqrt(self) -> Number:
        if self.m == 0 and self.f > 0 and math.sqrt(self.f).is_integer():          # a constant that is a square
            return number(int(math.sqrt(self.f)), self.ledger)
        v = pow(self.v, (P + 1) // 4, P)
        found = self._known_modulo_p(v, math.sqrt(abs(self.f)))
        found.sure = found.sure and v * v % P == self.v % P
        return found

    def expm1(self) -> Number:
        return self.exp() - 1

    def log1p(self) -> Number:
        return (1 + self).log()

    def tanh(self) -> Number:
        up, down = self.exp(), (-self).exp()
        return (up - down) / (up + down)

    def erf(self) -> Number:
        half = min(self.v, P - self.v) if self.v else 0
        found = formal("erf", half) if half else 0
        return self._known_modulo_p(found if half == self.v else P - found, math.erf(self.f))

    def erfc(self) -> Number:
        return 1 - self.erf()

    def pi(self) -> Number:
        return number(math.pi, self.ledger)

    def number(self, n: int) -> Number:
        return number(n, self.ledger)

    def _compared(self, other: Any) -> float:
        o = self._of(other)
        gap, m = self.f - o.f, self.m + o.m
        if m and abs(gap) <= 2 * U * (self.n + o.n) * m:
            self.ledger.doubts += 1
        return gap if gap == gap else math.copysign(1, self.f) - math.copysign(1, o.f)

    def __gt__(self, other: Any) -> bool:
        return self._compared(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._compared(other) >= 0

    def __lt__(self, other: Any) -> bool:
        return self._compared(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._compared(other) <= 0

    def __eq__(self, other: object) -> bool:
        return bool(self.f == (other.f if isinstance(other, Number) else other))

    def __hash__(self) -> int:
        return hash(self.f)

    def __float__(self) -> float:
        return self.f

    def __bool__(self) -> bool:
        return bool(self.f)


def mixed(x: int, salt: int) -> int:
    """`algebra.mixed`."""
    mask = 2**64 - 1
    z = (x + 0x9E3779B97F4A7C15 * (salt + 1)) & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return (z ^ (z >> 31)) % P % (P - 2) + 2


def exponent(v: int) -> int:
    """`constants.exponent`."""
    return constants.ITS_EXPONENT if v == constants.ROOT_2_PI else mixed(v, constants.WITHOUT) % Q


def formal(name: str, v: int) -> int:
    """`constants.formal`."""
    return mixed(v, constants.salt(name))


DIGITS = [(f, {pow(GENERATOR, (P - 1) // f * k, P): k * (Q // f) * pow(Q // f, -1, f) for k in range(f)})
          for f in FACTORS]


def logarithm(v: int) -> int:
    """The exponent of v modulo Q, one digit for each of its factors."""
    return sum(digits[pow(v, (P - 1) // f, P)] for f, digits in DIGITS) % Q if v else 0


def number(x: Any, ledger: Ledger) -> Number:
    """A constant."""
    if x.__class__ is Number:
        return x
    known = ledger.constants.get((x.__class__, x))
    if known is None:
        if isinstance(x, int | np.integer):
            known = Number(int(x) % P, int(x) % Q, float(x), ledger)
        elif isinstance(x, Fraction):
            known = number(x.numerator, ledger) / number(x.denominator, ledger)
        else:
            v, w = constants.of(np.asarray([x], np.float64))
            known = Number(int(v[0]), int(w[0]), float(x), ledger)
        ledger.constants[x.__class__, x] = known
    return known


def lanes(ledger: Ledger, arguments: Mapping[str, Any]) -> Callable[[Any], Array]:
    """The lift: an array into lanes of these numbers. What the arguments hold is looked up once, for all of them."""
    floats = [x.ravel() for x in arguments.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    known = np.unique(np.concatenate(floats)) if floats else np.zeros(0)
    for f, v, w in zip(known.tolist(), *(one.tolist() for one in constants.of(known))):
        ledger.constants[float, f] = Number(v, w, f, ledger)

    def lift(x: Any) -> Array:
        given: Array = np.asarray(x)
        if given.dtype == object:
            return given
        return np.asarray(np.frompyfunc(lambda one: number(one, ledger), 1, 1)(given.astype(float)), dtype=object)

    return lift
