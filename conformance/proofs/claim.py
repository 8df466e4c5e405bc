"""What a certificate claims: a derived gradient belongs to a forward function of the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

from attrs import frozen

from chainrule.spec.field import Field

Functions = Mapping[str, Callable[..., Any]]
Numbers = Any                                    # nested lists of field numbers; None in a slot 0


@frozen
class Claim:
    """`gradient(delta)` is the derivative of a loss of `forward(by)` by `by`, where delta is its derivative there."""

    by: Numbers
    forward: Callable[[Numbers], Numbers]
    gradient: Callable[[Numbers], Numbers]


Build = Callable[..., Claim]


@frozen
class Entry:
    """How to build the claim of one id, and the sizes it is built for."""

    id: str
    of: str
    build: Build
    sizes: tuple[dict[str, int], ...]


CLAIMS: dict[str, Entry] = {}


def certifies(id: str, of: str, sizes: Iterable[dict[str, int]]) -> Callable[[Build], Build]:
    """Enter the function below: it builds the claim that `id` is a gradient of the reference function `of`."""
    def enter(build: Build) -> Build:
        CLAIMS[id] = Entry(id, of, build, tuple(sizes))
        return build
    return enter


@frozen
class Drawing:
    """Random field numbers in nested lists: draw(2, 3) is 2 × 3; draw.layer(n) is a layer with its slot 0."""

    field: Field

    def __call__(self, *shape: int) -> Numbers:
        if not shape:
            return self.field.draw()
        return [self(*shape[1:]) for _ in range(shape[0])]

    def layer(self, n: int) -> Numbers:
        return [None, *self(n)]

    def Theta(self, rows: int, columns: int) -> Numbers:
        """One layer's parameters: rows from 1, columns from 0, the intercept."""
        return [None, *self(rows, columns + 1)]

    @property
    def random(self) -> Random:
        return self.field.random


def flat(x: Numbers) -> list[Any]:
    """All numbers of nested lists, in order, without the empty slots."""
    if isinstance(x, list | tuple):
        return [v for part in x for v in flat(part)]
    return [] if x is None else [x]


def rebuild(x: Numbers, numbers: Iterator[Any]) -> Numbers:
    """Nested lists of the same shape, filled from an iterator."""
    if isinstance(x, list | tuple):
        return [rebuild(part, numbers) for part in x]
    return None if x is None else next(numbers)


def places_of(x: Numbers, at: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """The indices of all numbers of nested lists."""
    if isinstance(x, list | tuple):
        return [place for k, part in enumerate(x) for place in places_of(part, (*at, k))]
    return [] if x is None else [at]
