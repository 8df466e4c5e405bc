"""The floating-point formats a kernel stores: unit roundoff, largest, smallest, and rounding to them."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from .lanes import Array


@frozen
class Format:
    """A binary format: `bits` of significand (the hidden one included), largest finite and smallest normal number."""

    name: str
    bits: int
    largest: float
    smallest: float

    @property
    def u(self) -> float:
        """Unit roundoff, round to nearest."""
        return 2.0**-self.bits

    @property
    def step(self) -> float:
        """The spacing of its subnormal numbers."""
        return self.smallest * 2.0 ** (1 - self.bits)


FORMATS = {
    "fp64": Format("fp64", 53, float(np.finfo(np.float64).max), 2.0**-1022),
    "fp32": Format("fp32", 24, float(np.finfo(np.float32).max), 2.0**-126),
    "fp16": Format("fp16", 11, 65504.0, 2.0**-14),
    "bf16": Format("bf16", 8, (2 - 2.0**-7) * 2.0**127, 2.0**-126),
}


def round_to(x: Array, dtype: str) -> Array:
    """x rounded to nearest even in the format, as float64; beyond the largest it overflows to infinity."""
    x = np.asarray(x, dtype=np.float64)
    f = FORMATS[dtype]
    if dtype == "fp64":
        return x.copy()
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(x)
        step = np.maximum(np.ldexp(1.0, exponent - f.bits), f.step)
        rounded = np.where(np.isfinite(x), np.rint(x / step) * step, x)
        return np.where(np.abs(rounded) > f.largest, np.copysign(np.inf, x), np.where(x == 0, x, rounded))
