"""Which program read and which wrote an element: one cell for every element, of the smallest of overlapping views."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import tables
from .values import Array

NOBODY, MANY = 0, -1            # beside the numbers of stretches, which count from 1
_BLOCK = 12                     # of a large region it is known which blocks of 2¹² cells were touched


class Region:
    """A stretch of memory under one or several overlapping views, with one cell per smallest element.

    Its tables have no memory where nothing was touched, so a region may be as large as a GPU's memory.
    """

    def __init__(self, lo: int, hi: int, grain: int) -> None:
        self.lo, self.hi, self.grain = lo, hi, grain
        self.shift = np.uint64(grain.bit_length() - 1)
        self.cells = (hi - lo) // grain
        self.writer = tables.zeros(self.cells, np.int32)
        self.reader = tables.zeros(self.cells, np.int32)
        self.atomic: Array | None = None          # like reader, made on the first atomic
        self.unsettled: list[tuple[Array, Any]] = []      # loads that are not in `reader` yet: cells, and whose
        self._lane: Array | None = None
        self.stored = False
        self.blocks = tables.zeros((self.cells >> _BLOCK) + 1, bool) if self.cells > tables.LARGE else None

    @property
    def lane(self) -> Array:
        """Scratch: which lane of the current store wrote here."""
        if self._lane is None:
            self._lane = tables.zeros(self.cells, np.int32)
        return self._lane

    def touch(self, cells: Array) -> None:
        if self.blocks is not None:
            self.blocks[cells >> _BLOCK] = True

    def count(self, read: bool) -> int:
        """How many cells were read, or written, by plain accesses or atomics, when the launch is over."""
        for cells, _ in self.unsettled if read else ():
            self.reader[cells] = MANY             # whoever it was: nobody asks any more
        return self._in(self._touched(read)).size

    def written(self) -> Array:
        """Per cell of a small region: was it written, by a store or an atomic?"""
        return self.writer.astype(bool) if self.atomic is None else (self.writer != 0) | (self.atomic != 0)

    def written_cells(self) -> Array:
        return self._in(self._touched(False))

    def _touched(self, read: bool) -> list[Array]:
        return [t for t in (self.reader if read else self.writer, self.atomic) if t is not None]

    def _in(self, owners: list[Array]) -> Array:
        """The cells that one of these tables knows of."""
        if self.blocks is None:
            return np.flatnonzero(np.logical_or.reduce([t != NOBODY for t in owners]))
        cells = (np.flatnonzero(self.blocks)[:, None] << _BLOCK) + np.arange(1 << _BLOCK)
        cells = cells.ravel()[cells.ravel() < self.cells]
        return cells[np.logical_or.reduce([t[cells] != NOBODY for t in owners])]
