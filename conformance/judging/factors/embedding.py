"""What varies in the embedding of patches: images, how they divide, one patch, a token's numbers."""

from __future__ import annotations

from typing import Any

from ..recipes import Arguments, Source
from ..recipes.embedding import shapes
from .base import Levels, Rule, factors
from .images import KINDS
from .regimes import values

LEVELS: dict[str, tuple[Any, ...]] = {
    "batch": (2, 1, 3, 17), "channels": (3, 1, 2, 5), "rows": (2, 1, 3, 5), "columns": (3, 1, 2, 4, 9),
    "patch": (2, 1, 3, 8), "width": (8, 1, 5, 17, 65), "data": KINDS,
}


def _walked(at: Levels) -> bool:
    """Few enough steps: numbers of patches are walked one by one."""
    return bool(at.rows * at.columns * at.channels * at.patch**2 <= 800)


def _cheap(at: Levels) -> bool:
    return bool(at.batch * at.rows * at.columns * at.channels * at.patch**2 * at.width <= 60_000)


RULES: tuple[Rule, ...] = (_walked, _cheap)


def size(at: Levels) -> tuple[int, ...]:
    return at.batch, at.channels, at.rows, at.columns, at.patch, at.width


@factors("vit.embed", rules=RULES, levels={**LEVELS, "data": (*KINDS, "nan", "infinite"), "b": ("given", None)},
         layouts=("channels-last",))
def embed(s: Source, at: Levels) -> Arguments:
    of = shapes(size(at))
    b = s.normal(of["w"][:1])
    return {"x": values(s, of["x"], at.data), "w": s.normal(of["w"], float(at.channels * at.patch**2) ** -0.5),
            "b": None if at.b is None else b, "token": s.normal(of["w"][:1]), "position": s.normal(of["position"])}


@factors("vit.embed.grad_patch", rules=RULES, levels=LEVELS)
def grad_patch(s: Source, at: Levels) -> Arguments:
    of = shapes(size(at))
    return {"d": values(s, of["d"], at.data), "w": s.normal(of["w"], at.width**-0.5), "H": of["x"][2], "W": of["x"][3]}


@factors("vit.embed.grad_Theta", rules=RULES, levels=LEVELS)
def grad_Theta(s: Source, at: Levels) -> Arguments:
    of = shapes(size(at))
    return {"d": values(s, of["d"], at.data), "x": s.normal(of["x"]), "P": at.patch}


@factors("vit.embed.grad_position", "vit.embed.grad_token", levels={
    "batch": (2, 1, 3, 17, 65), "tokens": (5, 1, 2, 17, 65), "width": (8, 1, 5, 17, 129), "data": KINDS},
    rules=(lambda at: at.batch * at.tokens * at.width <= 20_000,))
def sums(s: Source, at: Levels) -> Arguments:
    return {"d": values(s, (at.batch, at.tokens, at.width), at.data)}
