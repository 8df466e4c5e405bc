"""Dual numbers v + d·ε over the field GF(2⁶¹ − 1), ε² = 0: run a formula over them, and d is its exact derivative.

exp and log are formal: each distinct argument gets a random field element, with exp(−u) = 1/exp(u), and the rules
d exp(u) = exp(u) du and d log(u) = du/u are attached; so are erf (odd, d erf(u) = 2/√π e^(−u²) du), sin and cos
(cos² + sin² = 1) and π; tanh is what exp makes of it. Comparisons are decided by a real number that follows the same
computation, the witness. What the field cannot know is e^(u+v) = e^u e^v, but for whole multiples of one u.
"""

from __future__ import annotations

import math
import random as _random
from contextvars import ContextVar, Token
from typing import Any

P = (1 << 61) - 1       # a prime, 3 modulo 4: the root of a square v is v^((P+1)/4)
PARTS = tuple((n, pow(n, -1, P)) for n in (2, 3, 4))
DRAWS = 200             # half of all points have a given root: a formula with k roots needs about 2^k draws


class NoRoot(ArithmeticError):
    """This random point has no square root in the field; another point may have."""


class Field:
    """The tables of formal exp and log at one random point; `with Field(seed):` makes them current."""

    def __init__(self, seed: int, formal_roots: bool = False) -> None:
        self.random = _random.Random(seed)
        self.formal_roots = formal_roots
        self._formal = {("exp", 0): 1, ("log", 1): 0, ("sqrt", 0): 0, ("sqrt", 1): 1}
        self._outer: list[Token[Field]] = []

    def __enter__(self) -> Field:
        self._outer.append(_current.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _current.reset(self._outer.pop())

    def draw(self) -> Dual:
        """A random number with a random witness in (−1, 1)."""
        return draw(self.random)

    def exp(self, v: int) -> int:
        """e^v, with e^(−v) its inverse, and e^(nv) its powers where e^v came first: one table entry serves all."""
        half = min(v, P - v)
        if ("exp", half) not in self._formal:
            for n, part in ((n, half * inverse % P) for n, inverse in PARTS):
                if ("exp", min(part, P - part)) in self._formal:
                    self._formal["exp", half] = pow(self.exp(part), n, P)
                    break
        e = self.formal("exp", half)
        return e if v == half else pow(e, -1, P)

    def formal(self, name: str, v: int) -> int:
        """The element that stands for name(v): random at first sight, the same ever after."""
        known = self._formal.get((name, v))
        if known is None:
            known = self._formal[name, v] = self.random.randrange(2, P)
        return known

    def odd(self, name: str, v: int) -> int:
        """The element that stands for name(v) of an odd function: name(−v) is its negative."""
        half = min(v, P - v)
        e = self.formal(name, half) if half else 0
        return e if v == half else -e

    @property
    def pi(self) -> int:
        """A square, so that √π and √(2/π) are elements too."""
        return self.formal("√", 0)**2 % P

    def circle(self, v: int) -> tuple[int, int]:
        """(cos, sin) of v: a random point of x² + y² = 1, mirrored at −v."""
        t = self.odd("half angle", v)
        below = pow(1 + t * t, -1, P)                    # never 0: −1 is no square
        return (1 - t * t) * below % P, 2 * t * below % P

    def sqrt(self, v: int) -> int:
        """A root of v. With `formal_roots` any element: enough where root² is never replaced by v."""
        if self.formal_roots:
            return self.formal("sqrt", v)
        root = pow(v, (P + 1) // 4, P)
        if root * root % P != v:
            raise NoRoot(f"{v} is not a square modulo 2^61 − 1")
        return root


_current: ContextVar[Field] = ContextVar("field")


def current() -> Field:
    """The field of this context; formal functions need one."""
    try:
        return _current.get()
    except LookupError:
        hint = "exp, log and sqrt of a field number need a table: wrap the call in `with Field(seed):`"
        raise RuntimeError(hint) from None


class Dual:
    """v + d·ε modulo P, and the witness w that decides comparisons. Sums are reduced late."""

    __slots__ = ("d", "v", "w")

    def __init__(self, v: int, d: int = 0, w: float = 0.0) -> None:
        self.v = v
        self.d = d
        self.w = w

    def __repr__(self) -> str:
        return f"Dual({self.v % P}, {self.d % P}, {self.w:.6g})"

    def __add__(self, o: Any) -> Dual:
        if o.__class__ is not Dual:
            if o.__class__ is int and o == 0:                        # every sum starts so
                return self
            o = constant(o)
        return Dual(self.v + o.v, self.d + o.d, self.w + o.w)

    __radd__ = __add__

    def __sub__(self, o: Any) -> Dual:
        if o.__class__ is not Dual:
            o = constant(o)
        return Dual(self.v - o.v, self.d - o.d, self.w - o.w)

    def __rsub__(self, o: Any) -> Dual:
        return constant(o) - self

    def __neg__(self) -> Dual:
        return Dual(-self.v, -self.d, -self.w)

    def __pos__(self) -> Dual:
        return self

    def __mul__(self, o: Any) -> Dual:
        if o.__class__ is not Dual:
            o = constant(o)
        a, b, da, db = self.v, o.v, self.d, o.d
        return Dual(a * b % P, (a * db + da * b) % P if da or db else 0, self.w * o.w)

    __rmul__ = __mul__

    def __truediv__(self, o: Any) -> Dual:
        if o.__class__ is not Dual:
            o = constant(o)
        if o.v % P == 0:
            raise ZeroDivisionError("division by zero in GF(2^61 − 1)")
        inverse = pow(o.v, -1, P)
        quotient = self.v * inverse % P
        return Dual(quotient, (self.d - quotient * o.d) * inverse % P, self.w / o.w if o.w else 0.0)

    def __rtruediv__(self, o: Any) -> Dual:
        return constant(o) / self

    def __rpow__(self, base: Any) -> Dual:
        return constant(base) ** self

    def __pow__(self, n: Any) -> Dual:
        if n.__class__ is Dual:                                      # u^v is e^(v log u)
            return (n * self.log()).exp()
        if n == 0.5:
            return self.sqrt()
        if n != int(n):
            raise TypeError(f"a field number has no power {n}; only whole powers and 1/2")
        k = int(n)
        if k == 0:
            return Dual(1, 0, 1.0)
        if k < 0:
            return 1 / self**-k
        below = pow(self.v, k - 1, P)
        return Dual(below * self.v % P, k * below * self.d % P, self.w**k)

    def exp(self) -> Dual:
        e = current().exp(self.v % P)
        return Dual(e, e * self.d % P, math.exp(max(-50.0, min(50.0, self.w))))

    def expm1(self) -> Dual:
        return self.exp() - 1

    def log(self) -> Dual:
        if self.v % P == 0:
            raise ZeroDivisionError("the logarithm of zero in GF(2^61 − 1)")
        inverse = pow(self.v, -1, P)
        witness = math.log(abs(self.w)) if self.w else 0.0
        return Dual(current().formal("log", self.v % P), self.d * inverse % P, witness)

    def log1p(self) -> Dual:
        return (1 + self).log()

    def sqrt(self) -> Dual:
        root = current().sqrt(self.v % P)
        return Dual(root, self.d * pow(2 * root, -1, P) % P, math.sqrt(abs(self.w)))

    def tanh(self) -> Dual:
        up, down = self.exp(), (-self).exp()
        return (up - down) / (up + down)

    def erf(self) -> Dual:
        slope = 2 / self.pi().sqrt() * (-self * self).exp()
        return Dual(current().odd("erf", self.v % P), slope.v * self.d % P, math.erf(self.w))

    def erfc(self) -> Dual:
        return 1 - self.erf()

    def cos(self) -> Dual:
        c, s = current().circle(self.v % P)
        return Dual(c, -s * self.d % P, math.cos(self.w))

    def sin(self) -> Dual:
        c, s = current().circle(self.v % P)
        return Dual(s, c * self.d % P, math.sin(self.w))

    def pi(self) -> Dual:
        return Dual(current().pi, 0, math.pi)

    def number(self, n: int) -> Dual:
        return constant(n)

    def __abs__(self) -> Dual:
        return self if self.w >= 0 else -self

    def __eq__(self, o: object) -> bool:
        return (self.v - constant(o).v) % P == 0

    def __hash__(self) -> int:
        return hash(self.v % P)

    def __gt__(self, o: Any) -> bool:
        return bool(self.w > constant(o).w)

    def __ge__(self, o: Any) -> bool:
        return bool(self.w >= constant(o).w)

    def __lt__(self, o: Any) -> bool:
        return bool(self.w < constant(o).w)

    def __le__(self, o: Any) -> bool:
        return bool(self.w <= constant(o).w)


def constant(number: Any) -> Dual:
    """An int, a Fraction or a float (exactly the fraction it is) as a field number with derivative 0."""
    if number.__class__ is Dual:
        return number
    if number.__class__ is int:
        return Dual(number, 0, number if -(1 << 60) < number < 1 << 60 else float(number))
    if isinstance(number, Dual):                                     # a nested one
        return number
    ratio = getattr(number, "as_integer_ratio", None)
    if ratio is None:
        raise TypeError(f"a field number cannot meet {type(number).__name__}; use int, Fraction or float")
    numerator, denominator = ratio()
    return Dual(numerator * pow(denominator, -1, P) % P, 0, float(number))


def draw(random: _random.Random) -> Dual:
    """A random field number with a random witness in (−1, 1)."""
    return Dual(random.getrandbits(61) % (P - 2) + 2, 0, random.uniform(-1.0, 1.0))
