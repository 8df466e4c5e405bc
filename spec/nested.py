"""Nested dual numbers: v + d·η whose two parts are dual numbers over the field, for second derivatives.

Run a formula over Nested(Dual(x, a), Dual(b)): its v.d is the derivative along a, d.v the one along b, and d.d the
second derivative along both.
"""

from __future__ import annotations

from typing import Any

from .dual import Dual, constant


class Nested(Dual):
    """v + d·η, η² = 0. Dual numbers and everything that they may meet are constants beside it."""

    __slots__ = ()
    v: Any
    d: Any

    def __init__(self, v: Dual, d: Dual) -> None:
        super().__init__(v, d, v.w)                                  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"Nested({self.v!r}, {self.d!r})"

    def _with(self, value: Dual, slope: Dual) -> Nested:
        """f(self), where f has this value and this slope at v."""
        return Nested(value, slope * self.d)

    def __add__(self, o: Any) -> Nested:
        o = nested(o)
        return Nested(self.v + o.v, self.d + o.d)

    __radd__ = __add__

    def __sub__(self, o: Any) -> Nested:
        o = nested(o)
        return Nested(self.v - o.v, self.d - o.d)

    def __rsub__(self, o: Any) -> Nested:
        return nested(o) - self

    def __neg__(self) -> Nested:
        return Nested(-self.v, -self.d)

    def __pos__(self) -> Nested:
        return self

    def __mul__(self, o: Any) -> Nested:
        o = nested(o)
        return Nested(self.v * o.v, self.v * o.d + self.d * o.v)

    __rmul__ = __mul__

    def __truediv__(self, o: Any) -> Nested:
        o = nested(o)
        quotient = self.v / o.v
        return Nested(quotient, (self.d - quotient * o.d) / o.v)

    def __rtruediv__(self, o: Any) -> Nested:
        return nested(o) / self

    def __rpow__(self, base: Any) -> Nested:
        return nested(base)**self

    def __pow__(self, n: Any) -> Nested:
        if isinstance(n, Dual):                                      # u^v is e^(v log u)
            return nested((nested(n) * self.log()).exp())
        if n == 0.5:
            return self.sqrt()
        if n < 0:
            return nested(1) / self.__pow__(-n)
        if n == 0:
            return nested(1)
        below = self.v**(n - 1)
        return self._with(below * self.v, n * below)

    def __eq__(self, o: object) -> bool:
        return bool(self.v == nested(o).v)

    def __hash__(self) -> int:
        return hash(self.v)

    def exp(self) -> Nested:
        e = self.v.exp()
        return self._with(e, e)

    def log(self) -> Nested:
        return self._with(self.v.log(), 1 / self.v)

    def sqrt(self) -> Nested:
        root = self.v.sqrt()
        return self._with(root, 1 / (2 * root))

    def erf(self) -> Nested:
        return self._with(self.v.erf(), 2 / self.v.pi().sqrt() * (-self.v * self.v).exp())

    def sin(self) -> Nested:
        return self._with(self.v.sin(), self.v.cos())

    def cos(self) -> Nested:
        return self._with(self.v.cos(), -self.v.sin())


def nested(number: Any) -> Nested:
    """The number itself, or as a constant."""
    return number if isinstance(number, Nested) else Nested(constant(number), Dual(0))
