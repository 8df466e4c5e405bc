"""Gradient descent as the deck prints it (lines 219, 686), and the "fancier alternatives" it names (334, 346).

One parameter θ at a time, with its derivative D; LAMB takes a whole layer, because it needs its length. The
state that an optimizer keeps goes in and comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.scalar import cos, pi, sqrt, where

from .ids import implements
from .lists import Network, Scalar, Vector, same


@implements("opt.sgd")
def sgd(theta: Scalar, D: Scalar, eta: Scalar) -> Scalar:
    """opt.sgd   Θ_ij^(l) ← Θ_ij^(l) − η ∂L/∂Θ_ij^(l)      (D is the derivative, or the averaged one)"""
    return theta - eta * D


@implements("opt.gd")
def gd(Theta: Any, nabla: Any, eta: Scalar) -> Any:
    """opt.gd   Θ^(l) ← Θ^(l) − η ∇_{Θ^(l)} L(y, ŷ)   ∀ l,   all layers at once; slots of None stay"""
    if Theta is None:
        return None
    if not isinstance(Theta, list):
        return sgd(Theta, nabla, eta)
    same("lengths of Theta and of its gradient", len(Theta), len(nabla))
    return [gd(Theta[k], nabla[k], eta) for k in range(len(Theta))]


@implements("torch.loop", "cnn.sgd")
def loop(Theta: Network, data: Vector, eta: Scalar, nabla: Callable[..., Network]) -> Network:
    """torch.loop   for each (x, y): zero_grad, forward, loss, backward, step:   Θ ← Θ − η ∇L(Θ, x, y)"""
    for x, y in data:
        Theta = gd(Theta, nabla(Theta, x, y), eta)
    return Theta


@implements("opt.momentum")
def momentum(theta: Scalar, D: Scalar, v: Scalar, eta: Scalar, mu: Scalar) -> tuple[Scalar, Scalar]:
    """opt.momentum   v ← μ v + D,   θ ← θ − η v      (Polyak 1964)"""
    v = mu * v + D
    return theta - eta * v, v


@implements("opt.nesterov")
def nesterov(theta: Scalar, D: Scalar, v: Scalar, eta: Scalar, mu: Scalar) -> tuple[Scalar, Scalar]:
    """opt.nesterov   v ← μ v + D,   θ ← θ − η (D + μ v)      (Sutskever, Martens, Dahl and Hinton 2013)"""
    v = mu * v + D
    return theta - eta * (D + mu * v), v


@implements("opt.adagrad")
def adagrad(theta: Scalar, D: Scalar, G: Scalar, eta: Scalar, eps: Scalar) -> tuple[Scalar, Scalar]:
    """opt.adagrad   G ← G + D²,   θ ← θ − η D / (√G + ε)      (Duchi, Hazan and Singer 2011)"""
    G = G + D * D
    return theta - eta * D / (sqrt(G) + eps), G


@implements("opt.rmsprop")
def rmsprop(theta: Scalar, D: Scalar, v: Scalar, eta: Scalar, rho: Scalar, eps: Scalar) -> tuple[Scalar, Scalar]:
    """opt.rmsprop   v ← ρ v + (1 − ρ) D²,   θ ← θ − η D / (√v + ε)      (Tieleman and Hinton 2012)"""
    v = rho * v + (1 - rho) * D * D
    return theta - eta * D / (sqrt(v) + eps), v


@implements("opt.clip")
def clip(D: Vector, c: Scalar) -> Vector:
    """opt.clip   D ← D min(1, c / ‖D‖)      (Pascanu, Mikolov and Bengio 2013)"""
    shortened = where(norm(D) > c, lambda: c / norm(D), 1)
    return [shortened * D_i for D_i in D]


@implements("opt.adam.direction")
def adam_direction(D: Scalar, m: Scalar, v: Scalar, t: int, beta1: Scalar, beta2: Scalar,
                   eps: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """opt.adam.direction   m ← β₁m + (1 − β₁)D,   v ← β₂v + (1 − β₂)D²,   r = m̂ / (√v̂ + ε)

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ), with t = 1 at the first step.
    """
    if t < 1:
        raise ValueError(f"opt.adam: steps are counted from t = 1, not {t}")
    m = beta1 * m + (1 - beta1) * D
    v = beta2 * v + (1 - beta2) * D * D
    return m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps), m, v


@implements("opt.adam")
def adam(theta: Scalar, D: Scalar, m: Scalar, v: Scalar, t: int, eta: Scalar, beta1: Scalar, beta2: Scalar,
         eps: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """opt.adam   θ ← θ − η r,   r the opt.adam.direction      (Kingma and Ba 2015, Algorithm 1)"""
    r, m, v = adam_direction(D, m, v, t, beta1, beta2, eps)
    return theta - eta * r, m, v


@implements("opt.adamw")
def adamw(theta: Scalar, D: Scalar, m: Scalar, v: Scalar, t: int, eta: Scalar, lam: Scalar, beta1: Scalar,
          beta2: Scalar, eps: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """opt.adamw   θ ← θ − η (r + λθ),   r the opt.adam.direction      (Loshchilov and Hutter 2019)"""
    r, m, v = adam_direction(D, m, v, t, beta1, beta2, eps)
    return theta - eta * (r + lam * theta), m, v


@implements("opt.lamb")
def lamb(theta: Vector, D: Vector, m: Vector, v: Vector, t: int, eta: Scalar, lam: Scalar, beta1: Scalar,
         beta2: Scalar, eps: Scalar) -> tuple[Vector, Vector, Vector]:
    """opt.lamb   u = r + λθ,   θ ← θ − η (‖θ‖ / ‖u‖) u,   r the opt.adam.direction      (You et al. 2020)

    Where a length is 0 the ratio is 1, as in the authors' code; else θ = 0 would never move.
    """
    n = len(theta)
    moved = [adam_direction(D[i], m[i], v[i], t, beta1, beta2, eps) for i in range(n)]
    u = [moved[i][0] + lam * theta[i] for i in range(n)]
    ratio = where(norm(theta) * norm(u) > 0, lambda: norm(theta) / norm(u), 1)
    return [theta[i] - eta * ratio * u[i] for i in range(n)], [m for _, m, _ in moved], [v for *_, v in moved]


def norm(x: Vector) -> Scalar:
    """‖x‖ = √(Σ_i x_i²)"""
    return sqrt(sum(x_i * x_i for x_i in x))


@implements("opt.schedule.step")
def step_schedule(eta: Scalar, t: int, gamma: Scalar, every: int) -> Scalar:
    """opt.schedule.step   η_t = η γ^⌊t / every⌋"""
    return eta * gamma**(t // every)


@implements("opt.schedule.exponential")
def exponential_schedule(eta: Scalar, t: int, gamma: Scalar) -> Scalar:
    """opt.schedule.exponential   η_t = η γᵗ"""
    return eta * gamma**t


@implements("opt.schedule.inverse")
def inverse_schedule(eta: Scalar, t: int, k: Scalar) -> Scalar:
    """opt.schedule.inverse   η_t = η / (1 + k t)      (Robbins and Monro 1951)"""
    return eta / (1 + k * t)


@implements("opt.schedule.cosine")
def cosine_schedule(eta: Scalar, t: int, n: int) -> Scalar:
    """opt.schedule.cosine   η_t = η/2 (1 + cos(π t/n))      (Loshchilov and Hutter 2017)"""
    return eta / 2 * (1 + cos(pi(eta) * t / n))


@implements("opt.schedule.warmup")
def warmup_schedule(eta: Scalar, t: int, n: int) -> Scalar:
    """opt.schedule.warmup   η_t = η (t + 1)/n before step n, and η from there      (Goyal et al. 2017)"""
    return eta * (t + 1) / n if t < n else eta
