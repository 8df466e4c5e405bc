"""exp, expm1, log1p and the normal distribution that keep their digits on a GPU.

`tl.exp` multiplies by log₂e in one rounding, which costs |x| · 2⁻²⁴ of relative error: ten units in the last
place at x = −20. Here x = n ln 2 + r is split first (Cody and Waite), |r| ≤ ½ ln 2, so that 2ⁿ is exact and only r
is approximated; exp applies 2ⁿ in two steps, so that neither the largest nor the smallest results are lost. Rounding
and powers of two are additions and shifts: the unit that approximates takes an eighth of them a cycle, and would bind
before memory does.
expm1 is 2ⁿ (eʳ − 1) + (2ⁿ − 1) with the series of eʳ − 1; log1p is Kahan's. The normal distribution far below 0 is its
density times Mills's ratio, which a polynomial has to 5 · 2⁻²⁴ everywhere.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
LN2_HIGH = tl.constexpr(0.693145751953125)              # 16 bits: n · LN2_HIGH is exact
LN2_LOW = tl.constexpr(1.428606765330187e-06)
LEAST = tl.constexpr(-104.0)                            # below, exp rounds to 0 in float32
MOST = tl.constexpr(89.0)                               # above, to infinity
DENSITY = tl.constexpr(0.3989422804014327)              # 1/√(2π)
SHIFT = tl.constexpr(12582912.0)                        # 1.5 · 2²³: what is added to it is rounded to an integer,
SHIFTED = tl.constexpr(0x4B400000)                      # which then stands in the lowest of these bits


@triton.jit
def split(x, lowest: tl.constexpr):
    """(n, r) with x = n ln 2 + r, n an int32; r of NaN is NaN, since both comparisons are then false."""
    x = tl.where(x < lowest, lowest, tl.where(x > MOST, MOST, x))
    shifted = x * LOG2E + SHIFT
    n = shifted - SHIFT
    return shifted.to(tl.int32, bitcast=True) - SHIFTED, (x - n * LN2_HIGH) - n * LN2_LOW


@triton.jit
def power(n):
    """2ⁿ for −126 ≤ n ≤ 127, from its bits."""
    return ((n + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def exp(x):
    """eˣ for every float32."""
    n, r = split(x, LEAST)
    half = n >> 1
    return tl.exp2(r * LOG2E) * power(half) * power(n - half)


@triton.jit
def expm1(x):
    """eˣ − 1 for x ≤ 88."""
    n, r = split(x, -87.0)                              # below, −1, and 2ⁿ has no bits of its own
    series = 1 / 720 + r * (1 / 5040 + r * (1 / 40320))
    series = 1 / 6 + r * (1 / 24 + r * (1 / 120 + r * series))
    scale = power(n)
    return scale * (r + r * r * (0.5 + r * series)) + (scale - 1.0)


@triton.jit
def log1p(x):
    """log(1 + x) for x ≥ 0: the error of u = 1 + x cancels between log u and u − 1; where u rounds to 1, x."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * (x / (u - 1.0)))


@triton.jit
def density(x):
    """φ(x) = e^(−x²/2) / √(2π)."""
    return exp(-0.5 * x * x) * DENSITY


@triton.jit
def mills(t):
    """Φ(−t) / φ(t) for t ≥ 0, which falls from √(π/2) to 0: fitted as a polynomial in 1/(1 + t/4)."""
    k = 1.0 / (1.0 + 0.25 * t)
    series = 0.2601851522922516 + k * (-0.21403905749320984 + k * 0.052175186574459076)
    series = 0.14399641752243042 + k * (0.17113752663135529 + k * (-0.09963060915470123 + k * series))
    series = 0.2500045895576477 + k * (0.23421813547611237 + k * (0.20526686310768127 + k * series))
    return k * (0.2499999701976776 + k * series)
