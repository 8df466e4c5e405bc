"""The memory one launch may touch: the elements its tensor arguments have, and nothing between them.

A *view* is one tensor argument. Views that share memory lie in one *region* (`regions.py`).
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
from .regions import Region
from .storages import tensor_at
from .traffic import strided
from .values import Array


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
        self._elements: dict[int, Array] = {}

    def offsets(self, addresses: Array, size: int) -> Array | None:
        """Bytes from our start to elements of `size` bytes at these addresses, or None if one of them is not ours."""
        offset: Array = addresses - self.start           # below the start wraps round to far beyond the end
        if int(offset.max()) > self.hi - self.lo - size:
            return None
        if size > 1 and int(np.bitwise_or.reduce(addresses)) & (size - 1):
            return None                                  # no processor has an element across two
        if self.has is not None and not self.has[offset >> self.shift].all():
            return None
        return offset

    def cells(self, offsets: Array, size: int) -> Array:
        """The cells of the elements that lie so many bytes from our start."""
        cell: Array = (offsets >> self.region.shift).view(np.int64)
        if self.first:
            cell = cell + self.first
        return cell if size == self.region.grain else spread(cell, size // self.region.grain)

    def places(self, offsets: Array, size: int) -> Array:
        """Where they stand in `elements`."""
        if skew := self.lo % size:
            offsets = offsets + np.uint64(skew)
        place: Array = (offsets >> np.uint64(size.bit_length() - 1)).view(np.int64)
        return place

    def elements(self, size: int) -> Array:
        """Our memory in elements of `size` bytes, of which there may be more around, not to be touched."""
        if size not in self._elements:
            first = self.lo - self.lo % size
            self._elements[size] = np.asarray(_Bytes(first, -(-(self.hi - first) // size), size))
        return self._elements[size]

    def outside(self, addresses: Array, size: int) -> Array:
        """Per address: is it outside this tensor?"""
        offset = addresses - self.start
        bad = (offset.astype(np.float64) > self.hi - self.lo - size) | (addresses & np.uint64(size - 1) != 0)
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


class _Bytes:
    """Memory at an address, as NumPy asks for it."""

    def __init__(self, address: int, count: int, size: int) -> None:
        self.__array_interface__ = {"data": (address, False), "shape": (count,), "typestr": f"<u{size}", "version": 3}


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
