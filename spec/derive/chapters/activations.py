"""Derivatives of the activations, from the forms the deck prints. At a kink the branch that holds equality decides."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ...field import Dual, Field
from ..language import Expr, scalars
from ..steps import Derivation, Named
from .register import derives

x, z, g, alpha, slope = scalars("x z g alpha slope")
side = sp.Symbol("side", integer=True)
TRIALS = tuple({side: k} for k in (-1, 0, 1, -1, 1))


def _draw_x(field: Field, sizes: dict[Expr, int]) -> Dual:
    """Left of the kink, on it, or right of it."""
    sign = sizes[side]
    number = field.draw()
    return Dual(number.v if sign else 0, 0, sign * (abs(number.w) + 0.01))


def _draw_slope(field: Field, sizes: dict[Expr, int]) -> Dual:
    number = field.draw()
    return Dual(number.v, 0, abs(number.w) * 0.9 + 0.05)


def _activation(id: str, value: Expr, name: str, python: tuple[str, ...] = ("x",), **more: Any) -> Derivation:
    """g′(x) for the function g(x) = value."""
    arguments = {str(s): s for s in (x, alpha, slope)}
    return Derivation(
        id=id, title=f"The derivative of {name}, from the form the deck prints.",
        loss=value, wrt=x, over=(), lhs=(f"{name}′(x)", rf"\mathrm{{{name}}}'(x)"),
        of=("the function", f"{name}(x)", rf"\mathrm{{{name}}}(x)"),
        shapes={arguments[a]: () for a in python}, python=python, lengths={},
        trials=TRIALS, draws={x: _draw_x, slope: _draw_slope}, order=("alpha", "slope"), **more,
    )


@derives("act.sigmoid.prime")
def sigmoid_prime(id: str) -> Derivation:
    value = 1 / (1 + sp.exp(-z))
    D = Derivation(
        id=id, title="The derivative of the sigmoid through its own value, as the deck prints it (line 1123).",
        loss=value, wrt=z, over=(), lhs=("g′(z)", "g'(z)"), of=("the function", "g(z)", "g(z)"),
        named=(Named(entry=g, means=value),), shapes={z: ()}, python=("z",), lengths={}, trials=({},) * 3,
        order=("g",),
    )
    D.chain()
    D.linearity(why="(1/u)′ = −u′/u² and (e⁻ᶻ)′ = −e⁻ᶻ")
    D.rewrite("definition", "1/(1 + e⁻ᶻ) = g, and e⁻ᶻ/(1 + e⁻ᶻ) = 1 − g", g * (1 - g))
    return D


@derives("act.tanh.prime")
def tanh_prime(id: str) -> Derivation:
    up, down = sp.exp(x), sp.exp(-x)
    D = _activation(id, (up - down) / (up + down), "tanh", remarks=(
        "This is 1 − tanh²(x), written so that nothing cancels for large |x|.",))
    D.chain()
    D.linearity(why="quotient rule, (eˣ)′ = eˣ and (e⁻ˣ)′ = −e⁻ˣ")
    D.rewrite("common denominator", "", ((up + down)**2 - (up - down)**2) / (up + down)**2)
    D.rewrite("expand", "(u + v)² − (u − v)² = 4 u v, and eˣ e⁻ˣ = 1", 4 / (up + down)**2)
    return D


@derives("act.relu.prime")
def relu_prime(id: str) -> Derivation:
    D = _activation(id, sp.Piecewise((0, x <= 0), (x, True), evaluate=False), "relu", remarks=(
        "max(0, x) is 0 on x ≤ 0, where its first argument wins the tie: relu′(0) = 0.",))
    D.chain()
    D.linearity(why="branch by branch")
    return D


@derives("act.leaky.prime")
def leaky_prime(id: str) -> Derivation:
    D = _activation(
        id, sp.Piecewise((slope * x, slope * x >= x), (x, True), evaluate=False), "leaky", ("x", "slope"),
        assumes=("0 < s < 1 (the deck prints s = 0.1)",), defaults={"slope": "0.1"}, remarks=(
            "max(s x, x) is s x where s x ≥ x, its first argument winning the tie: leaky′(0) = s.",))
    D.chain()
    D.linearity(why="branch by branch")
    D.rewrite("in range", "s x ≥ x where (1 − s) x ≤ 0, that is x ≤ 0 because s < 1",
              sp.Piecewise((slope, x <= 0), (1, True), evaluate=False))
    return D


@derives("act.elu.prime")
def elu_prime(id: str) -> Derivation:
    D = _activation(
        id, sp.Piecewise((x, x >= 0), (alpha * (sp.exp(x) - 1), True), evaluate=False), "elu", ("x", "alpha"),
        assumes=("α > 0",), remarks=("The case x ≥ 0 holds equality: elu′(0) = 1, whatever α.",))
    D.chain()
    D.linearity(why="branch by branch, (eˣ)′ = eˣ")
    return D


@derives("act.identity.prime")
def identity_prime(id: str) -> Derivation:
    D = _activation(id, x, "identity")
    D.chain()
    D.linearity(why="∂x/∂x = 1")
    return D
