"""Matrix products as a tensor core adds them: `simulate(accumulate="device")`, by the target's rule.

Everything is exact in float64 up to the cuts that the hardware makes: a product of two operands has at most 22 bits, an
aligned term at most F + 2, a sum of 33 of them six more.
"""

from __future__ import annotations

import numpy as np

from ..judging.numbers.tensor_cores import TensorCore
from .values import Array, least_exponent

F32, F16 = np.dtype(np.float32), np.dtype(np.float16)
_AT_A_TIME = 1 << 20                    # products held at once


def dot(a: Array, b: Array, c: Array, core: TensorCore, tf32: bool = False) -> Array:
    """a (…, M, K) times b (…, K, N) plus c, in c's format: float32, or float16 rounded to nearest at every step."""
    size = 4 if tf32 else max(a.dtype.itemsize, 2 if core.nearest else 1)      # Triton widens 8 bits for AMD to float16
    terms, depth = core.terms(size), a.shape[-1]
    fraction = core.fraction_of_bytes if size == 1 else core.fraction
    left, right = a.astype(np.float64), np.swapaxes(b, -1, -2).astype(np.float64)
    powers = [exponents(x, least_exponent(d)) for x, d in ((left, a.dtype), (right, b.dtype))]
    total = np.array(np.broadcast_to(c, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])))
    rows = max(1, _AT_A_TIME // max(1, terms * total.shape[-1] * total[..., 0, 0].size))
    for first in range(0, total.shape[-2], rows):
        some = slice(first, first + rows)
        for k in range(0, depth, terms):
            now = slice(k, k + terms)
            products = left[..., some, None, now] * right[..., None, :, now]
            power = powers[0][..., some, None, now] + powers[1][..., None, :, now]
            step = nearest_step if core.nearest else truncated_step
            total[..., some, :] = step(products, power, total[..., some, :], fraction)
    return total


def exponents(x: Array, least: int) -> Array:
    """⌊log₂|x|⌋, and no less than the format's smallest."""
    return np.where(x == 0, least, np.maximum(np.frexp(x)[1] - 1, least))


def truncated_step(products: Array, power: Array, c: Array, fraction: int) -> Array:
    """NVIDIA: all aligned to the largest, cut off, added, and taken to c's format."""
    zero = (4 if c.dtype == F16 else -108) - fraction          # what a term counts as that is zero
    wide = c.astype(np.float64)
    power = np.where(products == 0, zero, power).max(-1)
    power = np.maximum(power, np.where(wide == 0, zero, exponents(wide, least_exponent(c.dtype))))
    scale = np.ldexp(1.0, fraction - power)
    total = (np.trunc(products * scale[..., None]).sum(-1) + np.trunc(wide * scale)) / scale
    if c.dtype == F16:
        return to_half(total)
    return towards_zero(total, fraction if fraction < 23 else 23) + np.float32(0)


def nearest_step(products: Array, power: Array, c: Array, fraction: int) -> Array:
    """AMD: the products aligned among themselves and cut off; their sum and the accumulator rounded down to 31 and
    F bits below the larger, added, and rounded to nearest."""
    products = np.where(np.abs(products) < 2.0**128, products, products * np.inf)
    top = np.where(products == 0, -999, power).max(-1)
    wide = c.astype(np.float64)
    scale = np.ldexp(1.0, fraction - np.maximum(top, -900))
    total = np.trunc(products * scale[..., None]).sum(-1) / scale
    both = np.maximum(top, exponents(wide, -126))
    fine, coarse = np.ldexp(1.0, 32 - both), np.ldexp(1.0, fraction - both)
    total = np.floor(total * fine) / fine + np.floor(wide * coarse) / coarse
    last = np.ldexp(1.0, 31 - exponents(total, -126))
    rounded: Array = (np.floor(total * last) / last).astype(F32)
    return rounded


def towards_zero(x: Array, bits: int) -> Array:
    """float64 to float32 with so many fraction bits, towards zero; what float32 does not reach is infinite."""
    with np.errstate(over="ignore"):
        near = x.astype(F32)
    words = near.view(np.int32).copy()
    words[(np.abs(near) > np.abs(x)) & (np.abs(x) < 2.0**128)] -= 1
    if bits < 23:
        words &= np.where(np.isfinite(near), np.int32(-(1 << (23 - bits))), np.int32(-1))
    return words.view(F32)


def to_half(x: Array) -> Array:
    """float64 to float16, to nearest even, in one rounding."""
    with np.errstate(over="ignore"):
        return x.astype(F16) + np.float16(0)
