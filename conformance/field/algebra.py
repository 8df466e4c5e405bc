"""Residues in NumPy's uint64: modulo the prime P = 2⁶¹ − 1, and modulo Q, where exponents live.

The multiplicative group of GF(P) is cyclic of order P − 1 = 450 · Q, and Q = 7·11·13·31·41·61·151·331·1321 has no
factor 2, 3 or 5. BASE generates its subgroup of order Q, so w ↦ BASE^w turns sums modulo Q into products modulo P: this
is the exponential. All factors are small, so its inverse is had by looking up one digit for each.
"""

from __future__ import annotations

import math
from functools import cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spec.field import P as P

Residues = Any                            # NumPy arrays of uint64, and what their operators make of them

FACTORS = (7, 11, 13, 31, 41, 61, 151, 331, 1321)
Q = (P - 1) // 450
UNITS = math.lcm(*(f - 1 for f in FACTORS))          # the exponent of the group of units modulo Q
GENERATOR = 37                            # of the whole group
BASE = pow(GENERATOR, 450 * pow(450, -1, Q), P)

_P, _61, _32, _29 = (np.uint64(n) for n in (P, 61, 32, 29))
_LOW32, _LOW29 = np.uint64(2**32 - 1), np.uint64(2**29 - 1)


def reduced(x: Residues) -> Residues:
    """x modulo P, for any uint64."""
    x = (x & _P) + (x >> _61)
    return np.minimum(x, x - _P)                             # the difference wraps where x is the smaller


def add(x: Any, y: Any) -> Residues:
    return reduced(x + y)


def negative(x: Any) -> Residues:
    return np.where(x == 0, x, _P - x)


def times(x: Any, y: Any) -> Residues:
    """x y modulo P: 32-bit halves, 2⁶⁴ = 8 and 2⁶¹ = 1."""
    a, b, c, d = x >> _32, x & _LOW32, y >> _32, y & _LOW32
    middle = a * d + b * c                                   # below 2⁶²
    low = b * d
    total = (a * c << np.uint64(3)) + (middle >> _29) + ((middle & _LOW29) << _32) + (low & _P) + (low >> _61)
    return reduced(total)


def power(x: Any, n: int) -> Residues:
    """xⁿ modulo P."""
    x = np.asarray(x, np.uint64)
    result = np.ones_like(x)
    for bit in bin(n)[2:]:
        result = times(result, result)
        if bit == "1":
            result = times(result, x)
    return result


def inverse(x: Any) -> Residues:
    """1/x modulo P, and 0 of 0: P − 2 is 4 (2⁵⁹ − 1) + 1, and two powers x^(2ⁿ − 1) make the one of 2n."""
    x = np.asarray(x, np.uint64)
    ones, n = x, 1
    for bit in bin(59)[3:]:
        ones, n = times(_squared(ones, n), ones), 2 * n
        if bit == "1":
            ones, n = times(times(ones, ones), x), n + 1
    return times(_squared(ones, 2), x)


def _squared(x: Residues, times_over: int) -> Residues:
    for _ in range(times_over):
        x = times(x, x)
    return x


def root(x: Any) -> Residues:
    """√x modulo P, where x is a square; elsewhere √−x. Multiplicative in either case."""
    return power(x, (P + 1) // 4)


def matmul(x: Residues, y: Residues) -> Residues:
    """x y modulo P."""
    return _matmul(x, y, P, times)


def matmul_q(x: Residues, y: Residues) -> Residues:
    """x y modulo Q."""
    return _matmul(x, y, Q, times_q)


def _matmul(x: Residues, y: Residues, modulus: int, product: Any) -> Residues:
    """By float64 products of 21-bit digits, each sum of which is exact."""
    total: Any = np.uint64(0)
    for start in range(0, x.shape[-1], 512):
        left, right = (_digits(one) for one in (x[..., start:start + 512], y[..., start:start + 512, :]))
        for k in range(5):
            part = sum(np.matmul(left[i], right[k - i]) for i in range(3) if 0 <= k - i < 3)
            shifted = product(np.asarray(part).astype(np.uint64) % np.uint64(modulus),
                              np.uint64(pow(2, 21 * k, modulus)))
            total = (total + shifted) % np.uint64(modulus)
    return np.asarray(total, np.uint64)


def _digits(x: Residues) -> list[NDArray[np.float64]]:
    mask = np.uint64(2**21 - 1)
    return [((x >> np.uint64(21 * k)) & mask).astype(np.float64) for k in range(3)]


def add_q(x: Any, y: Any) -> Residues:
    return (x + y) % np.uint64(Q)


def negative_q(x: Any) -> Residues:
    return np.where(x == 0, x, np.uint64(Q) - x)


def times_q(x: Any, y: Any) -> Residues:
    """x y modulo Q < 2⁵³: the quotient is off by one or two in float64."""
    quotient = (x.astype(np.float64) * y.astype(np.float64) / Q).astype(np.uint64)
    rest = (x * y - quotient * np.uint64(Q)).view(np.int64)
    return (rest % np.int64(Q)).view(np.uint64)


def inverse_q(x: Residues) -> Residues:
    """1/x modulo Q where there is one, elsewhere some residue."""
    result = np.ones_like(x)
    for bit in bin(UNITS - 1)[2:]:
        result = times_q(result, result)
        if bit == "1":
            result = times_q(result, x)
    return result


@cache
def _powers(base: int) -> Residues:
    """base^(256^k · j), in row k and column j."""
    return np.array([[pow(base, 256**k * j, P) for j in range(256)] for k in range(7)], np.uint64)


def exp(w: Residues) -> Residues:
    """BASE^w modulo P."""
    table, result = _powers(BASE), np.ones((), np.uint64)
    for k in range(7):
        result = times(result, table[k][(w >> np.uint64(8 * k)) & np.uint64(255)])
    return np.asarray(result, np.uint64)


@cache
def _logarithms(factor: int) -> tuple[Residues, Residues]:
    """The powers of GENERATOR^((P − 1) / factor) in increasing order, and their exponents."""
    base = pow(GENERATOR, (P - 1) // factor, P)
    values = np.array([pow(base, k, P) for k in range(factor)], np.uint64)
    order = np.argsort(values)
    return values[order], order.astype(np.uint64)


def log(x: Residues) -> Residues:
    """The exponent of x, modulo Q: log(x y) = log x + log y, and log(exp(w)) = w. Of 0: 0."""
    total, squares = np.zeros_like(x), [np.asarray(x, np.uint64)]
    for _ in range(P.bit_length() - 1):
        squares.append(times(squares[-1], squares[-1]))
    for factor in FACTORS:
        values, exponents = _logarithms(factor)
        bits = reversed(bin((P - 1) // factor)[2:])
        power = reduce(times, (square for square, bit in zip(squares, bits) if bit == "1"))
        found = exponents[np.searchsorted(values, power) % factor]
        rest = Q // factor
        total = add_q(total, times_q(found, np.uint64(rest * pow(rest, -1, factor) % Q)))
    return np.where(x == 0, np.uint64(0), total)


def mixed(x: Residues, salt: int) -> Residues:
    """A random-looking residue modulo P for each x, never 0 or 1: a stranger's function of x (splitmix64)."""
    z = x + np.uint64((0x9E3779B97F4A7C15 * (salt + 1)) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return reduced(z) % np.uint64(P - 2) + np.uint64(2)
