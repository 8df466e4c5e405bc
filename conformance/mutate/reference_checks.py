"""What must hold of the reference, as functions of the reference: so that a wrong one can be put to the same checks.

`R` is the package: R.FUNCTIONS[id], R.networks, … The tests run every check on the reference; the mutants are hunted
with the same list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import count
from typing import Any

import mpmath
import numpy as np
import sympy

from ..judging.numbers import lanes, multiprecision, symbolic
from ..judging.numbers.counting import Counted, polynomial
from ..witnesses import Witness, disagreement, table
from .reference_refusals import REFUSALS, Refusal

REGISTERED = (lanes, multiprecision, symbolic)      # imported so that their numbers take part
Check = Callable[[Any], None]


def witnessed(row: Witness, R: Any) -> None:
    sentence = disagreement(row, R.FUNCTIONS)
    assert sentence is None, sentence


def refused(refusal: Refusal, R: Any) -> None:
    said = ""
    try:
        refusal.attempt(R)
    except ValueError as error:
        said = str(error)
    assert said == refusal.sentence, said or "not refused"


def every_id_has_one_function(R: Any) -> None:
    for id, function in R.FUNCTIONS.items():
        assert id in function.ids
        assert function.__doc__.split("   ")[0] in function.ids, f"line 1 of {function.__name__} must begin with an id"


def kinks_belong_to_the_branch_with_the_equality(R: Any) -> None:
    z, s = sympy.Symbol("z", real=True), sympy.Symbol("s", positive=True)
    at_zero = {"act.relu": (0,), "act.leaky": (s, s), "act.elu": (1, s)}
    for id, (slope, *parameters) in at_zero.items():
        assert sympy.diff(R.FUNCTIONS[id](z, *parameters), z).subs(z, 0) == slope, id


def literal_where_the_formula_overflows(R: Any) -> None:
    for id, x, error in (("act.sigmoid", -710.0, OverflowError), ("act.tanh", 710.0, OverflowError)):
        try:
            R.FUNCTIONS[id](x)
        except error:
            continue
        raise AssertionError(f"{id}({x}) must overflow, as printed")
    assert R.FUNCTIONS["act.elu"](1e4, 1.0) == 1e4
    with mpmath.workdps(50):
        assert R.FUNCTIONS["act.sigmoid"](mpmath.mpf(-1000)) > 0


def one_formula_over_all_numbers(R: Any) -> None:
    values = [Fraction(-3, 2), Fraction(1, 4), Fraction(5, 2)]
    theta = [Fraction(1, 2), Fraction(-3)]
    exact = R.FUNCTIONS["conv1d.valid"](theta, values)
    assert exact == [Fraction(-3, 2), Fraction(-59, 8)]
    as_lanes = [np.array([float(v), float(2 * v)]) for v in values]
    for found, v in zip(R.FUNCTIONS["conv1d.valid"]([0.5, -3.0], as_lanes), exact):
        assert found.tolist() == [float(v), float(2 * v)]
    x, y, z = sympy.symbols("x y z")
    assert R.FUNCTIONS["conv1d.valid"]([2, 3], [x, y, z]) == [2 * x + 3 * y, 2 * y + 3 * z]


WIDTH = 4


def multiplications(R: Any, id: str, L: int) -> int:
    """Of one gradient of an L-layer network of this width with one output."""
    tally: Counter[str] = Counter()
    Theta = [None, *([None, *([Counted(0.1, tally) for _ in range(WIDTH + 1)] for _ in range(WIDTH if l < L else 1))]
                     for l in range(1, L + 1))]
    R.FUNCTIONS[id](Theta, [Counted(0.1, tally) for _ in range(WIDTH)], [1])
    return tally["*"]


def costs_are_linear_and_quadratic(R: Any) -> None:
    for id, coefficients in (("bp.nabla", [-60, 56]), ("bp.cost", [0, -20, 28])):
        points = [(L, multiplications(R, id, L)) for L in (2, 3, 4, 5)]
        assert polynomial(points) == coefficients, id


def trained(R: Any, output: Callable[..., Any], steps: int = 30) -> Any:
    """ŷ of one neuron that has seen (x, y) = (1, 1), by the printed update with η = 1."""
    Theta = [None, [None, [0.0, 0.0]]]
    for _ in range(steps):
        nabla = R.FUNCTIONS["bp.nabla"](Theta, [1.0], [1.0], output=output)
        Theta = R.FUNCTIONS["opt.gd"](Theta, nabla, 1.0)
    return R.FUNCTIONS["net.out"](Theta, [1.0])[1][2][1]


def the_printed_sign_learns_the_wrong_class(R: Any) -> None:
    loss = R.FUNCTIONS["loss.xent.negated"]
    wrong, right = (trained(R, R.FUNCTIONS[id]) for id in ("bp.delta.out", "alg.delta.out"))
    assert wrong < 0.5 < right
    assert loss(1.0, wrong) > loss(1.0, 0.5) > loss(1.0, right)


def one_lambda_is_half_the_printed_penalty(R: Any) -> None:
    """∂/∂Θ of λ‖Θ‖² is 2λΘ, intercepts too; D has λΘ, and no intercepts."""
    b, w, lam = sympy.symbols("b w lambda", real=True)
    Theta = [None, [None, [b, w]]]
    flat = {"L": lambda y, yhat: 0}
    printed = R.FUNCTIONS["loss.objective"]([0], [0], Theta, lam, **flat)
    corrected = R.FUNCTIONS["loss.objective.corrected"]([0], [0], Theta, lam, **flat)
    D = R.FUNCTIONS["alg.average"]([None, [sympy.Integer(0)] * 2], Theta[1], lam, 1)[1]
    assert [sympy.diff(printed, v) for v in (b, w)] == [2 * lam * b, 2 * lam * w]
    assert [sympy.diff(corrected, v) for v in (b, w)] == D == [0, lam * w]


def a_single_instance_has_an_average(R: Any) -> None:
    assert R.FUNCTIONS["alg.average"]([None, [2, 4]], [None, [3, 5]], 10, 1) == [None, [2, 54]]
    assert R.FUNCTIONS["norm.mean"]([3]) == 3
    assert R.FUNCTIONS["norm.variance"]([3]) == 0
    assert R.FUNCTIONS["loss.objective"]([2], [3], [None], 0, lambda y, yhat: y * yhat) == 6


def a_loss_without_weights_is_the_plain_one(R: Any) -> None:
    y, z = [0, 1, 0], [0.5, -1.25, 2.0]
    assert R.FUNCTIONS["loss.softmax.weighted"](y, z, [1] * 3) == R.FUNCTIONS["loss.softmax"](y, z)
    assert R.FUNCTIONS["loss.mean"]([2, 9], [1, 1]) == R.FUNCTIONS["loss.objective"](
        [2, 9], [None, None], [None], 0, lambda y, yhat: Fraction(y))


def centred_is_valid_with_its_ends_padded(R: Any) -> None:
    for m, n in ((1, 1), (1, 3), (3, 3), (3, 7), (5, 2), (7, 9)):
        theta, a, h = list(range(2, m + 2)), list(range(3, n + 3)), (m - 1) // 2
        padded = [0] * h + a + [0] * h
        assert R.FUNCTIONS["conv1d.centred"](theta, a) == R.FUNCTIONS["conv1d.valid"](theta, padded)
        assert R.FUNCTIONS["arch.shared"](theta, a) == R.FUNCTIONS["conv1d.valid"](theta, padded)
        assert R.FUNCTIONS["arch.shared.layer"](a, theta, 0) == R.FUNCTIONS["conv1d.valid"](theta, padded)


def a_local_layer_is_a_full_one_with_a_band(R: Any) -> None:
    for m, n in ((1, 1), (3, 1), (3, 4), (5, 4), (9, 3)):
        h, x, b = (m - 1) // 2, list(range(3, n + 3)), [7 * i + 1 for i in range(n)]
        Theta = [[5 * i + j * j - 3 for j in range(n)] for i in range(n)]
        band = [[Theta[i][i + k - h] if 0 <= i + k - h < n else 10**9 for k in range(m)] for i in range(n)]
        masked = [[Theta[i][j] if abs(i - j) <= h else 0 for j in range(n)] for i in range(n)]
        full = [z + intercept for z, intercept in zip(R.FUNCTIONS["fc.layer"](masked, x), b)]
        assert R.FUNCTIONS["arch.local.layer"](x, band, b) == full
        if m == 3:
            assert R.FUNCTIONS["arch.local.layer"](x, band, [0] * n) == R.FUNCTIONS["arch.local"](Theta, x)
        if m <= 2 * n + 1:
            assert R.FUNCTIONS["arch.local.params"](n, m) == sum(v != 10**9 for row in band for v in row)


def a_layer_of_one_channel_is_the_printed_convolution(R: Any) -> None:
    for (H, W), (M, N) in (((1, 1), (1, 1)), ((3, 5), (3, 2)), ((4, 3), (1, 3))):
        I = [[7 * p - 3 * q * q for q in range(W)] for p in range(H)]
        K = [[m * m + 5 * n - 2 for n in range(N)] for m in range(M)]
        printed = R.FUNCTIONS["conv2d.valid"](I, K)
        assert R.FUNCTIONS["conv2d.layer"]([I], [[K]]) == [printed]
        assert R.FUNCTIONS["stack.one"]([[[v] for v in row] for row in I], [[[v] for v in row] for row in K]) == printed


def the_filters_take_the_one_of_a_number_type(R: Any) -> None:
    assert R.FUNCTIONS["filter.box"](18) == [[2] * 3] * 3
    assert R.FUNCTIONS["filter.gauss"](32) == [[2, 4, 2], [4, 8, 4], [2, 4, 2]]


def networks_have_the_parameters_they_should(R: Any) -> None:
    for shapes, sizes in ((R.networks.NET, [60, 880, 69240, 10164, 850]),
                          (R.networks.LENET, [156, 2416, 48120, 10164, 850])):
        p = R.networks.build(shapes, count())
        assert [R.counts.parameters(layer) for layer in p.values()] == sizes
        assert R.counts.parameters(p) == sum(sizes)


def parameters_are_filled_weights_first(R: Any) -> None:
    p = R.networks.build({"conv": (2, 1, 2, 1), "fc": (2, 3)}, count())
    assert p == {"conv": ([[[[0], [1]]], [[[2], [3]]]], [4, 5]), "fc": [None, [12, 6, 7, 8], [13, 9, 10, 11]]}


def edges_are_accepted(R: Any) -> None:
    assert [R.FUNCTIONS["net.onehot"](k, 3) for k in (1, 2, 3)] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert R.FUNCTIONS["vit.patches"]([[[1, 2], [3, 4]]], 1) == [[1], [2], [3], [4]]
    assert R.FUNCTIONS["conv2d.layer"]([[[2]]], [[[[3, 5, 7]]]], padding=(0, 1)) == [[[10]]]
    assert R.FUNCTIONS["norm.batch.running"]([1, 3], 0, 0, 1) == (2, 2)
    assert R.FUNCTIONS["pool.max.index"]([[1, 2], [4, 3]]) == [[2]]
    assert R.FUNCTIONS["pool.max"]([[1, 2], [4, 3]]) == [[4]]
    assert R.FUNCTIONS["loss.huber"](0, 3) == 2.5                   # c = 1, as torch has it


def lamb_keeps_its_ratio_at_one_where_a_length_is_zero(R: Any) -> None:
    still = R.FUNCTIONS["opt.lamb"]([0.0, 0.0], [0.5, -0.5], [0.0] * 2, [0.0] * 2, 1, 0.25, 0.125, 0.5, 0.75, 0.0)
    assert still[0] == [-0.25, 0.25]
    assert R.FUNCTIONS["opt.lamb"]([3.0], [0.0], [0.0], [0.0], 1, 0.25, 0.0, 0.5, 0.75, 1.0)[0] == [3.0]
    assert R.FUNCTIONS["opt.lamb"]([0.25], [2.0], [0.0], [0.0], 1, 0.5, 0.0, 0.5, 0.75, 0.0)[0] == [0.125]


def learning_rates_fall(R: Any) -> None:
    assert [R.FUNCTIONS["opt.schedule.step"](8, t, Fraction(1, 2), 3) for t in range(7)] == [8, 8, 8, 4, 4, 4, 2]
    assert [R.FUNCTIONS["opt.schedule.inverse"](Fraction(6), t, 1) for t in range(3)] == [6, 3, 2]


CHECKS: tuple[Check, ...] = (
    every_id_has_one_function, kinks_belong_to_the_branch_with_the_equality, literal_where_the_formula_overflows,
    one_formula_over_all_numbers, costs_are_linear_and_quadratic, the_printed_sign_learns_the_wrong_class,
    one_lambda_is_half_the_printed_penalty, a_single_instance_has_an_average,
    a_loss_without_weights_is_the_plain_one, centred_is_valid_with_its_ends_padded,
    a_local_layer_is_a_full_one_with_a_band, a_layer_of_one_channel_is_the_printed_convolution,
    the_filters_take_the_one_of_a_number_type,
    networks_have_the_parameters_they_should, parameters_are_filled_weights_first,
    edges_are_accepted, lamb_keeps_its_ratio_at_one_where_a_length_is_zero, learning_rates_fall,
    *(partial(refused, refusal) for refusal in REFUSALS), *(partial(witnessed, row) for row in table()))
