"""Expressions as functions of a place: each is taken apart once, and read at many places.

This reads expressions and nothing else, so that it can contradict the rules and the printers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp

from ..field import Dual, P, constant
from ..nested import Nested, nested
from .language import CeilDiv, Divides, Expr, FloorDiv, Prime, Same, Within


class OutOfRange(IndexError):
    """A step reads an entry that the array does not have."""


class At:
    """One place: sizes and indices are integers, everything else a field number."""

    __slots__ = ("instance", "place")

    def __init__(self, instance: Any, place: dict[Expr, int]) -> None:
        self.instance, self.place = instance, place


Read = Callable[[At], Any]                      # what an expression stands for, at a place


@cache
def read(e: Expr) -> Read:
    """The expression as a function of a place: taken apart once, read at many places."""
    if e.is_Symbol:
        return lambda at: at.place[e] if e in at.place else at.instance.entry(e, ())
    if (text := _whole(e)) and not e.is_Integer:
        letters = sorted(e.free_symbols, key=str)
        values = {f"s{k}": letter for k, letter in enumerate(letters)}
        for name, letter in values.items():
            text = text.replace(f"<{letter}>", f"p[{name}]")
        number_of: Callable[[dict[Expr, int]], int] = eval(f"lambda p: {text}", values)
        return lambda at: number_of(at.place)
    rule = _RULES.get(e.func)
    if rule is not None:
        return rule(e)
    if e.is_Integer or e.is_Rational:
        number: Any = int(e) if e.is_Integer else Fraction(int(e.p), int(e.q))
        return lambda at: number
    if e == sp.pi:
        return lambda at: constant(1).pi()
    if e.is_Function:
        name, argument = e.func.__name__, read(e.args[0])
        return lambda at: at.instance.functions[name](argument(at))
    raise TypeError(f"no value for {e.func}: {e}")


def _whole(e: Expr) -> str:
    """An expression of whole numbers alone as Python of its letters <n>; empty if it is something else."""
    if e.is_Integer:
        return f"({int(e)})"
    if e.is_Symbol:
        return f"<{e}>" if e.is_integer else ""
    way, parts = _WHOLE.get(e.func), [_whole(part) for part in e.args]
    return way(*parts) if way is not None and all(parts) else ""


def _parts(e: Expr) -> tuple[Read, ...]:
    return tuple(map(read, e.args))


def _of(function: Callable[..., Any]) -> Callable[[Expr], Read]:
    """The rule of what is a plain function of its arguments."""
    def rule(e: Expr) -> Read:
        if len(e.args) == 1:
            argument = read(e.args[0])
            return lambda at: function(argument(at))
        if len(e.args) == 2:
            first, second = _parts(e)
            return lambda at: function(first(at), second(at))
        parts = _parts(e)
        return lambda at: function(*(part(at) for part in parts))
    return rule


def _sum(e: Expr) -> Read:
    parts = _parts(e)
    if len(parts) == 2:
        first, second = parts
        return lambda at: first(at) + second(at)
    return lambda at: sum(part(at) for part in parts)


def _indexed(e: Expr) -> Read:
    base, name, indices = e.base, e.base.name, tuple(map(read, e.indices))

    def entry(at: At) -> Any:
        index = tuple([i(at) for i in indices])
        for i in index:
            if i.__class__ is not int:
                if any(k != int(k) for k in index):
                    raise OutOfRange(f"reads {base} at {list(index)}, which is no whole index")
                index = tuple(map(int, index))
                break
        return at.instance.entry(base, index, name)
    return entry


def _product(e: Expr) -> Read:
    factors = tuple(map(read, _brackets_first(e)))

    def product(at: At) -> Any:
        result: Any = 1
        for factor in factors:
            result = result * factor(at)
            if result.__class__ is int and result == 0:
                return 0
        return result
    return product


def _power(e: Expr) -> Read:
    base, exponent = read(e.base), e.exp
    if exponent.is_Rational and exponent.q == 2:
        p = int(exponent.p)
        return lambda at: constant(base(at)).sqrt()**p if p > 0 else 1 / constant(base(at)).sqrt()**-p
    whole, rest = exponent.as_coeff_Add()
    if whole.is_Integer and rest != 0 and not rest.is_integer:
        n, other = int(whole), read(rest)
        return lambda at: _raised(base(at), n) * (other(at) * constant(base(at)).log()).exp()
    number = read(exponent)
    return lambda at: _raised(base(at), number(at))


def _raised(base: Any, n: Any) -> Any:
    if n.__class__ is not int or base.__class__ is not int:
        return constant(base)**n if isinstance(n, Dual) else base**n
    return base**n if n >= 0 else Fraction(1, base**-n)


def _total(e: Expr) -> Read:
    body, limits = read(e.function), [(index, read(low), read(high)) for index, low, high in e.limits]

    def go(at: At, k: int) -> Any:
        if k < 0:
            return body(at)
        index, low, high = limits[k]
        result: Any = 0
        for value in range(low(at), high(at) + 1):
            at.place[index] = value
            result = result + go(at, k - 1)
        at.place.pop(index, None)
        return result
    return lambda at: go(at, len(limits) - 1)


def _cases(e: Expr) -> Read:
    cases = [(value, condition, read(value), _holds(condition)) for value, condition in e.args]

    def chosen(at: At) -> Any:
        for value, condition, value_at, holds in cases:
            if holds(at):
                at.instance.taken.add((value, condition))
                return value_at(at)
        raise ValueError(f"no case of {e} applies")
    return chosen


def _holds(condition: Expr) -> Read:
    """Does the condition of a case hold?"""
    if isinstance(condition, sp.And | sp.Or):
        parts, every = tuple(map(_holds, condition.args)), all if isinstance(condition, sp.And) else any
        return lambda at: every(part(at) for part in parts)
    if condition in (sp.true, sp.false):
        return lambda at: bool(condition)
    compare, left, right = _COMPARE[condition.func], read(condition.lhs), read(condition.rhs)
    return lambda at: compare(left(at), right(at))


def _derivative(e: Expr) -> Read:
    """∂/∂x by the dual part: the one entry x moves at rate 1."""
    x, inner = e.variables[0], read(e.expr)
    indices = tuple(map(read, x.indices)) if isinstance(x, sp.Indexed) else ()
    name = (x.base if isinstance(x, sp.Indexed) else x).name

    def derivative(at: At) -> Any:
        before = at.instance.moving
        at.instance.move({(name, tuple(i(at) for i in indices)): 1})
        result = constant(inner(at)).d
        at.instance.move(before)
        return Dual(result % P)
    return derivative


def _prime(e: Expr) -> Read:
    """g′(u) by the dual part of g(u + η); that it moves with u is part of it."""
    name, argument = str(e.args[0]), read(e.args[1])
    return lambda at: nested(at.instance.functions[name](Nested(constant(argument(at)), constant(1)))).d


def _method(e: Expr) -> Read:
    name, argument = e.func.__name__, read(e.args[0])
    return lambda at: getattr(constant(argument(at)), name)()


def _tuple(parts: tuple[Read, ...]) -> Read:
    return lambda at: tuple(part(at) for part in parts)


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

#: Brackets and rounded quotients, as Python of their arguments.
_BRACKETS = {Same: "int({0} == {1})", Within: "int({1} <= {0} <= {2})", Divides: "int({1} % {0} == 0)",
             CeilDiv: "(-(-{0} // {1}))", FloorDiv: "({0} // {1})"}

_RULES: dict[Expr, Callable[[Expr], Read]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.Sum: _total,
    sp.Piecewise: _cases,
    sp.Derivative: _derivative,
    sp.Indexed: _indexed,
    sp.exp: _method,
    sp.log: _method,
    sp.tanh: _method,
    sp.erf: _method,
    sp.erfc: _method,
    sp.sin: _method,
    sp.cos: _method,
    sp.Abs: _of(abs),
    sp.Max: _of(max),
    sp.Min: _of(min),
    **{kind: _of(eval(f"lambda *p: {text.format('p[0]', 'p[1]', 'p[2]')}")) for kind, text in _BRACKETS.items()},
    Prime: _prime,
    sp.Tuple: lambda e: _tuple(_parts(e)),
}

_WHOLE: dict[Expr, Callable[..., str]] = {
    sp.Add: lambda *parts: f"({' + '.join(parts)})",
    sp.Mul: lambda *parts: f"({' * '.join(parts)})",
    sp.Max: lambda *parts: f"max({', '.join(parts)})",
    sp.Min: lambda *parts: f"min({', '.join(parts)})",
    **{kind: text.format for kind, text in _BRACKETS.items()},
}
