"""Wrong averages and updates in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .base import Outputs, dropped, fault, zero_last

Pair = tuple[Array, Array]
Averages = Callable[..., Pair]


def _right(d: Array, a: Array, w: Array, b: Array, l: float, n: float) -> Pair:
    return d.T @ a / n + l * w, d.sum(0) / n


AVERAGES: dict[str, Averages] = {
    "1/n missing": lambda d, a, w, b, l, n: (d.T @ a + l * w, d.sum(0)),
    "batch size for n": lambda d, a, w, b, l, n: (d.T @ a / len(d) + l * w, d.sum(0) / len(d)),
    "λ missing": lambda d, a, w, b, l, n: (d.T @ a / n, d.sum(0) / n),
    "sign of λ": lambda d, a, w, b, l, n: (d.T @ a / n - l * w, d.sum(0) / n),
    "λ/n for λ": lambda d, a, w, b, l, n: (d.T @ a / n + l / n * w, d.sum(0) / n),
    "intercept regularised": lambda d, a, w, b, l, n: (d.T @ a / n + l * w, d.sum(0) / n + l * b),
    "last example dropped": lambda d, a, w, b, l, n: (d[:-1].T @ a[:-1] / n + l * w, d.sum(0) / n),
    "intercept without the last example": lambda d, a, w, b, l, n: (d.T @ a / n + l * w, d[:-1].sum(0) / n),
    "last block of 32 examples dropped": lambda d, a, w, b, l, n: (
        dropped(d.T, 32) @ a / n + l * w, d.sum(0) / n),
    "D of the first half of the batch: a lost split": lambda d, a, w, b, l, n: (
        d[: (len(d) + 1) // 2].T @ a[: (len(d) + 1) // 2] / n + l * w, d.sum(0) / n),
    "D twice: a split counted again": lambda d, a, w, b, l, n: (2 * (d.T @ a) / n + l * w, d.sum(0) / n),
}


def _faults(op: str, move: Callable[..., Any], states: tuple[str, ...], structural: bool,
            steps: dict[str, Callable[..., Any]]) -> None:
    """Every wrong average with the right step, and every wrong step with the right average."""
    def rule(averages: Averages, step: Callable[..., Any]) -> Callable[..., Outputs]:
        def outputs(delta: Array, a: Array, theta: Array, b: Array, lam: float, n: float, **rest: Any) -> Outputs:
            both = averages(delta, a, theta, b, lam, n)
            numbers = {k: v for k, v in rest.items() if not isinstance(v, np.ndarray)}
            kept = [[rest[s + suffix] for s in states] for suffix in ("", "b")]
            moved = [step(one, D, *own, **numbers) for one, D, own in zip((theta, b), both, kept)]
            return tuple(np.asarray(part) for pair in zip(*moved) for part in pair)
        return outputs

    for name, averages in AVERAGES.items():
        if name == "batch size for n" and not structural:
            continue                    # real data are whole batches: only exact data have another n
        fault(op, name, rule(averages, move), structural)
    for name, step in steps.items():
        fault(op, name, rule(_right, step), structural)
    fault(op, "no update", lambda theta, b, **rest: (
        theta, b, *(rest[s + suffix] for s in states for suffix in ("", "b"))), structural)


def _sgd(theta: Array, D: Array, eta: float) -> Outputs:
    return (theta - eta * D,)


def _momentum(theta: Array, D: Array, v: Array, eta: float, mu: float) -> Outputs:
    return theta - eta * (mu * v + D), mu * v + D


def _adamw(theta: Array, D: Array, m: Array, v: Array, t: int, eta: float, decay: float, beta1: float, beta2: float,
           eps: float) -> Outputs:
    m, v = beta1 * m + (1 - beta1) * D, beta2 * v + (1 - beta2) * D * D
    return theta - eta * (m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps) + decay * theta), m, v


_faults("alg.average.sgd", _sgd, (), True, {
    "ascent": lambda theta, D, eta: (theta + eta * D,),
    "η missing": lambda theta, D, eta: (theta - D,),
    "last element unwritten": lambda theta, D, eta: (zero_last(theta - eta * D),),
})
_faults("alg.average.momentum", _momentum, ("v",), True, {
    "ascent": lambda theta, D, v, eta, mu: (theta + eta * (mu * v + D), mu * v + D),
    "μ missing": lambda theta, D, v, eta, mu: (theta - eta * (v + D), v + D),
    "v not kept": lambda theta, D, v, eta, mu: (theta - eta * (mu * v + D), v),
    "steps along the old v": lambda theta, D, v, eta, mu: (theta - eta * v, mu * v + D),
    "η inside v": lambda theta, D, v, eta, mu: (theta - (mu * v + eta * D), mu * v + eta * D),
})
_faults("alg.average.adamw", _adamw, ("m", "v"), False, {
    "bias correction missing": lambda theta, D, m, v, t, **n: _adamw(theta, D, m, v, 10**6, **n),
    "step off by one": lambda theta, D, m, v, t, **n: _adamw(theta, D, m, v, t + 1, **n),
    "decay missing": lambda theta, D, m, v, t, decay, **n: _adamw(theta, D, m, v, t, decay=0.0, **n),
    "decay enters the moments": lambda theta, D, m, v, t, decay, **n: _adamw(
        theta, D + decay * theta, m, v, t, decay=0.0, **n),
    "m and v exchanged": lambda theta, D, m, v, t, **n: (lambda new: (new[0], new[2], new[1]))(
        _adamw(theta, D, m, v, t, **n)),
})
