"""exp, expm1 and log1p that keep their digits on a GPU.

`tl.exp` multiplies by log₂e in one rounding, which costs |x| · 2⁻²⁴ of relative error: ten units in the last
place at x = −20. Here x = n ln 2 + r is split first (Cody and Waite), |r| ≤ ½ ln 2, so that 2ⁿ is exact and only r
is approximated; exp applies 2ⁿ in two steps, so that neither the largest nor the smallest results are lost.
expm1 is 2ⁿ (eʳ − 1) + (2ⁿ − 1) with the series of eʳ − 1; log1p is Kahan's.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
LN2_HIGH = tl.constexpr(0.693145751953125)              # 16 bits: n · LN2_HIGH is exact
LN2_LOW = tl.constexpr(1.428606765330187e-06)
LEAST = tl.constexpr(-104.0)                            # below, exp rounds to 0 in float32
MOST = tl.constexpr(89.0)                               # above, to infinity


@triton.jit
def split(x):
    """(n, r) with x = n ln 2 + r; NaN stays NaN, since both comparisons are then false."""
    x = tl.where(x < LEAST, LEAST, tl.where(x > MOST, MOST, x))
    n = tl.floor(x * LOG2E + 0.5)
    return n, (x - n * LN2_HIGH) - n * LN2_LOW


@triton.jit
def exp(x):
    """eˣ for every float32."""
    n, r = split(x)
    half = tl.floor(n * 0.5)
    return tl.exp2(r * LOG2E) * tl.exp2(half) * tl.exp2(n - half)


@triton.jit
def expm1(x):
    """eˣ − 1 for x ≤ 88."""
    n, r = split(x)
    series = 1 / 720 + r * (1 / 5040 + r * (1 / 40320))
    series = 1 / 6 + r * (1 / 24 + r * (1 / 120 + r * series))
    power = tl.exp2(n)
    return power * (r + r * r * (0.5 + r * series)) + (power - 1.0)


@triton.jit
def log1p(x):
    """log(1 + x) for x ≥ 0: the error of u = 1 + x cancels between log u and u − 1; where u rounds to 1, x."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * (x / (u - 1.0)))
