"""exp, expm1 and log1p that keep their digits on a GPU, and say so.

`tl.exp` multiplies by log₂e in one rounding, which costs |x| · 2⁻²⁴ of relative error: ten units in the
last place at x = −20. Here the argument is reduced first (Cody and Waite), and the power of two is
applied in two steps, so that neither the largest nor the smallest results are lost. expm1 and log1p are
Kahan's: the error of u = exp(x) cancels between u − 1 and log(u).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
LN2_HIGH = tl.constexpr(0.693145751953125)              # 16 bits: n · LN2_HIGH is exact
LN2_LOW = tl.constexpr(1.428606765330187e-06)
LOWEST = tl.constexpr(-104.0)                           # below: exp rounds to 0 in float32
HIGHEST = tl.constexpr(89.0)                            # above: to infinity


@triton.jit
def exp(x):
    """eˣ for every float32; NaN stays NaN, since both comparisons are then false."""
    x = tl.where(x < LOWEST, LOWEST, tl.where(x > HIGHEST, HIGHEST, x))
    n = tl.floor(x * LOG2E + 0.5)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    half = tl.floor(n * 0.5)
    return tl.exp2(r * LOG2E) * tl.exp2(half) * tl.exp2(n - half)


@triton.jit
def expm1(x):
    """eˣ − 1 for x ≤ 88. Where u rounds to 1 the answer is x; where u − 1 rounds to −1, −1."""
    u = exp(x)
    v = u - 1.0
    return tl.where(u == 1.0, x, tl.where(v == -1.0, v, v * (x / tl.log(u))))


@triton.jit
def log1p(x):
    """log(1 + x) for x ≥ 0. Where 1 + x rounds to 1 the answer is x."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * (x / (u - 1.0)))
