"""What is done to each row of a matrix over its own numbers: layer norm, softmax. Rows are lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import normalization
from ....scalar import exp
from ..numbers.bounded import total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, gathered, operation, scalars, stable

LANES = 64                   # columns that are walked one by one; of more a row is summed at once


def columns(lift: Lift, x: Array) -> list[Any]:
    return [lift(column) for column in x.T]


@operation("norm.layer", "y", axes="x B -> y B")
def layer_norm(lift: Lift, form: Form, x: Array, gamma: Array, beta: Array, eps: Any) -> Outputs:
    """What is done to x once its row's μ and σ² are known is batch normalisation's, and needs no walk over columns."""
    rows = columns(lift, x)
    mu, var = normalization.mean(rows)[:, None], normalization.variance(rows)[:, None]
    return {"y": normalization.batch_norm_inference([lift(x)], mu, var, lift(gamma), lift(beta), eps)[0]}


@operation("norm.layer.grad_x", "dx", axes="d B, x B -> dx B")
def layer_norm_grad_x(lift: Lift, form: Form, d: Array, x: Array, gamma: Array, eps: Any) -> Outputs:
    return {"dx": gathered(form("norm.layer.grad_x")(columns(lift, d), columns(lift, x), scalars(lift, gamma), eps)).T}


@operation("norm.layer.grad_gamma", "dgamma")
def layer_norm_grad_gamma(lift: Lift, form: Form, d: Array, x: Array, eps: Any) -> Outputs:
    """One γ for all rows: their gradients, added."""
    return {"dgamma": total(gathered(form("norm.layer.grad_gamma")(columns(lift, d), columns(lift, x), eps)), 1)}


@operation("norm.layer.grad_beta", "dbeta")
def layer_norm_grad_beta(lift: Lift, form: Form, d: Array) -> Outputs:
    return {"dbeta": total(gathered(form("norm.layer.grad_beta")(columns(lift, d))), 1)}


def shares(lift: Lift, form: Form, z: Array) -> Any:
    """p of whole rows; the careful form subtracts each row's largest number first."""
    e = exp(lift(z) - lift(z.max(axis=1, keepdims=True, initial=-np.inf)) if form is stable else lift(z))
    return e / total(e, 1)[:, None]


@operation("act.softmax", "p", axes="z B -> p B")
def softmax(lift: Lift, form: Form, z: Array) -> Outputs:
    if form is stable or z.shape[1] > LANES:
        return {"p": shares(lift, form, z)}
    return {"p": gathered(form("act.softmax")(columns(lift, z))).T}


@operation("act.softmax.prime", "dz", axes="d B, z B -> dz B")
def softmax_prime(lift: Lift, form: Form, d: Array, z: Array) -> Outputs:
    if form is stable or z.shape[1] > LANES:
        p, slope = shares(lift, form, z), lift(d)
        return {"dz": p * (slope - total(p * slope, 1)[:, None])}
    return {"dz": gathered(form("act.softmax.prime")(columns(lift, d), columns(lift, z))).T}
