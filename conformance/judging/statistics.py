"""T2: what a thousand outputs show together that none of them shows alone.

A result of 16 bits that is computed in float32 and rounded once, to nearest, is off by a number that is as good as
uniform within half a step h of its format, whatever the kernel's order of summation. So over T outputs, r = error / h,

    Σ r²  is at most  Σ (1/√3 + b)² + √(T ln(1/RISK) / 2) · largest (1 + a)²
    |Σ ± r|  is at most  Σ b + √(2 T ln(2/RISK)) · largest (1 + a)               ± the sign of the exact result

by Hoeffding's inequality: an honest kernel exceeds either once in 1/RISK. Here a is the bound of the sums in float32
over h, and b what they are off by in the mean, √n for n roundings. The second is a bias: results cut off, not rounded.
Only outputs that differ in value count, and none that the format holds exactly, since those tell nothing. A result of
float32 has no such last step: the mean of (error / b)² is at most 1, of which an honest kernel's is a third at most.
"""

from __future__ import annotations

import math

import numpy as np

from .bounds import Bound
from .numbers.formats import FORMATS
from .numbers.lanes import Array
from .oracle import Truth

LEAST = 1000                 # outputs that a statement takes
RISK = 2.0**-30


def spread(actual: Array, one: Truth, limit: Bound, usual: Bound, dtype: str) -> str:
    """What is wrong with the errors of one output as a whole; nothing where nothing is, or too few outputs tell."""
    form, value = FORMATS[dtype], np.asarray(one.value, np.float64)
    if form.bits >= 24:
        return _of_sums(actual, value, one, usual.total + one.radius)
    _, exponent = np.frexp(value)
    half = np.maximum(np.ldexp(1.0, exponent - form.bits), form.step) / 2
    sums, mean = (np.broadcast_to(b.accumulation + b.input_rounding, value.shape) + one.radius for b in (limit, usual))
    told = _telling(actual, one) & (value % (2 * half) != 0)
    _, first = np.unique(np.abs(value[told]), return_index=True)
    r = ((actual - value) / half)[told][first]
    a, b = ((x / half)[told][first] for x in (sums, mean))
    sign = np.sign(value[told][first])
    if len(r) < LEAST:
        return ""
    count, squares, most = len(r), float((r * r).sum()), _most_squares(a, b)
    if squares > most:
        return (f"{count} outputs are off by {math.sqrt(squares / count):.2f} half steps of {dtype} in mean square, "
                f"those of sums in float32, rounded once, by {math.sqrt(most / count):.2f} at most")
    bias = float((r * sign).sum())
    most = float(b.sum()) + math.sqrt(2 * count * math.log(2 / RISK)) * float(1 + a.max())
    if abs(bias) > most:
        return (f"{count} outputs are off by {bias / count:+.2f} half steps of {dtype} in the mean, away from 0 where "
                f"that is positive; rounded to nearest at most {most / count:.2f}")
    return ""


def _of_sums(actual: Array, value: Array, one: Truth, usual: Array) -> str:
    """The same of results that are rounded by nothing but their sums."""
    told = _telling(actual, one) & np.broadcast_to(usual > 0, value.shape)
    r = ((actual - value) / np.where(usual > 0, usual, 1.0))[told]
    if len(r) < LEAST or float((r * r).mean()) <= 1:
        return ""
    times = math.sqrt(float((r * r).mean()))
    return f"{len(r)} outputs are off by {times:.2f} times what roundings up and down add up to in the mean square"


def _telling(actual: Array, one: Truth) -> Array:
    """Which outputs are numbers, and known."""
    told: Array = np.isfinite(one.value) & np.isfinite(actual)
    return told if one.known is None else told & one.known


def _most_squares(a: Array, b: Array) -> float:
    expected = float(((1 / math.sqrt(3) + b) ** 2).sum())
    return expected + math.sqrt(len(a) * math.log(1 / RISK) / 2) * float((1 + a).max() ** 2)
