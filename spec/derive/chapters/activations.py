"""Derivatives of the activations that take more than carrying out the derivative; the others have no chapter."""

from __future__ import annotations

import sympy as sp

from ..language import scalars
from ..steps import Derivation, Named
from .from_records import start, value_of
from .register import derives

x, z, g, slope = scalars("x z g slope")


@derives("act.sigmoid.prime")
def sigmoid_prime(id: str) -> Derivation:
    D = start(
        id, title="The derivative of the sigmoid through its own value, as the deck prints it (line 1123).",
        lhs=("g′(z)", "g'(z)"), of=("the function", "g(z)", "g(z)"),
        named=(Named(entry=g, means=value_of("act.sigmoid", z=z)),), order=("g",))
    D.chain()
    D.differentiate(why="(1/u)′ = −u′/u² and (e⁻ᶻ)′ = −e⁻ᶻ")
    D.rewrite("definition", "1/(1 + e⁻ᶻ) = g, and e⁻ᶻ/(1 + e⁻ᶻ) = 1 − g", g * (1 - g))
    return D


@derives("act.tanh.prime")
def tanh_prime(id: str) -> Derivation:
    up, down = sp.exp(x), sp.exp(-x)
    D = start(id, remarks=("This is 1 − tanh(x)², written so that nothing cancels for large |x|.",))
    D.chain()
    D.differentiate(why="(eˣ)′ = eˣ and (e⁻ˣ)′ = −e⁻ˣ")
    D.rewrite("common denominator", "", ((up + down)**2 - (up - down)**2) / (up + down)**2)
    D.rewrite("expand", "(u + v)² − (u − v)² = 4 u v, and eˣ e⁻ˣ = 1", 4 / (up + down)**2)
    return D


@derives("act.leaky.prime")
def leaky_prime(id: str) -> Derivation:
    D = start(id, assumes=("0 < s < 1; the deck prints s = 0.1",), remarks=(
        "max(s x, x) is s x where s x ≥ x, its first argument winning the tie: leaky′(0) = s.",))
    D.chain()
    D.differentiate()
    D.rewrite("in range", "s x ≥ x where (1 − s) x ≤ 0, that is x ≤ 0 because s < 1",
              sp.Piecewise((slope, x <= 0), (1, True), evaluate=False))
    return D
