"""The activation functions, as the slide prints them (deck lines 71–107, 1123)."""

from __future__ import annotations

from chainrule.scalar import erf, exp, log, maximum, number, pi, sqrt, where
from chainrule.scalar import tanh as hyperbolic_tangent

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
def leaky(x: Scalar, slope: Scalar | None = None) -> Scalar:
    """act.leaky   max(0.1x, x)

    The slope is 0.1 where none is given, as a number of x's kind. Literally a maximum: with a slope above 1 the
    steeper branch wins for x > 0.
    """
    slope = number(x, 1) / 10 if slope is None else slope
    return maximum(slope * x, x)


@implements("act.elu")
def elu(x: Scalar, alpha: Scalar) -> Scalar:
    """act.elu   x if x ≥ 0,   α(e^x − 1) if x < 0"""
    return where(x >= 0, x, lambda: alpha * (exp(x) - 1))


@implements("act.identity")
def identity(x: Scalar) -> Scalar:
    """act.identity   x      (the output of a regression, ŷ = Θ^(L) a^(L), has no other g)"""
    return x


@implements("act.gelu")
def gelu(x: Scalar) -> Scalar:
    """act.gelu   x/2 (1 + erf(x/√2)) = x Φ(x)      (Hendrycks and Gimpel 2016; the deck names its encoder alone)"""
    return x * (1 + erf(x / sqrt(number(x, 2)))) / 2


@implements("act.gelu.tanh")
def gelu_tanh(x: Scalar) -> Scalar:
    """act.gelu.tanh   x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))"""
    return x * (1 + hyperbolic_tangent(sqrt(2 / pi(x)) * (x + 44715 * x**3 / 10**6))) / 2


@implements("act.softplus")
def softplus(x: Scalar) -> Scalar:
    """act.softplus   log(1 + e^x)"""
    return log(1 + exp(x))


@implements("act.silu")
def silu(x: Scalar) -> Scalar:
    """act.silu   x g(x), with the sigmoid g"""
    return x * sigmoid(x)
