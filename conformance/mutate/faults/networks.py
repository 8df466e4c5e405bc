"""Wrong layers, deltas, averages and updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .activations import PRIME, VALUE, sigmoid
from .base import Outputs, dropped, fault, half_sum, rounded, transposed, zero_last


def _affine() -> None:
    def layer(change: Callable[..., Array]) -> Callable[..., Array]:
        return lambda x, w, b, act: change(x, w, b, VALUE[act])

    op = "net.layer.affine"
    fault(op, "Θ transposed", layer(lambda x, w, b, g: g(x @ transposed(w).T + b)))
    fault(op, "bias missing", layer(lambda x, w, b, g: g(x @ w.T)))
    fault(op, "bias twice", layer(lambda x, w, b, g: g(x @ w.T + 2 * b)))
    fault(op, "bias added after g", layer(lambda x, w, b, g: g(x @ w.T) + b))
    fault(op, "g missing", layer(lambda x, w, b, g: x @ w.T + b))
    fault(op, "first input dropped", layer(lambda x, w, b, g: g(x[:, 1:] @ w[:, 1:].T + b)))
    fault(op, "last input dropped", layer(lambda x, w, b, g: g(x[:, :-1] @ w[:, :-1].T + b)))
    for block in (16, 32, 64, 128):
        fault(op, f"last K block dropped (blocks of {block})",
              layer(lambda x, w, b, g, block=block: g(dropped(x, block) @ w.T + b)))
    fault(op, "last element unwritten", layer(lambda x, w, b, g: zero_last(g(x @ w.T + b))))
    fault(op, "rows of the batch shifted by one", layer(lambda x, w, b, g: g(np.roll(x, 1, axis=0) @ w.T + b)))
    fault(op, "bias of the wrong node", layer(lambda x, w, b, g: g(x @ w.T + np.roll(b, 1))))
    fault(op, "sign of z", layer(lambda x, w, b, g: g(-(x @ w.T + b))))
    fault(op, "fp16 accumulator", layer(lambda x, w, b, g: g(half_sum(x, w) + b)), False)
    fault(op, "tf32 for ieee", layer(lambda x, w, b, g: g(rounded(x, 11) @ rounded(w, 11).T + b)), False)
    fault(op, "inputs rounded to bf16", layer(lambda x, w, b, g: g(rounded(x, 8) @ rounded(w, 8).T + b)), False)


def _deltas() -> None:
    def chain(change: Callable[..., Array],
              db: Callable[[Array], Array] = lambda d: d.sum(0)) -> Callable[..., Outputs]:
        def outputs(delta: Array, w: Array, z: Array, act: str) -> Outputs:
            d = change(delta, w, z, VALUE[act], PRIME[act])
            return d, db(d)
        return outputs

    def right(d: Array, w: Array, z: Array, g: Any, p: Any) -> Array:
        return np.asarray((d @ w) * p(z))

    op = "bp.delta.chain"
    fault(op, "g′ missing", chain(lambda d, w, z, g, p: d @ w))
    fault(op, "g for g′", chain(lambda d, w, z, g, p: (d @ w) * g(z)))
    fault(op, "g′ of the wrong layer: at a = g(z)", chain(lambda d, w, z, g, p: (d @ w) * p(g(z))), False)
    fault(op, "g′ of the wrong row", chain(lambda d, w, z, g, p: (d @ w) * p(np.roll(z, 1, axis=0))))
    fault(op, "Θ transposed", chain(lambda d, w, z, g, p: (d @ transposed(w)) * p(z)))
    fault(op, "sign flipped", chain(lambda d, w, z, g, p: -(d @ w) * p(z)))
    fault(op, "last k dropped", chain(lambda d, w, z, g, p: (d[:, :-1] @ w[:-1]) * p(z)))
    for block in (16, 32, 64, 128):
        fault(op, f"last K block dropped (blocks of {block})",
              chain(lambda d, w, z, g, p, block=block: (dropped(d, block) @ w) * p(z)))
    fault(op, "last element unwritten", chain(lambda d, w, z, g, p: zero_last((d @ w) * p(z))))
    fault(op, "db without the last example", chain(right, lambda d: d[:-1].sum(0)))
    fault(op, "db averaged", chain(right, lambda d: d.mean(0)))
    fault(op, "db of the first row block only", chain(right, lambda d: d[:32].sum(0)))
    fault(op, "tf32 for ieee", chain(lambda d, w, z, g, p: (rounded(d, 11) @ rounded(w, 11)) * p(z)), False)
    fault(op, "fp16 accumulator", chain(lambda d, w, z, g, p: half_sum(d, w.T) * p(z)), False)

    def rec(change: Callable[[Array, Array, Array], Array]) -> Callable[..., Outputs]:
        def outputs(delta: Array, w: Array, a: Array) -> Outputs:
            d = change(delta, w, a)
            return d, d.sum(0)
        return outputs

    op = "bp.delta.rec"
    fault(op, "a for a(1 − a)", rec(lambda d, w, a: (d @ w) * a))
    fault(op, "1 − a for a(1 − a)", rec(lambda d, w, a: (d @ w) * (1 - a)))
    fault(op, "a(1 − a) missing", rec(lambda d, w, a: d @ w))
    fault(op, "1 − a² (tanh's)", rec(lambda d, w, a: (d @ w) * (1 - a * a)))
    fault(op, "sign flipped", rec(lambda d, w, a: -(d @ w) * a * (1 - a)))
    fault(op, "Θ transposed", rec(lambda d, w, a: (d @ transposed(w)) * a * (1 - a)))
    fault(op, "last k dropped", rec(lambda d, w, a: (d[:, :-1] @ w[:-1]) * a * (1 - a)))
    fault(op, "σ applied to a again", rec(lambda d, w, a: (d @ w) * sigmoid(a) * sigmoid(-a)), False)


def _updates() -> None:
    op = "alg.average"

    def fold(change: Callable[..., Outputs]) -> Callable[..., Outputs]:
        return lambda delta, a, w, lam, n: change(delta, a, w, lam, n)

    fault(op, "1/n missing", fold(lambda d, a, w, l, n: (d.T @ a + l * w, d.sum(0))))
    fault(op, "n − 1 for n", fold(lambda d, a, w, l, n: (d.T @ a / (n - 1) + l * w, d.sum(0) / (n - 1))))
    fault(op, "2λ for λ", fold(lambda d, a, w, l, n: (d.T @ a / n + 2 * l * w, d.sum(0) / n)))
    fault(op, "λ missing", fold(lambda d, a, w, l, n: (d.T @ a / n, d.sum(0) / n)))
    fault(op, "λ/n for λ", fold(lambda d, a, w, l, n: (d.T @ a / n + l / n * w, d.sum(0) / n)))
    fault(op, "sign of λ", fold(lambda d, a, w, l, n: (d.T @ a / n - l * w, d.sum(0) / n)))
    fault(op, "intercept regularised", fold(lambda d, a, w, l, n: (d.T @ a / n + l * w, d.sum(0) / n + l * w[:, 0])))
    fault(op, "first weight unregularised (j ≠ 0 read as a column of w)",
          fold(lambda d, a, w, l, n: (d.T @ a / n + l * w * (np.arange(w.shape[1]) != 0), d.sum(0) / n)))
    fault(op, "last example dropped", fold(lambda d, a, w, l, n: (d[:-1].T @ a[:-1] / n + l * w, d[:-1].sum(0) / n)))
    fault(op, "last example only (Δ overwritten, not accumulated)",
          fold(lambda d, a, w, l, n: (d[-1:].T @ a[-1:] / n + l * w, d[-1] / n)))
    fault(op, "δ and a swapped", fold(
        lambda d, a, w, l, n: (transposed((a.T @ d).reshape(w.shape)) / n + l * w, d.sum(0) / n)))
    fault(op, "Θ transposed", fold(lambda d, a, w, l, n: (d.T @ a / n + l * transposed(w), d.sum(0) / n)))
    fault(op, "last element unwritten", fold(lambda d, a, w, l, n: (zero_last(d.T @ a / n + l * w), d.sum(0) / n)))
    fault(op, "batch size for n", fold(lambda d, a, w, l, n: (d.T @ a / len(d) + l * w, d.sum(0) / len(d))))
    fault(op, "tf32 for ieee", fold(
        lambda d, a, w, l, n: (rounded(d, 11).T @ rounded(a, 11) / n + l * w, d.sum(0) / n)), False)
    op = "opt.sgd"
    fault(op, "ascent", lambda theta, D, eta: theta + eta * D)
    fault(op, "η missing", lambda theta, D, eta: theta - D)
    fault(op, "no update", lambda theta, D, eta: theta)
    fault(op, "η twice", lambda theta, D, eta: theta - 2 * eta * D)
    fault(op, "decays θ instead", lambda theta, D, eta: theta - eta * theta)
    fault(op, "last element unwritten", lambda theta, D, eta: zero_last(theta - eta * D))


_affine()
_deltas()
_updates()
