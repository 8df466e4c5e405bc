"""What varies in attention: heads, queries, keys, two widths, c, which keys count, and where the scores lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .base import Levels, Rule, factors
from .regimes import values

SCORES = ("normal", "small", "wide", "below", "above", "equal", "one far", "ties", "zero")
PART = ("every key", "keep", "causal", "causal and keep", "a batch without keys")
LEVELS: dict[str, tuple[Any, ...]] = {
    "batch": (2, 1, 3), "heads": (2, 1, 3, 5), "queries": (5, 1, 2, 17, 50, 197, 257, 1024),
    "seen": (8, 1, 2, 17, 50, 65, 197, 257, 1024), "width": (16, 1, 24, 32, 64, 80, 128), "out": (8, 1, 24, 64),
    "data": SCORES, "scale": (None, 0.25, 1.0, -0.5), "part": PART,
}
MOST, SCORED = 60_000, 8_450        # products and scores of a case, since each may be asked for with more digits


def _affordable(at: Levels) -> bool:
    """What is not chosen yet is 1, so that a pair which no case can have is known as one."""
    batch, heads, queries, seen, width, out = (at.get(name, 1) for name in (
        "batch", "heads", "queries", "seen", "width", "out"))
    return bool(queries * seen <= SCORED and batch * heads * queries * seen * (width + out) <= MOST)


RULES: tuple[Rule, ...] = (_affordable, lambda at: at.part != "a batch without keys" or at.batch > 1)


def _scored(s: Source, at: Levels) -> tuple[Array, Array]:
    """Q and K: `below` and `above` all scores of a plain c lie far from 0, `equal` a row's are all alike."""
    queries, keys = ((at.batch, at.heads, n, at.width) for n in (at.queries, at.seen))
    if at.data in ("below", "above"):
        far = 40.0 / at.width**0.5                                                    # |q · k| is about 40 √D
        Q, K = (round_to(np.sqrt(far) + np.abs(s.normal(shape, 0.25)), s.dtype) for shape in (queries, keys))
        return Q, K if at.data == "above" else -K
    if at.data == "equal":
        return s.normal(queries), np.repeat(s.normal((*keys[:2], 1, at.width)), at.seen, axis=2)
    shrunk = 2.0**-4 if at.data == "wide" else 1.0                 # of scores in the thousands no digit is left
    kinds = "normal" if at.data == "one far" else at.data, at.data
    Q, K = (round_to(values(s, shape, kind) * shrunk, s.dtype) for shape, kind in zip((queries, keys), kinds))
    return Q, K


def _part(s: Source, at: Levels) -> dict[str, Any]:
    """Which keys take part. Of `keep` the first always does, with `causal` perhaps not: then early rows see none."""
    if at.part == "every key":
        return {}
    keep = s.rng.random((at.batch, at.seen)) < 0.6
    keep[:, 0] |= at.part == "keep"
    keep[-1] &= at.part != "a batch without keys"
    return {**({"causal": True} if "causal" in at.part else {}), **({} if at.part == "causal" else {"keep": keep})}


@factors("attn.head", levels=LEVELS, rules=RULES)
def head(s: Source, at: Levels) -> Arguments:
    Q, K = _scored(s, at)
    V = values(s, (at.batch, at.heads, at.seen, at.out), "wide" if at.data == "wide" else "normal")
    return {"Q": Q, "K": K, "V": V, **({} if at.scale is None else {"scale": at.scale}), **_part(s, at)}


@factors("attn.head.grad_Q", "attn.head.grad_K", "attn.head.grad_V", rules=RULES, levels={
    **LEVELS, "d": ("normal", "small", "wide", "zero")})
def gradient(s: Source, at: Levels) -> Arguments:
    d = values(s, (at.batch, at.heads, at.queries, at.out), at.d)
    return {"d": d, **head(s, at)}
