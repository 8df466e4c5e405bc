"""Which element a float stands for: one function of its value, so that equal data are equal elements everywhere.

A whole number, a power of two, a decimal of at most five digits, a fraction whose denominator is at most 1100 (and no
power of two) and 1/n up to n = 2²⁰ are themselves: 0.1 is 1/10 however it was rounded. So are √n and 1/√n of a whole
number up to 4096, and the constants of a formula that have a name (log₂ e, √(2/π)). Any other float stands for a random
element.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import numpy as np

from . import algebra as A
from .algebra import P, Q, Residues

DIGITS, DENOMINATOR, SQUARES, UNIT = 5, 1100, 4096, 2**20
_BITS, _PI, WITHOUT, _LN2 = 1, 2, 3, 4        # salts: elements of data, π, exponents, log 2

Pair = tuple[Residues, Residues]


def exponent(v: Residues) -> Residues:
    """The residue modulo Q of an element that is known modulo P only: a random function of it, but that of √(2/π) is
    the quotient of those of √2 and √π."""
    found = A.mixed(v, WITHOUT) % np.uint64(Q)
    return np.where(v == np.uint64(ROOT_2_PI), np.uint64(ITS_EXPONENT), found)


def formal(name: str, v: Residues) -> Residues:
    """The element that stands for name(v), of which nothing is known but that equal arguments give equal values."""
    return A.mixed(v, salt(name))


def salt(name: str) -> int:
    return sum(ord(c) << (8 * (k % 6)) for k, c in enumerate(name))


PI = int(A.times(*2 * [A.mixed(np.array([7], np.uint64), _PI)])[0])          # a square, so that √π exists


def root(n: int) -> int:
    """The square root of an element, where it has one."""
    return pow(n, (P + 1) // 4, P)


def _bare(v: int) -> int:
    return int(A.mixed(np.array([v], np.uint64), WITHOUT)[0]) % Q


ROOT_2_PI = root(2) * pow(root(PI), -1, P) % P
ITS_EXPONENT = _bare(root(2)) * pow(_bare(root(PI)), A.UNITS - 1, Q) % Q
LN2 = next(n for n in range(int(A.mixed(np.array([2], np.uint64), _LN2)[0]), P)
           if math.gcd(int(exponent(np.array([n], np.uint64))[0]), Q) == 1)


@cache
def named() -> dict[float, tuple[int, int]]:
    """Constants that a formula names, by their float32: the element, and its exponent."""
    found = {math.pi: PI, 2 * math.pi: 2 * PI, math.sqrt(2): root(2), math.sqrt(0.5): root(pow(2, -1, P)),
             math.sqrt(2 / math.pi): root(2 * pow(PI, -1, P)), math.sqrt(math.pi): root(PI),
             2 / math.sqrt(math.pi): 2 * root(pow(PI, -1, P)), 1 / math.sqrt(math.pi): root(pow(PI, -1, P)),
             1 / math.sqrt(2 * math.pi): root(pow(2 * PI, -1, P)), math.log(2): LN2}
    pairs = {float(np.float32(c)): (v % P, int(exponent(np.array([v % P], np.uint64))[0])) for c, v in found.items()}
    unit = pairs[float(np.float32(math.log(2)))][1]
    pairs[float(np.float32(1 / math.log(2)))] = pow(LN2, -1, P), pow(unit, -1, Q)
    v, w = pairs[float(np.float32(math.sqrt(2 / math.pi)))]
    pairs[float(np.float32(math.sqrt(8 / math.pi)))] = 2 * v % P, 2 * w % Q
    pairs[float(np.float32(3 * 0.044715))] = _ratio(Fraction(134145, 10**6))        # of GELU's derivative
    return pairs


def _ratio(x: Fraction) -> tuple[int, int]:
    """The element of a positive fraction, and its exponent."""
    return x.numerator * pow(x.denominator, -1, P) % P, x.numerator * pow(x.denominator, A.UNITS - 1, Q) % Q


def whole(n: Any) -> Pair:
    """The elements of integers."""
    n = np.asarray(n)
    size = np.abs(n.astype(np.int64)).astype(np.uint64)
    v, w = size % np.uint64(P), size % np.uint64(Q)
    return np.where(n < 0, A.negative(v), v), np.where(n < 0, A.negative_q(w), w)


def of(x: Any) -> Pair:
    """The elements of floats, modulo P and modulo Q. Infinities and NaN have 0."""
    with np.errstate(all="ignore"):
        single = np.asarray(x).astype(np.float32)
        if single.size == 1 or (single.size and (single == single.flat[0]).all()):
            v, w = _alone(single.flat[0].tobytes())
            return np.broadcast_to(v[0], single.shape), np.broadcast_to(w[0], single.shape)
        v, w = _together(single.tobytes())
    return v.reshape(single.shape), w.reshape(single.shape)


@cache
def _alone(bits: bytes) -> Pair:
    """The element of one float: constants come again and again."""
    return _of(np.frombuffer(bits, np.float32))


@lru_cache(maxsize=512)
def _together(bits: bytes) -> Pair:
    """The elements of a tile of data: a case that is run again meets the same."""
    return _of(np.frombuffer(bits, np.float32))


def _of(single: Any) -> Pair:
    size = np.abs(np.where(np.isfinite(single), single, 0)).astype(np.float64)
    integer = (size == np.rint(size)) & (size < 2.0**62)
    v = np.where(integer, size.astype(np.uint64) % np.uint64(P), A.mixed(_bits(size), _BITS))
    w = np.where(integer, size.astype(np.uint64) % np.uint64(Q), exponent(v))
    for x, fraction in _fractions(size[~integer]).items():
        here = size == x
        v[here], w[here] = (fraction.numerator * pow(fraction.denominator, n - 1, modulus) % modulus
                            for n, modulus in ((P - 1, P), (A.UNITS, Q)))
    for x, n, inverse in _roots(size[~integer]):
        element = np.array([root(n)], np.uint64)
        power = exponent(element)
        v[size == x], w[size == x] = (A.inverse(element), A.inverse_q(power)) if inverse else (element, power)
    for constant, residues in named().items():
        here = size.astype(np.float32) == np.float32(constant)
        v[here], w[here] = residues
    return np.where(single < 0, A.negative(v), v), np.where(single < 0, A.negative_q(w), w)


def _bits(size: Any) -> Residues:
    return size.astype(np.float32).view(np.uint32).astype(np.uint64)


def _fractions(x: Any) -> dict[float, Fraction]:
    """Which of these positive float32 are a power of two, a short decimal or a small fraction, rounded."""
    places = DIGITS - 1 - np.floor(np.log10(x))
    digits = np.rint(x * 10.0**places)
    decimal = (digits / 10.0**places).astype(np.float32) == x.astype(np.float32)
    found = {float(a): Fraction(int(n)) / Fraction(10) ** int(k)
             for a, n, k in zip(x[decimal], digits[decimal], places[decimal])}
    found |= {float(a): Fraction(float(a)) for a in x[np.frexp(x)[0] == 0.5]}
    p, q = _convergents(x)
    near = ((p / q).astype(np.float32) == x.astype(np.float32)) & (q & (q - 1) != 0)
    n = np.rint(1 / x)
    unit = (n > DENOMINATOR) & (n <= UNIT) & ((1 / n).astype(np.float32) == x.astype(np.float32))
    return {float(a): Fraction(1, int(n)) for a, n in zip(x[unit], n[unit])} | {
        float(a): Fraction(int(n), int(d)) for a, n, d in zip(x[near], p[near], q[near])} | found


def _roots(x: Any) -> list[tuple[float, int, bool]]:
    """Which of these are √n or 1/√n of a whole number that is no square: (x, n, is it 1/√n?)."""
    found = []
    for inverse, n in ((False, np.rint(x * x)), (True, np.rint(1 / (x * x)))):
        root = np.sqrt(n)
        small = (n > 1) & (n <= SQUARES) & (root != np.rint(root))
        near = small & ((1 / root if inverse else root).astype(np.float32) == x.astype(np.float32))
        found += [(float(a), int(k), inverse) for a, k in zip(x[near], n[near])]
    return found


def _convergents(x: Any) -> tuple[Any, Any]:
    """The last convergent of each continued fraction whose denominator is not too large."""
    whole, one = np.floor(x), np.ones(x.shape, np.int64)
    p, q, before_p, before_q = whole.astype(np.int64), one, one, 0 * one
    rest, going = x - whole, np.ones(x.shape, bool)
    for _ in range(12):
        inverse = 1 / np.where(rest == 0, 1, rest)
        going = going & (rest != 0) & (inverse < DENOMINATOR + 1)
        a = np.where(going, np.floor(inverse), 0).astype(np.int64)
        going = going & (a * q + before_q <= DENOMINATOR)
        p, before_p = np.where(going, a * p + before_p, p), np.where(going, p, before_p)
        q, before_q = np.where(going, a * q + before_q, q), np.where(going, q, before_q)
        rest = np.where(going, inverse - a, 0)
    return p, q
