"""Proofs of findings about what the deck claims in words (E60 to E67)."""

from __future__ import annotations

from fractions import Fraction as Q
from itertools import product

import numpy as np
import sympy as sp
from torch import nn

from ... import reference
from ...spec import expression, get
from ...spec.derivations import derived
from ...spec.errata import Claims, proves, states
from ...spec.stated import TIMES, WORDS

R = reference.FUNCTIONS
THETA = [5, 7, 11]


def shifted(a: list[int], by: int = 1) -> list[int]:
    """The input moved to the right, zeros coming in."""
    return [0] * by + a[:len(a) - by]


@proves("E60")
def shifts() -> Claims:
    rows = [list(row) for row in product((-1, 0, 2), repeat=5)]
    yield "valid: the output of the shifted input is the shifted output, wherever that is known (all 243 inputs)", all(
        R["conv1d.valid"](THETA, shifted(a))[1:] == R["conv1d.valid"](THETA, a)[:-1] for a in rows)
    a = [2, 3, -1, 4, 6]
    same = R["conv1d.valid"](THETA, shifted(a)) == R["conv1d.valid"](THETA, a)
    yield "so it is not invariant: the shifted input has another output", not same
    centred, moved = (R["conv1d.centred"](THETA, one) for one in (a, shifted(a)))
    yield "centred: equivariant inside", moved[2:-1] == centred[1:-2]
    yield "and not at the border, where the last entry has left the input", moved[-1] != centred[-2]
    x = [0, 1, 5, 2, 0, 0]
    pooled = [R["pool.max"]([shifted(x, by)], (1, 2))[0] for by in (0, 1, 2)]
    yield "pooling by 2: a shift by 1 gives neither the same output nor a shifted one", (
        pooled[1] != pooled[0] and pooled[1] != shifted(pooled[0]))
    yield "a shift by 2 gives the output shifted by 1", pooled[2] == shifted(pooled[0])


@proves("E61")
def pooling_is_no_full_layer() -> Claims:
    def largest(a: Q, b: Q) -> Q:
        return R["pool.max"]([[a, b]], (1, 2))[0][0]                 # type: ignore[no-any-return]

    grid = [Q(k, 2) for k in range(-4, 5)]
    yield "(θ₂, −θ₁) and (−θ₂, θ₁) have the weighted sum 0 of (0, 0)", all(
        s * t - t * s == 0 for s, t in product(grid, repeat=2))
    yield "and one of them has a maximum above 0, for all weights but (0, 0): no g(θ₁ a + θ₂ b) is max(a, b)", all(
        max(largest(t, -s), largest(-t, s)) > largest(Q(0), Q(0))
        for s, t in product(grid, repeat=2) if s or t)
    yield "with weights (0, 0) the layer does not see its window", largest(Q(1), Q(0)) != largest(Q(0), Q(0))


@proves("E62")
def two_norms() -> Claims:
    Theta = np.array([[3.0, 0.0], [0.0, 4.0]])
    rows = [None, [None, *Theta.tolist()]]
    penalty = R["loss.objective"]([0], [0], rows, 1, L=lambda y, yhat: 0)
    yield "the objective adds 25 for diag(3, 4) and λ = 1: the sum of squares", penalty == 25
    order = 2
    yield states("numpy's norm(Θ, {}) is the largest singular value", order)
    yield "it is", max(np.linalg.svd(Theta)[1]) == np.linalg.norm(Theta, order)
    yield "the 2-norm of that matrix is 4, its square 16", np.linalg.norm(Theta, order) ** 2 == 16
    yield "the Frobenius norm is 5", np.linalg.norm(Theta) == 5


@proves("E63")
def which_alpha() -> Claims:
    x, alpha = sp.Symbol("x", real=True), sp.Symbol("alpha", positive=True)
    value = expression("act.elu")
    value = value.subs({s: {"x": x, "alpha": alpha}[s.name] for s in value.free_symbols})
    left, right = (sp.diff(branch, x).subs(x, 0) for branch in (value.args[1][0], value.args[0][0]))
    yield "the slopes at 0 are α from the left and 1 from the right", (left, right) == (alpha, 1)
    smooth = sp.solve(left - right, alpha)
    yield "they agree for α = 1 alone", smooth == [1]
    yield states("the derivative jumps at {} by {}: smooth for α = {} alone", 0, right - left, *smooth)
    yield states("α = {} by default, as in torch", get("act.elu").defaults["alpha"])
    yield "torch's default is that, too", nn.ELU().alpha == float(get("act.elu").defaults["alpha"])
    yield "the slide's formula has an α, and no record of the deck gives it a number", (
        r"\alpha" in get("act.elu").forms[0].latex and get("act.elu").defaults["alpha"] == "1")


@proves("E66")
def gradients_blow_up() -> Claims:
    first, weight, value, layers = Q(1), Q(8), Q(1, 2), 10
    delta = [None, first]
    for _ in range(layers):
        delta = R["bp.delta.rec"]([None, [Q(0), weight]], delta, [1, value])
    yield states("with a = {} and a weight of {} every sigmoid layer {} δ, {} layers make {} of {}", value, weight,
                 TIMES[int(weight * value * (1 - value))], WORDS[layers], delta[1], first)
    a, theta = sp.symbols("a theta")
    factor = R["bp.delta.rec"]([None, [0, theta]], [None, 1], [1, a])[1]
    top = factor.subs(a, value)
    yield states("a layer multiplies δ by {}Θ, which is above {} for weights above {}",
                 factor / theta, 1, *sp.solve(top - 1, theta))
    yield "ten sigmoid layers with a = ½ and the weight 8 make 1024 of δ = 1", delta[1] == 1024
    threshold = R["bp.delta.rec"]([None, [Q(0), Q(4)]], [None, Q(1)], [1, Q(1, 2)])
    yield "with the weight 4 they keep it", threshold[1] == 1


@proves("E67")
def dead_units() -> Claims:
    relu, elu = derived("act.relu.prime"), derived("act.elu.prime")
    inputs = [Q(-1, 3), Q(-2), Q(-7, 2)]
    theta, eta = Q(3, 4), Q(1, 2)
    step = theta
    for z in inputs:
        step = R["opt.sgd"](step, relu(z) * Q(5), eta)
    yield "a ReLU unit with negative z on every example is not moved by any step", step == theta
    x, alpha = sp.Symbol("x", real=True), sp.Symbol("alpha", positive=True)
    yield states("its gradient is exactly {}, so no step moves its weights", relu(inputs[0]) * Q(5))
    branch = sp.diff(expression("act.elu").args[1][0], next(
        s for s in expression("act.elu").free_symbols if s.name == "x"))
    yield states("ELU's is α eˣ, which is never {}", sp.limit(sp.exp(x), x, -sp.oo))
    yield "as differentiating its record says", branch.has(sp.exp) and not branch.is_number
    yield states("the question of lines {} and {} has this answer", *get("act.why").lines[1:])
    yield "ELU's derivative there is α eˣ, which is positive for every x", (alpha * sp.exp(x)).is_positive is True
    yield "as the derived function says", all(elu(float(z), 1.5) > 0 for z in inputs)
