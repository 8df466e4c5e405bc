"""Loads, stores and atomics, and the trail from a pointer back to the tensor argument it was made from.

Functions here replace methods of Triton's `InterpreterBuilder` (`patches.py` says which), hence `self` and
the trailing arguments that only a GPU has a use for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import triton
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from ..field.elements import Exact, Unseen, on_floats, plain
from . import active, internals, passes
from .fault import KernelFault
from .memory import View
from .values import BF16, TORCH, Array, bits_type, everywhere, is_float, nearest_tf32, numpy_type, undefined

_BELOW = (str(Path(__file__).resolve().parent), str(Path(__file__).parent), str(Path(triton.__file__).parent))


def made_from(handle: Any) -> View | None:
    """The tensor argument that a pointer was made from, where known."""
    view: View | None = handle.attr.get("view")
    return view


def like(handle: Any, data: Array, dtype: Any) -> Any:
    """A new handle which, if a pointer, points into the same tensor argument."""
    return TensorHandle(data, dtype, handle.attr if handle.attr else {})


def block(data: Array, shape: tuple[int, ...]) -> Array:
    """Of this shape, contiguous and writable, as the compiled module wants its arguments."""
    out = np.ascontiguousarray(data if data.shape == shape else np.broadcast_to(data, shape))
    return out if out.flags.writeable else out.copy()


def lanes(ptr: Any, mask: Any, *values: Any) -> tuple[Array, Array | None]:
    """The pointers of an access, and its mask over all of them, or None where all take part."""
    on = mask.data if isinstance(mask, TensorHandle) else mask
    full = on is None or bool(on.all())
    shapes = {ptr.data.shape, *(() if on is None or full else (on.shape,)), *(v.data.shape for v in values)}
    shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    return block(ptr.data, shape), None if full else block(on, shape)


def load(self: Any, ptr: Any, mask: Any, other: Any, *_: Any, **__: Any) -> Any:
    """A masked load; lanes that are off and have no `other` hold what a GPU may leave there: anything."""
    element = ptr.get_element_ty()
    dtype = numpy_type(element)
    pointers, on = lanes(ptr, mask)
    if on is None:
        found = np.empty(pointers.shape, dtype)
    elif other is None:
        found = np.full(pointers.shape, undefined(dtype) if active.sim().poisons(kernel_line()) else 0, dtype)
    else:
        shape = np.broadcast_shapes(pointers.shape, other.data.shape)
        found = np.array(np.broadcast_to(plain(other.data), shape), dtype, order="C")
    found = active.launch().load(made_from(ptr), pointers, on, found.view(bits_type(dtype))).view(dtype)
    exact = active.sim().exact
    if exact is not None and is_float(dtype):
        found = exact.load(pointers, found, on, None if other is None else other.data)
    return TensorHandle(found, element)


def kernel_line() -> str:
    """The line of the kernel that is running: the innermost that is neither ours nor Triton's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_BELOW):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def load_all(self: Any, ptr: Any, *rest: Any) -> Any:
    return load(self, ptr, None, None)


def store(self: Any, ptr: Any, value: Any, mask: Any, *_: Any, **__: Any) -> None:
    element = ptr.get_element_ty()
    dtype = numpy_type(element)
    if value.data.dtype != dtype:
        raise KernelFault(
            f"dtype mismatch: {value.data.dtype} values (typed {value.dtype}) stored as {element}",
            check="dtype mismatch")
    pointers, on = lanes(ptr, mask, value)
    values = block(plain(value.data), pointers.shape).view(bits_type(dtype))
    exact = active.sim().exact
    if exact is not None and is_float(dtype):
        active.launch().undone(exact.store(pointers, value.data, on))
    active.launch().store(made_from(ptr), pointers, on, values)


def store_all(self: Any, ptr: Any, value: Any, *rest: Any) -> None:
    store(self, ptr, value, None)


def atomic_update(original: Any) -> Any:
    """The replacement of `create_atomic_rmw`, given the original."""

    def update(self: Any, op: Any, ptr: Any, value: Any, mask: Any, sem: Any, scope: Any) -> Any:
        if active.sim().exact is not None and is_float(value.data.dtype):
            raise Unseen("atomics of floats")
        passes.ordered()
        pointers, on = lanes(ptr, mask)
        _book_atomic(ptr, pointers, on, value.data.dtype.itemsize, sem)
        if value.data.dtype == BF16:
            return _atomic_bf16(op, pointers, value, np.broadcast_to(mask.data, pointers.shape))
        value, mask = (like(x, block(x.data, pointers.shape), x.dtype) for x in (value, mask))
        return original(self, op, like(ptr, pointers, ptr.dtype), value, mask, sem, scope)

    return update


def atomic_exchange_if(original: Any) -> Any:
    """The replacement of `create_atomic_cas`, given the original."""

    def exchange_if(self: Any, ptr: Any, expected: Any, value: Any, sem: Any, scope: Any) -> Any:
        passes.ordered()
        _book_atomic(ptr, ptr.data, None, value.data.dtype.itemsize, sem)
        ptr, expected, value = (like(x, block(x.data, ptr.data.shape), x.dtype) for x in (ptr, expected, value))
        return original(self, ptr, expected, value, sem, scope)

    return exchange_if


def _book_atomic(ptr: Any, pointers: Array, on: Array | None, size: int, sem: Any) -> None:
    order = str(getattr(sem, "name", sem)).rsplit(".", 1)[-1].lower()
    sem = "acq_rel" if order == "acquire_release" else order
    active.launch().atomic(made_from(ptr), pointers, on, size, sem)


def _atomic_bf16(op: Any, pointers: Array, value: Any, on: Array) -> Any:
    """The one atomic that bf16 has, an addition, lane after lane."""
    before = np.zeros(pointers.shape, BF16)
    one = np.ones(1, bool)
    for i in zip(*np.nonzero(on)):
        here = np.array([pointers[i]])
        now = internals.memory.load(here, one, np.zeros(1, np.uint16), np.dtype(np.uint16)).view(BF16)
        before[i] = now[0]
        total = (now.astype(np.float32) + np.float32(np.broadcast_to(value.data, pointers.shape)[i])).astype(BF16)
        internals.memory.store(here, total.view(np.uint16), one)
    return TensorHandle(before, tl.bfloat16)


# ---- pointers keep their trail through arithmetic and changes of shape

def move(self: Any, ptr: Any, offset: Any) -> Any:
    size = max(1, ptr.get_element_ty().primitive_bitwidth // 8)
    return like(ptr, ptr.data + offset.data.astype(np.uint64) * np.uint64(size), ptr.dtype)


def splat(self: Any, result: Any, arg: Any) -> Any:
    shape, data = tuple(result.shape), arg.data
    if type(data) is np.ndarray and data.size == 1:
        return like(arg, everywhere(data, (1, *shape)), arg.dtype.scalar)
    return like(arg, np.broadcast_to(_each(data, len(shape)), (len(data), *shape)), arg.dtype.scalar)


def unsplat(self: Any, arg: Any) -> Any:
    return like(arg, arg.data.reshape(-1), arg.dtype.scalar)


def broadcast(self: Any, arg: Any, shape: Any) -> Any:
    return like(arg, np.broadcast_to(arg.data, (len(arg.data), *shape)), arg.dtype.scalar)


def expand(self: Any, arg: Any, axis: int) -> Any:
    return like(arg, np.expand_dims(arg.data, axis + 1), arg.dtype.scalar)


def reshape(self: Any, arg: Any, shape: Any, allow_reorder: bool) -> Any:
    return like(arg, arg.data.reshape(len(arg.data), *shape), arg.dtype.scalar)


def transpose(self: Any, arg: Any, order: Any) -> Any:
    return like(arg, np.transpose(arg.data, (0, *(axis + 1 for axis in order))), arg.dtype.scalar)


def transposed(self: Any) -> Any:
    """`x.T` of a kernel's source."""
    return internals.semantic.permute(self, tuple(reversed(range(len(self.shape)))))


def bitcast(self: Any, src: Any, dst: Any) -> Any:
    if isinstance(src.data, Exact):
        active.sim().exact.opaque = "looks at the bits of a float"
    return like(src, np.ascontiguousarray(plain(src.data)).view(numpy_type(dst)), dst.scalar)


def from_address(self: Any, src: Any, dst: Any) -> Any:
    """A number becomes a pointer: where it does not come from one, its tensor is looked up."""
    pointer = bitcast(self, src, dst)
    if pointer.attr.get("view") is None and pointer.data.ndim == 1:
        address = passes.common(pointer.data)          # programs that take different ones part here
        view = active.launch().memory.at(address, TORCH.get(str(dst.scalar.element_ty)))
        if view is not None:
            pointer.attr = {"view": view}
    return pointer


# ---- blocks by base, strides and offsets: descriptors, and block pointers

def descriptor_pointers(self: Any, offsets: list[Any]) -> tuple[Any, Any]:
    """The addresses of a descriptor's block, and which of them lie inside the described tensor."""
    return _boxed(self, _places(self, offsets), range(self.ndim))


def box_loaded(original: Callable[..., Any]) -> Callable[..., Any]:
    """`create_descriptor_load`, given the original."""

    def load(self: Any, box: Any, *rest: Any) -> Any:
        out = original(self, box, *rest)
        if getattr(box, "to_tf32", False):
            out.data = on_floats(nearest_tf32, out.data)
        return out

    return load


def block_pointers(self: Any, checked: Any) -> tuple[Any, Any]:
    """The same of a block pointer, which looks only at the axes that it is told to."""
    return _boxed(self, _places(self, self.offsets), checked)


def row_pointers(box: Any, rows: Any, column: Any) -> tuple[Any, Any]:
    """The same of rows that stand in a block of indices, from one column on."""
    _, along = _places(box, [column, column])
    return _boxed(box, [rows.data.astype(np.int64)[:, :, None], along], (0, 1))


def _places(box: Any, offsets: list[Any]) -> list[Array]:
    """The indices of a block along each axis."""
    rank = len(box.block_shape)
    return [_each(offset.data.astype(np.int64), rank) + np.arange(block).reshape([-1 if a == axis else 1
                                                                                 for a in range(rank)])
            for axis, (offset, block) in enumerate(zip(offsets, box.block_shape, strict=True))]


def _boxed(box: Any, places: list[Array], checked: Any) -> tuple[Any, Any]:
    rank, size = len(places), numpy_type(box.base.get_element_ty()).itemsize
    address: Any = _each(box.base.data, rank)
    inside: Any = np.ones((1,) * (rank + 1), bool)
    for axis, (index, extent, stride) in enumerate(zip(places, box.shape, box.strides, strict=True)):
        address = address + (index * (size * _each(stride.data.astype(np.int64), rank))).astype(np.uint64)
        if axis in checked:
            inside = inside & (index >= 0) & (index < _each(extent.data, rank))
    shape = np.broadcast_shapes(*(index.shape[1:] for index in places))
    pointers, mask = (np.broadcast_to(a, (len(a), *shape)) for a in (address, inside))
    return TensorHandle(pointers, box.base.dtype.scalar, box.base.attr), TensorHandle(mask, tl.int1)


def _each(numbers: Array, rank: int) -> Array:
    """A number for each program, or one for all, beside blocks of this rank."""
    return numbers.reshape(-1, *(1,) * rank)


def advance(self: Any, box: Any, offsets: list[Any]) -> Any:
    """A block pointer, moved on."""
    moved = [TensorHandle(a.data + b.data.astype(a.data.dtype), a.dtype)
             for a, b in zip(box.offsets, offsets, strict=True)]
    return type(box)(box.base, box.shape, box.strides, moved, box.block_shape, box.order)
