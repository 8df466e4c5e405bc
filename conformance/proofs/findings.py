"""Proofs of findings about the deck that need the reference, the exact field or numpy.

Each enters chainrule.spec.errata's table; what needs torch stands in `proofs_torch`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as Q
from typing import Any

import numpy as np
import sympy as sp

from ... import reference, spec
from ...spec.derivations import derived
from ...spec.errata import Claims, proves, states
from ...spec.expressions import bounds
from ...spec.field import check_direction
from ..judging.numbers import symbolic as _registers_sympy  # noqa: F401
from ..judging.numbers.counting import polynomial
from ..mutate.reference_checks import WIDTH, multiplications, trained
from .certify_stable import exact

R = reference.FUNCTIONS


def refused(call: Callable[[], Any]) -> bool:
    """Does the call raise ValueError?"""
    try:
        call()
    except ValueError:
        return True
    return False


# ------------------------------------------------------------------------------------------ signs and penalties

@proves("E01")
def the_printed_loss_is_the_likelihood() -> Claims:
    yhat = sp.Symbol("yhat", positive=True)
    printed = R["loss.xent"]
    yield "for y = 1 the printed loss is log ŷ: 0 at ŷ = 1, below it elsewhere", (
        sp.limit(printed(1, yhat), yhat, 1) == 0 and all(printed(1.0, v) < 0 for v in (0.1, 0.5, 0.99)))
    theta, x, y, eta = sp.symbols("theta x y eta", real=True)
    loss = printed(y, 1 / (1 + sp.exp(-theta * x)))
    G = sp.diff(loss, theta)
    rate = sp.diff(-loss.subs(theta, theta - eta * G), eta).subs(eta, 0)
    yield "a printed step raises the negative log-likelihood at rate (∂L/∂θ)²", sp.simplify(rate - G**2) == 0
    yield states("training as printed learns the wrong class: ŷ goes to {} for the label {}",
                 round(trained(reference, R["bp.delta.out"])), round(trained(reference, R["alg.delta.out"])))
    yield "a neuron that is shown y = 1 thirty times answers ŷ < 0.05", trained(reference, R["bp.delta.out"]) < 0.05
    yield "with a − y it answers ŷ > 0.95", trained(reference, R["alg.delta.out"]) > 0.95


@proves("E03")
def two_names_for_the_last_layer() -> Claims:
    def missing(L: int) -> set[int]:
        return {l + 1 for l in range(1, L + 1)} - set(range(2, L + 1))

    yield "the gradients of Θ^(1) … Θ^(L) need δ^(2) … δ^(L+1); the algorithm's list ends at δ^(L)", all(
        missing(L) == {L + 1} for L in range(2, 9))
    a_L, label = [1, Q(1, 2), Q(1, 3), Q(1, 4)], [None, 1]
    yield "read literally, a^(L) − y subtracts one label from three hidden nodes", refused(
        lambda: R["alg.delta.out"](a_L, label))


def small_network(p: list[Any]) -> list[Any]:
    """Θ of a 2-3-1 network from 13 numbers."""
    take = iter(p)
    return [None, *([None, *([next(take) for _ in range(columns)] for _ in range(rows))]
                    for rows, columns in ((3, 3), (1, 4)))]


DATA = [([Q(1, 2), Q(-2)], 1), ([Q(3), Q(1, 5)], 0), ([Q(-1), Q(2, 3)], 1)]


def objective(penalty: Callable[[Any], Any], sign: int = -1) -> Callable[[list[Any]], Any]:
    """sign · average printed loss + a penalty of Θ, on a 2-3-1 network."""
    def of(p: list[Any]) -> Any:
        Theta = small_network(p)
        return sign * sum(R["loss.xent"](y, R["net.out"](Theta, x)[1][-1][1]) for x, y in DATA) / 3 + penalty(Theta)
    return of


def D(p: list[Any]) -> list[Any]:
    """The algorithm slide's D with λ = 2/7, one number after the other."""
    layers = R["alg"](small_network(p), [(x, [y]) for x, y in DATA], Q(2, 7))
    return [v for layer in layers[1:] for row in layer[1:] for v in row]


def norm(Theta: Any, intercepts: bool) -> Any:
    """The sum of the squared entries of Θ."""
    return sum(t * t for layer in Theta[1:] for row in layer[1:] for t in row[0 if intercepts else 1:])


HALF, WHOLE = Q(1, 7), Q(2, 7)                          # λ/2 and λ


@proves("E05")
def the_penalty_is_half() -> Claims:
    lam, t = sp.symbols("lambda theta")
    yield "the gradient of λθ² is 2λθ", sp.diff(lam * t**2, t) == 2 * lam * t
    twice = sp.diff(lam * t**2, t) / (lam * t)
    yield states("λ‖Θ‖², whose gradient is {}λΘ; D has λΘ", twice)
    yield states("D as printed; loss.objective.corrected has λ/{}", twice)
    [_, [_, _, d]] = R["alg.average"]([None, [0, 0, 0]], [None, [5, 3, 7]], Q(1, 2), 4)
    yield "D has λθ: 7/2 for λ = 1/2, θ = 7", d == Q(7, 2)
    yield "D is the gradient with λ/2 (exact, all 13 partials)", check_direction(
        objective(lambda Theta: HALF * norm(Theta, intercepts=False)), 13, D)
    yield "D is not the gradient with the printed λ", not check_direction(
        objective(lambda Theta: WHOLE * norm(Theta, intercepts=False)), 13, D)


@proves("E06")
def the_intercepts_are_not_regularised() -> Claims:
    D_row = R["alg.average"]([None, [0, 0]], [None, [5, 3]], Q(1, 2), 4)[1]
    yield "D leaves the intercept alone: 0 for Θ_10 = 5, 3/2 for Θ_11 = 3", D_row == [0, Q(3, 2)]
    yield states("the intercepts are pulled to {}", sp.solve(sp.diff(sp.Symbol("t")**2)).pop())
    yield states("loss.objective.corrected sums over j ≥ {}", 1 + D_row.index(0))
    yield "the printed ‖Θ‖² counts the intercepts, and D is not its gradient", not check_direction(
        objective(lambda Theta: HALF * norm(Theta, intercepts=True)), 13, D)


def coefficients(id: str, names: dict[str, Any]) -> list[Any]:
    """What stands before the sums of a record's form, in the order in which their first indices run."""
    form = spec.expression(id)
    sums = sorted(form.atoms(sp.Sum), key=lambda s: len(s.limits))
    return [form.coeff(s).subs({v: names[v.name] for v in form.coeff(s).free_symbols}) for s in sums]


@proves("E07")
def the_printed_objective_rewards_the_wrong_class() -> Claims:
    yield "D is no gradient of the objective with the printed sign", not check_direction(
        objective(lambda Theta: HALF * norm(Theta, intercepts=False), sign=1), 13, D)

    lam, n = sp.symbols("lam n")
    average, penalty = coefficients("loss.objective.corrected", {"lam": lam, "n": n})
    yield states("D is the gradient of −({}) Σ L + ({}) Σ_{{j≥1}} Θ²", -average, penalty)

    def at(theta: float, lam: float) -> Any:
        Theta = [None, [None, [0.0, theta]]]
        return R["loss.objective"]([1.0], [R["net.out"](Theta, [1.0])[1][2][1]], Theta, lam)

    yield "without a penalty it falls without bound: below −99 at θ = −100", at(-100.0, 0.0) < -99 < at(-10.0, 0.0)
    yield "with one its lowest point still says class 0 for the label 1", (
        min(np.arange(-8, 8.25, 0.25), key=lambda theta: at(theta, 0.1)) < 0)


@proves("E13")
def column_zero_is_a_weight_on_the_fc_slides() -> Claims:
    Theta = [None, [Q(5), Q(3)], [Q(2), Q(7)]]                      # no intercept: two weights a node
    [_, *rows] = R["alg.average"]([None, [0, 0], [0, 0]], Theta, 1, 1)
    yield "applied to the 0-based matrix, D forgets the weights Θ_{0,0} and Θ_{1,0}", rows == [[0, 3], [0, 7]]
    [column] = [j for j, v in enumerate(rows[0]) if v == 0]
    [*_, (low, _)] = bounds(spec.get("fc.layer").arrays["Theta"])
    yield states("the intercept is j = {} in D and not written elsewhere", column)
    yield states("on the 0-based slides j = {} is an ordinary weight", low)
    yield states("networks have slot {} for the intercept unit; the fc slides count weights from {}", column, low)
    yield "a column of intercepts makes Θ^(1) m × (d + 1), not m × d", refused(
        lambda: R["net.z"]([None, [Q(5), Q(3)]], [1, Q(1), Q(2)]))


@proves("E20")
def one_example_or_the_average() -> Claims:
    Theta, data = small_network([Q(k, 5) for k in range(13)]), [([Q(1, 2), Q(-2)], [1]), ([Q(3), Q(1, 5)], [0])]
    rational = {"g": lambda v: v * v, "gprime": lambda v: 2 * v, "output": R["alg.delta.out"]}
    averaged = R["alg"](Theta, data, 0, **rational)
    single = R["bp.nabla"](Theta, *data[0], **rational)
    yield "the step of one example is not the averaged step", averaged != single
    yield "for a single example and λ = 0 they are the same", R["alg"](Theta, data[:1], 0, **rational) == single


# ------------------------------------------------------------------------------------------ layers

@proves("E11")
def a_sum_is_missing() -> Claims:
    Theta, a = [None, [0, 2, 3]], [1, 5, 7]
    yield "Θ_1j a_j is 10 for j = 1 and 21 for j = 2: without Σ, z_1 has two values", (2 * 5, 3 * 7) == (10, 21)
    yield "with Σ it has one, 31", R["net.z.node"](Theta, a) == [None, 31]


@proves("E15")
def the_recursion_is_for_sigmoids() -> Claims:
    network = {"g": R["act.relu"], "g_out": R["act.sigmoid"]}
    x, y = [Q(1, 2), Q(-2)], 1

    def loss(p: list[Any]) -> Any:
        return R["loss.xent"](y, R["net.out"](small_network(p), x, **network)[1][-1][1])

    def gradient(gprime: Any) -> Callable[[list[Any]], list[Any]]:
        def of(p: list[Any]) -> list[Any]:
            nabla = R["bp.nabla"](small_network(p), x, [y], gprime=gprime, **network)
            return [v for layer in nabla[1:] for row in layer[1:] for v in row]
        return of

    relu_prime = derived("act.relu.prime")
    yield "at activation 2, a(1 − a) is −2; the derivative of ReLU is 1", (2 * (1 - 2), relu_prime(2)) == (-2, 1)
    at, a = 2, sp.Symbol("a")
    factor = a * (1 - a)
    yield states("the recursion {} holds for the sigmoid only", factor)
    yield states("for a ReLU unit of activation {} the factor is {} instead of {}", at, factor.subs(a, at),
                 relu_prime(at))
    yield "a ReLU network with bp.delta.chain: all 13 partials exact", check_direction(loss, 13, gradient(relu_prime))
    yield "the same with bp.delta.rec: refused", not check_direction(loss, 13, gradient(None))


@proves("E22")
def the_input_must_be_kept() -> Claims:
    Theta = [None, [None, [Q(0), Q(1), Q(1)]], [None, [Q(1), Q(2)]]]

    def run(x: list[int]) -> tuple[Any, Any]:
        square = {"g": lambda v: v * v}
        return R["net.out"](Theta, x, **square)[1], R["bp.nabla"](Theta, x, [1], gprime=lambda v: 2 * v, **square)

    (a, nabla), (other, changed) = run([1, 2]), run([2, 1])
    yield "the inputs (1, 2) and (2, 1) leave the same a^(2), a^(3)", a[2:] == other[2:]
    yield "but different gradients of Θ^(1): the stored set cannot do without a^(1)", nabla[1] != changed[1]


@proves("E21")
def linear_and_quadratic() -> Claims:
    def cost(id: str) -> list[Q]:
        return polynomial([(L, multiplications(reference, id, L)) for L in (2, 3, 4, 5)])

    yield "backpropagation: 56 L − 60 multiplications at width 4", cost("bp.nabla") == [-60, 56]
    yield "a fresh forward pass for every layer: 28 L² − 20 L", cost("bp.cost") == [0, -20, 28]
    L = sp.Symbol("L")
    linear, quadratic = (sum(sp.Rational(c) * L**k for k, c in enumerate(cost(id))) for id in ("bp.nabla", "bp.cost"))
    yield states("counted exactly, {} and {} multiplications at width {}", linear, quadratic, WIDTH)
    yield states("backpropagation takes O({}) operations, the naive scheme O({})", sp.LM(linear), sp.LM(quadratic))
    yield states("the claim holds; O({}) hides the square of the width", sp.LM(linear))
    yield "and not only up to L = 5: the same at L = 16", multiplications(reference, "bp.nabla", 16) == 56 * 16 - 60


# ------------------------------------------------------------------------------------------ convolution

def centred_matrix() -> Any:
    """∂ centred / ∂ a for m = 3, n = 5, from the printed sum."""
    theta, a = sp.symbols("theta0:3"), sp.symbols("a0:5")
    return sp.Matrix([[sp.diff(row, v) for v in a] for row in R["conv1d.centred"](list(theta), list(a))])


def first_row(latex: str) -> list[str]:
    """The first row of a printed matrix."""
    row = latex.partition(r"\begin{bmatrix} ")[2].partition(r" \\")[0]
    return [entry.replace(r"\theta_", "θ") for entry in row.split(" & ")]


def written(row: Any) -> list[Any]:
    """A row of the matrix as the slide writes it."""
    return [str(entry).replace("theta", "θ") for entry in row]


@proves("E23")
def there_is_no_third_weight() -> Claims:
    t0, t1, t2 = sp.symbols("theta0:3")
    yield "the printed sum has the first row [θ1 θ2 0 0 0]", list(centred_matrix()[0, :]) == [t1, t2, 0, 0, 0]
    yield "the other rows are the printed ones", list(centred_matrix()[1, :]) == [t0, t1, t2, 0, 0]
    width = len(R["conv1d.matrix"]([t0, t1, t2], 5)[0])
    first = written(R["conv1d.matrix"]([t0, t1, t2], width)[0])
    (_, right), (_, wrong) = ((form.lines, first_row(form.latex)) for form in spec.get("conv1d.matrix").forms)
    yield states("{} on one slide and {} on the other", wrong, right)
    yield "the slides' rows differ, and the reference has the second", first == right != wrong
    yield states("{}, as the printed sum gives", written(centred_matrix()[0, :]))
    yield "a filter of m = 3 ends at θ_2: θ_3 does not exist", len(R["conv1d.matrix"]([t0, t1, t2], 5)[0]) == 5


@proves("E24")
def which_row_is_a_3() -> Claims:
    t0, t1, t2 = sp.symbols("theta0:3")
    row = centred_matrix().tolist()
    yield "counted from 0, row 3 is [0 0 θ0 θ1 θ2]", row[3] == [0, 0, t0, t1, t2]
    yield states("the two rows are different: {} and {}", written(row[3]), written(row[2]))
    yield states("whether rows count from {} or from {}", row.index(row[3]) - 3, 3 - row.index(row[2]))
    yield states("rows count from {}, as the printed sum's indices do",
                 bounds(spec.get("conv1d.centred").index["i"])[0][0])
    yield "counted from 1, row 3 is [0 θ0 θ1 θ2 0]; the label fits either", row[2] == [0, t0, t1, t2, 0]


@proves("E25")
def it_is_correlation() -> Claims:
    x, theta = [1, 2, 3, 4], [1, 0]
    printed = R["conv1d.valid"](theta, x)
    yield "the printed sum is numpy's correlate", printed == list(np.correlate(x, theta, "valid"))
    yield "and not its convolve, which turns the filter round", printed != list(np.convolve(x, theta, "valid"))


@proves("E28")
def valid_and_centred() -> Claims:
    pairs = [(n, m) for n in range(3, 9) for m in (1, 3, 5) if m <= n]

    def both(n: int, m: int) -> tuple[list[Any], list[Any]]:
        theta, a = list(sp.symbols(f"t0:{m}")), list(sp.symbols(f"a0:{n}"))
        return R["conv1d.valid"](theta, a), R["conv1d.centred"](theta, a)

    def plane(which: int) -> list[Any]:
        """The length as a m + b n + c, from three of them."""
        places = [(1, 5), (3, 5), (3, 7)]
        return list(sp.Matrix([[k, j, 1] for k, j in places]).solve(
            sp.Matrix([len(both(j, k)[which]) for k, j in places])))

    yield "lengths n − m + 1 and n", all(tuple(map(len, both(n, m))) == (n - m + 1, n) for n, m in pairs)
    n, m = sp.symbols("n m", integer=True)
    lengths = [sum(c * v for c, v in zip(plane(k), (m, n, 1))) for k in (0, 1)]
    yield states("they have {} and {} outputs, zero padding and odd m unsaid", lengths[0], lengths[1])
    yield "valid_i = centred_{i + (m−1)/2}", all(
        both(n, m)[0] == both(n, m)[1][(m - 1) // 2:n - (m - 1) // 2] for n, m in pairs)
    yield "an even m has no centre: refused", refused(lambda: R["conv1d.centred"]([1, 2], [1, 2, 3]))


@proves("E29")
def the_sums_have_no_bounds() -> Claims:
    example = spec.get("conv2d.valid").examples[0]
    I, K = exact(example.inputs["I"]), exact(example.inputs["K"])
    from_zero = R["conv2d.valid"](I, K)
    from_one = R["conv2d.valid"]([row[1:] for row in I[1:]], K)     # all of i, j, m, n from 1: I(2, 2) comes first
    yield "counted from 0 the output is 3 × 3, as wide as the empty table on the slide", (
        len(from_zero) == len(from_zero[0]) == 3)
    yield states("the worked example is {} × {}", len(from_zero), len(from_zero[0]))
    yield states("all from {} over the filter, wherever it fits", bounds(spec.get("conv2d.valid").index["i"])[0][0])
    lost = {len(from_zero) - len(from_one), len(from_zero[0]) - len(from_one[0])}
    yield states("counted from {} the output loses a row and a column", *lost)
    yield "with all indices from 1 it is 2 × 2", len(from_one) == len(from_one[0]) == 2
    yield "and the printed 4 comes first in both: it cannot tell them apart", from_zero[0][0] == from_one[0][0] == 4


@proves("E32")
def channels_last_or_first() -> Claims:
    x = [[[1, 2], [3, 4]], [[5, 6], [7, 9]]]                        # height × width × channel
    K = [[[1, 10]]]
    first = [[[row[j][c] for j in range(2)] for row in x] for c in range(2)]
    flat = [v for row in x for pixel in row for v in pixel]
    misread = [[flat[4 * c + 2 * i:4 * c + 2 * i + 2] for i in range(2)] for c in range(2)]
    layer, wrong = (R["conv2d.layer"](read, [[[[1]], [[10]]]])[0] for read in (first, misread))
    yield "the slide's order and PyTorch's agree when the axes are moved", R["stack.one"](x, K) == layer
    yield "the same memory read in the other order gives other numbers", wrong != layer


@proves("E51")
def shared_weights_add_up() -> Claims:
    n, m = 5, 3
    d, a = list(sp.symbols(f"d0:{n}")), list(sp.symbols(f"a0:{n}"))
    full = [[d[i] * a[j] for j in range(n)] for i in range(n)]      # bp.grad, every entry its own weight
    tied = [sum(full[i][j] for i in range(n) for j in range(n) if j - i + 1 == k) for k in range(m)]
    right = derived("conv1d.centred.grad_theta")(d, a, m)
    yield "∂J/∂θ_k is the sum of ∂J/∂Θ_ij over the entries that are θ_k", all(
        sp.expand(right[k] - tied[k]) == 0 for k in range(m))
    yield "any single entry of them is not", sp.expand(right[0] - full[1][0]) != 0
