"""Small instances of a machine form: sizes, random arrays over the exact field, and the lists made of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ...spec import expressions
from ...spec.field import Dual, P, draw
from ...spec.records import Equation

Index = tuple[int, ...]


@attrs.frozen
class Instance:
    """One choice of sizes, and a number for every array entry and symbol; keys are the record's own indices."""
    sizes: Mapping[str, int]
    arrays: Mapping[str, Mapping[Any, Any]]
    symbols: Mapping[str, Any]

    def names(self) -> dict[str, Any]:
        return {**self.sizes, **self.arrays, **self.symbols}


def cubic(z: Any) -> Any:
    """Stands for any function g: nothing about it is special but that it is not linear."""
    return z * z * z + 3 * z + 7


def instances(equation: Equation, seed: int = 0, most: int = 60) -> Iterator[Instance]:
    """Every small choice of sizes, or `most` of them where there are more, each with fresh numbers."""
    rng = random.Random(f"{equation.id} {seed}")
    chosen = list(small_sizes(equation, rng, most))
    for number, sizes in enumerate(chosen):
        arrays = {name: _array(ranges, sizes, rng) for name, ranges in equation.arrays.items()}
        yield Instance(sizes, arrays, _symbols(equation, rng, at_zero=False))
        if number == 0 and "maximum" in str(equation.value) and arrays and equation.wrt:
            ties = {k: Dual(0, v.d, 0.0) for k, v in arrays[equation.wrt[0]].items()}    # who owns the kink?
            yield Instance(sizes, {**arrays, equation.wrt[0]: ties}, _symbols(equation, rng, at_zero=False))
        if number == 0 and not equation.arrays:
            yield from (Instance(sizes, {}, _symbols(equation, rng, at_zero=False, far=1 + k % 4)) for k in range(8))
            if equation.id.startswith("act."):
                yield Instance(sizes, {}, _symbols(equation, rng, at_zero=True))        # who owns the kink?
            elif "maximum(0" in str(equation.value):
                yield Instance(sizes, {}, {name: Dual(1, 1, 1.0) for name in equation.symbols})  # and a margin's?


def small_sizes(equation: Equation, rng: random.Random, most: int) -> Iterator[dict[str, int]]:
    """Sizes up to 6 (up to 4 where there are several) that satisfy the record's relations."""
    names = tuple(equation.sizes)
    holds = [expressions.compiled(relation, names) for relation in equation.sizes.values()]
    largest = 6 if len(names) <= 2 else 4
    found: set[Index] = set()
    if len(names) <= 4:
        every = [v for v in itertools.product(range(largest + 1), repeat=len(names)) if all(h(*v) for h in holds)]
        found = set(every if len(every) <= most else rng.sample(every, most))
    choices = [_alone(name, equation.sizes[name]) for name in names]
    while len(names) > 4 and len(found) < most:
        values = tuple(map(rng.choice, choices))
        if all(h(*values) for h in holds):
            found.add(values)
    for values in sorted(found, reverse=True):          # the largest tell most, so they come first
        yield dict(zip(names, values, strict=True))


def _alone(name: str, relation: str) -> list[int]:
    """The values of a size below 5 that its own relation admits, where that names no other size."""
    if expressions.names_of(relation) != {name}:
        return list(range(5))
    holds = expressions.compiled(relation, (name,))
    return [v for v in range(5) if holds(v)]


def number(rng: random.Random) -> Dual:
    """A random field number with a random derivative and a witness on either side of zero."""
    drawn = draw(rng)
    return Dual(drawn.v, rng.randrange(1, P), drawn.w)


def _array(ranges: str, sizes: Mapping[str, int], rng: random.Random) -> dict[Any, Dual]:
    return {key(index): number(rng) for index in expressions.indices(ranges, sizes)}


def key(index: Index) -> Any:
    """x[i] is asked for an int, Theta[i, j] for a tuple."""
    return index[0] if len(index) == 1 else index


def _symbols(equation: Equation, rng: random.Random, at_zero: bool, far: int = 1) -> dict[str, Any]:
    """A number for every symbol, between −far and far: some cases begin beyond 1."""
    values: dict[str, Any] = {}
    for name, sort in equation.symbols.items():
        values[name] = cubic if sort == "function" else number(rng)
        if sort != "function":
            values[name].w *= far
        if sort == "positive":
            values[name].w = abs(values[name].w)
        if at_zero and name in equation.wrt:
            values[name] = Dual(0, 1, 0.0)
    return values


def nested(array: Mapping[Any, Any]) -> list[Any]:
    """An array as the reference takes it: lists, with None in a slot 0 that the record does not have."""
    rows: dict[int, Any] = {}
    for index, value in array.items():
        first, *rest = index if isinstance(index, tuple) else (index,)
        if rest:
            rows.setdefault(first, {})[rest[0] if len(rest) == 1 else tuple(rest)] = value
        else:
            rows[first] = value
    return [None] * min(rows) + [nested(row) if isinstance(row, dict) else row for row in rows.values()]


def arguments(equation: Equation, instance: Instance) -> dict[str, Any]:
    """Everything a reference function may ask for, by the record's names."""
    arrays = {name: nested(array) for name, array in instance.arrays.items()}
    return {**instance.sizes, **arrays, **instance.symbols}
