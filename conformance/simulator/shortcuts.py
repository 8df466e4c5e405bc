"""Less of what Triton does once per compilation and an interpreter would do at every step.

Triton builds the shape of every intermediate value anew: a tuple of constexprs, its length, its name. The parts never
change, so equal types share them. And where two operands agree in type already, there is nothing to reconcile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from .values import ORDINARY, everywhere

_FIRST = "_chainrule_first"          # in a shared block type: the parts of a tensor of that type
_parts: dict[Any, dict[str, Any]] = {}
_shapes: dict[Any, Any] = {}


def shared_block_type(original: Callable[..., None]) -> Callable[..., None]:
    """`block_type.__init__`, given the original."""

    def init(self: Any, element_ty: Any, shape: Any) -> None:
        key = (element_ty.name, *[s.value if isinstance(s, tl.constexpr) else s for s in shape])
        parts = _parts.get(key)
        if parts is None:
            original(self, element_ty, shape)
            self.shape = _shapes.setdefault(key[1:], self.shape)
            _parts[key] = {**vars(self), _FIRST: {}}
        else:
            vars(self).update(parts)

    return init


def shared_tensor(original: Callable[..., None]) -> Callable[..., None]:
    """`tensor.__init__`, given the original."""

    def init(self: Any, handle: Any, type: Any) -> None:
        parts = vars(type).get(_FIRST)
        if not parts:
            original(self, handle, type)
            if parts is not None:
                parts.update({k: v for k, v in vars(self).items() if k not in ("handle", "type")})
            return
        own = vars(self)
        own.update(parts)
        own["handle"], own["type"] = handle, type

    return init


# With one of these on both sides, or on one side and a Python number of the same kind on the other, Triton's
# arithmetic stays in the type, whatever the operation.
_FLOATS = frozenset(("fp32", "fp64"))
_INTEGERS = frozenset(("int32", "int64"))


def quick_operands(original: Callable[..., Any]) -> Callable[..., Any]:
    """`TritonSemantic.binary_op_type_checking_impl`, given the original."""

    def operands(self: Any, lhs: Any, rhs: Any, *rest: Any, **flags: Any) -> Any:
        if type(lhs) is tl.tensor:
            if type(rhs) is tl.tensor:
                name = lhs.dtype.name
                if (name in _FLOATS or name in _INTEGERS) and name == rhs.dtype.name and _same_shape(lhs, rhs):
                    return lhs, rhs
            elif _stays(lhs.dtype.name, rhs):
                return lhs, _constant(rhs, lhs)
        elif type(rhs) is tl.tensor and _stays(rhs.dtype.name, lhs):
            return _constant(lhs, rhs), rhs
        return original(self, lhs, rhs, *rest, **flags)

    return operands


def quick_broadcast(original: Callable[..., Any]) -> Callable[..., Any]:
    """`TritonSemantic.broadcast_impl_value`, given the original."""
    return lambda self, lhs, rhs: (lhs, rhs) if _same_shape(lhs, rhs) else original(self, lhs, rhs)


def _same_shape(lhs: Any, rhs: Any) -> bool:
    """Two scalars, or two blocks of one shape (equal shapes are one object)."""
    a, b = lhs.type, rhs.type
    if a.is_block():
        return bool(b.is_block() and a.shape is b.shape)
    return not b.is_block()


def _stays(dtype: str, number: Any) -> bool:
    if dtype in _FLOATS:
        return type(number) in (int, float)
    return dtype in _INTEGERS and type(number) is int and -(2**31) <= number < 2**31


def _constant(number: Any, like: Any) -> Any:
    dtype = like.dtype
    data = everywhere(np.array(number, ORDINARY[dtype]), (1, *like.handle.data.shape[1:]))
    return tl.tensor(TensorHandle(data, dtype), like.type)
