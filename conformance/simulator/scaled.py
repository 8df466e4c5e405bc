"""`tl.dot_scaled`: a product of numbers in few bits that share a scale, 32 of them (or 16) along the sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from . import internals
from .values import Array, widen

scaled_dot: Any = tl.dot_scaled
_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
FOUR_BITS = np.concatenate([_E2M1, -_E2M1])


def dot_scaled(*args: Any, **kwargs: Any) -> Any:
    """`tl.dot_scaled` of a kernel's source; the names of formats are known at compile time."""
    known = [tl.constexpr(a) if isinstance(a, str) else a for a in args]
    named = {name: tl.constexpr(a) if isinstance(a, str) else a for name, a in kwargs.items()}
    return scaled_dot(*known, **named, _semantic=internals.semantic)


def product(self: Any, a: Any, a_scale: Any, a_format: Any, b: Any, b_scale: Any, b_format: Any, fast_math: bool,
            a_along: bool, b_along: bool, d: Any) -> Any:
    """`create_dot_scaled` of the builder: d + a b. Scaled numbers and their products are exact, the sum is rounded
    once; two numbers of four bits lie in a byte, along the sum or across it."""
    x = _numbers(a, a_format, -1 if a_along else -2) * _scales(a_scale, a.data.shape[-1], a_format, a_along)
    y = _numbers(b, b_format, -2 if b_along else -1)
    y = y * np.swapaxes(_scales(b_scale, b.data.shape[-2], b_format, b_along), -1, -2)
    return TensorHandle((np.matmul(x, y) + d.data).astype(d.data.dtype), d.dtype.scalar)


def _few(kind: Any) -> bool:
    return str(getattr(kind, "name", kind)).rsplit(".", 1)[-1].upper() == "E2M1"


def _numbers(value: Any, kind: Any, axis: int) -> Array:
    if not _few(kind):
        return np.asarray(widen(value.data), np.float64)
    both: Array = FOUR_BITS[np.stack([value.data & 15, value.data >> 4], axis)]     # the lower four bits come first
    rest = both.shape[:-2] if axis == -1 else both.shape[:-3]
    return both.reshape(*rest, -1, *both.shape[len(rest) + 2:])


def _scales(scale: Any, stored: int, kind: Any, along: bool) -> Array:
    """A factor for each number along the sum, last: a power of two in a byte (255 is NaN), or a number of 8 bits."""
    if scale is None:
        return np.ones((1, 1))
    n = stored * (2 if _few(kind) and along else 1)
    byte = scale.data
    if byte.dtype == np.uint8:
        factors = np.where(byte == 255, np.nan, np.ldexp(1.0, byte.astype(np.int32) - 127))
    else:
        factors = np.asarray(widen(byte), np.float64)
    return np.repeat(factors, n // byte.shape[-1], -1)
