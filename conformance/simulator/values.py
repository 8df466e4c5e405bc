"""Number formats as a GPU has them: bf16 and fp8 hold values, not bits, and round to nearest even.

Triton's own interpreter keeps bf16 and fp8 as integers of their bits and truncates on the way down. Here each
format has a NumPy type of its own, so that arithmetic, comparison and rounding are NumPy's.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import torch
import triton.language as tl
from numpy.typing import NDArray

Array = NDArray[Any]

BF16 = np.dtype(ml_dtypes.bfloat16)
# Triton's name -> the format itself; everything else in Triton has a NumPy type already.
SMALL: dict[Any, np.dtype[Any]] = {
    tl.bfloat16: BF16,
    tl.float8e4nv: np.dtype(ml_dtypes.float8_e4m3fn),
    tl.float8e5: np.dtype(ml_dtypes.float8_e5m2),
    tl.float8e4b8: np.dtype(ml_dtypes.float8_e4m3fnuz),
    tl.float8e5b16: np.dtype(ml_dtypes.float8_e5m2fnuz),
}
ORDINARY: dict[Any, np.dtype[Any]] = {
    tl.int1: np.dtype(bool), tl.float16: np.dtype(np.float16),
    tl.float32: np.dtype(np.float32), tl.float64: np.dtype(np.float64),
    tl.int8: np.dtype(np.int8), tl.uint8: np.dtype(np.uint8),
    tl.int16: np.dtype(np.int16), tl.uint16: np.dtype(np.uint16),
    tl.int32: np.dtype(np.int32), tl.uint32: np.dtype(np.uint32),
    tl.int64: np.dtype(np.int64), tl.uint64: np.dtype(np.uint64),
}
#: Triton's name -> torch's type of tensors with such elements.
TORCH: dict[str, torch.dtype] = {
    "bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, "fp64": torch.float64,
    "fp8e4nv": torch.float8_e4m3fn, "fp8e5": torch.float8_e5m2, "int1": torch.bool, "int8": torch.int8,
    "uint8": torch.uint8, "int16": torch.int16, "int32": torch.int32, "int64": torch.int64,
}
_LARGEST = {d: np.float32(ml_dtypes.finfo(d).max) for d in SMALL.values()}
_SMALL_FORMATS = frozenset(SMALL.values())
_ADDRESS = np.dtype(np.uint64)
_known: dict[str, np.dtype[Any]] = {}


def numpy_type(triton_type: Any) -> np.dtype[Any]:
    """The NumPy type whose values a block of this Triton type holds; pointers are addresses."""
    scalar = triton_type.scalar
    name = str(scalar)
    if name not in _known:
        if scalar.is_ptr():
            return _ADDRESS
        if scalar not in SMALL and scalar not in ORDINARY:
            raise NotImplementedError(f"the simulator has no number format for Triton's {name}")
        _known[name] = SMALL.get(scalar) or ORDINARY[scalar]
    return _known[name]


def everywhere(one: Array, shape: tuple[int, ...]) -> Array:
    """An array of this shape with one number at every place, which takes no memory."""
    return np.ndarray(shape, one.dtype, one, 0, (0,) * len(shape))


def least_exponent(dtype: np.dtype[Any]) -> int:
    """The exponent of a format's smallest normal number."""
    return int(ml_dtypes.finfo(dtype).minexp)


def is_small(dtype: np.dtype[Any]) -> bool:
    """Is this one of the formats that NumPy itself does not have?"""
    return dtype in _SMALL_FORMATS


def is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype in _SMALL_FORMATS


def bits_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"u{dtype.itemsize}")


def widen(x: Array) -> Array:
    """Half and smaller formats in float32, where each of their values is exact; all others as they are."""
    return x.astype(np.float32) if x.dtype == np.float16 or is_small(x.dtype) else x


def convert(x: Array, dtype: np.dtype[Any]) -> Array:
    """One conversion between number formats: to nearest even, infinities and NaN kept."""
    if is_small(x.dtype) or is_small(dtype):
        x = x.astype(np.float32)           # float64 on the way to bf16 rounds twice, as in torch
        if dtype.itemsize == 1 and dtype.kind in "fV":
            x = np.clip(x, -_LARGEST[dtype], _LARGEST[dtype])      # PTX has only the saturating conversion
        return x.astype(dtype)
    return x.astype(dtype)


def bf16_towards_zero(x: Array) -> Array:
    """float32 with the lower half of its bits cut off, for `fp_downcast_rounding="rtz"`."""
    return (np.ascontiguousarray(x).view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(BF16)


def tf32(x: Array) -> Array:
    """float32 with the ten mantissa bits that a tensor core multiplies in its tf32 mode.

    The other thirteen are cut off: Triton hands over the operands as they are, with no instruction that rounds.
    """
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    special = (bits & np.uint32(0x7F800000)) == np.uint32(0x7F800000)
    return np.where(special, bits, bits & np.uint32(0xFFFFE000)).view(np.float32)


def nearest_tf32(x: Array) -> Array:
    """float32 with ten mantissa bits, to nearest even: what a tensor map with `round_f32_to_tf32` loads."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    half = np.uint32(0x0FFF) + ((bits >> np.uint32(13)) & np.uint32(1))
    return np.where(np.isfinite(x), (bits + half) & np.uint32(0xFFFFE000), bits).view(np.float32)


def undefined(dtype: np.dtype[Any]) -> Any:
    """What a masked-off lane without `other` holds: NaN, or an integer far from any honest index.

    The integers stay small enough that an index made from them does not overflow by itself; such a lane is
    legal as long as nobody uses it.
    """
    if dtype.kind == "f" or is_small(dtype):
        return np.nan
    if dtype.kind == "b":
        return True
    return {1: 85, 2: 10_922, 4: 2_000_003, 8: 2**40 + 7}[dtype.itemsize]
