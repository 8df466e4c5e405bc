"""Blocks put together and taken apart, and what is asked of a whole program, beside the leading axis of programs.

Functions here replace methods of Triton's `InterpreterBuilder`; `patches.py` says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from . import active, passes, pointers
from .fault import KernelFault
from .values import Array, numpy_type


def program_id(self: Any, axis: int) -> Any:
    return TensorHandle(active.launch().program_id(axis), tl.int32)


def indices(self: Any, result: Any, start: int, stop: int) -> Any:
    """`tl.arange`."""
    return TensorHandle(np.arange(start, stop, dtype=np.int32)[None], tl.int32)


def cat(self: Any, lhs: Any, rhs: Any) -> Any:
    return TensorHandle(np.concatenate(_beside(lhs.data, rhs.data), 1), lhs.dtype.scalar)


def join(self: Any, lhs: Any, rhs: Any) -> Any:
    return TensorHandle(np.stack(_beside(lhs.data, rhs.data), -1), lhs.dtype.scalar)


def gather(self: Any, source: Any, index: Any, axis: int) -> Any:
    data, places = _beside(source.data, index.data)
    return TensorHandle(np.take_along_axis(data, places, axis + 1), source.dtype.scalar)


def _beside(*blocks: Array) -> list[Array]:
    """Blocks whose values are the same in all programs, repeated beside those that have one for each."""
    programs = max(map(len, blocks))
    return [np.broadcast_to(b, (programs, *b.shape[1:])) for b in blocks]


def histogram(self: Any, data: Any, bins: int, mask: Any) -> Any:
    values, on = _beside(data.data, np.ones((1, 1), bool) if mask is None else mask.data)
    on = np.broadcast_to(on, values.shape)
    if ((values < 0) | (values >= bins))[on].any():
        raise KernelFault(f"tl.histogram: values outside 0 … {bins - 1}; compiled, they are counted in other bins",
                          check="histogram")
    rows = np.arange(len(values))[:, None] * bins
    counts = np.bincount((rows + values)[on], minlength=len(values) * bins)
    return TensorHandle(counts.reshape(len(values), bins).astype(np.int32), tl.int32)


def rows_loaded(self: Any, box: Any, rows: Any, column: Any, kind: Any) -> Any:
    """`descriptor.gather`."""
    element = box.base.get_element_ty()
    beyond = np.nan if str(box.padding).endswith("NAN") else 0
    other = TensorHandle(np.full((1, 1, 1), beyond, numpy_type(element)), element)
    return pointers.load(self, *pointers.row_pointers(box, rows, column), other)


def rows_stored(self: Any, box: Any, value: Any, rows: Any, column: Any) -> None:
    """`descriptor.scatter`."""
    where, inside = pointers.row_pointers(box, rows, column)
    pointers.store(self, where, value, inside)


def told(original: Callable[..., Any]) -> Callable[..., Any]:
    """`create_print`, given the original: each program prints, in the order of programs."""

    def say(self: Any, prefix: str, hexadecimal: bool, values: list[Any], signed: Any) -> None:
        passes.ordered()
        original(self, prefix, hexadecimal, [_of_one(v) for v in values], signed)

    return say


def _of_one(value: Any) -> Any:
    return TensorHandle(value.data[0] if value.data.ndim > 1 else value.data, value.dtype)
