"""What the kernels did: launches, bytes moved, and which elements of which tensor were stored."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from . import tables
from .values import Array


@dataclass
class Traffic:
    """Bytes of one kernel, or of all.

    `bytes_read` and `bytes_written` count each byte once per launch: what an endless cache would move.
    `bytes_requested` counts every load, store and atomic of every program, and never less.
    """

    launches: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    bytes_requested: int = 0

    def add(self, other: Traffic) -> None:
        self.launches += other.launches
        self.bytes_read += other.bytes_read
        self.bytes_written += other.bytes_written
        self.bytes_requested += other.bytes_requested


@dataclass
class Stored:
    """Which bytes of which storage a kernel has stored since the simulation began, and what it stored there.

    A storage is known by its identity, held weakly: memory that is freed and handed out again counts as new. A byte
    that something else has changed since is no longer what a kernel stored.
    """

    bytes_of: dict[int, tuple[Any, Array, Array]] = field(default_factory=dict)

    def mark(self, tensor: torch.Tensor, elements: Array) -> None:
        marks, stored = self._bytes(tensor)
        for mark, kept, now in zip(*(_elements(tensor, a) for a in (marks, stored, _memory(tensor)))):
            mark |= elements
            kept[elements] = now[elements]

    def mark_cells(self, tensor: torch.Tensor, lo: int, grain: int, cells: Array) -> None:
        """The same, by the cells of `grain` bytes from `lo` on: of large tensors only those are looked at."""
        marks, stored = self._bytes(tensor)
        first = lo - tensor.untyped_storage().data_ptr() + cells * grain
        at = (first[:, None] + np.arange(grain)).ravel()
        at = at[(at >= 0) & (at < marks.size)]
        marks[at] = True
        stored[at] = _memory(tensor)[at]

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.numel() == 0:
            return torch.zeros(tensor.shape, dtype=torch.bool)
        marks, stored = self._bytes(tensor)
        bytes_ = zip(*(_elements(tensor, a) for a in (marks, stored, _memory(tensor))))
        whole = np.logical_and.reduce([mark & (kept == now) for mark, kept, now in bytes_])
        return torch.from_numpy(np.asarray(whole))

    def _bytes(self, tensor: torch.Tensor) -> tuple[Array, Array]:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.bytes_of:
            if len(self.bytes_of) % 64 == 63:
                self.bytes_of = {k: v for k, v in self.bytes_of.items() if not v[0].expired()}
            reference: Any = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
            size = storage.nbytes()
            self.bytes_of[key] = (reference, tables.zeros(size, bool), tables.zeros(size, np.uint8))
        return self.bytes_of[key][1:]


def _memory(tensor: torch.Tensor) -> Array:
    """The bytes that the tensor's storage holds now, read without asking torch for anything."""
    storage = tensor.untyped_storage()
    if not storage.nbytes():
        return np.zeros(0, np.uint8)
    return np.ctypeslib.as_array((ctypes.c_uint8 * storage.nbytes()).from_address(storage.data_ptr()))


def _elements(tensor: torch.Tensor, marks: Array) -> list[Array]:
    """One array per byte of an element, each of the tensor's shape, all views into its storage's marks."""
    size = tensor.element_size()
    first = tensor.storage_offset() * size
    strides = tuple(s * size for s in tensor.stride())
    return [strided(marks[first + b:], tuple(tensor.shape), strides) for b in range(size)]


def strided(base: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view of a flat array in the shape and strides (in elements) of a tensor."""
    return np.ndarray(shape, base.dtype, base, 0, tuple(s * base.itemsize for s in strides))
