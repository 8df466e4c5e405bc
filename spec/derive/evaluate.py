"""The value and the derivative of an expression at given sizes: arrays are tables of random field numbers.

This reads expressions and nothing else, so that it can contradict the rules and the printers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp

from ..field import Dual, Field, P, constant
from ..nested import Nested, nested
from .language import CeilDiv, Divides, Expr, FloorDiv, Prime, Same, Within

Axes = tuple[tuple[Expr, Expr], ...]             # the first and last index of every axis
Key = tuple[str, tuple[int, ...]]


class OutOfRange(IndexError):
    """A step reads an entry that the array does not have."""


class Instance:
    """One choice of sizes, and for every array entry a random field number. Entries in `moving` carry a derivative."""

    def __init__(
        self,
        field: Field,
        sizes: dict[Expr, int],
        shapes: dict[Expr, Axes],
        named: dict[Expr, tuple[Axes, tuple[Expr, ...], Expr]],
        functions: dict[str, Callable[[Any], Any]],
        draws: dict[Expr, Callable[[Field, dict[Expr, int]], Any]],
    ) -> None:
        self.field, self.sizes, self.shapes, self.named = field, sizes, shapes, named
        self.functions, self.draws = functions, draws
        self.known: dict[Key, Any] = {}
        self.moving: dict[Key, Any] = {}
        self.taken: set[tuple[Expr, Expr]] = set()                # (value, condition) of the cases that were chosen
        self._memo: dict[Key, Any] = {}
        axes_of = shapes | {base: axes for base, (axes, _, _) in named.items()}
        self._bounds = {base.name: self._axes(axes) for base, axes in axes_of.items()}

    def _axes(self, axes: Axes) -> tuple[tuple[int, int], ...]:
        return tuple((self.value(low, {}), self.value(high, {})) for low, high in axes)

    def entries(self, base: Expr) -> Iterator[tuple[int, ...]]:
        """All indices of an array, in row-major order."""
        def go(axes: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, ...]]:
            if not axes:
                yield ()
                return
            for k in range(axes[0][0], axes[0][1] + 1):
                for rest in go(axes[1:]):
                    yield (k, *rest)
        return go(self._bounds[base.name])

    def move(self, moving: Mapping[Key, Any]) -> None:
        """Give these entries a derivative, or two (a pair), and all others none."""
        self.moving = dict(moving)
        self._memo.clear()

    def entry(self, base: Expr, index: tuple[int, ...]) -> Any:
        """One entry of an array: what its name stands for, or a random number."""
        key = (base.name, index)
        if base in self.named:
            if key not in self._memo:
                _, letters, meaning = self.named[base]
                self._memo[key] = self.value(meaning, dict(zip(letters, index)))
            return self._memo[key]
        for k, (low, high) in zip(index, self._bounds[key[0]], strict=True):
            if not low <= k <= high:
                raise OutOfRange(f"reads {base}{list(index)}, outside {low}..{high}")
        if key not in self.known:
            draw = self.draws.get(base)
            self.known[key] = draw(self.field, self.sizes) if draw else self.field.draw()
        number = self.known[key]
        if key not in self.moving:
            return number
        rate = self.moving[key]
        return Dual(number.v, rate, number.w) if isinstance(rate, int) else Nested(
            Dual(number.v, rate[0], number.w), Dual(rate[1]))

    def value(self, e: Expr, free: dict[Expr, int]) -> Any:
        """The number an expression stands for, with these values of its free indices."""
        return _Reader(self, {**self.sizes, **free}).read(e)

    def list_of(self, base: Expr) -> Any:
        """The array as nested lists, None below the first index: what the printed Python is called with."""
        def go(axes: tuple[tuple[int, int], ...], index: tuple[int, ...]) -> Any:
            if not axes:
                return self.entry(base, index)
            low, high = axes[0]
            return [None] * low + [go(axes[1:], (*index, k)) for k in range(low, high + 1)]
        return go(self._bounds[base.name], ())


class _Reader:
    """Reads an expression at one place: sizes and indices are integers, everything else a field number."""

    def __init__(self, instance: Instance, place: dict[Expr, int]) -> None:
        self.instance, self.place = instance, place

    def read(self, e: Expr) -> Any:
        if e.is_Symbol:
            return self.place[e] if e in self.place else self.instance.entry(e, ())
        rule = _RULES.get(e.func)
        if rule is not None:
            return rule(self, e)
        if e.is_Integer:
            return int(e)
        if e.is_Rational:
            return Fraction(int(e.p), int(e.q))
        if e == sp.pi:
            return constant(1).pi()
        if e.is_Function:
            return self.instance.functions[e.func.__name__](self.read(e.args[0]))
        raise TypeError(f"no value for {e.func}: {e}")

    def indexed(self, e: Expr) -> Any:
        index = [self.read(i) for i in e.indices]
        if any(i != int(i) for i in index):
            raise OutOfRange(f"reads {e.base} at {index}, which is no whole index")
        return self.instance.entry(e.base, tuple(map(int, index)))

    def product(self, e: Expr) -> Any:
        result: Any = 1
        for f in _brackets_first(e):
            result = result * self.read(f)
            if result.__class__ is int and result == 0:
                return 0
        return result

    def power(self, e: Expr) -> Any:
        base, exponent = self.read(e.base), e.exp
        if exponent.is_Rational and exponent.q == 2:
            root = constant(base).sqrt()
            return root**exponent.p if exponent.p > 0 else 1 / root**-exponent.p
        whole, rest = exponent.as_coeff_Add()
        if whole.is_Integer and rest != 0 and not rest.is_integer:
            return constant(base)**int(whole) * (self.read(rest) * constant(base).log()).exp()
        n = self.read(exponent)
        if isinstance(n, Dual):
            return constant(base)**n
        if base.__class__ is int:
            return base**n if n >= 0 else Fraction(1, base**-n)
        return base**n

    def total(self, e: Expr) -> Any:
        def go(k: int) -> Any:
            if k < 0:
                return self.read(e.function)
            index, low, high = e.limits[k]
            result: Any = 0
            for value in range(self.read(low), self.read(high) + 1):
                self.place[index] = value
                result = result + go(k - 1)
            self.place.pop(index, None)
            return result
        return go(len(e.limits) - 1)

    def cases(self, e: Expr) -> Any:
        for value, condition in e.args:
            if self.true(condition):
                self.instance.taken.add((value, condition))
                return self.read(value)
        raise ValueError(f"no case of {e} applies")

    def true(self, condition: Expr) -> bool:
        """Does the condition of a case hold?"""
        if isinstance(condition, sp.And | sp.Or):
            return (all if isinstance(condition, sp.And) else any)(map(self.true, condition.args))
        if condition in (sp.true, sp.false):
            return bool(condition)
        return _COMPARE[condition.func](self.read(condition.lhs), self.read(condition.rhs))

    def derivative(self, e: Expr) -> Any:
        """∂/∂x by the dual part: the one entry x moves at rate 1."""
        x = e.variables[0]
        index = tuple(self.read(i) for i in x.indices) if isinstance(x, sp.Indexed) else ()
        base = x.base if isinstance(x, sp.Indexed) else x
        before = self.instance.moving
        self.instance.move({(base.name, index): 1})
        result = constant(self.read(e.expr)).d
        self.instance.move(before)
        return Dual(result % P)

    def prime(self, e: Expr) -> Any:
        """g′(u) by the dual part of g(u + η); that it moves with u is part of it."""
        u = constant(self.read(e.args[1]))
        return nested(self.instance.functions[str(e.args[0])](Nested(u, constant(1)))).d

    def method(self, e: Expr) -> Any:
        return getattr(constant(self.read(e.args[0])), e.func.__name__)()

    def within(self, e: Expr) -> int:
        middle, low, high = map(self.read, e.args)
        return int(low <= middle <= high)


@cache
def _brackets_first(product: Expr) -> tuple[Expr, ...]:
    """A bracket that is 0 ends a product before the entry is read that does not exist."""
    def rank(f: Expr) -> int:
        return 0 if isinstance(f, Within) else 1 if isinstance(f, Same | Divides) else 2
    return tuple(sorted(product.args, key=rank))


_COMPARE: dict[Expr, Callable[[Any, Any], bool]] = {
    sp.Ge: lambda a, b: constant(a) >= b,
    sp.Gt: lambda a, b: constant(a) > b,
    sp.Le: lambda a, b: constant(a) <= b,
    sp.Lt: lambda a, b: constant(a) < b,
    sp.Eq: lambda a, b: constant(a) == b,
    sp.Ne: lambda a, b: constant(a) != b,
}

_RULES: dict[Expr, Callable[[_Reader, Expr], Any]] = {
    sp.Add: lambda r, e: sum(map(r.read, e.args)),
    sp.Mul: _Reader.product,
    sp.Pow: _Reader.power,
    sp.Sum: _Reader.total,
    sp.Piecewise: _Reader.cases,
    sp.Derivative: _Reader.derivative,
    sp.Indexed: _Reader.indexed,
    sp.exp: _Reader.method,
    sp.log: _Reader.method,
    sp.tanh: _Reader.method,
    sp.erf: _Reader.method,
    sp.erfc: _Reader.method,
    sp.sin: _Reader.method,
    sp.cos: _Reader.method,
    sp.Abs: lambda r, e: abs(r.read(e.args[0])),
    sp.Max: lambda r, e: max(map(r.read, e.args)),
    sp.Min: lambda r, e: min(map(r.read, e.args)),
    Same: lambda r, e: int(r.read(e.args[0]) == r.read(e.args[1])),
    Within: _Reader.within,
    Divides: lambda r, e: int(r.read(e.args[1]) % r.read(e.args[0]) == 0),
    CeilDiv: lambda r, e: -(-r.read(e.args[0]) // r.read(e.args[1])),
    FloorDiv: lambda r, e: r.read(e.args[0]) // r.read(e.args[1]),
    Prime: _Reader.prime,
    sp.Tuple: lambda r, e: tuple(map(r.read, e.args)),
}
