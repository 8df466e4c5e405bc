"""A number that knows how wrong a floating-point kernel of the same formula may be.

Run the reference over `Bounded` numbers and the result carries, beside its value v, a bound on |computed − v| for every
order of summation: the error is at most e + γ_n · Σ|terms| with γ_n = n u / (1 − n u), u the unit roundoff. A product
collapses its inherited errors into e, so Σ|terms| does not grow along a chain (N. Higham, Accuracy and Stability of
Numerical Algorithms, §3). No tolerance is typed per equation: the equation itself states it.

Where a comparison is too close to call, both branches are admitted (`Decision`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from .... import scalar
from .lanes import ERROR, Array, chosen
from .tensor_cores import TensorCore


@frozen
class Arithmetic:
    """What a kernel's arithmetic promises: unit roundoff, and the errors of its elementary functions in ulp (2u).

    exp is what a GPU's `ex2.approx` route gives, 2 + 1.173|x| ulp (CUDA C++ Programming Guide, `__expf`), division is
    `div.full` (2 ulp); expm1 and log1p allow Kahan's formulas built on them; tanh, erf, erfc, sin and cos are the
    guide's table of single-precision functions. Subnormal results may be flushed to zero.
    """

    u: float = 2.0**-24
    tiny: float = 2.0**-126
    input_u: float = 0.0
    exp: float = 2.0
    exp_slope: float = 1.173
    expm1: float = 6.0
    log: float = 2.0
    log1p: float = 6.0
    sqrt: float = 1.0
    tanh: float = 2.0
    erf: float = 2.0
    erfc: float = 4.0
    sin: float = 2.0
    cos: float = 2.0
    div: float = 2.0
    core: TensorCore | None = None            # what adds matrix products, and the bytes of one operand
    size: int = 4
    typical: bool = False                     # of errors that are as often up as down: √n of n add up

    def roundings(self, n: int) -> float:
        """How many roundings a sum of n terms may have cost."""
        if self.core is not None:
            return self.core.roundings(n, self.size)
        return math.sqrt(n) if self.typical else n


FLOAT32 = Arithmetic()
TF32 = evolve(FLOAT32, input_u=2.0**-10)          # low bits dropped rather than rounded is legal
FLOAT64 = Arithmetic(u=2.0**-53, tiny=2.0**-1022, exp=1, exp_slope=0, expm1=1, log=1, log1p=1, sqrt=0.5,
                     tanh=2, erf=1, erfc=2, sin=1, cos=1, div=0.5)


class Bounded:
    """v ± (e + γ_n(u) · mag), lane by lane."""

    __array_priority__ = 1000
    __array_ufunc__ = None                        # numpy hands mixed expressions to our reflected operators
    __slots__ = ("ar", "e", "mag", "n", "v")

    def __init__(self, v: Array, ar: Arithmetic, mag: Any = None, n: int = 0, e: Any = 0.0) -> None:
        self.v, self.ar, self.n, self.e = v, ar, n, e
        self.mag = np.abs(v) if mag is None else mag

    @property
    def error(self) -> Array:
        """The bound on |computed − v|."""
        if self.n == 0:
            return np.asarray(self.e)
        n = self.ar.roundings(self.n)
        gamma = n * self.ar.u / (1 - n * self.ar.u)
        return np.asarray(self.e * (1 + gamma) + gamma * self.mag)

    @property
    def T(self) -> Bounded:
        return Bounded(self.v.T, self.ar, self.mag.T, self.n, np.broadcast_to(self.e, self.v.shape).T)

    def __getitem__(self, index: Any) -> Bounded:
        e = np.broadcast_to(self.e, self.v.shape)
        return Bounded(self.v[index], self.ar, self.mag[index], self.n, e[index])

    @property
    def exact(self) -> bool:
        """Whether nothing has been rounded yet: a lifted number."""
        return self.n == 0 and type(self.e) is float and self.e == 0.0

    def _of(self, other: Any) -> Bounded:
        """A constant of the formula: exact if float32 holds it, else rounded once."""
        if isinstance(other, Bounded):
            return other
        v = np.asarray(other, dtype=np.float64)
        if type(other) is int and abs(other) <= 2**24:
            return Bounded(v, self.ar)
        with np.errstate(over="ignore"):
            rounded = v.astype(np.float32) != v
        return Bounded(v, self.ar, e=np.where(rounded, self.ar.u * np.abs(v), 0.0))

    def _rounded(self, v: Array, e: Any) -> Bounded:
        """A freshly rounded result with inherited absolute error e."""
        return Bounded(v, self.ar, np.abs(v), 1, e + self.ar.tiny)

    def __add__(self, other: Any) -> Bounded:
        if type(other) is int and other == 0:     # the start of a sum rounds nothing
            return self
        o = self._of(other)
        return Bounded(self.v + o.v, self.ar, self.mag + o.mag, max(self.n, o.n) + 1, self.e + o.e + self.ar.tiny)

    __radd__ = __add__

    def __neg__(self) -> Bounded:
        return Bounded(-self.v, self.ar, self.mag, self.n, self.e)

    def __abs__(self) -> Bounded:
        return Bounded(np.abs(self.v), self.ar, self.mag, self.n, self.e)

    def __sub__(self, other: Any) -> Bounded:
        return self + (-self._of(other))

    def __rsub__(self, other: Any) -> Bounded:
        return self._of(other) + (-self)

    def __mul__(self, other: Any) -> Bounded:
        if type(other) is int and other in (1, -1):
            return self if other == 1 else -self
        o = self._of(other)
        v = self.v * o.v
        if self.exact and o.exact:
            return Bounded(v, self.ar, np.abs(v), 1, self.ar.tiny)
        a, b = self.error, o.error
        return self._rounded(v, (np.abs(o.v) + b) * a + np.abs(self.v) * b)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Bounded:
        o = self._of(other)
        a, b = self.error, o.error
        with np.errstate(all="ignore"):
            v = self.v / o.v
            e = np.where(b < np.abs(o.v), (a + np.abs(v) * b) / (np.abs(o.v) - b), np.inf)
        return self._rounded(v, e + (2 * self.ar.div - 1) * self.ar.u * np.abs(v))

    def __rtruediv__(self, other: Any) -> Bounded:
        return self._of(other) / self

    def __pow__(self, n: int) -> Bounded:
        result = self
        for _ in range(n - 1):
            result = result * self
        return result

    def _elementary(self, v: Array, slope: Array, ulps: Any) -> Bounded:
        """f(x): the argument's error times the largest slope nearby, and the function's own ulps."""
        with np.errstate(all="ignore"):
            inherited = np.where(self.error == 0, 0.0, slope * self.error)
            own = (2 * ulps) * self.ar.u * np.abs(v)
        return Bounded(v, self.ar, np.abs(v), 0, inherited + own + self.ar.tiny)

    def exp(self) -> Bounded:
        with np.errstate(all="ignore"):
            one = self._elementary(np.exp(self.v), np.exp(self.v + self.error),
                                   self.ar.exp + self.ar.exp_slope * np.abs(self.v))
        # what is masked by −∞ stays so under every finite shift
        return Bounded(one.v, one.ar, one.mag, one.n, np.where(np.isneginf(self.v), 0.0, one.e))

    def expm1(self) -> Bounded:
        # for large |x| a kernel may take exp(x) − 1, which inherits exp's growing error
        with np.errstate(all="ignore"):
            return self._elementary(np.expm1(self.v), np.exp(self.v + self.error),
                                    self.ar.expm1 + self.ar.exp_slope * np.maximum(self.v, 0))

    def log(self) -> Bounded:
        with np.errstate(all="ignore"):
            return self._elementary(np.log(self.v), 1 / np.maximum(self.v - self.error, 0), self.ar.log)

    def log1p(self) -> Bounded:
        with np.errstate(all="ignore"):
            return self._elementary(np.log1p(self.v), 1 / np.maximum(1 + self.v - self.error, 0), self.ar.log1p)

    def sqrt(self) -> Bounded:
        with np.errstate(all="ignore"):
            root = np.sqrt(self.v)
            slope = 0.5 / np.sqrt(np.maximum(self.v - self.error, 0))
            near = 1 / np.sqrt(self.error)                   # |√(v + e) − √v| ≤ √e, however small v is
            return self._elementary(root, np.minimum(slope, near), self.ar.sqrt)

    def tanh(self) -> Bounded:
        with np.errstate(all="ignore"):
            nearest = np.maximum(np.abs(self.v) - self.error, 0)
            return self._elementary(np.tanh(self.v), 1 / np.cosh(nearest)**2, self.ar.tanh)

    def _bell(self) -> Array:
        """The largest slope of erf nearby, 2/√π e^(−x²)."""
        with np.errstate(all="ignore"):
            return np.asarray(2 / np.sqrt(np.pi) * np.exp(-np.maximum(np.abs(self.v) - self.error, 0)**2))

    def erf(self) -> Bounded:
        return self._elementary(ERROR["erf"](self.v), self._bell(), self.ar.erf)

    def erfc(self) -> Bounded:
        return self._elementary(ERROR["erfc"](self.v), self._bell(), self.ar.erfc)

    def sin(self) -> Bounded:
        return self._elementary(np.sin(self.v), np.ones_like(self.v), self.ar.sin)

    def cos(self) -> Bounded:
        return self._elementary(np.cos(self.v), np.ones_like(self.v), self.ar.cos)

    def number(self, n: int) -> Bounded:
        return self._of(n)

    def pi(self) -> Bounded:
        return self._of(np.pi)

    def _compare(self, other: Any, truth: Any) -> Decision:
        o = self._of(other)
        error = self.error + o.error
        return Decision(truth(self.v, o.v), (error > 0) & (np.abs(self.v - o.v) <= error))

    def __ne__(self, other: Any) -> Any:
        """v != v asks whether v is a number."""
        return Decision(np.isnan(self.v), np.zeros(self.v.shape, bool)) if other is self else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __gt__(self, other: Any) -> Decision:
        return self._compare(other, np.greater)

    def __ge__(self, other: Any) -> Decision:
        return self._compare(other, np.greater_equal)

    def __lt__(self, other: Any) -> Decision:
        return self._compare(other, np.less)

    def __le__(self, other: Any) -> Decision:
        return self._compare(other, np.less_equal)

    def select(self, condition: Any, then: Any, otherwise: Any, doubt: Any = False) -> Bounded:
        t, o = self._of(then), self._of(otherwise)
        with np.errstate(all="ignore"):
            gap = np.where(doubt, np.abs(t.v - o.v) + np.maximum(t.error, o.error), 0.0)

        def pick(a: Any, b: Any) -> Array:
            return np.asarray(np.where(condition, a, b))

        return Bounded(pick(t.v, o.v), self.ar, pick(t.mag, o.mag), max(t.n, o.n), pick(t.e, o.e) + gap)


@frozen(eq=False)
class Decision:
    """A comparison lane by lane, and where the operands' errors leave it in doubt."""

    truth: Array = field()
    doubt: Array = field()

    def __and__(self, other: Decision) -> Decision:
        return Decision(self.truth & other.truth, self.doubt | other.doubt)


@scalar.where.register(Decision)
def _where(condition: Decision, then: Any, otherwise: Any) -> Any:
    then, otherwise = chosen(then), chosen(otherwise)
    first = next((b for b in (then, otherwise) if isinstance(b, Bounded)), None)
    if first is None:
        first = Bounded(np.asarray(0.0), FLOAT32)
    return first.select(condition.truth, then, otherwise, condition.doubt)


def total(number: Any, axis: int) -> Any:
    """The sum along an axis, with the bound that adding its slices one by one would have."""
    if not isinstance(number, Bounded):
        return number.sum(axis=axis)
    count = max(number.v.shape[axis] - 1, 0)
    e = np.broadcast_to(number.e, number.v.shape).sum(axis=axis) + count * number.ar.tiny
    return Bounded(number.v.sum(axis=axis), number.ar, number.mag.sum(axis=axis), number.n + count, e)


def joined(numbers: Any) -> Bounded:
    """Nested lists of Bounded numbers as one, with the lists as leading axes."""
    if isinstance(numbers, Bounded):
        e = np.broadcast_to(numbers.e, numbers.v.shape)
        return Bounded(numbers.v, numbers.ar, numbers.mag, numbers.n, e)
    parts = [joined(one) for one in numbers]
    if not parts:
        return Bounded(np.zeros(0), FLOAT32)

    def stack(name: str) -> Array:
        return np.stack(np.broadcast_arrays(*(getattr(p, name) for p in parts)))

    return Bounded(stack("v"), parts[0].ar, stack("mag"), max(p.n for p in parts), stack("e"))
