"""The optimizers and batch normalization: parameters, features and positions are lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import normalization, optimizers
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, elementwise, gathered, operation, rearranged, scalars


@operation("opt.momentum", "theta", "v", axes=elementwise("theta D v", "theta v"))
def momentum(lift: Lift, form: Form, theta: Array, D: Array, v: Array, eta: Any, mu: Any) -> Outputs:
    return named(optimizers.momentum(lift(theta), lift(D), lift(v), eta, mu), "v")


@operation("opt.nesterov", "theta", "v", axes=elementwise("theta D v", "theta v"))
def nesterov(lift: Lift, form: Form, theta: Array, D: Array, v: Array, eta: Any, mu: Any) -> Outputs:
    return named(optimizers.nesterov(lift(theta), lift(D), lift(v), eta, mu), "v")


@operation("opt.adagrad", "theta", "G", axes=elementwise("theta D G", "theta G"))
def adagrad(lift: Lift, form: Form, theta: Array, D: Array, G: Array, eta: Any, eps: Any) -> Outputs:
    return named(optimizers.adagrad(lift(theta), lift(D), lift(G), eta, eps), "G")


@operation("opt.adam", "theta", "m", "v", axes=elementwise("theta D m v", "theta m v"))
def adam(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, beta1: Any,
         beta2: Any, eps: Any) -> Outputs:
    return named(optimizers.adam(lift(theta), lift(D), lift(m), lift(v), t, eta, beta1, beta2, eps), "m", "v")


@operation("opt.adamw", "theta", "m", "v", axes=elementwise("theta D m v", "theta m v"))
def adamw(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
          beta1: Any, beta2: Any, eps: Any) -> Outputs:
    return named(optimizers.adamw(lift(theta), lift(D), lift(m), lift(v), t, eta, lam, beta1, beta2, eps), "m", "v")


@operation("opt.lamb", "theta", "m", "v")
def lamb(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
         beta1: Any, beta2: Any, eps: Any) -> Outputs:
    """One layer: its length needs all its numbers, so these are not lanes but a list."""
    if not theta.size:
        return {"theta": lift(theta), "m": lift(m), "v": lift(v)}
    theta_list, D_list, m_list, v_list = (scalars(lift, x.ravel()) for x in (theta, D, m, v))
    new = optimizers.lamb(theta_list, D_list, m_list, v_list, t, eta, lam, beta1, beta2, eps)
    return named(tuple(gathered(_nested(one, theta.shape)) for one in new), "m", "v")


def named(new: tuple[Any, ...], *states: str) -> Outputs:
    return dict(zip(("theta", *states), new))


def _nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    if len(shape) <= 1:
        return flat
    size = len(flat) // shape[0] if shape[0] else 0
    return [_nested(flat[i * size:(i + 1) * size], shape[1:]) for i in range(shape[0])]


def rows(lift: Lift, x: Array) -> list[Any]:
    """x (N, C, …) as its rows, examples and positions, each with the channels as lanes."""
    return [lift(row) for row in np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])]


def shaped_rows(lines: list[Any], like: Array) -> Any:
    """Rows back in the shape they came from."""
    numbers = np.moveaxis(np.arange(like.size).reshape(*like.shape[:1], *like.shape[2:], like.shape[1]), -1, 1)
    return gathered(lines)[(numbers // like.shape[1], numbers % like.shape[1])]


@operation("norm.batch", "y", axes="x . C, gamma C, beta C -> y . C")
def batch_norm(lift: Lift, form: Form, x: Array, gamma: Array, beta: Array, eps: Any) -> Outputs:
    lines = rows(lift, x)
    return {"y": normalised(lift, x, normalization.mean(lines), normalization.variance(lines), gamma, beta, eps)}


def normalised(lift: Lift, x: Array, mu: Any, var: Any, gamma: Array, beta: Array, eps: Any) -> Any:
    """y at once wherever x is, once μ and σ² are known: channels last, as they are lanes."""
    (y,) = normalization.batch_norm_inference([lift(np.moveaxis(x, 1, -1))], mu, var, lift(gamma), lift(beta), eps)
    return rearranged(y, lambda v: np.moveaxis(v, -1, 1))


@operation("norm.batch.inference", "y", axes="x B C, mu C, var C, gamma C, beta C -> y B C")
def batch_norm_inference(lift: Lift, form: Form, x: Array, mu: Array, var: Array, gamma: Array, beta: Array,
                         eps: Any) -> Outputs:
    return {"y": normalised(lift, x, lift(mu), lift(var), gamma, beta, eps)}


@operation("norm.batch.running", "mu", "var", axes="x . C, mu C, var C -> mu C, var C")
def batch_norm_running(lift: Lift, form: Form, x: Array, mu: Array, var: Array, rho: Any) -> Outputs:
    return dict(zip(("mu", "var"), normalization.batch_norm_running(rows(lift, x), lift(mu), lift(var), rho)))


@operation("norm.batch.grad_x", "dx", axes="d . C, x . C, gamma C -> dx . C")
def batch_norm_grad_x(lift: Lift, form: Form, d: Array, x: Array, gamma: Array, eps: Any) -> Outputs:
    gradient = form("norm.batch.grad_x")(rows(lift, d), rows(lift, x), lift(gamma), eps)
    return {"dx": shaped_rows(gradient, x)}


@operation("norm.batch.grad_gamma", "dgamma", axes="d . C, x . C -> dgamma C")
def batch_norm_grad_gamma(lift: Lift, form: Form, d: Array, x: Array, eps: Any) -> Outputs:
    return {"dgamma": form("norm.batch.grad_gamma")(rows(lift, d), rows(lift, x), eps)}


@operation("norm.batch.grad_beta", "dbeta", axes="d . C -> dbeta C")
def batch_norm_grad_beta(lift: Lift, form: Form, d: Array) -> Outputs:
    return {"dbeta": form("norm.batch.grad_beta")(rows(lift, d))}
