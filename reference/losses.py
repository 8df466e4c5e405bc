"""Losses and the regularised objective, with the printed signs, and the readings a descent can use.

The printed cross entropy is the log-likelihood: never positive, and largest where ŷ = y.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.scalar import exp, log, maximum, where

from .activations import sigmoid
from .ids import implements
from .lists import Network, Scalar, Vector, inputs, nodes, same

Loss = Callable[[Scalar, Scalar], Scalar]


@implements("loss.xent")
def cross_entropy(y: Scalar, yhat: Scalar) -> Scalar:
    """loss.xent   L(y, ŷ) = y log(ŷ) + (1 − y) log(1 − ŷ)      (the sign is the deck's)"""
    return y * log(yhat) + (1 - y) * log(1 - yhat)


@implements("loss.xent.negated")
def cross_entropy_negated(y: Scalar, yhat: Scalar) -> Scalar:
    """loss.xent.negated   −[y log(ŷ) + (1 − y) log(1 − ŷ)]"""
    return -(y * log(yhat) + (1 - y) * log(1 - yhat))


@implements("loss.xent.logits")
def cross_entropy_logits(y: Scalar, z: Scalar) -> Scalar:
    """loss.xent.logits   −[y log g(z) + (1 − y) log(1 − g(z))]"""
    return -(y * log(sigmoid(z)) + (1 - y) * log(1 - sigmoid(z)))


@implements("loss.square")
def square(y: Scalar, yhat: Scalar) -> Scalar:
    """loss.square   L(y, ŷ) = (y − ŷ)²"""
    return (y - yhat) * (y - yhat)


@implements("act.softmax")
def softmax(z: Vector) -> Vector:
    """act.softmax   e^{z_i} / Σ_k e^{z_k}"""
    total = sum(exp(z_k) for z_k in z)
    return [exp(z_i) / total for z_i in z]


@implements("loss.softmax")
def cross_entropy_softmax(y: Vector, z: Vector) -> Scalar:
    """loss.softmax   −Σ_k y_k log softmax(z)_k"""
    same("lengths of y and z", len(y), len(z))
    p = softmax(z)
    return -sum(y[k] * log(p[k]) for k in range(len(z)))


@implements("loss.softmax.weighted")
def cross_entropy_weighted(y: Vector, z: Vector, w: Vector, eps: Scalar = 0) -> Scalar:
    """loss.softmax.weighted   −Σ_k w_k ((1 − ε) y_k + ε/K) log softmax(z)_k"""
    same("lengths of y and z", len(y), len(z))
    same("lengths of w and z", len(w), len(z))
    p, K = softmax(z), len(z)
    return -sum(w[k] * ((1 - eps) * y[k] + eps / K) * log(p[k]) for k in range(K))


@implements("loss.mean")
def mean(loss: Vector, mass: Vector) -> Scalar:
    """loss.mean   Σ_i L_i / Σ_i m_i"""
    same("numbers of losses and of weights", len(loss), len(mass))
    return sum(loss) / sum(mass)


@implements("loss.objective")
def objective(y: Vector, yhat: Vector, Theta: Network, lam: Scalar, L: Loss = cross_entropy) -> Scalar:
    """loss.objective   (1/n) Σ_{k=1}^n L(y_k, ŷ) + λ‖Θ‖²₂      (every entry of Θ, intercepts too)"""
    n = instances(y, yhat)
    norm = sum(Theta[l][i][j] * Theta[l][i][j]
               for l in nodes(Theta) for i in nodes(Theta[l]) for j in inputs(Theta[l][i]))
    return sum(L(y[k], yhat[k]) for k in range(n)) / n + lam * norm


@implements("loss.objective.corrected")
def objective_corrected(y: Vector, yhat: Vector, Theta: Network, lam: Scalar,
                        L: Loss = cross_entropy) -> Scalar:
    """loss.objective.corrected   −(1/n) Σ_{k=1}^n L(y_k, ŷ_k) + (λ/2) Σ_{j≥1} Θ_ij²   (its gradient is D)"""
    n = instances(y, yhat)
    norm = sum(Theta[l][i][j] * Theta[l][i][j]
               for l in nodes(Theta) for i in nodes(Theta[l]) for j in nodes(Theta[l][i]))
    return -sum(L(y[k], yhat[k]) for k in range(n)) / n + lam * norm / 2


def instances(y: Vector, yhat: Vector) -> int:
    """n, the number of training instances: at least one."""
    same("numbers of y and ŷ", len(y), len(yhat))
    if not y:
        raise ValueError("n = 0 training instances have no average")
    return len(y)


@implements("loss.huber")
def huber(y: Scalar, yhat: Scalar, c: Scalar = 1) -> Scalar:
    """loss.huber   ½ (y − ŷ)² where |y − ŷ| ≤ c, c (|y − ŷ| − c/2) elsewhere      (Huber 1964)"""
    away = maximum(y - yhat, yhat - y)
    return where(away <= c, away * away / 2, c * (away - c / 2))


@implements("loss.hinge")
def hinge(y: Scalar, z: Scalar) -> Scalar:
    """loss.hinge   max(0, 1 − y z),   y is −1 or 1      (Cortes and Vapnik 1995)"""
    return maximum(0, 1 - y * z)


@implements("loss.kl")
def divergence(p: Vector, q: Vector) -> Scalar:
    """loss.kl   Σ_k p_k log(p_k / q_k)      (Kullback and Leibler 1951)"""
    same("lengths of p and q", len(p), len(q))
    return sum(p[k] * log(p[k] / q[k]) for k in range(len(p)))
