"""The stable forms of a record against what it prints, in many digits, and its examples against both.

A stable form must equal the printed value, and a stable derivative SymPy's derivative of it, to forty digits at every
point of a small grid that has all branches and their borders. (That they are equal everywhere is proved branch by
branch in the tests; the grid is quick enough to judge hundreds of changed forms.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import sympy

from ... import spec
from ...spec import expressions
from ...spec.records import Equation, Example
from ..judging.numbers import multiprecision as _registers_mpf  # noqa: F401
from . import certify_forms
from .form_instances import Instance, arguments, key

DIGITS, WORKING = 40, 120
CANCELLED = 10_000                 # digits that 1 + tanh(u) may lose before they are missed
GRID = {
    "real": (-50, Fraction(-3, 2), Fraction(-1, 3), 0, Fraction(1, 4), Fraction(3, 2), 40),
    "positive": (Fraction(1, 5), Fraction(3, 2)),
    "y": (0, Fraction(1, 3), 1), "yhat": (Fraction(1, 7), Fraction(1, 2), Fraction(9, 10)),
    "slope": (Fraction(1, 5),), "alpha": (1, Fraction(3, 2)),
}
# Points where the printed form is 0 · (−∞), and the reading "0 log 0 = 0" is what holds.
BY_READING = {"loss.xent": ({"y": 0, "yhat": 0}, {"y": 1, "yhat": 1}),
              "loss.xent.negated": ({"y": 0, "yhat": 0}, {"y": 1, "yhat": 1})}


def with_stable_forms() -> list[tuple[str, str]]:
    """Every (id, "stable" or "stable_prime") that a record gives."""
    return [(id, which) for id, equation in spec.load().items() for which in ("stable", "stable_prime")
            if getattr(equation, which) is not None]


def points(equation: Equation) -> Iterator[dict[str, Fraction]]:
    """The grid of a scalar record."""
    axes = [GRID.get(name, GRID[sort]) for name, sort in equation.symbols.items()]
    for values in itertools.product(*axes):
        yield dict(zip(equation.symbols, map(Fraction, values), strict=True))


def vectors(equation: Equation) -> Iterator[dict[str, Any]]:
    """A few short vectors for a record that reads arrays; the largest entry stands first, last and twice."""
    for text in ("1/3", "2 -1/2", "-7/2 0 5", "4 4 1"):
        entries = [Fraction(entry) for entry in text.split()]
        arrays = {name: {k: as_mpf(v + n) for k, v in enumerate(entries)} for n, name in enumerate(equation.arrays)}
        yield {"K": len(entries), **arrays, **dict.fromkeys(equation.symbols, as_mpf(Fraction(1, 7)))}


def as_mpf(x: Fraction) -> mpmath.mpf:
    """A fraction to the working precision."""
    return mpmath.mpf(x.numerator) / x.denominator


def printed_digits(x: Any) -> str:
    return str(mpmath.nstr(mpmath.mpf(x), DIGITS))


def truth(equation: Equation, which: str) -> Any:
    """What a stable form of this record must equal, as a SymPy expression."""
    source = equation if equation.value is not None else spec.get(equation.of)
    value = spec.expression(source.id)
    if which == "stable" and equation.value is not None:
        return value
    return sympy.diff(value, next(s for s in value.free_symbols if s.name == equation.wrt[0]))


@cache
def expected(id: str, which: str) -> tuple[tuple[dict[str, Any], str], ...]:
    """Every point of the grid with the forty digits that are right there."""
    equation = spec.get(id)
    found = []
    with mpmath.workdps(WORKING):
        if equation.arrays:
            for names in vectors(equation):                              # softmax: no SymPy needed
                found += [({**names, **index}, digits) for index, digits in _vector(equation, equation.value, names)]
            return tuple(found)
        right = truth(equation, which)
        for point in points(equation):
            exact = right.subs({s: sympy.Rational(point[s.name]) for s in right.free_symbols})
            mpf = {name: as_mpf(v) for name, v in point.items()}
            found.append((mpf, printed_digits(sympy.N(exact, WORKING, maxn=CANCELLED))))
        for corner in BY_READING.get(id, ()):
            found.append(({name: mpmath.mpf(v) for name, v in corner.items()}, printed_digits(0)))
    return tuple(found)


def _vector(equation: Equation, form: str | None, names: dict[str, Any]) -> Iterator[tuple[dict[str, int], str]]:
    assert form is not None
    function = expressions.compiled(form, (*names, *equation.index))
    for k in range(names["K"] if equation.index else 1):
        index = dict.fromkeys(equation.index, k)
        yield index, printed_digits(function(**names, **index))


def stable_difference(id: str, which: str, function: Callable[..., Any] | None = None) -> str:
    """Where a stable form, or another function in its place, differs from what is printed; empty if nowhere."""
    equation = spec.get(id)
    cases = expected(id, which)
    function = function or expressions.compiled(getattr(equation, which), tuple(cases[0][0]))
    with mpmath.workdps(WORKING):
        for point, digits in cases:
            try:
                found = printed_digits(function(**point))
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                return f"{id} {which}: {type(error).__name__}: {error}"
            if found != digits:
                return f"{id} {which} at {point}: {found}, but {digits} is right"
    return ""


# ------------------------------------------------------------------------------------------ examples

def exact(value: Any) -> Any:
    """The numbers of an example as fractions, lists entry by entry."""
    return [exact(entry) for entry in value] if isinstance(value, list) else Fraction(value)


def instance_of(equation: Equation, example: Example) -> Instance:
    """The instance that an example describes; sizes that it does not give follow from its arrays."""
    given = {name: exact(v) for name, v in example.inputs.items() if equation.symbols.get(name) != "function"}
    known = {name: int(given[name]) for name in equation.sizes if name in given}
    for sizes in _sizes(equation, known):
        try:
            arrays = {name: _indexed(given[name], ranges, sizes) for name, ranges in equation.arrays.items()}
        except ValueError:
            continue
        functions = {name: expressions.compiled(example.inputs[name], ("z",))
                     for name, sort in equation.symbols.items() if sort == "function"}
        return Instance(sizes, arrays, {name: functions.get(name, given.get(name)) for name in equation.symbols})
    raise ValueError(f"{equation.id}: no sizes fit the example {example.source!r}")


def _sizes(equation: Equation, known: dict[str, int]) -> Iterator[dict[str, int]]:
    names = tuple(equation.sizes)
    holds = [expressions.compiled(relation, names) for relation in equation.sizes.values()]
    for values in itertools.product(*((known[name],) if name in known else range(7) for name in names)):
        if all(h(*values) for h in holds):
            yield dict(zip(names, values, strict=True))


def _indexed(entries: Any, ranges: str, sizes: dict[str, int]) -> dict[Any, Any]:
    """Nested lists as an array with the record's indices; ValueError where the shape is another."""
    lows = [expressions.compiled(low, tuple(sizes))(**sizes) for low, _ in expressions.bounds(ranges)]
    found = {tuple(map(sum, zip(at, lows, strict=True))): v for at, v in _entries(entries, len(lows))}
    if set(found) != set(expressions.indices(ranges, sizes)):
        raise ValueError(ranges)
    return {key(index): v for index, v in found.items()}


def _entries(entries: Any, depth: int, at: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    if depth == 0:
        yield at, entries
        return
    for k, entry in enumerate(entries):
        yield from _entries(entry, depth - 1, (*at, k))


def worked(equation: Equation, example: Example) -> list[Any]:
    """What the reference computes from an example's inputs, entry after entry, by the record's indices."""
    result = certify_forms.call(equation, arguments(equation, instance_of(equation, example)))
    return [value for _, value in certify_forms.flat(result, certify_forms.bases(equation))]


def entries_of(value: Any) -> list[Any]:
    """The numbers of an example's output, entry after entry."""
    return [v for entry in value for v in entries_of(entry)] if isinstance(value, list) else [exact(value)]
