"""The table by which one launch works on many tensors: a row per chunk, with the chunk's address in each of them.

Columns: θ, θ out, D, first state, its out, second state, its out, elements, group, the count of steps taken, and the
first and one past the last row of the same tensor. In place, an out column repeats its in column. All chunks of a
tensor read one count, and none writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import triton.language as tl
from attrs import field, frozen
from torch import Tensor

from ..blocks import pointwise
from ..runtime.launch import simulation

WIDTH = tl.constexpr(12)
TENSORS = 7                              # the leading columns that are addresses of elements
SHORTEST, LONGEST, PIECES = 4096, 65536, 512


@frozen(eq=False)
class Chunks:
    """A table on the device, and whether every address in it is a multiple of 16 bytes."""

    table: Tensor
    aligned: bool
    reached: tuple[Tensor, ...] = field(repr=False)         # kept in a simulation only

    def reaches(self, tensors: Sequence[Sequence[Tensor]], counters: Sequence[Tensor]) -> bool:
        """Are these still the tensors at its addresses? Only a simulation asks for more than addresses."""
        return not self.reached or all(a is b for a, b in zip(self.reached, _distinct(tensors, counters), strict=True))

    @contextmanager
    def announced(self) -> Iterator[None]:
        """A sanitizer cannot see through addresses in a table, so it is told which tensors they reach."""
        simulator = simulation.get()
        if simulator is None or not hasattr(simulator, "reached"):
            yield
            return
        simulator.reached = self.reached
        try:
            yield
        finally:
            simulator.reached = ()


def length(t: Tensor) -> int:
    """Elements a chunk: enough chunks to keep every processor busy, but none too short to be worth its start."""
    size = SHORTEST
    while size < LONGEST and size * PIECES < t.numel():
        size *= 2
    return size


def count(t: Tensor) -> int:
    return -(-t.numel() // length(t))


def cut(
    tensors: Sequence[Sequence[Tensor]], counters: Sequence[Tensor], groups: Sequence[int]
) -> Chunks:
    """The table for tensors given as rows of [θ, θ out, D, states in and out]; counters float32, one a tensor."""
    rows: list[list[int]] = []
    aligned = True
    for columns, counter, group in zip(tensors, counters, groups):
        lead, first = columns[0], len(rows)
        size = length(lead)
        starts = [(t.data_ptr(), t.element_size()) for t in columns]
        aligned = aligned and all(at % 16 == 0 for at, _ in starts)
        ends = [first, first + count(lead)]
        empty = [0] * (TENSORS - len(columns))
        for begin in range(0, lead.numel(), size):
            here = [at + begin * width for at, width in starts]
            elements = min(size, lead.numel() - begin)
            rows.append([*here, *empty, elements, group, counter.data_ptr(), *ends])
    device = tensors[0][0].device if tensors else torch.device("cpu")
    table = torch.tensor(rows, dtype=torch.int64, device=device).view(len(rows), 12)
    simulated = simulation.get() is not None
    return Chunks(table, aligned, _distinct(tensors, counters) if simulated else ())


def _distinct(tensors: Sequence[Sequence[Tensor]], counters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple({id(t): t for t in (*(t for row in tensors for t in row), *counters)}.values())


def alike(t: Tensor, lead: Tensor) -> Tensor:
    """t with its elements in memory as `lead` has them, row by row if these have gaps; a copy where it must be."""
    if not pointwise.is_dense(lead):
        return t if t.is_contiguous() else pointwise.copy(t, torch.empty(t.shape, dtype=t.dtype, device=t.device))
    if t.stride() == lead.stride():
        return t
    return pointwise.copy(t, torch.empty_strided(t.shape, lead.stride(), dtype=t.dtype, device=t.device))
