"""Arithmetic, conversions and matrix products in the formats of `values.py`, with integer overflow watched.

Functions here replace methods of Triton's `InterpreterBuilder`; `patches.py` says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from ..field.elements import Exact, on_floats, plain
from ..field.elements import error_function as error_function_of
from . import accumulators, active, internals
from .fault import KernelFault
from .values import BF16, Array, bf16_towards_zero, convert, is_float, numpy_type, tf32, widen


def cast(self: Any, src: Any, dst: Any) -> Any:
    scalar = dst.scalar
    kind = numpy_type(scalar)
    data: Any = Exact.of(src.data) if active.sim().exact is not None and is_float(kind) else src.data
    return TensorHandle(convert(data, kind), scalar)


def float_to_float(self: Any, src: Any, dst: Any, rounding: Any) -> Any:
    scalar = dst.scalar
    if rounding == internals.TOWARDS_ZERO and scalar == tl.bfloat16:
        return TensorHandle(on_floats(bf16_towards_zero, src.data), scalar)
    return cast(self, src, dst)


def bf16_constant(self: Any, value: float) -> Any:
    return TensorHandle(np.array([value], np.float32).astype(BF16), tl.bfloat16)


def binary(self: Any, lhs: Any, rhs: Any, op: Callable[[Array, Array], Array]) -> Any:
    """Every two-operand operation of the builder that has no replacement of its own."""
    scalar = lhs.dtype.scalar
    out = op(*aligned(lhs, rhs))
    if out.dtype.kind == "b":
        return TensorHandle(out, tl.int1)
    dtype = numpy_type(scalar)
    return TensorHandle(out if out.dtype == dtype else out.astype(dtype), scalar)


def aligned(*handles: Any) -> list[Array]:
    """The values of several operands, those of scalars beside those of blocks."""
    rank = max(h.data.ndim for h in handles)
    return [h.data if h.data.ndim == rank else h.data.reshape(-1, *(1,) * (rank - 1)) for h in handles]


def product(self: Any, lhs: Any, rhs: Any) -> Any:
    """x·y, which a sum that uses it may take unrounded."""
    out = binary(self, lhs, rhs, np.multiply)
    if active.launch().fuses:
        out.factors = lhs, rhs
    return out


def fused(sign: int, op: Callable[[Array, Array], Array]) -> Callable[[Any, Any, Any], Any]:
    """x·y + z, or − z, or z − x·y: one rounding where the compiler joins the two operations."""

    def compute(self: Any, lhs: Any, rhs: Any) -> Any:
        if active.launch().fuses:
            if pair := getattr(lhs, "factors", None):
                x, y = pair
                return fused_multiply_add(self, x, y, _times(sign, rhs))
            if pair := getattr(rhs, "factors", None):
                x, y = pair
                return fused_multiply_add(self, _times(sign, x), y, lhs)
        return binary(self, lhs, rhs, op)

    return compute


def _times(sign: int, handle: Any) -> Any:
    return handle if sign > 0 else TensorHandle(-handle.data, handle.dtype.scalar)


def by_reciprocal(original: Callable[..., Any]) -> Callable[..., Any]:
    """`TritonSemantic.truediv` since Triton 3.9: a constant divisor's reciprocal is rounded, then multiplied with."""

    def divided(self: Any, x: Any, by: Any) -> Any:
        number = by.value if isinstance(by, tl.constexpr) else by
        if (not isinstance(number, int | float) or not isinstance(x, tl.tensor) or x.dtype.scalar == tl.float64
                or active.sim().exact is not None):
            return original(self, x, by)
        return self.mul(self.cast(x, tl.float32), float(np.float32(1) / np.float32(number)), True)

    return divided


def select(self: Any, cond: Any, lhs: Any, rhs: Any) -> Any:
    attr = lhs.attr if lhs.attr.get("view") is rhs.attr.get("view") else {}
    return TensorHandle(np.where(*aligned(cond, lhs, rhs)), lhs.dtype.scalar, attr)


def watched(name: str, op: Callable[[Array, Array], Array]) -> Callable[[Any, Any, Any], Any]:
    """Integer `op`, which may not leave the range of a signed type where the simulation watches overflow."""

    def compute(self: Any, lhs: Any, rhs: Any) -> Any:
        a, b = aligned(lhs, rhs)
        out = op(a, b)
        if out.dtype.kind == "i" and active.sim().overflow:
            bad = _OVERFLOW[name](a, b, out)
            if bad.any():
                raise _overflow(name, a, b, bad)
        elif out.dtype.kind == "b":                       # int1 wraps around, too
            out = np.logical_and(a, b) if name == "*" else np.logical_xor(a, b)
        return TensorHandle(out, lhs.dtype.scalar)

    return compute


def _product_overflows(a: Array, b: Array, out: Array) -> Array:
    if out.dtype.itemsize < 8:
        return np.asarray(np.multiply(a, b, dtype=np.int64) != out)
    return np.asarray(np.abs(a.astype(np.float64) * b) >= 2.0**63)


_OVERFLOW: dict[str, Callable[[Array, Array, Array], Array]] = {
    "+": lambda a, b, out: ((a ^ out) & (b ^ out)) < 0,
    "-": lambda a, b, out: ((a ^ b) & (a ^ out)) < 0,
    "*": _product_overflows,
}


def _overflow(name: str, a: Array, b: Array, bad: Array) -> KernelFault:
    i = int(np.flatnonzero(bad)[0])
    x, y = (int(np.broadcast_to(v, bad.shape).flat[i]) for v in (a, b))
    return KernelFault(
        f"integer overflow: {x} {name} {y} does not fit {a.dtype} ({int(bad.sum())} of {bad.size} lanes); "
        "convert to int64 before", check="integer overflow")


def dot(self: Any, a: Any, b: Any, d: Any, precision: Any, *_: Any) -> Any:
    """d + a b: products exact in float32, summed in the accumulator's type, or as a tensor core does; operands to tf32
    where asked."""
    x, y, acc = a.data, b.data, d.data
    if x.dtype == np.float64 and acc.dtype != np.float64:
        raise KernelFault("dtype mismatch: a float64 dot into a float32 accumulator", check="dtype mismatch")
    if x.dtype.kind in "iu":
        exact = np.matmul(x.astype(np.float64), y.astype(np.float64))
        return TensorHandle((exact + acc).astype(acc.dtype), d.dtype.scalar)
    if in_tf32 := x.dtype == np.float32 and _is_tf32(precision):
        x, y = on_floats(tf32, x), on_floats(tf32, y)
    core = active.sim().core
    if core is not None and (in_tf32 or x.dtype.itemsize < 4) and acc.dtype in (np.float32, np.float16):
        return TensorHandle(accumulators.dot(x, y, acc, core, in_tf32), d.dtype.scalar)
    product = np.matmul(widen(x), widen(y))
    return TensorHandle((product + widen(acc)).astype(acc.dtype, copy=False), d.dtype.scalar)


def _is_tf32(precision: Any) -> bool:
    return str(getattr(precision, "name", precision)).rsplit(".", 1)[-1] == "TF32"


def fused_multiply_add(self: Any, x: Any, y: Any, z: Any) -> Any:
    """One rounding, not two (of float64: two, NumPy has nothing wider)."""
    dtype = z.data.dtype
    a, b, c = (v.astype(np.float64) for v in aligned(x, y, z))
    exact = a * b + c
    return TensorHandle(convert(exact, dtype), z.dtype.scalar)


def clamp(self: Any, x: Any, low: Any, high: Any, propagate_nan: Any) -> Any:
    a, b, c = aligned(x, low, high)
    out = np.fmin(np.fmax(a, b), c) if str(propagate_nan).endswith("NONE") else np.minimum(np.maximum(a, b), c)
    return TensorHandle(out, x.dtype.scalar)


def unary(self: Any, arg: Any, op: Callable[[Array], Array]) -> Any:
    """An elementary function: of float32 in float64, then rounded once, so the same on every machine."""
    x = arg.data
    out = op(x.astype(np.float64)).astype(np.float32) if x.dtype == np.float32 else op(x)
    return TensorHandle(out, arg.dtype.scalar)


def reciprocal_root(self: Any, arg: Any) -> Any:
    return unary(self, arg, lambda x: 1 / np.sqrt(x))


def magnitude(self: Any, arg: Any) -> Any:
    return TensorHandle(np.abs(arg.data), arg.dtype.scalar)


def erf(x: Any) -> Any:
    values = torch.special.erf(torch.from_numpy(np.ascontiguousarray(plain(x)))).numpy()
    return error_function_of(x, values) if isinstance(x, Exact) else values


def error_function(self: Any, arg: Any) -> Any:
    return unary(self, arg, erf)


def assertion(self: Any, condition: Any, message: str) -> None:
    if not condition.data.all():
        lane = [int(i) for i in np.argwhere(~condition.data.astype(bool))[0][1:]] or [0]
        raise KernelFault(f"device_assert failed in lane {lane}: {message}", check="device_assert")
