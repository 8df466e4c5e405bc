"""Loads, stores and atomics, and the trail from a pointer back to the tensor argument it was made from.

Functions here replace methods of Triton's `InterpreterBuilder` (`patches.py` says which), hence `self` and
the trailing arguments that only a GPU has a use for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from . import active, internals
from .fault import KernelFault
from .memory import View
from .values import BF16, TORCH, Array, bits_type, is_small, numpy_type, undefined


def made_from(handle: Any) -> View | None:
    """The tensor argument that a pointer was made from, where known."""
    view: View | None = handle.attr.get("view")
    return view


def like(handle: Any, data: Array, dtype: Any) -> Any:
    """A new handle which, if a pointer, points into the same tensor argument."""
    return TensorHandle(data, dtype, handle.attr if handle.attr else {})


def block(data: Array) -> Array:
    """Contiguous and writable, as the compiled module wants its arguments."""
    out = np.ascontiguousarray(data)
    return out if out.flags.writeable else out.copy()


def lanes(mask: Any, shape: tuple[int, ...]) -> Array | None:
    """The mask of an access over all its lanes, or None where all of them take part."""
    data = mask.data if isinstance(mask, TensorHandle) else mask
    if data is None or data.all():
        return None
    return block(np.broadcast_to(data, shape))


def load(self: Any, ptr: Any, mask: Any, other: Any, *_: Any, **__: Any) -> Any:
    """A masked load; lanes that are off and have no `other` hold what a GPU may leave there: anything."""
    element = ptr.get_element_ty()
    dtype = numpy_type(element)
    pointers = block(ptr.data)
    on = lanes(mask, pointers.shape)
    active.launch().load(made_from(ptr), pointers, on, dtype.itemsize)
    if on is None:
        fill = np.empty(pointers.shape, dtype)
        on = np.ones(pointers.shape, bool)
    elif other is None:
        fill = np.full(pointers.shape, undefined(dtype) if active.sim().poison else 0, dtype)
    else:
        fill = block(np.broadcast_to(other.data, pointers.shape))
    raw = bits_type(dtype) if is_small(dtype) else dtype
    return TensorHandle(internals.memory.load(pointers, on, fill.view(raw), raw).view(dtype), element)


def load_one(original: Any) -> Any:
    """`TritonSemantic.load`, given the original, which in an interpreter takes one lane's `other` of 0 for none (0 is
    false there): where the mask is off, what is loaded is `other`."""

    def load_or(self: Any, ptr: Any, mask: Any, other: Any, *rest: Any) -> Any:
        if mask is None or other is None or mask.handle.data.any() or ptr.handle.data.size > 1:
            return original(self, ptr, mask, other, *rest)
        if ptr.type.is_block():
            ptr, other = self.broadcast_impl_value(ptr, other)
        return self.cast(other, ptr.type.scalar.element_ty)

    return load_or


def load_all(self: Any, ptr: Any, *rest: Any) -> Any:
    return load(self, ptr, None, None)


def store(self: Any, ptr: Any, value: Any, mask: Any, *_: Any, **__: Any) -> None:
    element = ptr.get_element_ty()
    dtype = numpy_type(element)
    pointers = block(ptr.data)
    if value.data.dtype != dtype:
        raise KernelFault(
            f"dtype mismatch: {value.data.dtype} values (typed {value.dtype}) stored as {element}",
            check="dtype mismatch")
    on = lanes(mask, pointers.shape)
    values = block(np.broadcast_to(value.data, pointers.shape))
    values = values.view(bits_type(dtype)) if dtype.kind not in "b" else values
    active.launch().store(made_from(ptr), pointers, on, values)
    internals.memory.store(pointers, values, np.ones(pointers.shape, bool) if on is None else on)


def store_all(self: Any, ptr: Any, value: Any, *rest: Any) -> None:
    store(self, ptr, value, None)


def atomic_update(original: Any) -> Any:
    """The replacement of `create_atomic_rmw`, given the original."""

    def update(self: Any, op: Any, ptr: Any, value: Any, mask: Any, sem: Any, scope: Any) -> Any:
        pointers = block(ptr.data)
        _book_atomic(ptr, pointers, lanes(mask, pointers.shape), value.data.dtype.itemsize, sem)
        if value.data.dtype == BF16:
            return _atomic_bf16(op, pointers, value, np.broadcast_to(mask.data, pointers.shape))
        return original(self, op, like(ptr, pointers, ptr.dtype), value, mask, sem, scope)

    return update


def atomic_exchange_if(original: Any) -> Any:
    """The replacement of `create_atomic_cas`, given the original."""

    def exchange_if(self: Any, ptr: Any, expected: Any, value: Any, sem: Any, scope: Any) -> Any:
        _book_atomic(ptr, ptr.data, None, value.data.dtype.itemsize, sem)
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
        total = (now.astype(np.float32) + np.float32(value.data[i])).astype(BF16)
        internals.memory.store(here, total.view(np.uint16), one)
    return TensorHandle(before, tl.bfloat16)


# ---- pointers keep their trail through arithmetic and changes of shape

def move(self: Any, ptr: Any, offset: Any) -> Any:
    size = max(1, ptr.get_element_ty().primitive_bitwidth // 8)
    return like(ptr, ptr.data + offset.data.astype(np.uint64) * np.uint64(size), ptr.dtype)


def splat(self: Any, result: Any, arg: Any) -> Any:
    return like(arg, np.full(tuple(result.shape), arg.data.reshape(-1)[0], arg.data.dtype), arg.dtype.scalar)


def broadcast(self: Any, arg: Any, shape: Any) -> Any:
    return like(arg, np.broadcast_to(arg.data, shape), arg.dtype.scalar)


def expand(self: Any, arg: Any, axis: int) -> Any:
    return like(arg, np.expand_dims(arg.data, axis), arg.dtype.scalar)


def reshape(self: Any, arg: Any, shape: Any, allow_reorder: bool) -> Any:
    return like(arg, arg.data.reshape(shape), arg.dtype.scalar)


def transpose(self: Any, arg: Any, order: Any) -> Any:
    return like(arg, np.transpose(arg.data, order), arg.dtype.scalar)


def bitcast(self: Any, src: Any, dst: Any) -> Any:
    return like(src, np.ascontiguousarray(src.data).view(numpy_type(dst)), dst.scalar)


def from_address(self: Any, src: Any, dst: Any) -> Any:
    """A number becomes a pointer: where it does not come from one, its tensor is looked up."""
    pointer = bitcast(self, src, dst)
    if pointer.attr.get("view") is None and pointer.data.size == 1:
        view = active.launch().memory.at(int(pointer.data.reshape(-1)[0]), TORCH.get(str(dst.scalar.element_ty)))
        if view is not None:
            pointer.attr = {"view": view}
    return pointer


def descriptor_pointers(self: Any, offsets: list[Any]) -> tuple[Any, Any]:
    """The addresses of a descriptor's block, and which of them lie inside the described tensor."""
    element = self.base.dtype.element_ty
    size = numpy_type(element).itemsize
    address: Any = self.base.data
    inside: Any = True
    for axis, (offset, extent, stride, block) in enumerate(
            zip(offsets, self.shape, self.strides, self.block_shape)):
        index = (int(offset.data.item()) + np.arange(block)).reshape([-1 if a == axis else 1
                                                                    for a in range(self.ndim)])
        address = address + (index * (size * int(stride.data.item()))).astype(np.uint64)
        inside = inside & (index >= 0) & (index < extent.data)
    shape = tuple(self.block_shape)
    pointers = TensorHandle(np.broadcast_to(address, shape), self.base.dtype.scalar, self.base.attr)
    return pointers, TensorHandle(np.broadcast_to(inside, shape), tl.int1)
