"""What goes wrong with the printed signs and the printed penalty, run as printed."""

import random
from itertools import pairwise

import pytest

from chainrule import reference
from chainrule.conformance.judging.numbers.counting import polynomial
from chainrule.conformance.mutate.reference_checks import multiplications
from chainrule.reference import FUNCTIONS

sigmoid, forward = FUNCTIONS["act.sigmoid"], FUNCTIONS["net.out"]
NEGATED = FUNCTIONS["loss.xent.negated"]


def two_clouds(n=12):
    """Two classes a line separates: y = 1 above x_1 + x_2 = 0."""
    draw = random.Random(7)
    points = [[draw.uniform(-2, 2), draw.uniform(-2, 2)] for _ in range(n)]
    return [(x, [1.0 if x[0] + x[1] > 0 else 0.0]) for x in points]


def network():
    draw = random.Random(3)
    return [None, *([None, *([draw.uniform(-0.5, 0.5) for _ in range(columns)] for _ in range(rows))]
                    for rows, columns in ((3, 3), (1, 4)))]


def mean_loss(Theta, data):
    return sum(NEGATED(y[0], forward(Theta, x)[1][-1][1]) for x, y in data) / len(data)


def accuracy(Theta, data):
    return sum((forward(Theta, x)[1][-1][1] > 0.5) == (y[0] > 0.5) for x, y in data) / len(data)


def descend(output, steps=150, eta=1.0):
    """Gradient descent with D, the output error read as `output`; the loss after every step."""
    Theta, data = network(), two_clouds()
    losses = [mean_loss(Theta, data)]
    for _ in range(steps):
        D = FUNCTIONS["alg"](Theta, data, 0.0, output=FUNCTIONS[output])
        Theta = FUNCTIONS["opt.gd"](Theta, D, eta)
        losses.append(mean_loss(Theta, data))
    return losses, accuracy(Theta, data)


def test_the_algorithm_slides_sign_learns_the_right_class():
    losses, right = descend("alg.delta.out")
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert right == 1.0


def test_the_printed_loss_with_its_printed_delta_ascends_and_learns_the_wrong_class():
    losses, right = descend("bp.delta.out", steps=40, eta=0.25)
    assert all(later > earlier for earlier, later in pairwise(losses))
    assert right < 0.5
    assert losses[-1] > 10 * losses[0]


def test_the_printed_loss_falls_while_it_learns_the_wrong_class():
    """It is no slip of the update: descending the printed loss is what the printed formulas do."""
    printed = FUNCTIONS["loss.xent"]
    Theta = [None, [None, [0.0, 0.0]]]
    values = []
    for _ in range(20):
        yhat = forward(Theta, [1.0])[1][2][1]
        values.append(printed(1.0, yhat))
        Theta = FUNCTIONS["opt.gd"](Theta, FUNCTIONS["bp.nabla"](Theta, [1.0], [1.0]), 1.0)
    assert values == sorted(values, reverse=True)
    assert values[0] <= 0
    assert yhat < 0.01


def test_both_signs_are_the_gradient_of_their_own_loss():
    Theta, (x, y) = network(), two_clouds()[0]
    printed = FUNCTIONS["bp.nabla"](Theta, x, y)
    negated = FUNCTIONS["bp.nabla"](Theta, x, y, output=FUNCTIONS["alg.delta.out"])
    assert [[[-v for v in row] for row in layer[1:]] for layer in printed[1:]] \
        == [layer[1:] for layer in negated[1:]]


def test_twice_the_penalty_where_the_objective_is_followed_as_printed():
    """λΘ in D against 2λΘ, intercepts too, in the printed objective: without data both shrink Θ, one twice as fast."""
    Theta, lam, eta = [None, [1.0, 1.0]], 0.125, 1.0
    nothing = [None, [0.0, 0.0]]
    D = FUNCTIONS["alg.average"](nothing, Theta, lam, 1)
    printed = [None, [2 * lam * v for v in Theta[1]]]
    assert FUNCTIONS["opt.gd"](Theta, D, eta) == [None, [1.0, 0.875]]
    assert FUNCTIONS["opt.gd"](Theta, printed, eta) == [None, [0.75, 0.75]]


@pytest.mark.parametrize(("id", "cost"), [("bp.nabla", lambda L: 56 * L - 60),
                                          ("bp.cost", lambda L: 28 * L * L - 20 * L)], ids=["linear", "quadratic"])
def test_multiplications_are_exact_polynomials_of_the_depth(id, cost):
    """Fitted on four depths, checked on others up to 64."""
    coefficients = polynomial([(L, multiplications(reference, id, L)) for L in (2, 3, 4, 5)])
    for L in (2, 6, 11, 32, 64):
        fitted = sum(c * L**k for k, c in enumerate(coefficients))
        assert multiplications(reference, id, L) == fitted == cost(L)


def test_a_longer_chain_of_layers_shows_where_the_naive_scheme_loses():
    assert multiplications(reference, "bp.cost", 32) > 15 * multiplications(reference, "bp.nabla", 32)
