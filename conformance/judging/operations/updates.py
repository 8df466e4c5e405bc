"""Average and update in one: D exists only inside the reference."""

from __future__ import annotations

from typing import Any

from ....reference import updates
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, operation
from .networks import accumulated


def _layer(lift: Lift, weights: Array, intercepts: Array) -> list[Any]:
    return [None, [lift(intercepts[:, None]), lift(weights)]]


def _named(names: tuple[tuple[str, str], ...], *moved: Any) -> Outputs:
    """Weights and intercepts of every matrix that was moved."""
    return {name: part for pair, matrix in zip(names, moved)
            for name, part in zip(pair, (matrix[1][1], matrix[1][0][:, 0]))}


_GIVEN, _MADE = "delta B N, a B K, theta N K, b N", "theta N K, b N"
_THETA, _M, _V = ("theta", "b"), ("m", "mb"), ("v", "vb")


@operation("alg.average.sgd", *_THETA, dot=True, axes=f"{_GIVEN} -> {_MADE}")
def average_sgd(lift: Lift, form: Form, delta: Array, a: Array, theta: Array, b: Array, lam: Any, n: int,
                eta: Any) -> Outputs:
    return _named((_THETA,), updates.average_sgd(
        accumulated(map(lift, delta), map(lift, a)), _layer(lift, theta, b), lam, n, eta))


@operation("alg.average.momentum", *_THETA, *_V, dot=True, axes=f"{_GIVEN}, v N K, vb N -> {_MADE}, v N K, vb N")
def average_momentum(lift: Lift, form: Form, delta: Array, a: Array, theta: Array, b: Array, v: Array, vb: Array,
                     lam: Any, n: int, eta: Any, mu: Any) -> Outputs:
    return _named((_THETA, _V), *updates.average_momentum(
        accumulated(map(lift, delta), map(lift, a)), _layer(lift, theta, b), _layer(lift, v, vb), lam, n, eta, mu))


@operation("alg.average.adamw", *_THETA, *_M, *_V, dot=True,
           axes=f"{_GIVEN}, m N K, mb N, v N K, vb N -> {_MADE}, m N K, mb N, v N K, vb N")
def average_adamw(lift: Lift, form: Form, delta: Array, a: Array, theta: Array, b: Array, m: Array, mb: Array,
                  v: Array, vb: Array, t: int, lam: Any, n: int, eta: Any, decay: Any, beta1: Any, beta2: Any,
                  eps: Any) -> Outputs:
    return _named((_THETA, _M, _V), *updates.average_adamw(
        accumulated(map(lift, delta), map(lift, a)), _layer(lift, theta, b), _layer(lift, m, mb), _layer(lift, v, vb),
        t, lam, n, eta, decay, beta1, beta2, eps))
