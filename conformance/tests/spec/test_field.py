"""The exact field: its arithmetic, and that it refuses every wrong partial derivative."""

import threading
from fractions import Fraction
from itertools import pairwise

import pytest

from chainrule.scalar import exp, expm1, log, log1p, sqrt, where
from chainrule.spec.field import Dual, Field, NoRoot, P, check_direction, wrong_partials

HALF = pow(2, -1, P)


def sigmoid(z):
    return 1 / (1 + exp(-z))


def test_constants_enter_exactly():
    third = Dual(1) / 3
    assert third * 3 == 1
    assert Dual(1) * Fraction(1, 3) == third
    assert Dual(1) * 0.5 == Dual(HALF)
    assert Dual(1) * 0.1 != Dual(1) / 10                    # the float 0.1 is not a tenth
    with pytest.raises(TypeError, match="cannot meet str"):
        Dual(1) + "1"


@pytest.mark.parametrize(("f", "derivative"), [
    (lambda x: x * x * x, lambda x: 3 * x * x),
    (lambda x: x**-2, lambda x: -2 / (x * x * x)),
    (lambda x: (2 - x) / (x + 5), lambda x: -7 / ((x + 5) * (x + 5))),
    (lambda x: exp(3 * x), lambda x: 3 * exp(3 * x)),
    (lambda x: expm1(x), lambda x: exp(x)),
    (lambda x: log(x * x), lambda x: 2 / x),
    (lambda x: log1p(x), lambda x: 1 / (1 + x)),
    (lambda x: sqrt(x * x), lambda x: x / sqrt(x * x)),
    (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    (lambda x: where(x > 0, x * x, 0 * x), lambda x: where(x > 0, 2 * x, 0)),
])
def test_rules_of_differentiation(f, derivative):
    def right(p):
        return [derivative(p[0])]

    def wrong(p):
        return [derivative(p[0]) + 1]

    assert all(check_direction(lambda p: f(p[0]), 1, right, seed) for seed in range(20))
    assert not any(check_direction(lambda p: f(p[0]), 1, wrong, seed) for seed in range(20))


def test_exp_of_minus_u_is_the_inverse():
    with Field(1) as field:
        u = field.draw()
        assert exp(u) * exp(-u) == 1
        assert exp(0 * u) == 1
        assert log(0 * u + 1) == 0
        assert exp(u) != exp(2 * u)


def test_a_formal_function_without_a_field_says_what_to_do():
    with pytest.raises(RuntimeError, match="with Field"):
        exp(Dual(3))


def test_fields_do_not_leak_between_contexts():
    u = Dual(12345)
    with Field(1):
        first = exp(u)
        with Field(2):
            assert exp(u) != first
        assert exp(u) == first
        seen = []
        thread = threading.Thread(target=lambda: seen.append(_fails_outside(u)))
        thread.start()
        thread.join()
    assert seen == [True]


def _fails_outside(u):
    try:
        exp(u)
    except RuntimeError:
        return True
    return False


def test_roots_are_roots_and_formal_roots_keep_the_rule():
    for seed in range(10):
        assert check_direction(lambda p: sqrt(p[0]) * sqrt(p[0]), 1, lambda p: [1], seed)
    count = 20                          # real roots for twenty arguments at once are out of reach
    loss = lambda p: sum(sqrt(v) for v in p)
    gradient = lambda p: [1 / (2 * sqrt(v)) for v in p]
    assert check_direction(loss, count, gradient, formal_roots=True)
    assert not check_direction(loss, count, lambda p: [1 / sqrt(v) for v in p], formal_roots=True)
    with pytest.raises(NoRoot, match="formal_roots"):
        check_direction(loss, 60, gradient)


def test_division_by_zero_and_wrong_lengths_are_said():
    with pytest.raises(ZeroDivisionError, match="GF"):
        Dual(1) / (Dual(5) - 5)
    with pytest.raises(ValueError, match="1 partial derivatives for 2"):
        check_direction(lambda p: p[0], 2, lambda p: [1])


# ---- a network of 26,122 parameters, with the deck's own recursion

WIDTHS = [64, 128, 128, 10]
COUNT = sum((n + 1) * m for n, m in pairwise(WIDTHS))


def layers(p):
    numbers = iter(p)
    return [[[next(numbers) for _ in range(n + 1)] for _ in range(m)] for n, m in pairwise(WIDTHS)]


def forward(Theta, x):
    a = [[1, *x]]
    for rows in Theta:
        a.append([1, *(sigmoid(sum(t * v for t, v in zip(row, a[-1]))) for row in rows)])
    return a


def loss(p):
    a = forward(layers(p), X)[-1][1:]
    return -sum(y * log(o) + (1 - y) * log(1 - o) for y, o in zip(Y, a))


def gradient(p):
    Theta = layers(p)
    a = forward(Theta, X)
    delta = [o - y for o, y in zip(a[-1][1:], Y)]
    parts = []
    for rows, below in zip(reversed(Theta), reversed(a[:-1])):
        parts.append([d * v for d in delta for v in below])
        back = [sum(d * row[i] for d, row in zip(delta, rows)) for i in range(len(below))]
        delta = [v * (1 - v) * s for v, s in zip(below, back)][1:]
    return [g for part in reversed(parts) for g in part]


X = [k % 7 - 3 for k in range(64)]
Y = [1 if k == 3 else 0 for k in range(10)]


def test_all_partials_of_the_network():
    assert COUNT == 26_122
    assert check_direction(loss, COUNT, gradient)


@pytest.mark.parametrize("k", [0, 8319, 26121])
def test_one_wrong_partial_is_refused_and_found(k):
    def wrong(p):
        g = gradient(p)
        g[k] = g[k] + 1
        return g

    assert wrong_partials(loss, COUNT, wrong) == [k]


def test_an_error_in_any_single_partial_is_refused():
    """The verdict is Σ (claimed − true)_k u_k ≠ 0 with no u_k = 0: in every coordinate of a small loss."""
    n = 300
    for k in range(n):
        assert not check_direction(lambda p: sum(v * v for v in p), n,
                                   lambda p, k=k: [2 * v + (i == k) for i, v in enumerate(p)], seed=k)


def test_the_witness_follows_the_computation():
    x = Dual(7, 1, 0.25)
    assert x > 0
    assert not x < 0
    assert abs(-x) == x
    assert (x * x - 2).w == -1.9375
    assert (x + 1 / x).w == 4.25
