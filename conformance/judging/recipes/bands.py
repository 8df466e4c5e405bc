"""Data for local and shared layers. A size is examples, nodes and the taps of a window.

In exact data the corners of a band hold NaN: whoever reads one shows it.
"""

from __future__ import annotations

import numpy as np

from ..numbers.lanes import Array
from ..operations import LAYERED
from ..operations.bands import corners
from .base import Arguments, Family, Recipe, Source, drawn, exact_pair
from .networks import thin

LOCAL, SHARED = "w", "theta"


def weights(size: tuple[int, ...], which: str) -> tuple[int, ...]:
    return size[1:] if which == LOCAL else size[2:]


def pair_of(s: Source, size: tuple[int, ...], kind: str, which: str) -> tuple[Array, Array]:
    """What enters the layer, or comes back to it, and its weights."""
    entering, m = size[:2], size[2]
    if kind != "exact":
        return drawn(s, entering, kind), s.normal(weights(size, which), m**-0.5)
    x, w = exact_pair(s, entering, weights(size, which), m)
    if which == LOCAL:
        w[corners(*w.shape)] = np.nan
    return x, w


def layer(which: str) -> Recipe:
    def recipe(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
        kind, _, act = kind.partition("-")
        x, w = pair_of(s, size, kind, which)
        intercepts = (size[1] if which == LOCAL else 1,)
        b = s.integers(intercepts, 3) if kind == "exact" else s.normal(intercepts)
        return {"x": x, which: w, "b": b, "act": act or "identity"}
    return recipe


def grad_x(which: str) -> Recipe:
    def recipe(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
        kind, _, act = kind.partition("-")
        d, w = pair_of(s, size, kind, which)
        if not act:
            return {"d": d, which: w}
        z = (2 * s.rng.integers(-4, 4, d.shape) + 1) / 4 if kind == "exact" else s.normal(d.shape, 2.0)
        return {"d": d, which: w, "z": z, "act": act}
    return recipe


def grad_w(which: str) -> Recipe:
    """`averaged` data have weights, λ and n of their own."""
    def recipe(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
        kind, _, averaged = kind.partition("-")
        terms = size[0] * (1 if which == LOCAL else size[1])
        if kind == "exact":
            d, x = exact_pair(s, size[:2], size[:2], terms)
            d = thin(s, d)
        else:
            d, x = drawn(s, size[:2], kind), drawn(s, size[:2], kind)
        arguments = {"d": d, "x": x, "m": size[2]}
        if not averaged:
            return arguments
        if kind != "exact":
            lam = 0.125 if s.dtype == "bf16" else 0.01
            return arguments | {which: s.normal(weights(size, which)), "lam": lam, "n": size[0]}
        w = s.integers(weights(size, which), 3) * 4
        if which == LOCAL:
            w[corners(*w.shape)] = np.nan
        return arguments | {which: w, "lam": 0.25, "n": 2 if s.dtype == "bf16" else 8}
    return recipe


def grad_b(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind == "exact":
        return {"d": s.integers(size[:2], 2, 0.5 if s.dtype == "bf16" else 1.0), "n": 2}
    return {"d": drawn(s, size[:2], kind), "n": size[0]}


_SIZES = ((5, 13, 3), (2, 6, 5), (1, 1, 1), (3, 4, 9), (9, 130, 7), (2, 1, 3))
_MANY = ((35, 9, 3),)                                       # examples enough to be split
_ACTS = tuple(f"normal-{act}" for act in LAYERED if act != "identity")

FAMILIES: dict[str, Family] = {}
for _op, _which in (("arch.local.layer", LOCAL), ("arch.shared.layer", SHARED)):
    FAMILIES[_op] = Family(layer(_which), _SIZES, ("exact", "exact-relu"), ("normal", "wide", "cancelling", *_ACTS))
    FAMILIES[f"{_op}.grad_x"] = Family(grad_x(_which), _SIZES, ("exact", "exact-relu"), ("normal", "wide", *_ACTS))
    FAMILIES[f"{_op}.grad_{_which}"] = Family(
        grad_w(_which), (*_SIZES, *_MANY), ("exact", "exact-averaged"),
        ("normal-averaged", "normal", "wide", "cancelling"))
    FAMILIES[f"{_op}.grad_b"] = Family(grad_b, (_SIZES[0], _SIZES[2], *_MANY), ("exact",), ("normal", "cancelling"))
