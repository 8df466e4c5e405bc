"""Wrong training steps, and gradients of a part added wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .activations import PRIME, VALUE
from .base import Outputs, dropped, fault, zero_last

Four = tuple[Array, Array, Array, Array]


def _parts() -> None:
    def wrong(name: str, change: Callable[..., Outputs]) -> None:
        fault("alg.accumulate.batch", name, change)

    wrong("overwritten instead of added", lambda G, Gb, delta, a, n: (delta.T @ a / n, delta.sum(0) / n))
    wrong("intercept overwritten", lambda G, Gb, delta, a, n: (G + delta.T @ a / n, delta.sum(0) / n))
    wrong("1/n missing", lambda G, Gb, delta, a, n: (G + delta.T @ a, Gb + delta.sum(0)))
    wrong("averaged over the part", lambda G, Gb, delta, a, n: (
        G + delta.T @ a / len(a), Gb + delta.sum(0) / len(a)))
    wrong("averaged twice", lambda G, Gb, delta, a, n: (G + delta.T @ a / n**2, Gb + delta.sum(0) / n**2))
    wrong("what was there averaged again", lambda G, Gb, delta, a, n: (
        (G + delta.T @ a) / n, (Gb + delta.sum(0)) / n))
    wrong("what was there counted twice", lambda G, Gb, delta, a, n: (
        2 * G + delta.T @ a / n, 2 * Gb + delta.sum(0) / n))
    wrong("last example dropped", lambda G, Gb, delta, a, n: (
        G + delta[:-1].T @ a[:-1] / n, Gb + delta[:-1].sum(0) / n))
    wrong("last block of 32 examples dropped", lambda G, Gb, delta, a, n: (
        G + dropped(delta.T, 32) @ a / n, Gb + delta.sum(0) / n))
    wrong("last element unwritten", lambda G, Gb, delta, a, n: (
        zero_last(G + delta.T @ a / n), Gb + delta.sum(0) / n))


def output_error(z: Array, y: Array, loss: str) -> Array:
    if loss == "square":
        return np.asarray(2 * (z - y))
    if loss == "logits":
        return np.asarray(1 / (1 + np.exp(-z)) - y)
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True) - (y[:, None] == np.arange(z.shape[1])))


Change = Callable[..., Any]


def _right(x: Array, y: Array, w1: Array, b1: Array, w2: Array, b2: Array, act: str, loss: str, lam: float,
           n: float | None = None, through: Array | None = None, prime: Change | None = None, on_b: float = 0.0,
           output: Change = output_error, before: Change = VALUE.__getitem__) -> Four:
    """D of w1, b1, w2, b2; what a fault does otherwise is an argument."""
    n = len(x) if n is None else n
    z = x @ w1.T + b1
    a = VALUE[act](z)
    last = output(a @ w2.T + b2, y, loss)
    hidden = last @ (w2 if through is None else through) * (PRIME[act] if prime is None else prime)(z)
    return (hidden.T @ x / n + lam * w1, hidden.sum(0) / n + on_b * b1,
            last.T @ before(act)(z) / n + lam * w2, last.sum(0) / n + on_b * b2)


def _after(given: dict[str, Any], eta: float, mu: float = 0.0, v2: Any = 0.0) -> Array:
    """w2 as it is after its step."""
    return np.asarray(given["w2"] - eta * (mu * v2 + _right(**given)[2]))


def _gradients() -> dict[str, Callable[..., Four]]:
    """Wrong D, by name; `after` is what w2 becomes."""
    return {
        "δ through weights already updated": lambda after, **a: _right(**a, through=after),
        "1/n missing": lambda after, **a: _right(**a, n=1),
        "averaged over the outputs, too": lambda after, **a: _right(**a, n=len(a["x"]) * len(a["w2"])),
        "λ missing": lambda after, **a: _right(**{**a, "lam": 0.0}),
        "2λ for λ": lambda after, **a: _right(**{**a, "lam": 2 * a["lam"]}),
        "intercepts regularised": lambda after, **a: _right(**a, on_b=a["lam"]),
        "g′ missing": lambda after, **a: _right(**a, prime=np.ones_like),
        "g′ at a for g′ at z": lambda after, **a: _right(**a, prime=lambda z: PRIME[a["act"]](VALUE[a["act"]](z))),
        "z for a in the last layer's gradient": lambda after, **a: _right(**a, before=lambda act: lambda z: z),
        "δ without its 2, or its sign": lambda after, **a: _right(
            **a, output=lambda z, y, loss: output_error(z, y, loss) * (0.5 if loss == "square" else -1.0)),
        "last example dropped": lambda after, x, y, **a: _right(x=x[:-1], y=y[:-1], n=len(x), **a),
    }


def _steps(op: str, move: Callable[..., Outputs], moves: dict[str, Callable[..., Outputs]]) -> None:
    """Every wrong gradient with the right step, and the other way round; T0 has no g and no loss that curve."""
    curved = ("g′ at a for g′ at z", "z for a in the last layer's gradient", "g′ missing")

    def rule(gradient: Callable[..., Four], step: Callable[..., Outputs]) -> Callable[..., Outputs]:
        def outputs(eta: float, mu: float = 0.0, **given: Any) -> Outputs:
            v = [given.pop(name, 0.0) for name in ("v1", "vb1", "v2", "vb2")]
            D = gradient(after=_after(given, eta, mu, v[2]), **given)
            theta = [given[name] for name in ("w1", "b1", "w2", "b2")]
            return tuple(part for parts in zip(*(step(*one, eta, mu) for one in zip(theta, D, v))) for part in parts)
        return outputs

    for name, gradient in _gradients().items():
        fault(op, name, rule(gradient, move), name not in curved)
    for name, step in moves.items():
        fault(op, name, rule(lambda after, **a: _right(**a), step))


_parts()
_steps("net.step", lambda theta, D, v, eta, mu: (theta - eta * D,), {
    "ascent": lambda theta, D, v, eta, mu: (theta + eta * D,),
    "η missing": lambda theta, D, v, eta, mu: (theta - D,),
    "intercepts stay": lambda theta, D, v, eta, mu: (theta - eta * D if theta.ndim > 1 else theta,),
})
_steps("net.step.momentum", lambda theta, D, v, eta, mu: (theta - eta * (mu * v + D), mu * v + D), {
    "v not kept": lambda theta, D, v, eta, mu: (theta - eta * (mu * v + D), v),
    "steps along the old v": lambda theta, D, v, eta, mu: (theta - eta * v, mu * v + D),
    "(1 − μ)D for D": lambda theta, D, v, eta, mu: (
        theta - eta * (mu * v + (1 - mu) * D), mu * v + (1 - mu) * D),
    "η inside v": lambda theta, D, v, eta, mu: (theta - (mu * v + eta * D), mu * v + eta * D),
})
