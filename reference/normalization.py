"""Batch normalization, which the deck names (lines 332, 347), and the layer normalization of its transformer.

Sources: Ioffe and Szegedy, Batch Normalization, 2015, Algorithm 1 · Ba, Kiros and Hinton, Layer
Normalization, 2016.
"""

from __future__ import annotations

from chainrule.scalar import sqrt

from .ids import implements
from .lists import Scalar, Vector, same


@implements("norm.mean")
def mean(x: Vector) -> Scalar:
    """norm.mean   μ = (1/n) Σ_i x_i"""
    if not x:
        raise ValueError("norm.mean: no numbers have no mean")
    return sum(x) / len(x)


@implements("norm.variance")
def variance(x: Vector) -> Scalar:
    """norm.variance   σ² = (1/n) Σ_i (x_i − μ)²"""
    mu = mean(x)
    return sum((x_i - mu) * (x_i - mu) for x_i in x) / len(x)


@implements("norm.batch")
def batch_norm(x: Vector, gamma: Scalar, beta: Scalar, eps: Scalar) -> Vector:
    """norm.batch   y_i = γ (x_i − μ) / √(σ² + ε) + β      (one feature, i over the batch; γ, β scalars)"""
    return batch_norm_inference(x, mean(x), variance(x), gamma, beta, eps)


@implements("norm.batch.inference")
def batch_norm_inference(x: Vector, mu: Scalar, var: Scalar, gamma: Scalar, beta: Scalar,
                         eps: Scalar) -> Vector:
    """norm.batch.inference   y_i = γ (x_i − μ) / √(σ² + ε) + β      (μ, σ² were gathered in training)"""
    return [gamma * (x_i - mu) / sqrt(var + eps) + beta for x_i in x]


@implements("norm.batch.running")
def batch_norm_running(x: Vector, mu: Scalar, var: Scalar, rho: Scalar) -> tuple[Scalar, Scalar]:
    """norm.batch.running   μ̄ ← (1 − ρ) μ̄ + ρ μ,   σ̄² ← (1 − ρ) σ̄² + ρ σ² n / (n − 1)"""
    n = len(x)
    if n < 2:
        raise ValueError(f"norm.batch.running: {n} numbers have no unbiased variance; at least 2 are needed")
    return (1 - rho) * mu + rho * mean(x), (1 - rho) * var + rho * variance(x) * n / (n - 1)


@implements("norm.layer")
def layer_norm(x: Vector, gamma: Vector, beta: Vector, eps: Scalar) -> Vector:
    """norm.layer   y_i = γ_i (x_i − μ) / √(σ² + ε) + β_i      (one example, i over its features)"""
    same("lengths of x and gamma", len(x), len(gamma))
    same("lengths of x and beta", len(x), len(beta))
    mu, var = mean(x), variance(x)
    return [gamma[i] * (x[i] - mu) / sqrt(var + eps) + beta[i] for i in range(len(x))]


@implements("norm.rms")
def rms_norm(x: Vector, gamma: Vector, eps: Scalar) -> Vector:
    """norm.rms   y_i = γ_i x_i / √((1/n) Σ_k x_k² + ε)      (Zhang and Sennrich 2019)"""
    same("lengths of x and gamma", len(x), len(gamma))
    root = sqrt(sum(x_k * x_k for x_k in x) / len(x) + eps)
    return [gamma[i] * x[i] / root for i in range(len(x))]
