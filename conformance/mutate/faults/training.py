"""Wrong optimizers and wrong normalizations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
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


def _across(x: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def _at(channel: Array, x: Array) -> Array:
    return channel.reshape(1, -1, *[1] * (x.ndim - 2))


def _mean(x: Array) -> Array:
    return _at(x.mean(_across(x)), x)


def _variance(x: Array) -> Array:
    return _at(x.var(_across(x)), x)


def _n(x: Array) -> float:
    return float(x.size / x.shape[1])


def _one_pass(x: Array) -> Array:
    """E x² − (E x)², each rounded to float32."""
    square = (x * x).mean(_across(x)).astype(np.float32)
    mean = x.mean(_across(x)).astype(np.float32)
    return _at(np.maximum(square - mean * mean, np.float32(0)).astype(np.float64), x)


def _norms() -> None:
    def norm(mean: Callable[[Array], Array] = _mean, var: Callable[[Array], Array] = _variance,
             root: Callable[..., Array] = lambda v, eps: np.sqrt(v + eps)) -> Callable[..., Array]:
        return lambda x, gamma, beta, eps: _at(gamma, x) * (x - mean(x)) / root(var(x), eps) + _at(beta, x)

    op = "norm.batch"
    fault(op, "σ² divided by n − 1", norm(var=lambda x: _variance(x) * _n(x) / (_n(x) - 1)))
    fault(op, "ε outside the root", norm(root=lambda v, eps: np.sqrt(v) + eps))
    fault(op, "ε missing", norm(root=lambda v, eps: np.sqrt(v)))
    fault(op, "root missing", norm(root=lambda v, eps: v + eps))
    fault(op, "μ not subtracted", norm(mean=lambda x: 0 * _mean(x)))
    fault(op, "statistics of each example", norm(
        mean=lambda x: x.mean(axis=tuple(range(1, x.ndim)), keepdims=True),
        var=lambda x: x.var(axis=tuple(range(1, x.ndim)), keepdims=True)))
    fault(op, "σ² about 0: μ not subtracted there", norm(var=lambda x: _at((x * x).mean(_across(x)), x)))
    fault(op, "one pass: E x² − (E x)² in float32", norm(var=_one_pass), False)
    fault(op, "the last row left out of the statistics",
          norm(mean=lambda x: _mean(x[:-1]), var=lambda x: _variance(x[:-1])))
    right = norm()
    fault(op, "γ missing", lambda x, gamma, beta, eps: right(x, np.ones_like(gamma), beta, eps))
    fault(op, "β missing", lambda x, gamma, beta, eps: right(x, gamma, 0 * beta, eps))
    fault(op, "γ of the wrong channel", lambda x, gamma, beta, eps: right(x, np.roll(gamma, 1), beta, eps))
    fault(op, "γ(x̂ + β)", lambda x, gamma, beta, eps: right(x, gamma, gamma * beta, eps))

    def fixed(change: Callable[..., Array]) -> Callable[..., Array]:
        return lambda x, mu, var, gamma, beta, eps: change(x, *(_at(one, x) for one in (mu, var, gamma, beta)), eps)

    op = "norm.batch.inference"
    fault(op, "statistics of the batch", lambda x, mu, var, gamma, beta, eps: right(x, gamma, beta, eps))
    fault(op, "ε outside the root", fixed(lambda x, m, v, g, b, eps: g * (x - m) / (np.sqrt(v) + eps) + b))
    fault(op, "root missing", fixed(lambda x, m, v, g, b, eps: g * (x - m) / (v + eps) + b))
    fault(op, "μ and β exchanged", fixed(lambda x, m, v, g, b, eps: g * (x - b) / np.sqrt(v + eps) + m))
    fault(op, "β missing", fixed(lambda x, m, v, g, b, eps: g * (x - m) / np.sqrt(v + eps)))

    def kept(change: Callable[..., Outputs]) -> Callable[..., Outputs]:
        return lambda x, mu, var, rho: change(x.mean(_across(x)), x.var(_across(x)), mu, var, rho, _n(x))

    op = "norm.batch.running"
    fault(op, "ρ and 1 − ρ exchanged", kept(lambda m, v, mu, var, r, n: (
        r * mu + (1 - r) * m, r * var + (1 - r) * v * n / (n - 1))), False)
    fault(op, "σ² not made unbiased", kept(lambda m, v, mu, var, r, n: (
        (1 - r) * mu + r * m, (1 - r) * var + r * v)), False)
    fault(op, "not updated", kept(lambda m, v, mu, var, r, n: (mu, var)), False)
    fault(op, "overwritten", kept(lambda m, v, mu, var, r, n: (m, v * n / (n - 1))), False)
    fault(op, "standard deviation for variance", kept(lambda m, v, mu, var, r, n: (
        (1 - r) * mu + r * m, (1 - r) * var + r * np.sqrt(v * n / (n - 1)))), False)


def _norm_gradients() -> None:
    def gradient(change: Callable[..., Array]) -> Callable[..., Array]:
        def outputs(d: Array, x: Array, gamma: Array, eps: float) -> Array:
            s = np.sqrt(_variance(x) + eps)
            hat = (x - _mean(x)) / s
            return change(d, hat, s, _mean(d), _mean(d * hat), _at(gamma, x))
        return outputs

    op = "norm.batch.grad_x"
    fault(op, "μ and σ taken for constants", gradient(lambda d, hat, s, m1, m2, g: g * d / s))
    fault(op, "m₁ missing", gradient(lambda d, hat, s, m1, m2, g: g * (d - hat * m2) / s))
    fault(op, "m₂ missing", gradient(lambda d, hat, s, m1, m2, g: g * (d - m1) / s))
    fault(op, "sign of m₂", gradient(lambda d, hat, s, m1, m2, g: g * (d - m1 + hat * m2) / s))
    fault(op, "x̂ missing", gradient(lambda d, hat, s, m1, m2, g: g * (d - m1 - m2) / s))
    fault(op, "γ missing", gradient(lambda d, hat, s, m1, m2, g: (d - m1 - hat * m2) / s))
    fault(op, "1/s missing", gradient(lambda d, hat, s, m1, m2, g: g * (d - m1 - hat * m2)))
    fault(op, "sums for means", gradient(lambda d, hat, s, m1, m2, g: g * (d - (m1 + hat * m2) * _n(d)) / s))
    op = "norm.batch.grad_gamma"
    fault(op, "x for x̂", lambda d, x, eps: (d * x).sum(_across(x)))
    fault(op, "1/s missing", lambda d, x, eps: (d * (x - _mean(x))).sum(_across(x)))
    fault(op, "averaged", lambda d, x, eps: (d * (x - _mean(x)) / np.sqrt(_variance(x) + eps)).mean(_across(x)))
    fault(op, "Σ d", lambda d, x, eps: d.sum(_across(x)))
    op = "norm.batch.grad_beta"
    fault(op, "averaged", lambda d: d.mean(_across(d)))
    fault(op, "last example dropped", lambda d: d[:-1].sum(_across(d)))
    fault(op, "first position only", lambda d: d.reshape(*d.shape[:2], -1)[..., 0].sum(0), False)
    fault(op, "sign flipped", lambda d: -d.sum(_across(d)))


_norms()
_norm_gradients()
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
