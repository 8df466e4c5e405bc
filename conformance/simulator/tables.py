"""Tables as large as a GPU's memory, which cost what is touched of them."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from .values import Array

LARGE = 1 << 22                 # bytes, or cells, beyond which a table is not walked through as a whole
_NORESERVE = 0x4000             # Linux: memory is promised, and found when it is touched


def zeros(size: int, dtype: Any) -> Array:
    """An array of zeros; a large one has no memory until it is written."""
    kind = np.dtype(dtype)
    if size * kind.itemsize <= LARGE:
        return np.zeros(size, kind)
    pages = mmap.mmap(-1, size * kind.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
    return np.frombuffer(pages, kind)


class Places:
    """Which places of its span a tensor has elements at; `places()` is None if it has all of them."""

    def __init__(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.axes = sorted(((s, n) for n, s in zip(shape, strides) if n > 1 and s), reverse=True)

    def __getitem__(self, places: Array) -> Array:
        """Per place: is there an element? Exact where no axis reaches into the next larger one's step."""
        left = places.astype(np.int64)
        for stride, size in self.axes:
            left = left - np.minimum(left // stride, size - 1) * stride
        return np.asarray(left == 0)

    @property
    def nested(self) -> bool:
        """Is every axis shorter than one step of the next larger one?"""
        reach = 0
        for stride, size in reversed(self.axes):
            if reach >= stride:
                return False
            reach += stride * (size - 1)
        return True

    @property
    def all(self) -> bool:
        """Is there an element at every place?"""
        step = 1
        for stride, size in reversed(self.axes):
            if stride != step:
                return False
            step *= size
        return True
