"""The algebra over the exact field: NumPy's against Python's integers, and the identities it promises."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from chainrule import scalar
from chainrule.conformance.field import algebra, constants
from chainrule.conformance.field.algebra import P, Q
from chainrule.conformance.field.elements import Exact, Unseen
from chainrule.conformance.field.scalars import Ledger, lanes
from chainrule.spec.field import P as SPEC_P

EDGES = [0, 1, 2, P - 1, P - 2, 2**60, 2**32 - 1, 2**32]


@pytest.fixture
def numbers():
    draw = random.Random(5)
    x = [*EDGES, *(draw.randrange(P) for _ in range(300))]
    y = [*reversed(EDGES), *(draw.randrange(P) for _ in range(300))]
    return x, y


def array(numbers):
    return np.array(numbers, np.uint64)


def ints(residues):
    return [int(n) for n in residues]


def test_the_field_is_the_records_own_and_exponents_live_in_a_subgroup():
    assert P == SPEC_P
    assert P - 1 == 450 * Q
    assert math.prod(algebra.FACTORS) == Q
    assert math.gcd(Q, 30) == 1
    assert all(pow(algebra.GENERATOR, (P - 1) // f, P) != 1 for f in (2, 3, 5, *algebra.FACTORS))


def test_sums_products_inverses_powers_as_pythons_integers_have_them(numbers):
    x, y = numbers
    assert ints(algebra.add(array(x), array(y))) == [(a + b) % P for a, b in zip(x, y)]
    assert ints(algebra.times(array(x), array(y))) == [a * b % P for a, b in zip(x, y)]
    assert ints(algebra.negative(array(x))) == [-a % P for a in x]
    assert ints(algebra.inverse(array(x))) == [pow(a, P - 2, P) for a in x]
    assert ints(algebra.root(algebra.times(array(x), array(x)))) == [min(a, P - a, key=is_square) for a in x]
    in_q = [a % Q for a in x], [a % Q for a in y]
    assert ints(algebra.times_q(*map(array, in_q))) == [a * b % Q for a, b in zip(*in_q)]
    assert all(a * int(i) % Q == 1 for a, i in zip(in_q[0], algebra.inverse_q(array(in_q[0]))) if math.gcd(a, Q) == 1)


def is_square(a):
    """False first: the square of two roots."""
    return pow(a, (P - 1) // 2, P) != 1 and a != 0


def test_matrix_products(numbers):
    x, y = (array((one * 4)[:1200]) for one in numbers)
    for product, modulus in ((algebra.matmul, P), (algebra.matmul_q, Q)):
        a, b = (x % np.uint64(modulus)).reshape(2, 600), (y % np.uint64(modulus)).reshape(600, 2)
        assert (product(a, b).astype(object) == a.astype(object) @ b.astype(object) % modulus).all()


def test_the_exponential_turns_sums_into_products_and_the_logarithm_back(numbers):
    x, y = (array(one) for one in numbers)
    w, z = x % np.uint64(Q), y % np.uint64(Q)
    assert (algebra.exp(algebra.add_q(w, z)) == algebra.times(algebra.exp(w), algebra.exp(z))).all()
    assert (algebra.log(algebra.exp(w)) == w).all()
    some = (x != 0) & (y != 0)
    assert (algebra.log(algebra.times(x, y)) == algebra.add_q(algebra.log(x), algebra.log(y)))[some].all()


@pytest.mark.parametrize(("number", "fraction"), [
    (0.1, Fraction(1, 10)), (1 / 3, Fraction(1, 3)), (1 / 7, Fraction(1, 7)), (-0.044715, Fraction(-44715, 10**6)),
    (0.125 / 130, Fraction(1, 1040)), (0.125 / 33001, Fraction(1, 264008)), (1e-8, Fraction(1, 10**8)),
    (2.0**-30, Fraction(1, 2**30)), (4097, Fraction(4097))])
def test_constants_are_the_fractions_they_round(number, fraction):
    v, _ = constants.of(np.array([number], np.float32))
    assert int(v[0]) == fraction.numerator * pow(fraction.denominator, -1, P) % P


def test_data_are_random_elements_equal_where_equal_and_odd():
    x = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    v, w = constants.of(x)
    assert len(set(ints(v))) == len(set(x.tolist()))
    assert (constants.of(-x)[0] == algebra.negative(v)).all()
    assert (constants.of(x.astype(np.float64))[1] == w).all()


def test_square_roots_and_logarithms_of_two_have_names():
    assert as_one(1 / np.sqrt(24)) == (1 / np.sqrt(Exact.of(np.array([24.0], np.float32)))).v
    one = Exact.of(np.array([0.7312], np.float32))
    assert np.exp2(one * np.float32(1.4426950408889634)).v == np.exp(one).v
    assert (np.log2(one) * np.float32(0.6931471805599453)).w == np.log(one).w


def as_one(x):
    return constants.of(np.array([x], np.float32))[0]


FORMULAS = [
    lambda x, y: (x + y) * (x - y) / (2 + y), lambda x, y: scalar.exp(x - y) / (1 + scalar.exp(-x)),
    lambda x, y: scalar.log(1 + scalar.exp(x)) - y, lambda x, y: scalar.tanh(x * y) / 3,
    lambda x, y: scalar.sqrt(x * x + y * y + 1), lambda x, y: scalar.expm1(x) * scalar.log1p(y * y),
    lambda x, y: x**3 - y]


@pytest.mark.parametrize("formula", FORMULAS)
def test_both_numbers_compute_alike(formula, monkeypatch):
    """The kernel's arrays and the reference's numbers, written apart from each other."""
    x, y = np.random.default_rng(3).standard_normal((2, 40)).astype(np.float32).astype(np.float64)
    for name in ("exp", "log", "sqrt", "tanh", "expm1", "log1p"):
        monkeypatch.setattr(scalar, name, dispatched(name, getattr(scalar, name)))
    mine = formula(Exact.of(x), Exact.of(y))
    ledger = Ledger()
    lift = lanes(ledger, {"x": x, "y": y})
    reference = formula(lift(x), lift(y))
    assert ints(mine.v) == [one.v for one in reference]
    assert ints(mine.w) == [one.w for one in reference]


def dispatched(name, original):
    return lambda x: getattr(np, name)(x) if isinstance(x, Exact) else original(x)


def test_what_is_not_known_is_refused_and_not_lost():
    x = Exact.of(np.array([0.3, 0.4], np.float32))
    for lost in (np.arctan, np.sort, np.asarray, np.ascontiguousarray):
        with pytest.raises(Unseen):
            lost(x)
