"""A layer, the delta recursion, the averaged gradient and the update: nodes and examples are lanes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ....reference import backprop, optimizers
from .. import layout
from ..numbers.bounded import total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, elementwise, g, operation


@operation("net.layer.affine", "a", dot=True, axes="x B K, w N K, b N -> a B N")
def affine(lift: Lift, form: Form, x: Array, w: Array, b: Array | None, act: str) -> Outputs:
    """a = g(Θ a): every node of the layer is one lane, every example another."""
    bias = np.zeros(len(w)) if b is None else b
    Theta = [None, [lift(bias[None, :]), *(lift(column[None, :]) for column in w.T)]]
    return {"a": backprop.layer(Theta, layout.layer(lift, x), g(form, act))[1]}


@operation("bp.delta.chain", "delta_prev", "db", dot=True, axes="delta B K, w K N, z B N -> delta_prev B N, db N")
def delta_chain(lift: Lift, form: Form, delta: Array, w: Array, z: Array, act: str) -> Outputs:
    """δ_i = Σ_k δ_k Θ_ki g′(z_i); the intercept's gradient sums it over the batch."""
    g_prime = g(form, act, ".prime")(lift(z))
    result = backprop.delta_chain(layout.weights(lift, w), layout.errors(lift, delta), [None, g_prime])[1]
    return {"delta_prev": result, "db": total(result, 0)}


@operation("bp.delta.rec", "delta_prev", "db", dot=True, axes="delta B K, w K N, a B N -> delta_prev B N, db N")
def delta_rec(lift: Lift, form: Form, delta: Array, w: Array, a: Array) -> Outputs:
    """δ_i = a_i (1 − a_i) Σ_k δ_k Θ_ki, the deck's sigmoid form."""
    result = backprop.delta_rec(layout.weights(lift, w), layout.errors(lift, delta), [1, lift(a)])[1]
    return {"delta_prev": result, "db": total(result, 0)}


def accumulated(delta: Iterable[Any], a: Iterable[Any]) -> list[Any]:
    """Δ of all examples, given one by one: one row of two slots, the intercepts as one column and the weights."""
    Delta: list[Any] = [None, [0, 0]]
    for delta_k, a_k in zip(delta, a):
        Delta = backprop.accumulate(Delta, [1, a_k[None, :]], [None, delta_k[:, None]])
    return Delta


@operation("alg.average", "D", "Db", dot=True, axes="delta B N, a B K, w N K -> D N K, Db N")
def average(lift: Lift, form: Form, delta: Array, a: Array, w: Array, lam: Any, n: int) -> Outputs:
    """Δ accumulated over the examples, then D = Δ/n + λΘ where j ≠ 0, Δ/n for the intercept."""
    Delta = accumulated(map(lift, delta), map(lift, a))
    intercept, weights = backprop.average(Delta, [None, [0, lift(w)]], lam, n)[1]
    return {"D": weights, "Db": intercept[:, 0]}


@operation("opt.sgd", "theta", axes=elementwise("theta D", "theta"))
def sgd(lift: Lift, form: Form, theta: Array, D: Array, eta: Any) -> Outputs:
    return {"theta": optimizers.sgd(lift(theta), lift(D), eta)}
