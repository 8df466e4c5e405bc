"""The activation functions, as the slide prints them (deck lines 71–107, 1123)."""

from __future__ import annotations

from chainrule.scalar import exp, maximum, where

from .ids import implements
from .lists import Scalar


@implements("act.sigmoid")
def sigmoid(z: Scalar) -> Scalar:
    """act.sigmoid   g(z) = 1 / (1 + e^{−z})"""
    return 1 / (1 + exp(-z))


@implements("act.sigmoid.prime")
def sigmoid_prime(z: Scalar) -> Scalar:
    """act.sigmoid.prime   g'(z) = g(z)(1 − g(z))"""
    return sigmoid(z) * (1 - sigmoid(z))


@implements("act.tanh")
def tanh(x: Scalar) -> Scalar:
    """act.tanh   tanh(x) = (e^x − e^{−x}) / (e^x + e^{−x})"""
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x))


@implements("act.relu")
def relu(x: Scalar) -> Scalar:
    """act.relu   max(0, x)"""
    return maximum(0, x)


@implements("act.leaky")
def leaky(x: Scalar, slope: Scalar = 0.1) -> Scalar:
    """act.leaky   max(0.1x, x)

    Literally a maximum: with a slope above 1 the steeper branch wins for x > 0.
    """
    return maximum(slope * x, x)


@implements("act.elu")
def elu(x: Scalar, alpha: Scalar) -> Scalar:
    """act.elu   x if x ≥ 0,   α(e^x − 1) if x < 0"""
    return where(x >= 0, x, lambda: alpha * (exp(x) - 1))


@implements("act.identity")
def identity(x: Scalar) -> Scalar:
    """act.identity   x      (the output of a regression, ŷ = Θ^(L) a^(L), has no other g)"""
    return x
