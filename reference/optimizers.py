"""Gradient descent, as the deck prints it (deck lines 219, 686)."""

from __future__ import annotations

from typing import Any

from .ids import implements
from .lists import Scalar, same


@implements("opt.sgd")
def sgd(theta: Scalar, D: Scalar, eta: Scalar) -> Scalar:
    """opt.sgd   Θ_ij^(l) ← Θ_ij^(l) − η ∂L/∂Θ_ij^(l)      (D is the derivative, or the averaged one)"""
    return theta - eta * D


@implements("opt.gd")
def gd(Theta: Any, nabla: Any, eta: Scalar) -> Any:
    """opt.gd   Θ^(l) ← Θ^(l) − η ∇_{Θ^(l)} L(y, ŷ)   ∀ l,   all layers at once, slots of None stay"""
    if Theta is None:
        return None
    if not isinstance(Theta, list):
        return sgd(Theta, nabla, eta)
    same("lengths of Theta and of its gradient", len(Theta), len(nabla))
    return [gd(Theta[k], nabla[k], eta) for k in range(len(Theta))]
