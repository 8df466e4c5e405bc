"""Exact certificates of derivatives without algebra, by dual numbers over GF(2⁶¹ − 1).

One pass in a random direction u checks every partial derivative at once: Σ g_k u_k − D_u loss is a linear form in u,
zero for the right gradient, and non-zero for a wrong one except with probability 2⁻⁶¹. No component of u is ever 0,
so an error in a single coordinate is refused always. The field does not know that e^(u+v) = e^u e^v: a `False` from
formulas that need it means "not shown".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .dual import DRAWS, Dual, Field, NoRoot, P, constant, draw

__all__ = [
    "DRAWS", "Certificate", "Dual", "Field", "NoRoot", "P", "check_direction", "constant", "draw", "wrong_partials",
]

Loss = Callable[[list[Dual]], Any]
Gradient = Callable[[list[Dual]], Sequence[Any]]


class Certificate:
    """A loss and a claimed gradient at one random point of the field, kept so that errors can be located."""

    def __init__(
        self, loss: Loss, count: int, gradient: Gradient, seed: int = 0, formal_roots: bool = False
    ) -> None:
        for attempt in range(DRAWS):
            self.field = Field(seed * DRAWS + attempt, formal_roots)
            self.point = [self.field.draw() for _ in range(count)]
            self._loss = loss
            try:
                with self.field:
                    self.gradient = [constant(g).v % P for g in gradient(list(self.point))]
                    self._match_length(count)
                    self._direction = self._draw_direction(count)
                    self._excess = self._compare(0, self._direction)
                return
            except NoRoot:
                continue
        raise NoRoot(f"no point with all square roots in {DRAWS} draws; pass formal_roots=True")

    def _match_length(self, count: int) -> None:
        if len(self.gradient) != count:
            raise ValueError(f"{len(self.gradient)} partial derivatives for {count} parameters")

    def _draw_direction(self, count: int) -> list[int]:
        bits = self.field.random.getrandbits
        return [bits(61) % (P - 1) + 1 for _ in range(count)]

    def _compare(self, start: int, u: list[int]) -> int:
        """Claimed minus true derivative in the direction u over the coordinates from start on, modulo P."""
        stop = start + len(u)
        moved = [Dual(a.v, b, a.w) for a, b in zip(self.point[start:stop], u)]
        derivative = constant(self._loss([*self.point[:start], *moved, *self.point[stop:]])).d
        return (sum(map(int.__mul__, self.gradient[start:stop], u)) - derivative) % P

    def _check(self, start: int, stop: int) -> bool:
        return self._compare(start, self._draw_direction(stop - start)) == 0

    def __bool__(self) -> bool:
        return self._excess == 0

    def accepts_error(self, k: int, error: int) -> bool:
        """Would the same direction still accept the gradient if partial derivative k were off by `error`?"""
        return (self._excess + error * self._direction[k]) % P == 0

    def wrong(self) -> list[int]:
        """The coordinates whose partial derivative is wrong, found by halving."""
        if self:
            return []
        with self.field:
            return self._wrong(0, len(self.point))

    def _wrong(self, start: int, stop: int) -> list[int]:
        if stop - start == 1:
            return [start]
        middle = (start + stop) // 2
        if self._check(start, middle):                      # then the error lies in the other half
            return self._wrong(middle, stop)
        left = self._wrong(start, middle)
        return left if self._check(middle, stop) else left + self._wrong(middle, stop)


def check_direction(
    loss: Loss, count: int, gradient: Gradient, seed: int = 0, formal_roots: bool = False
) -> bool:
    """Are all `count` partial derivatives of loss what `gradient` says? One random point and direction."""
    return bool(Certificate(loss, count, gradient, seed, formal_roots))


def wrong_partials(
    loss: Loss, count: int, gradient: Gradient, seed: int = 0, formal_roots: bool = False
) -> list[int]:
    """The coordinates in which `gradient` is not the derivative of loss: empty for a right gradient."""
    return Certificate(loss, count, gradient, seed, formal_roots).wrong()
