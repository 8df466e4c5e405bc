"""Attention: heads are lanes; batches and queries are walked one by one, since each may see other keys.

A row whose keys are all left out is 0 (a reading: the printed softmax of nothing has no value). What a 16-bit kernel
rounds where it meets a matrix product is stated here once: P, B and o (`narrowed`). Beyond `WALKED` steps heads are
taken whole, which is proved equal to the reference below it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from ....scalar import exp, sqrt
from ..numbers.bounded import Bounded, total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, gathered, narrowed, operation, rearranged, stable

WALKED = 4_000


def parts(shape: tuple[int, ...], keep: Array | None, causal: bool) -> Array:
    """Which keys take part in which rows: (B, S, T)."""
    B, S, T = shape
    part = np.ones((B, S, T), bool) if keep is None else np.repeat(keep.astype(bool)[:, None, :], S, 1)
    return part & np.tri(S, T, dtype=bool) if causal else part


@frozen
class Heads:
    """The arguments of one call: which keys count, c, and how they are taken."""

    lift: Lift
    Q: Array
    K: Array
    V: Array
    part: Array
    c: Any

    @classmethod
    def of(cls, lift: Lift, Q: Array, K: Array, V: Array, scale: Any, keep: Array | None, causal: bool) -> Heads:
        c = 1 / sqrt(lift(np.asarray(float(Q.shape[3])))) if scale is None else scale
        return cls(lift, Q, K, V, parts((Q.shape[0], Q.shape[2], K.shape[2]), keep, bool(causal)), c)

    @property
    def walked(self) -> bool:
        """Few enough steps for the reference itself?"""
        return bool(0 < self.part.size * (self.Q.shape[3] + self.V.shape[3]) <= WALKED)

    def row(self, b: int, s: int, *more: Array) -> list[Any]:
        """A row's own lists: of each of `more` and of Q one vector, of K and V those of the keys that take part."""
        keys = np.flatnonzero(self.part[b, s])
        own = [[self.vector(x[b, :, s])] for x in (*more, self.Q)]
        return [*own, *([self.vector(x[b, :, t]) for t in keys] for x in (self.K, self.V))]

    def vector(self, x: Array) -> list[Any]:
        """(H, D) as D numbers, of which each has heads for lanes."""
        return [self.lift(x[:, j]) for j in range(x.shape[1])]

    def zero(self) -> Any:
        return self.lift(np.zeros(self.Q.shape[1]))

    def walk(self, rows: Callable[..., list[Any]], width: int) -> Any:
        """(B, H, S, width): `rows` of what each row sees, 0 where it sees nothing."""
        B, S, _ = self.part.shape
        found = [[rows(b, s) if self.part[b, s].any() else [self.zero()] * width for s in range(S)] for b in range(B)]
        return heads_second(found)

    def over_rows(self, contributions: Callable[..., list[list[Any]]], width: int) -> Any:
        """(B, H, T, width): Σ_s of what each row gives to the keys that it sees."""
        B, S, T = self.part.shape
        found = []
        for b in range(B):
            sums = [[self.zero() for _ in range(width)] for _ in range(T)]
            for s in range(S):
                keys = np.flatnonzero(self.part[b, s])
                for t, vector in zip(keys, contributions(b, s) if len(keys) else []):
                    sums[t] = [a + more for a, more in zip(sums[t], vector)]
            found.append(sums)
        return heads_second(found)

    def shares(self) -> Any:
        """P (B, H, S, T), the largest score of each row subtracted first."""
        part = self.part[:, None]
        with np.errstate(invalid="ignore"):
            z = total(self.lift(self.Q)[:, :, :, None, :] * self.lift(self.K)[:, :, None, :, :], 4) * self.c
        values = z.v if isinstance(z, Bounded) else z
        # what an overflow leaves undecided is decided by more digits
        largest = np.where(part, values, -np.inf).max(axis=3, keepdims=True, initial=-np.inf)
        base = np.where(part.any(axis=3, keepdims=True), largest, 0.0)
        constant = Bounded(base, z.ar) if isinstance(z, Bounded) else base
        e = exp(z - constant) * self.lift(part.astype(float))
        empty = self.lift((~part.any(axis=3, keepdims=True)).astype(float))
        return e / (total(e, 3)[:, :, :, None] + empty)


def heads_second(found: list[Any]) -> Any:
    """[b][s][width] of heads as (B, H, S, width)."""
    return rearranged(gathered(found), lambda x: x.transpose(0, 3, 1, 2))


def met(P: Any, V: Any) -> Any:
    """Σ_t P_st v_t."""
    return total(P[:, :, :, :, None] * V[:, :, None, :, :], 3)


def over_queries(P: Any, d: Any) -> Any:
    """Σ_s P_st d_s."""
    return total(P[:, :, :, :, None] * d[:, :, :, None, :], 2)


@operation("attn.head", "o", dot=True)
def head(lift: Lift, form: Form, Q: Array, K: Array, V: Array, scale: Any = None, keep: Array | None = None,
         causal: bool = False) -> Outputs:
    h = Heads.of(lift, Q, K, V, scale, keep, causal)
    if h.walked and form is not stable:
        return {"o": h.walk(lambda b, s: form("attn.head")(*h.row(b, s), h.c)[0], V.shape[3])}
    return {"o": met(narrowed(h.shares(), lift), lift(V))}


def back(h: Heads, d: Array) -> Any:
    """(P, B): what each score's gradient is, M from o as kernels have it."""
    P, upstream, V = h.shares(), h.lift(d), h.lift(h.V)
    M = total(narrowed(met(narrowed(P, h.lift), V), h.lift) * upstream, 3)
    return P, P * (total(upstream[:, :, :, None, :] * V[:, :, None, :, :], 4) - M[:, :, :, None])


@operation("attn.head.grad_Q", "dQ", dot=True)
def head_grad_Q(lift: Lift, form: Form, d: Array, Q: Array, K: Array, V: Array, scale: Any = None,
                keep: Array | None = None, causal: bool = False) -> Outputs:
    h = Heads.of(lift, Q, K, V, scale, keep, causal)
    if h.walked and form is not stable:
        gradient = form("attn.head.grad_Q")
        return {"dQ": h.walk(lambda b, s: gradient(*h.row(b, s, d), h.c)[0], Q.shape[3])}
    return {"dQ": met(narrowed(back(h, d)[1], lift), lift(K)) * h.c}


@operation("attn.head.grad_K", "dK", dot=True)
def head_grad_K(lift: Lift, form: Form, d: Array, Q: Array, K: Array, V: Array, scale: Any = None,
                keep: Array | None = None, causal: bool = False) -> Outputs:
    h = Heads.of(lift, Q, K, V, scale, keep, causal)
    if h.walked and form is not stable:
        gradient = form("attn.head.grad_K")
        return {"dK": h.over_rows(lambda b, s: gradient(*h.row(b, s, d), h.c), Q.shape[3])}
    return {"dK": over_queries(narrowed(back(h, d)[1], lift), lift(Q)) * h.c}


@operation("attn.head.grad_V", "dV", dot=True)
def head_grad_V(lift: Lift, form: Form, d: Array, Q: Array, K: Array, V: Array, scale: Any = None,
                keep: Array | None = None, causal: bool = False) -> Outputs:
    h = Heads.of(lift, Q, K, V, scale, keep, causal)
    if h.walked and form is not stable:
        gradient = form("attn.head.grad_V")

        def contributions(b: int, s: int) -> Any:
            upstream, q, keys, _ = h.row(b, s, d)
            return gradient(upstream, q, keys, h.c)
        return {"dV": h.over_rows(contributions, V.shape[3])}
    return {"dV": over_queries(narrowed(h.shares(), lift), lift(d))}
