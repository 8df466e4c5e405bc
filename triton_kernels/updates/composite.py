"""The optimizers and batch normalization as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.types import Number

from ..runtime import checks
from ..runtime.wide import wide
from . import checks as update_checks

#: rule: (θ, D, states, t, numbers by name) → new θ and states, all wide.
Stepped = tuple[Tensor, ...]


def _momentum(theta: Tensor, D: Tensor, v: Tensor, n: dict[str, Any]) -> Stepped:
    v = n["beta1"] * v + n["share"] * D
    return theta - n["eta"] * v, v


def _nesterov(theta: Tensor, D: Tensor, v: Tensor, n: dict[str, Any]) -> Stepped:
    v = n["beta1"] * v + n["share"] * D
    return theta - n["eta"] * (D + n["beta1"] * v), v


def _adagrad(theta: Tensor, D: Tensor, G: Tensor, n: dict[str, Any]) -> Stepped:
    G = G + D * D
    return theta - n["eta"] / (1 + (n["t"] - 1) * n["slowing"]) * D / (G.sqrt() + n["eps"]), G


def _direction(D: Tensor, m: Tensor, v: Tensor, n: dict[str, Any]) -> Stepped:
    beta1, beta2, t = n["beta1"], n["beta2"], n["t"]
    m = beta1 * m + (1 - beta1) * D
    v = beta2 * v + (1 - beta2) * D * D
    return m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + n["eps"]), m, v


def _adam(theta: Tensor, D: Tensor, m: Tensor, v: Tensor, n: dict[str, Any]) -> Stepped:
    r, m, v = _direction(D, m, v, n)
    return theta - n["eta"] * r, m, v


def _adamw(theta: Tensor, D: Tensor, m: Tensor, v: Tensor, n: dict[str, Any]) -> Stepped:
    r, m, v = _direction(D, m, v, n)
    return theta - n["eta"] * (r + n["lam"] * theta), m, v


def _lamb(theta: Tensor, D: Tensor, m: Tensor, v: Tensor, n: dict[str, Any]) -> Stepped:
    r, m, v = _direction(D, m, v, n)
    u = r + n["lam"] * theta
    long, far = theta.square().sum(), u.square().sum()
    given = (long > 0) & (far > 0)
    ratio = torch.where(given, long.sqrt() / torch.where(given, far, 1.0).sqrt(), 1.0)
    return theta - n["eta"] * ratio * u, m, v


RULES: dict[str, Callable[..., Stepped]] = {
    "sgd": lambda theta, D, n: (theta - n["eta"] * D,),
    "momentum": _momentum, "nesterov": _nesterov, "adagrad": _adagrad,
    "adam": _adam, "adamw": _adamw, "lamb": _lamb,
}


def step_(
    rule: str, theta: Tensor, D: Tensor, states: list[Tensor], numbers: dict[str, Any], *,
    coupled: bool = False, uphill: bool = False,
) -> None:
    """One step in place: θ and its states. coupled: D ← D + λθ first; uphill: −D for D."""
    start, slope = wide(theta), wide(D)
    slope = -slope if uphill else slope
    slope = slope + numbers["lam"] * start if coupled else slope
    for old, new in zip([theta, *states], RULES[rule](start, slope, *map(wide, states), numbers)):
        old.copy_(new)


def _stepped(rule: str, theta: Tensor, D: Tensor, states: dict[str, Tensor], t: int, **numbers: float) -> Stepped:
    update_checks.optimizer(f"opt.{rule}", theta, D, states, t)
    found = RULES[rule](wide(theta), wide(D), *map(wide, states.values()), {**numbers, "t": t})
    return tuple(one.to(theta.dtype) for one in found)


def momentum(theta: Tensor, D: Tensor, v: Tensor, eta: float, mu: float) -> Stepped:
    """opt.momentum   v ← μ v + D, θ ← θ − η v: the new (θ, v)."""
    return _stepped("momentum", theta, D, {"v": v}, 1, eta=eta, beta1=mu, share=1.0)


def nesterov(theta: Tensor, D: Tensor, v: Tensor, eta: float, mu: float) -> Stepped:
    """opt.nesterov   v ← μ v + D, θ ← θ − η (D + μ v): the new (θ, v)."""
    return _stepped("nesterov", theta, D, {"v": v}, 1, eta=eta, beta1=mu, share=1.0)


def adagrad(theta: Tensor, D: Tensor, G: Tensor, eta: float, eps: float) -> Stepped:
    """opt.adagrad   G ← G + D², θ ← θ − η D / (√G + ε): the new (θ, G)."""
    return _stepped("adagrad", theta, D, {"G": G}, 1, eta=eta, eps=eps, slowing=0.0)


def adam(
    theta: Tensor, D: Tensor, m: Tensor, v: Tensor, t: int, eta: float, beta1: float, beta2: float, eps: float
) -> Stepped:
    """opt.adam   θ ← θ − η m̂ / (√v̂ + ε), t = 1 at the first step: the new (θ, m, v)."""
    return _stepped("adam", theta, D, {"m": m, "v": v}, t, eta=eta, beta1=beta1, beta2=beta2, eps=eps)


def adamw(
    theta: Tensor, D: Tensor, m: Tensor, v: Tensor, t: int, eta: float, lam: float, beta1: float, beta2: float,
    eps: float,
) -> Stepped:
    """opt.adamw   θ ← θ − η (m̂ / (√v̂ + ε) + λθ): the new (θ, m, v)."""
    return _stepped("adamw", theta, D, {"m": m, "v": v}, t, eta=eta, lam=lam, beta1=beta1, beta2=beta2, eps=eps)


def lamb(
    theta: Tensor, D: Tensor, m: Tensor, v: Tensor, t: int, eta: float, lam: float, beta1: float, beta2: float,
    eps: float,
) -> Stepped:
    """opt.lamb   u = m̂ / (√v̂ + ε) + λθ, θ ← θ − η (‖θ‖ / ‖u‖) u: the new (θ, m, v)."""
    return _stepped("lamb", theta, D, {"m": m, "v": v}, t, eta=eta, lam=lam, beta1=beta1, beta2=beta2, eps=eps)


def sgd(theta: Tensor, D: Tensor, eta: Number) -> Tensor:
    """opt.sgd   Θ − η D, a new tensor."""
    checks.same("opt.sgd", theta=theta, D=D)
    return (wide(theta) - eta * wide(D)).to(theta.dtype)


def sgd_(theta: Tensor, D: Tensor, eta: Number) -> None:
    checks.same("opt.sgd", theta=theta, D=D)
    update_checks.writable("opt.sgd", theta=theta)
    if wide(D) is D:
        theta.sub_(D, alpha=eta)
    else:
        theta.copy_(wide(theta) - eta * wide(D))


OPS: dict[str, Callable[..., Any]] = {
    "opt.sgd": sgd,
    "opt.momentum": momentum, "opt.nesterov": nesterov, "opt.adagrad": adagrad, "opt.adam": adam,
    "opt.adamw": adamw, "opt.lamb": lamb,
}
