"""The optimizers and batch normalization: parameters, features and positions are lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import normalization, optimizers
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, gathered, operation, scalars


@operation("opt.momentum", "theta", "v")
def momentum(lift: Lift, form: Form, theta: Array, D: Array, v: Array, eta: Any, mu: Any) -> Outputs:
    return _named(optimizers.momentum(lift(theta), lift(D), lift(v), eta, mu), "v")


@operation("opt.nesterov", "theta", "v")
def nesterov(lift: Lift, form: Form, theta: Array, D: Array, v: Array, eta: Any, mu: Any) -> Outputs:
    return _named(optimizers.nesterov(lift(theta), lift(D), lift(v), eta, mu), "v")


@operation("opt.adagrad", "theta", "G")
def adagrad(lift: Lift, form: Form, theta: Array, D: Array, G: Array, eta: Any, eps: Any) -> Outputs:
    return _named(optimizers.adagrad(lift(theta), lift(D), lift(G), eta, eps), "G")


@operation("opt.adam", "theta", "m", "v")
def adam(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, beta1: Any,
         beta2: Any, eps: Any) -> Outputs:
    return _named(optimizers.adam(lift(theta), lift(D), lift(m), lift(v), t, eta, beta1, beta2, eps), "m", "v")


@operation("opt.adamw", "theta", "m", "v")
def adamw(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
          beta1: Any, beta2: Any, eps: Any) -> Outputs:
    return _named(optimizers.adamw(lift(theta), lift(D), lift(m), lift(v), t, eta, lam, beta1, beta2, eps), "m", "v")


@operation("opt.lamb", "theta", "m", "v")
def lamb(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
         beta1: Any, beta2: Any, eps: Any) -> Outputs:
    """One layer: its length needs all its numbers, so these are not lanes but a list."""
    if not theta.size:
        return {"theta": lift(theta), "m": lift(m), "v": lift(v)}
    theta_list, D_list, m_list, v_list = (scalars(lift, x.ravel()) for x in (theta, D, m, v))
    new = optimizers.lamb(theta_list, D_list, m_list, v_list, t, eta, lam, beta1, beta2, eps)
    return _named(tuple(gathered(_nested(one, theta.shape)) for one in new), "m", "v")


def _named(new: tuple[Any, ...], *states: str) -> Outputs:
    return dict(zip(("theta", *states), new))


def _nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    if len(shape) <= 1:
        return flat
    size = len(flat) // shape[0] if shape[0] else 0
    return [_nested(flat[i * size:(i + 1) * size], shape[1:]) for i in range(shape[0])]


def _rows(lift: Lift, x: Array) -> list[Any]:
    """x (N, C, …) as its rows, examples and positions, each with the channels as lanes."""
    return [lift(row) for row in np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])]


def _shaped(rows: list[Any], like: Array) -> Any:
    """Rows back in the shape they came from."""
    numbers = np.moveaxis(np.arange(like.size).reshape(*like.shape[:1], *like.shape[2:], like.shape[1]), -1, 1)
    return gathered(rows)[(numbers // like.shape[1], numbers % like.shape[1])]


@operation("norm.batch", "y")
def batch_norm(lift: Lift, form: Form, x: Array, gamma: Array, beta: Array, eps: Any) -> Outputs:
    return {"y": _shaped(normalization.batch_norm(_rows(lift, x), lift(gamma), lift(beta), eps), x)}


@operation("norm.batch.inference", "y")
def batch_norm_inference(lift: Lift, form: Form, x: Array, mu: Array, var: Array, gamma: Array, beta: Array,
                         eps: Any) -> Outputs:
    rows = normalization.batch_norm_inference(_rows(lift, x), lift(mu), lift(var), lift(gamma), lift(beta), eps)
    return {"y": _shaped(rows, x)}


@operation("norm.batch.running", "mu", "var")
def batch_norm_running(lift: Lift, form: Form, x: Array, mu: Array, var: Array, rho: Any) -> Outputs:
    return dict(zip(("mu", "var"), normalization.batch_norm_running(_rows(lift, x), lift(mu), lift(var), rho)))


@operation("norm.batch.grad_x", "dx")
def batch_norm_grad_x(lift: Lift, form: Form, d: Array, x: Array, gamma: Array, eps: Any) -> Outputs:
    gradient = form("norm.batch.grad_x")(_rows(lift, d), _rows(lift, x), lift(gamma), eps)
    return {"dx": _shaped(gradient, x)}


@operation("norm.batch.grad_gamma", "dgamma")
def batch_norm_grad_gamma(lift: Lift, form: Form, d: Array, x: Array, eps: Any) -> Outputs:
    return {"dgamma": form("norm.batch.grad_gamma")(_rows(lift, d), _rows(lift, x), eps)}


@operation("norm.batch.grad_beta", "dbeta")
def batch_norm_grad_beta(lift: Lift, form: Form, d: Array) -> Outputs:
    return {"dbeta": form("norm.batch.grad_beta")(_rows(lift, d))}
