"""The value and the derivative of an expression at given sizes: arrays are tables of random field numbers.

This reads expressions and nothing else, so that it can contradict the rules and the printers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..field import Dual, Field
from ..nested import Nested
from .language import Expr
from .values import At, OutOfRange, read

__all__ = ["Axes", "Instance", "Key", "OutOfRange"]

Axes = tuple[tuple[Expr, Expr], ...]             # the first and last index of every axis
Key = tuple[str, tuple[int, ...]]


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
        self._names = {base.name for base in named}
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

    def entry(self, base: Expr, index: tuple[int, ...], name: str = "") -> Any:
        """One entry of an array: what its name stands for, or a random number."""
        key = (name or base.name, index)
        if key[0] in self._names:
            if key not in self._memo:
                _, letters, meaning = self.named[base]
                self._memo[key] = self.value(meaning, dict(zip(letters, index)))
            return self._memo[key]
        if len(index) != len(self._bounds[key[0]]):
            raise OutOfRange(f"reads {base}{list(index)}, which has {len(self._bounds[key[0]])} indices")
        for k, (low, high) in zip(index, self._bounds[key[0]]):
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
        return read(e)(At(self, {**self.sizes, **free}))

    def list_of(self, base: Expr) -> Any:
        """The array as nested lists, None below the first index: what the printed Python is called with."""
        def go(axes: tuple[tuple[int, int], ...], index: tuple[int, ...]) -> Any:
            if not axes:
                return self.entry(base, index)
            low, high = axes[0]
            return [None] * low + [go(axes[1:], (*index, k)) for k in range(low, high + 1)]
        return go(self._bounds[base.name], ())
