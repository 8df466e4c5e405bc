"""Wrong optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numbers.lanes import Array
from .base import Outputs, fault, zero_last


def _momentum(op: str, step: Callable[..., Array]) -> None:
    fault(op, "ascent", lambda theta, D, v, eta, mu: (theta + eta * step(D, mu * v + D, mu), mu * v + D))
    fault(op, "η missing", lambda theta, D, v, eta, mu: (theta - step(D, mu * v + D, mu), mu * v + D))
    fault(op, "μ missing", lambda theta, D, v, eta, mu: (theta - eta * step(D, v + D, mu), v + D))
    fault(op, "D damped: 1 − μ as in an average", lambda theta, D, v, eta, mu: (
        theta - eta * step(D, mu * v + (1 - mu) * D, mu), mu * v + (1 - mu) * D))
    fault(op, "v not kept", lambda theta, D, v, eta, mu: (theta - eta * step(D, mu * v + D, mu), v))
    fault(op, "η inside v", lambda theta, D, v, eta, mu: (
        theta - step(eta * D, mu * v + eta * D, mu), mu * v + eta * D))
    fault(op, "last element unwritten", lambda theta, D, v, eta, mu: (
        zero_last(theta - eta * step(D, mu * v + D, mu)), mu * v + D))


def _adagrad() -> None:
    op = "opt.adagrad"

    def rule(change: Callable[..., Array], gather: Callable[..., Array] = lambda G, D: G + D * D) -> Any:
        return lambda theta, D, G, eta, eps: (theta - eta * change(D, gather(G, D), G, eps), gather(G, D))

    def right(D: Array, G: Array, old: Array, eps: float) -> Array:
        return D / (np.sqrt(G) + eps)

    fault(op, "ε inside the root", rule(lambda D, G, old, eps: D / np.sqrt(G + eps)), False)
    fault(op, "ε missing", rule(lambda D, G, old, eps: D / np.sqrt(G)), False)
    fault(op, "root missing", rule(lambda D, G, old, eps: D / (G + eps)), False)
    fault(op, "divides by the old G", rule(lambda D, G, old, eps: D / (np.sqrt(old) + eps)), False)
    fault(op, "|D| for D²", rule(right, lambda G, D: G + np.abs(D)), False)
    fault(op, "G averaged as in RMSprop", rule(right, lambda G, D: 0.9 * G + 0.1 * D * D), False)
    fault(op, "G overwritten, not accumulated", rule(right, lambda G, D: D * D), False)


def _adaptive(op: str, move: Callable[..., Array], decayed: bool) -> None:
    """Faults of the direction r = m̂ / (√v̂ + ε), whatever is done with it."""
    def rule(direction: Callable[..., Array], m1: Any = None, v1: Any = None, off: int = 0) -> Callable[..., Outputs]:
        def outputs(theta: Array, D: Array, m: Array, v: Array, t: int, eta: float, beta1: float, beta2: float,
                    eps: float, lam: float = 0.0) -> Outputs:
            m = beta1 * m + (1 - beta1) * D if m1 is None else m1(m, D, beta1)
            v = beta2 * v + (1 - beta2) * D * D if v1 is None else v1(v, D, beta2)
            r = direction(m, v, 1 - beta1 ** (t + off), 1 - beta2 ** (t + off), eps)
            return move(theta, r, eta, lam), m, v
        return outputs

    def right(m: Array, v: Array, b1: float, b2: float, eps: float) -> Array:
        return m / b1 / (np.sqrt(v / b2) + eps)

    fault(op, "bias correction missing", rule(lambda m, v, b1, b2, eps: m / (np.sqrt(v) + eps)), False)
    fault(op, "bias correction of m missing", rule(lambda m, v, b1, b2, eps: m / (np.sqrt(v / b2) + eps)), False)
    fault(op, "bias correction of v missing", rule(lambda m, v, b1, b2, eps: m / b1 / (np.sqrt(v) + eps)), False)
    fault(op, "ε inside the root", rule(lambda m, v, b1, b2, eps: m / b1 / np.sqrt(v / b2 + eps)), False)
    fault(op, "ε corrected too: √v + ε before the root of 1 − β₂ᵗ",
          rule(lambda m, v, b1, b2, eps: m / b1 * np.sqrt(b2) / (np.sqrt(v) + eps)), False)
    fault(op, "ε missing", rule(lambda m, v, b1, b2, eps: m / b1 / np.sqrt(v / b2)), False)
    fault(op, "root missing", rule(lambda m, v, b1, b2, eps: m / b1 / (v / b2 + eps)), False)
    fault(op, "step off by one", rule(right, off=1), False)
    fault(op, "β₁ and β₂ exchanged in the corrections", rule(lambda m, v, b1, b2, eps: right(m, v, b2, b1, eps)), False)
    fault(op, "v of D, not of D²", rule(right, v1=lambda v, D, beta2: beta2 * v + (1 - beta2) * np.abs(D)), False)
    fault(op, "1 − β₁ missing", rule(right, m1=lambda m, D, beta1: beta1 * m + D), False)
    fault(op, "1 − β₂ in float32, 1 − 0.999 = 0.00099998713",
          rule(right, v1=lambda v, D, beta2: beta2 * v + float(np.float32(1) - np.float32(beta2)) * D * D), False)
    fault(op, "ascent", rule(lambda m, v, b1, b2, eps: -right(m, v, b1, b2, eps)), False)
    if decayed:
        fault(op, "λ missing", lambda **a: rule(right)(**{**a, "lam": 0.0}), False)
        fault(op, "decay coupled for decoupled: λθ enters the moments", lambda **a: rule(right)(
            **{**a, "D": a["D"] + a["lam"] * a["theta"], "lam": 0.0}), False)
        fault(op, "sign of λ", lambda **a: rule(right)(**{**a, "lam": -a["lam"]}), False)


def _norm(x: Array) -> Any:
    return np.sqrt((x * x).sum())


def _trusted(theta: Array, r: Array, eta: float, lam: float) -> Array:
    u = r + lam * theta
    moved: Array = theta - eta * _norm(theta) / _norm(u) * u
    return moved


def _lamb() -> None:
    def moved(ratio: Callable[..., Any], u: Any = None) -> Callable[..., Outputs]:
        def outputs(theta: Array, D: Array, m: Array, v: Array, t: int, eta: float, lam: float, beta1: float,
                    beta2: float, eps: float) -> Outputs:
            m, v = beta1 * m + (1 - beta1) * D, beta2 * v + (1 - beta2) * D * D
            r = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
            return theta - eta * ratio(theta, r + lam * theta, r, D) * (r + lam * theta), m, v
        return outputs

    op = "opt.lamb"
    fault(op, "trust ratio missing", moved(lambda theta, u, r, D: 1.0), False)
    fault(op, "trust ratio of the wrong norm: of r without λθ", moved(lambda theta, u, r, D: _norm(theta) / _norm(r)),
          False)
    fault(op, "trust ratio of the wrong norm: of the gradient, as in LARS",
          moved(lambda theta, u, r, D: _norm(theta) / _norm(D)), False)
    fault(op, "trust ratio of the wrong norm: sums of |·|",
          moved(lambda theta, u, r, D: np.abs(theta).sum() / np.abs(u).sum()), False)
    fault(op, "trust ratio upside down", moved(lambda theta, u, r, D: _norm(u) / _norm(theta)), False)
    fault(op, "trust ratio per element", moved(lambda theta, u, r, D: np.abs(theta) / np.abs(u)), False)
    fault(op, "squares for lengths", moved(lambda theta, u, r, D: (_norm(theta) / _norm(u)) ** 2), False)
    fault(op, "trust ratio clipped at 1", moved(lambda theta, u, r, D: min(1.0, _norm(theta) / _norm(u))), False)


def _without_eta() -> None:
    def outputs(theta: Array, D: Array, m: Array, v: Array, t: int, eta: float, lam: float, beta1: float,
                beta2: float, eps: float) -> Outputs:
        m, v = beta1 * m + (1 - beta1) * D, beta2 * v + (1 - beta2) * D * D
        return theta - eta * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps) - lam * theta, m, v

    fault("opt.adamw", "decay without η", outputs, False)


_momentum("opt.momentum", lambda D, v, mu: v)
fault("opt.momentum", "steps along the old v", lambda theta, D, v, eta, mu: (theta - eta * v, mu * v + D))
fault("opt.momentum", "Nesterov's step", lambda theta, D, v, eta, mu: (
    theta - eta * (D + mu * (mu * v + D)), mu * v + D))
_momentum("opt.nesterov", lambda D, v, mu: D + mu * v)
fault("opt.nesterov", "plain momentum", lambda theta, D, v, eta, mu: (theta - eta * (mu * v + D), mu * v + D))
_adagrad()
_adaptive("opt.adam", lambda theta, r, eta, lam: theta - eta * r, False)
_adaptive("opt.adamw", lambda theta, r, eta, lam: theta - eta * (r + lam * theta), True)
_without_eta()
_adaptive("opt.lamb", _trusted, True)
_lamb()
