"""Data for attention. Sizes: batch, heads, queries, keys, numbers of a query, numbers of a value.

Exact: queries have their even numbers only, keys their odd ones, so that every score is 0 and P is 1 over a count of
keys which `keep` makes a power of two; yet neither is 0, and gradients show both.
"""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from .base import Arguments, Family, Source, drawn


def sparse(s: Source, shape: tuple[int, ...], most: int, few: float) -> Array:
    """Integers of which a vector has about so many that are not 0; its ends never are."""
    x: Array = s.rng.integers(1, most + 1, shape) * s.rng.choice([-1.0, 1.0], shape)
    x *= s.rng.random(shape) < few / shape[-1] / 2**s.thin
    ends = s.rng.choice([-1.0, 1.0], (*shape[:-1], 2))
    for i, end in enumerate((0, -1)):
        x[..., end] = np.where(x[..., end] == 0, ends[..., i], x[..., end])
    return x


def exact(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """`exact-causal`: rows of one key and of two. Of 16 bits P, B and o must have few."""
    B, H, S, T, D, E = size
    most, few = (3, 6.0) if s.dtype == "fp32" else (1, 1.0)
    even = np.arange(D) % 2 == 0
    Q, K = sparse(s, (B, H, S, D), most, few) * even, sparse(s, (B, H, T, D), most, few) * ~even
    keys = min(2 if kind == "exact-causal" or s.dtype != "fp32" else 4, 2 ** int(np.log2(T)))
    keep = np.zeros((B, T), bool)
    for row in keep:
        row[[0, *(1 + s.rng.choice(T - 1, keys - 1, replace=False))]] = True
    if kind == "exact-all" and 2 ** int(np.log2(T)) == T:
        keep[:] = True
    if kind == "exact-causal":
        keep[:], keep[:, :2] = False, True
    return {"Q": Q, "K": K, "V": sparse(s, (B, H, T, E), most, few), "scale": 0.5, "keep": keep,
            "causal": kind == "exact-causal"}


def real(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """`saturated`: logits up to 10⁴. `below`: all of them far below 0. `equal`: a row's are all alike. `masked`: a
    whole batch without keys."""
    B, H, S, T, D, E = size
    plain = kind if kind in ("small", "positive", "wide") else "normal"
    Q, K, V = (drawn(s, shape, plain) for shape in ((B, H, S, D), (B, H, T, D), (B, H, T, E)))
    more: Arguments = {"scale": 0.3} if kind == "scaled" else {}
    if kind == "saturated":
        Q, K = round_to(50 * Q, s.dtype), round_to(50 * K, s.dtype)
    elif kind == "below":
        Q, K = round_to(8 + abs(Q), s.dtype), round_to(-8 - abs(K), s.dtype)
    elif kind == "equal":
        K = np.repeat(K[:, :, :1], T, axis=2)
    if kind in ("keep", "masked", "causal-keep"):
        keep = s.rng.random((B, T)) < 0.6
        keep[:, -1], keep[:, 0] = True, kind == "keep"
        keep[-1] &= kind != "masked"
        more["keep"] = keep
    if kind.startswith("causal"):
        more["causal"] = True
    return {"Q": Q, "K": K, "V": V, **more}


def head(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    return exact(s, size, kind) if kind.startswith("exact") else real(s, size, kind)


def head_grad(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    shape = (*size[:3], size[5])
    if kind.startswith("exact"):
        return {"d": sparse(s, shape, *((3, 6.0) if s.dtype == "fp32" else (1, 1.0))), **exact(s, size, kind)}
    plain = kind if kind in ("small", "positive", "wide") else "normal"
    return {"d": drawn(s, shape, plain), **real(s, size, kind)}


_HEADS = ((2, 2, 5, 8, 16, 8), (1, 1, 1, 1, 16, 16), (1, 3, 2, 17, 24, 24), (1, 1, 50, 2, 32, 32),
          (1, 1, 2, 17, 80, 80))
_LONG = ((1, 1, 1, 197, 64, 64), (1, 1, 1, 257, 128, 16), (1, 1, 1, 1024, 16, 16))
_KINDS = ("normal", "small", "wide", "saturated", "below", "equal", "scaled", "keep", "masked", "causal", "causal-keep")
_EXACT = ("exact", "exact-all", "exact-causal")
FAMILIES: dict[str, Family] = {
    "attn.head": Family(head, (*_HEADS, *_LONG), _EXACT, _KINDS, long=((1, 2, 18, 261, 16, 33),)),
    **{f"attn.head.grad_{letter}": Family(head_grad, _HEADS[:3], _EXACT, _KINDS) for letter in "QKV"},
}
