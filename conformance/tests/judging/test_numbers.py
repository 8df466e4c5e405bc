"""One reference, every number type: the same formulas give the same numbers."""

import math
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

from chainrule import scalar
from chainrule.conformance.judging.numbers import lanes, multiprecision, symbolic
from chainrule.conformance.judging.numbers.bounded import FLOAT64, Bounded
from chainrule.conformance.judging.numbers.counting import Counted, polynomial
from chainrule.reference import FUNCTIONS
from chainrule.spec.field import Field, constant

REGISTERED = (lanes, multiprecision, symbolic)
POINTS = (-2.5, -0.25, 0.0, 0.5, 3.0)
SCALAR_IDS = {"act.sigmoid": (), "act.sigmoid.prime": (), "act.tanh": (), "act.relu": (), "act.leaky": (0.25,),
              "act.elu": (1.5,), "act.identity": ()}


def counted(v):
    return Counted(v, Counter())


def witness(v):
    return constant(Fraction(v))


def room(id, *arguments):
    """How far two float64 evaluations of the formula may be apart, by the formula itself."""
    reached = FUNCTIONS[id](*(Bounded(np.asarray(v), FLOAT64) for v in arguments))
    return 2 * float(getattr(reached, "error", 0))


# number type: how a float becomes one, how one becomes a float
TYPES = {
    "mpf": (mpmath.mpf, float),
    "sympy": (lambda v: sympy.Rational(Fraction(v)), lambda e: float(sympy.N(e, 30))),
    "lanes": (lambda v: np.array([v, v]), lambda a: float(np.asarray(a).flat[-1])),
    "lanes of mpf": (lambda v: np.array([mpmath.mpf(v)] * 2, dtype=object), lambda a: float(np.asarray(a).flat[-1])),
    "counted": (counted, lambda c: getattr(c, "v", c)),
    "bounded": (lambda v: Bounded(np.asarray(v), FLOAT64), lambda b: float(getattr(b, "v", b))),
    "field": (witness, lambda d: getattr(d, "w", d)),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("id", SCALAR_IDS)
def test_a_formula_gives_the_same_over_every_number_type(kind, id):
    lift, lower = TYPES[kind]
    parameters = SCALAR_IDS[id]
    for x in POINTS:
        expected = FUNCTIONS[id](x, *parameters)
        with Field(1):
            found = lower(FUNCTIONS[id](lift(x), *map(lift, parameters)))
        assert abs(found - expected) <= room(id, x, *parameters), (x, found, expected)


def test_fractions_are_exact_and_say_when_they_cannot_be():
    assert FUNCTIONS["act.leaky"](Fraction(-1, 3), Fraction(1, 10)) == Fraction(-1, 30)
    assert FUNCTIONS["act.sigmoid"](Fraction(0)) == Fraction(1, 2)
    with pytest.raises(scalar.NoExactValue, match=r"exp\(-1/3\) is not a fraction"):
        FUNCTIONS["act.sigmoid"](Fraction(1, 3))


def test_mpf_never_overflows():
    with mpmath.workdps(40):
        assert FUNCTIONS["act.sigmoid"](mpmath.mpf(-10**6)) > 0
        assert float(FUNCTIONS["act.tanh"](mpmath.mpf("0.3"))) == float(mpmath.tanh(mpmath.mpf("0.3")))
        loss = FUNCTIONS["loss.xent.logits"](mpmath.mpf(0), mpmath.mpf(40))
        assert float(loss) == float(mpmath.log(1 + mpmath.exp(40)))


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "sqrt"])
def test_the_alphabet_over_mpf_and_sympy(name):
    function = getattr(scalar, name)
    x = Fraction(3, 4)
    with mpmath.workdps(40):
        known = getattr(mpmath, name)(mpmath.mpf(0.75))
        assert function(mpmath.mpf(0.75)) == known
        assert float(sympy.N(function(sympy.Rational(x)), 40)) == float(known)


def test_sympy_prints_the_formula():
    z, alpha = sympy.Symbol("z", real=True), sympy.Symbol("alpha", positive=True)
    assert str(FUNCTIONS["act.sigmoid"](z)) == "1/(1 + exp(-z))"
    assert str(FUNCTIONS["act.elu"](z, alpha)) == "Piecewise((z, z >= 0), (alpha*(exp(z) - 1), True))"
    assert str(FUNCTIONS["act.relu"](z)) == "Piecewise((0, z <= 0), (z, True))"


def test_sympy_knows_a_branch_that_is_decided():
    positive = sympy.Symbol("p", positive=True)
    assert FUNCTIONS["act.relu"](positive) == positive
    assert symbolic.branch(lambda: positive) == positive
    assert symbolic.branch(sympy.Lambda(positive, 2)) == sympy.Lambda(positive, 2)


def test_counting():
    tally = Counter()
    a, b = Counted(3.0, tally), Counted(4.0, tally)
    root = (a * a + b * b + 0).sqrt()
    assert root.v == 5
    assert tally == {"*": 2, "+": 1, "sqrt": 1}
    value = 2 - (1 * a / 2 - b + 0 * a - 0) / 1
    assert value.v == 2 - (1.5 - 4)
    assert tally == {"*": 2, "+": 2, "sqrt": 1, "/": 1, "-": 2}


def test_counting_comparisons_and_exponentials():
    tally = Counter()
    a = Counted(0.5, tally)
    assert (a > 0, a >= 0.5, a < a, a <= 0) == (True, True, False, False)
    assert (a.exp().v, (-a).exp().log().v, (1 / a).v) == (math.exp(0.5), -0.5, 2)
    assert tally == {"compare": 4, "exp": 2, "log": 1, "/": 1}


def test_the_numbers_1_and_0_are_free_only_where_they_do_nothing():
    tally = Counter()
    a = Counted(2.0, tally)
    assert [(1 + a).v, (a - 1).v, (1 - a).v, (1 / a).v, (a * 1.0).v] == [3, 1, -1, 0.5, 2]
    assert tally == {"+": 1, "-": 2, "/": 1, "*": 1}


def test_polynomials_are_fitted_exactly():
    assert polynomial([(L, 28 * L * L - 20 * L) for L in (1, 2, 3, 4, 5)]) == [0, -20, 28]
    assert polynomial([(1, 1), (2, 4), (3, 9)]) == [0, 0, 1]
    assert polynomial([(L, L * (L - 1) // 2) for L in range(4)]) == [0, Fraction(-1, 2), Fraction(1, 2)]
    assert polynomial([(1, 0), (2, 0)]) == []
