"""Wrong attention, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...judging.numbers.lanes import Array
from .base import dropped, fault, rounded, zero_last

Scores = Callable[[Array, Array], Array]


def _part(Q: Array, K: Array, keep: Array | None, causal: bool, later: int = 0) -> Array:
    S, T = Q.shape[2], K.shape[2]
    part: Array = np.tri(S, T, later, dtype=bool) if causal else np.ones((S, T), bool)
    return part if keep is None else np.asarray(part & keep.astype(bool)[:, None, None, :])


def _scale(Q: Array, scale: float | None) -> float:
    return float(Q.shape[3] ** -0.5 if scale is None else scale)


def _logits(Q: Array, K: Array, c: float) -> Array:
    return np.asarray(c * (Q @ K.swapaxes(2, 3)))


def _softmax(z: Array, part: Array, axis: int = -1) -> Array:
    z = np.where(part, z, -np.inf)
    largest = z.max(axis, keepdims=True)
    e = np.exp(z - np.where(np.isfinite(largest), largest, 0.0))
    total = e.sum(axis, keepdims=True)
    return np.asarray(e / np.where(total == 0, 1.0, total))


def shares(Q: Array, K: Array, scale: float | None = None, keep: Array | None = None, causal: bool = False) -> Array:
    return _softmax(_logits(Q, K, _scale(Q, scale)), np.broadcast_to(
        _part(Q, K, keep, causal), (*Q.shape[:3], K.shape[2])))


def _padded(n: int, to: int = 16) -> int:
    return -(-n // to) * to


def _heads() -> None:
    op = "attn.head"

    def scores(c: Callable[[int, float], float]) -> Callable[..., Array]:
        return lambda Q, K, V, scale=None, keep=None, causal=False: shares(
            Q, K, c(Q.shape[3], _scale(Q, scale)), keep, causal) @ V

    def right(Q: Array, K: Array, V: Array, scale: Any = None, keep: Any = None, causal: bool = False) -> Array:
        return np.asarray(shares(Q, K, scale, keep, causal) @ V)

    fault(op, "c missing", scores(lambda D, c: 1.0), False)
    fault(op, "1/D for 1/√D", scores(lambda D, c: c * c), False)
    fault(op, "c of the padded width", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, K, V, 2.0 ** (-np.ceil(np.log2(Q.shape[3])) / 2) if scale is None else scale, keep, causal), False)
    fault(op, "scale ignored", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, K, V, None, keep, causal), False)
    fault(op, "softmax over the queries", lambda Q, K, V, scale=None, keep=None, causal=False: _softmax(
        _logits(Q, K, _scale(Q, scale)), np.broadcast_to(_part(Q, K, keep, causal), (*Q.shape[:3], K.shape[2])), 2) @ V)
    fault(op, "P not normalised", lambda Q, K, V, scale=None, keep=None, causal=False: np.where(
        _part(Q, K, keep, causal), np.exp(_logits(Q, K, _scale(Q, scale))), 0.0) @ V)
    fault(op, "running maximum from 0", lambda Q, K, V, scale=None, keep=None, causal=False: _from_zero(
        _logits(Q, K, _scale(Q, scale)), _part(Q, K, keep, causal)) @ V, False)
    fault(op, "padded keys counted as e⁰", lambda Q, K, V, scale=None, keep=None, causal=False: _diluted(
        _logits(Q, K, _scale(Q, scale)), _part(Q, K, keep, causal), _padded(K.shape[2]) - K.shape[2]) @ V)
    fault(op, "key tail dropped", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, K, V, scale, _without_tail(K, keep), causal))
    fault(op, "value tail dropped", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, K, dropped(V, 16) if V.shape[3] > 16 else zero_last(V), scale, keep, causal))
    fault(op, "keep ignored", lambda Q, K, V, scale=None, keep=None, causal=False: right(Q, K, V, scale, None, causal))
    fault(op, "keep upside down", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, K, V, scale, None if keep is None else ~keep.astype(bool), causal))
    fault(op, "keep of the first batch for all", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, K, V, scale, None if keep is None else np.repeat(keep[:1], len(keep), 0), causal))
    fault(op, "causal ignored", lambda Q, K, V, scale=None, keep=None, causal=False: right(Q, K, V, scale, keep))
    fault(op, "causal with one key more", lambda Q, K, V, scale=None, keep=None, causal=False: _softmax(
        _logits(Q, K, _scale(Q, scale)), np.broadcast_to(
            _part(Q, K, keep, causal, 1), (*Q.shape[:3], K.shape[2]))) @ V)
    fault(op, "a row without keys is the mean of the values", lambda Q, K, V, scale=None, keep=None, causal=False:
          np.where(_part(Q, K, keep, causal).any(-1, keepdims=True), right(Q, K, V, scale, keep, causal),
                   V.mean(2, keepdims=True)), False)
    fault(op, "heads exchanged", lambda Q, K, V, scale=None, keep=None, causal=False: right(
        Q, np.roll(K, 1, 1), np.roll(V, 1, 1), scale, keep, causal))
    fault(op, "P in bfloat16", lambda Q, K, V, scale=None, keep=None, causal=False: rounded(
        shares(Q, K, scale, keep, causal), 8) @ V, False)
    fault(op, "scores in bfloat16", lambda Q, K, V, scale=None, keep=None, causal=False: _softmax(
        rounded(_logits(Q, K, _scale(Q, scale)), 8), np.broadcast_to(
            _part(Q, K, keep, causal), (*Q.shape[:3], K.shape[2]))) @ V, False)
    fault(op, "last element unwritten", lambda Q, K, V, scale=None, keep=None, causal=False: zero_last(
        right(Q, K, V, scale, keep, causal)))


def _from_zero(z: Array, part: Array) -> Array:
    """In float32, where e^−200 is 0."""
    e = np.where(part, np.exp(z - np.maximum(z.max(-1, keepdims=True), 0.0)).astype(np.float32), 0.0)
    return np.asarray(e / np.where(e.sum(-1, keepdims=True) == 0, 1.0, e.sum(-1, keepdims=True)))


def _diluted(z: Array, part: Array, more: int) -> Array:
    e = np.where(part, np.exp(z - z.max(-1, keepdims=True)), 0.0)
    total = e.sum(-1, keepdims=True) + more * np.exp(-z.max(-1, keepdims=True))
    return np.asarray(e / np.where(total == 0, 1.0, total))


def _without_tail(K: Array, keep: Array | None) -> Array:
    there = np.ones((K.shape[0], K.shape[2]), bool) if keep is None else keep.astype(bool).copy()
    last = len(there[0]) - 1 - there[:, ::-1].argmax(1)
    there[np.arange(len(there)), last] = False
    return there


def _gradients() -> None:
    def gradient(change: Callable[..., Array]) -> Callable[..., Array]:
        """`change` of P, G = d vᵀ, M and the arguments."""
        def outputs(d: Array, Q: Array, K: Array, V: Array, scale: Any = None, keep: Any = None,
                    causal: bool = False) -> Array:
            P, G = shares(Q, K, scale, keep, causal), d @ V.swapaxes(2, 3)
            return change(P, G, (P * G).sum(-1, keepdims=True), d, Q, K, _scale(Q, scale), _part(Q, K, keep, causal))
        return outputs

    for letter, meet in (("Q", lambda B, Q, K: B @ K), ("K", lambda B, Q, K: B.swapaxes(2, 3) @ Q)):
        op = f"attn.head.grad_{letter}"

        def of(B: Callable[..., Array], meet: Callable[..., Array] = meet) -> Callable[..., Array]:
            return gradient(lambda P, G, M, d, Q, K, c, part: c * meet(B(P, G, M, part), Q, K))

        fault(op, "c missing", gradient(lambda P, G, M, d, Q, K, c, part, meet=meet: meet(P * (G - M), Q, K)))
        fault(op, "c twice", gradient(lambda P, G, M, d, Q, K, c, part, meet=meet: c * c * meet(
            P * (G - M), Q, K)))
        fault(op, "M missing", of(lambda P, G, M, part: P * G))
        fault(op, "sign of M", of(lambda P, G, M, part: P * (G + M)))
        fault(op, "P missing", of(lambda P, G, M, part: np.where(part, G - M, 0.0)))
        fault(op, "M unweighted: the mean of G", of(lambda P, G, M, part: P * (G - G.mean(-1, keepdims=True))))
        fault(op, "P(1 − P): the Jacobian's diagonal alone", of(lambda P, G, M, part: P * (1 - P) * G))
        fault(op, "masked key leaking", of(lambda P, G, M, part: (P + np.where(part, 0.0, 1.0)) * (G - M)))
        fault(op, "B in bfloat16", of(lambda P, G, M, part: rounded(P * (G - M), 8)), False)
        fault(op, "last element unwritten", gradient(lambda P, G, M, d, Q, K, c, part, meet=meet: zero_last(
            c * meet(P * (G - M), Q, K))), letter == "Q")          # exact queries end with 0
    op = "attn.head.grad_V"
    turned = gradient(lambda P, G, M, d, Q, K, c, part: P.swapaxes(2, 3) @ d)
    fault(op, "P not normalised", gradient(lambda P, G, M, d, Q, K, c, part: np.where(
        part, np.exp(_logits(Q, K, c)), 0.0).swapaxes(2, 3) @ d))
    fault(op, "normalised over the queries", gradient(lambda P, G, M, d, Q, K, c, part: (
        P / np.where(P.sum(2, keepdims=True) == 0, 1.0, P.sum(2, keepdims=True))).swapaxes(2, 3) @ d))
    fault(op, "c applied", gradient(lambda P, G, M, d, Q, K, c, part: c * (P.swapaxes(2, 3) @ d)))
    fault(op, "last query dropped", gradient(lambda P, G, M, d, Q, K, c, part: (
        P[:, :, :-1].swapaxes(2, 3) @ d[:, :, :-1])))
    fault(op, "masked key leaking", gradient(lambda P, G, M, d, Q, K, c, part: (
        P + np.where(part, 0.0, 1.0)).swapaxes(2, 3) @ d))
    fault(op, "causal ignored", lambda d, Q, K, V, scale=None, keep=None, causal=False: turned(
        d, Q, K, V, scale, keep, False))
    fault(op, "P in bfloat16", gradient(lambda P, G, M, d, Q, K, c, part: rounded(P, 8).swapaxes(2, 3) @ d), False)
    fault(op, "last element unwritten", lambda d, Q, K, V, **how: zero_last(turned(d, Q, K, V, **how)))


_heads()
_gradients()
