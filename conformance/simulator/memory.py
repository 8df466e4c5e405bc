"""The memory one launch may touch: the elements its tensor arguments have, and nothing between them.

A *view* is one tensor argument. Views that share memory lie in one *region*, which has a cell for every
element (of the smallest of them) and remembers per cell which program read and which program wrote it.
Pointers carry the view that they were made from, so one that runs past its tensor is caught even where it
lands in another argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from . import tables
from .fault import KernelFault
from .storages import tensor_at
from .traffic import strided
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
        """How many cells were read, or written, by plain accesses or atomics."""
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


@dataclass(eq=False)
class View:
    """One tensor argument: its name, the bytes it spans, and which elements of these it has (None: all)."""

    name: str
    tensor: torch.Tensor
    lo: int
    hi: int
    size: int
    has: Array | tables.Places | None
    region: Region

    def __post_init__(self) -> None:
        self.start = np.uint64(self.lo)
        self.first = np.int64((self.lo - self.region.lo) // self.region.grain)
        self.shift = np.uint64(self.size.bit_length() - 1)

    def cells(self, addresses: Array, size: int) -> Array | None:
        """The cells of elements of `size` bytes at these addresses, or None if one of them is not ours."""
        offset = addresses - self.start                  # below the start wraps round to far beyond the end
        if int(offset.max()) > self.hi - self.lo - size:
            return None
        if self.has is not None and not self.has[offset >> self.shift].all():
            return None
        cell: Array = (offset >> self.region.shift).view(np.int64)
        if self.first:
            cell = cell + self.first
        return cell if size == self.region.grain else spread(cell, size // self.region.grain)

    def outside(self, addresses: Array, size: int) -> Array:
        """Per address: is it outside this tensor?"""
        offset = addresses - self.start
        bad = offset.astype(np.float64) > self.hi - self.lo - size
        if self.has is not None:
            bad |= ~self.has[np.where(bad, np.uint64(0), offset) >> self.shift]
        return np.asarray(bad)

    def __str__(self) -> str:
        t = self.tensor
        strides = "" if t.is_contiguous() else f", strides {tuple(t.stride())}"
        return f"{self.name} ({str(t.dtype).removeprefix('torch.')}, shape {tuple(t.shape)}{strides})"

    def written(self) -> Array:
        """Per element of the tensor, of a small region: did this launch store it?"""
        step = self.size // self.region.grain
        strides = tuple(s * step for s in self.tensor.stride())
        return strided(self.region.written()[int(self.first):], tuple(self.tensor.shape), strides)


def spread(cells: Array, times: int) -> Array:
    """An element that covers several cells touches all of them; a smaller one touches the cell it lies in."""
    return cells if times <= 1 else (cells[:, None] + np.arange(times)).ravel()


class Memory:
    """All tensor arguments of one launch, and what it reaches by an address in a table."""

    def __init__(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> None:
        named = list(tensors)
        self.empty = [name for name, t in named if not t.numel()]
        spans = sorted(((*_span(t), name, t) for name, t in named if t.numel()), key=lambda s: s[:2])
        self.views: dict[int, View] = {}
        self.regions: list[Region] = []
        self._add(spans)

    def _add(self, spans: list[tuple[int, int, str, torch.Tensor]]) -> None:
        for group in _overlapping(spans):
            grain = min(t.element_size() for *_, t in group)
            region = Region(group[0][0], max(hi for _, hi, *_ in group), grain)
            self.regions.append(region)
            for lo, hi, name, t in group:
                view = View(name, t, lo, hi, t.element_size(), elements(tuple(t.shape), t.stride()), region)
                self.views[id(t)] = view

    def at(self, address: int, dtype: torch.dtype | None) -> View | None:
        """The view of the tensor that an address out of a table points into: of this launch, else of this process."""
        known = [v for v in self.views.values() if v.lo <= address < v.hi]
        if known:
            return max(known, key=lambda v: (v.lo == address, v.tensor.dtype == dtype))
        tensor = tensor_at(address, dtype)
        if tensor is None or id(tensor) in self.views:
            return None
        lo, hi = _span(tensor)
        if any(lo < r.hi and r.lo < hi for r in self.regions):
            return None              # it shares memory with an argument, whose cells are laid out already
        self._add([(lo, hi, f"the tensor at {address:#x}", tensor)])
        return self.views[id(tensor)]

    def owners(self, addresses: Array, size: int) -> Iterator[tuple[View, Array]]:
        """For pointers of unknown origin: the views they fall into, with the positions of their addresses."""
        left = np.arange(addresses.size)
        for view in self.views.values():
            inside = ~view.outside(addresses[left], size)
            if inside.any():
                yield view, left[inside]
                left = left[~inside]
        if left.size:
            empty = f"; {', '.join(self.empty)} has no elements" if self.empty else ""
            raise KernelFault(
                f"out-of-bounds access: {left.size} lanes use an address in no tensor argument{empty}",
                check="out of bounds")


def _span(t: torch.Tensor) -> tuple[int, int]:
    lo = t.data_ptr()
    return lo, lo + (sum((n - 1) * s for n, s in zip(t.shape, t.stride())) + 1) * t.element_size()


def _overlapping(
    spans: list[tuple[int, int, str, torch.Tensor]],
) -> Iterator[list[tuple[int, int, str, torch.Tensor]]]:
    group: list[tuple[int, int, str, torch.Tensor]] = []
    end = 0
    for span in spans:
        if group and span[0] >= end:
            yield group
            group = []
        end = max(end, span[1]) if group else span[1]
        group.append(span)
    if group:
        yield group


@lru_cache(maxsize=256)
def elements(shape: tuple[int, ...], strides: tuple[int, ...]) -> Array | tables.Places | None:
    """Which places of its span a tensor has elements at; None if it has all of them."""
    places = tables.Places(shape, strides)
    if places.all:
        return None
    span = sum((n - 1) * s for n, s in zip(shape, strides)) + 1
    if span > tables.LARGE and places.nested:
        return places
    has = np.zeros(span, bool)
    strided(has, shape, strides)[...] = True
    return None if has.all() else has
