"""How each family of ops draws its data: exact ones for T0, real ones on several distributions for T1.

Exact data are integers and dyadic fractions, so that every order of summation and every stated intermediate is exact.
The first and last terms are never zero, so a dropped tail shows, and nothing is square or symmetric.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from ..numbers.formats import round_to
from ..numbers.lanes import Array

Arguments = dict[str, Any]


@frozen
class Source:
    """Random numbers of one case, already rounded to its dtype. `thin` makes exact data sparser by powers of two."""

    dtype: str
    rng: np.random.Generator
    thin: int = 0

    def normal(self, shape: tuple[int, ...], scale: float = 1.0) -> Array:
        return round_to(self.rng.standard_normal(shape) * scale, self.dtype)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        return round_to(self.rng.random(shape), self.dtype)

    def wide(self, shape: tuple[int, ...]) -> Array:
        """Magnitudes over many octaves, both signs."""
        octave = 3 if self.dtype == "fp16" else 8
        return round_to(self.rng.standard_normal(shape) * 2.0 ** self.rng.integers(-octave, octave, shape), self.dtype)

    def integers(self, shape: tuple[int, ...], most: int, density: float = 1.0) -> Array:
        """Integers in [−most, most]; the first and last entry along every axis are never zero."""
        x = self.rng.integers(-most, most + 1, shape).astype(np.float64)
        x *= self.rng.random(shape) < density / 2**self.thin
        for axis in range(x.ndim):
            for end in (0, -1):
                edge = np.moveaxis(x, axis, 0)[end] if x.ndim > 1 else x[end:end + 1 or None]
                edge[edge == 0] = self.rng.choice([-1.0, 1.0])
        return x


def source(case_id: str, dtype: str, thin: int = 0) -> Source:
    return Source(dtype, np.random.default_rng(zlib.crc32(case_id.encode())), thin)


MANY = 128                   # terms of a sum that no kernel adds at once

# A recipe draws the arguments of one op: exact ones, real ones from a distribution, and at special points.
Recipe = Callable[[Source, tuple[int, ...], str], Arguments]
DISTRIBUTIONS = ("normal", "small", "positive", "wide", "cancelling")


def drawn(s: Source, shape: tuple[int, ...], kind: str) -> Array:
    if kind == "small":
        return s.normal(shape, 2.0**-10)
    if kind == "positive":
        return s.uniform(shape)
    if kind == "wide":
        return s.wide(shape)
    x = s.normal(shape)
    if kind == "cancelling" and len(shape) and shape[-1] > 1:
        half = shape[-1] // 2
        x[..., half:2 * half] = -x[..., :half]
        x[..., 0] = round_to(x[..., 0] * (1 + 2.0**-5), s.dtype)
    return x


def stripe(n: int) -> int:
    """How many neighbours in a row of n a mask takes together: of a long row every number that some lanes ever see."""
    return 32 if n > 64 else 1


def striped(s: Source, shape: tuple[int, ...]) -> Array:
    """Every other stripe of each row is −∞."""
    x = s.normal(shape)
    x[..., np.arange(shape[-1]) // stripe(shape[-1]) % 2 == 1] = -np.inf
    return x


def exact_pair(s: Source, left: tuple[int, ...], right: tuple[int, ...], terms: int,
               along: tuple[int, int] | None = None) -> tuple[Array, Array]:
    """Two integer arrays whose dot products over `terms` stay integers the dtype holds.

    In fp32 a few entries have 13 bits, so that tf32 operands and an fp16 accumulator show. In 16 bits two large terms,
    far apart along these axes of the two, cancel: float32 holds what is added up meanwhile, and float16 does not.
    """
    if s.dtype == "fp32":
        x, w = s.integers(left, 7), s.integers(right, 5)
        x.flat[::11] = 4097.0
        return x, w
    largest = 2**8 if s.dtype == "bf16" else 2**11
    density = min(1.0, largest / (4.0 * terms))
    x, w = s.integers(left, 2, density), s.integers(right, 1 if s.dtype == "bf16" else 2)
    if along is not None:
        hide(s, np.moveaxis(x, along[0], 0), np.moveaxis(w, along[1], 0))
    return x, w


def hide(s: Source, x: Array, w: Array) -> None:
    """In 16 bits, in a long sum over the first axis of both: large odd numbers at one place, and at another what
    cancels their products."""
    if s.dtype == "fp32" or len(x) < MANY:
        return
    most, other = (256, 256) if s.dtype == "bf16" else (2048, 16)
    here, there = 1, len(x) // 2 + 1
    x[here] = s.rng.integers(most // 4, most // 2, x.shape[1:]) * 2 + 1
    w[here] = s.rng.integers(other // 4, other // 2, w.shape[1:]) * 2 + 1
    x[there], w[there] = -x[here], w[here]


def exact_elements(s: Source, shape: tuple[int, ...], most: int = 9) -> Array:
    return s.integers(shape, most) / 4 if s.dtype != "bf16" else s.integers(shape, min(most, 3)) / 2


@frozen
class Family:
    """Which sizes and kinds of data an op is judged on. The first of each is what --quick runs."""

    recipe: Recipe
    sizes: tuple[tuple[int, ...], ...]
    exact: tuple[str, ...] = ("exact",)
    real: tuple[str, ...] = DISTRIBUTIONS
    layouts: tuple[str, ...] = ()        # beside those that every op must survive
    long: tuple[tuple[int, ...], ...] = ()          # sizes with 256 terms and more, for at least 1,000 outputs
