"""Wrong layer norms and wrong softmaxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...judging.numbers.lanes import Array
from .base import fault, rounded, zero_last


def _mean(x: Array) -> Array:
    return np.asarray(x.mean(1, keepdims=True))


def _variance(x: Array) -> Array:
    return np.asarray(x.var(1, keepdims=True))


def _one_pass(x: Array) -> Array:
    """E x² − (E x)², each rounded to float32."""
    square, mean = _mean(x * x).astype(np.float32), _mean(x).astype(np.float32)
    return np.asarray(np.maximum(square - mean * mean, np.float32(0)).astype(np.float64))


def _padded(x: Array) -> float:
    """n as the width of the tile that holds the row."""
    return float(2 ** np.ceil(np.log2(x.shape[1])))


def _layer_norms() -> None:
    def norm(mean: Callable[[Array], Array] = _mean, var: Callable[[Array], Array] = _variance,
             root: Callable[..., Array] = lambda v, eps: np.sqrt(v + eps)) -> Callable[..., Array]:
        return lambda x, gamma, beta, eps: gamma * (x - mean(x)) / root(var(x), eps) + beta

    op = "norm.layer"
    fault(op, "statistics of each column, as in batch norm", norm(
        mean=lambda x: x.mean(0, keepdims=True), var=lambda x: x.var(0, keepdims=True)))
    fault(op, "statistics of the whole matrix", norm(mean=lambda x: x.mean(keepdims=True),
                                                     var=lambda x: x.var(keepdims=True)))
    fault(op, "σ² divided by n − 1", norm(var=lambda x: _variance(x) * x.shape[1] / (x.shape[1] - 1)))
    fault(op, "n is the tile's width", norm(mean=lambda x: x.sum(1, keepdims=True) / _padded(x)))
    fault(op, "padded lanes counted: (0 − μ)² in σ²", norm(
        var=lambda x: _variance(x) + (_padded(x) - x.shape[1]) / x.shape[1] * _mean(x) ** 2))
    fault(op, "ε outside the root", norm(root=lambda v, eps: np.sqrt(v) + eps))
    fault(op, "ε missing", norm(root=lambda v, eps: np.sqrt(v)))
    fault(op, "root missing", norm(root=lambda v, eps: v + eps))
    fault(op, "μ not subtracted: RMS norm", norm(mean=lambda x: 0 * _mean(x), var=lambda x: _mean(x * x)))
    fault(op, "σ² about 0", norm(var=lambda x: _mean(x * x)))
    fault(op, "one pass: E x² − (E x)² in float32", norm(var=_one_pass), False)
    fault(op, "statistics in bfloat16", norm(mean=lambda x: rounded(_mean(x), 8), var=lambda x: rounded(
        _variance(x), 8)), False)
    fault(op, "the last number left out of the statistics", norm(
        mean=lambda x: _mean(x[:, :-1]), var=lambda x: _variance(x[:, :-1])))
    right = norm()
    fault(op, "γ missing", lambda x, gamma, beta, eps: right(x, np.ones_like(gamma), beta, eps))
    fault(op, "1 + γ for γ", lambda x, gamma, beta, eps: right(x, 1 + gamma, beta, eps))
    fault(op, "β missing", lambda x, gamma, beta, eps: right(x, gamma, 0 * beta, eps))
    fault(op, "γ of the wrong feature", lambda x, gamma, beta, eps: right(x, np.roll(gamma, 1), beta, eps))
    fault(op, "γ(x̂ + β)", lambda x, gamma, beta, eps: right(x, gamma, gamma * beta, eps))
    fault(op, "last element unwritten", lambda x, gamma, beta, eps: zero_last(right(x, gamma, beta, eps)))


def _layer_norm_gradients() -> None:
    def gradient(change: Callable[..., Array], mean: Callable[[Array], Array] = _mean) -> Callable[..., Array]:
        def outputs(d: Array, x: Array, gamma: Array, eps: float) -> Array:
            s = np.sqrt(_variance(x) + eps)
            hat, g = (x - _mean(x)) / s, gamma * d
            return change(g, hat, s, mean(g), mean(g * hat), x.shape[1])
        return outputs

    op = "norm.layer.grad_x"
    fault(op, "μ and σ taken for constants", gradient(lambda g, hat, s, m1, m2, n: g / s))
    fault(op, "m₁ missing", gradient(lambda g, hat, s, m1, m2, n: (g - hat * m2) / s))
    fault(op, "m₂ missing", gradient(lambda g, hat, s, m1, m2, n: (g - m1) / s))
    fault(op, "sign of m₂", gradient(lambda g, hat, s, m1, m2, n: (g - m1 + hat * m2) / s))
    fault(op, "x̂ missing", gradient(lambda g, hat, s, m1, m2, n: (g - m1 - m2) / s))
    fault(op, "1/s missing", gradient(lambda g, hat, s, m1, m2, n: g - m1 - hat * m2))
    fault(op, "sums for means", gradient(lambda g, hat, s, m1, m2, n: (g - (m1 + hat * m2) * n) / s))
    fault(op, "means of each column", gradient(lambda g, hat, s, m1, m2, n: (g - m1 - hat * m2) / s,
                                               lambda g: g.mean(0, keepdims=True)))
    fault(op, "γ applied last, as in batch norm", lambda d, x, gamma, eps: gamma * gradient(
        lambda g, hat, s, m1, m2, n: (g - m1 - hat * m2) / s)(d, x, 1.0, eps))
    op = "norm.layer.grad_gamma"
    fault(op, "x for x̂", lambda d, x, eps: (d * x).sum(0))
    fault(op, "1/s missing", lambda d, x, eps: (d * (x - _mean(x))).sum(0))
    fault(op, "averaged", lambda d, x, eps: (d * (x - _mean(x)) / np.sqrt(_variance(x) + eps)).mean(0))
    fault(op, "Σ d", lambda d, x, eps: d.sum(0))
    fault(op, "last row dropped", lambda d, x, eps: (d * (x - _mean(x)) / np.sqrt(_variance(x) + eps))[:-1].sum(0))
    op = "norm.layer.grad_beta"
    fault(op, "averaged", lambda d: d.mean(0))
    fault(op, "last row dropped", lambda d: d[:-1].sum(0))
    fault(op, "sign flipped", lambda d: -d.sum(0))
    fault(op, "last element unwritten", lambda d: zero_last(d.sum(0)))



def shares(z: Array, axis: int = 1) -> Array:
    largest = z.max(axis, keepdims=True)
    e = np.exp(z - np.where(np.isneginf(largest), 0.0, largest))
    return np.asarray(e / e.sum(axis, keepdims=True))


def _softmaxes() -> None:
    op = "act.softmax"
    fault(op, "over the wrong axis", lambda z: shares(z, 0), False)
    fault(op, "over the whole matrix", lambda z: shares(z.reshape(1, -1)).reshape(z.shape), False)
    fault(op, "the running maximum starts at 0", lambda z: _diluted(
        z, lambda z: np.maximum(z.max(1, keepdims=True), 0)), False)
    fault(op, "no maximum subtracted, in float32", lambda z: _diluted(z, lambda z: 0 * z[:, :1]), False)
    fault(op, "padded lanes counted as e⁰", lambda z: np.exp(z - z.max(1, keepdims=True)) / (
        np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True) + _padded(z) - z.shape[1]), False)
    fault(op, "not normalised", lambda z: np.exp(z - z.max(1, keepdims=True)), False)
    fault(op, "the last number left out of the sum", lambda z: np.exp(z - z.max(1, keepdims=True)) / np.exp(
        z - z.max(1, keepdims=True))[:, :-1].sum(1, keepdims=True), False)
    fault(op, "exponents in bfloat16", lambda z: shares(rounded(z - z.max(1, keepdims=True), 8)), False)
    fault(op, "the logarithm of it", lambda z: np.log(shares(z)), False)
    fault(op, "last element unwritten", lambda z: zero_last(shares(z)), False)
    op = "act.softmax.prime"
    fault(op, "the Jacobian's diagonal alone", lambda d, z: d * shares(z) * (1 - shares(z)), False)
    fault(op, "the mean of d unweighted", lambda d, z: shares(z) * (d - d.mean(1, keepdims=True)), False)
    fault(op, "Σ p d missing", lambda d, z: shares(z) * d, False)
    fault(op, "p missing", lambda d, z: d - (shares(z) * d).sum(1, keepdims=True), False)
    fault(op, "sign of Σ p d", lambda d, z: shares(z) * (d + (shares(z) * d).sum(1, keepdims=True)), False)
    fault(op, "z for p", lambda d, z: z * (d - (z * d).sum(1, keepdims=True)), False)
    fault(op, "p in bfloat16", lambda d, z: rounded(shares(z), 8) * (
        d - (rounded(shares(z), 8) * d).sum(1, keepdims=True)), False)
    fault(op, "over the wrong axis", lambda d, z: shares(z, 0) * (d - (shares(z, 0) * d).sum(0, keepdims=True)), False)
    fault(op, "last element unwritten", lambda d, z: zero_last(shares(z) * (
        d - (shares(z) * d).sum(1, keepdims=True))), False)


def _diluted(z: Array, base: Callable[[Array], Array]) -> Array:
    """In float32, where e^−200 is 0 and e^200 infinite."""
    e = np.exp((z - base(z)).astype(np.float32))
    return np.asarray(e / e.sum(1, keepdims=True), dtype=np.float64)


_softmaxes()
_layer_norms()
_layer_norm_gradients()
