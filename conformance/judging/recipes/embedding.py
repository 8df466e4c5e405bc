"""Data for the embedding of patches. Sizes: images, channels, rows and columns of patches, P, numbers of a token."""

from __future__ import annotations

import numpy as np

from .base import Arguments, Family, Source, drawn, exact_pair

Size = tuple[int, ...]


def shapes(size: Size) -> dict[str, tuple[int, ...]]:
    B, C, rows, columns, P, D = size
    return {"x": (B, C, rows * P, columns * P), "w": (D, C, P, P), "d": (B, rows * columns + 1, D),
            "position": (rows * columns + 1, D)}


def embed(s: Source, size: Size, kind: str) -> Arguments:
    at = shapes(size)
    terms = int(np.prod(at["w"][1:]))
    if kind == "exact":
        x, w = exact_pair(s, at["x"], at["w"], terms)
        return {"x": x, "w": w, "b": s.integers(at["w"][:1], 3), "token": s.integers(at["w"][:1], 3),
                "position": s.integers(at["position"], 3)}
    return {"x": drawn(s, at["x"], kind), "w": s.normal(at["w"], terms**-0.5), "b": s.normal(at["w"][:1]),
            "token": s.normal(at["w"][:1]), "position": s.normal(at["position"])}


def grad_patch(s: Source, size: Size, kind: str) -> Arguments:
    at = shapes(size)
    d, w = (exact_pair(s, at["d"], at["w"], size[5]) if kind == "exact"
            else (drawn(s, at["d"], kind), s.normal(at["w"], size[5]**-0.5)))
    return {"d": d, "w": w, "H": at["x"][2], "W": at["x"][3]}


def grad_Theta(s: Source, size: Size, kind: str) -> Arguments:
    at = shapes(size)
    d, x = (exact_pair(s, at["d"], at["x"], size[0] * at["d"][1]) if kind == "exact"
            else (drawn(s, at["d"], kind), s.normal(at["x"])))
    return {"d": d, "x": x, "P": size[4]}


def sums(s: Source, size: Size, kind: str) -> Arguments:
    shape = shapes(size)["d"]
    return {"d": s.integers(shape, 2) if kind == "exact" else drawn(s, shape, kind)}


_SIZES = ((2, 3, 2, 3, 2, 5), (1, 1, 1, 1, 1, 1), (3, 2, 3, 2, 3, 17), (2, 1, 1, 4, 4, 7), (1, 5, 4, 1, 2, 33))
_KINDS = ("normal", "wide", "cancelling", "small")
FAMILIES: dict[str, Family] = {
    "vit.embed": Family(embed, _SIZES, ("exact",), _KINDS, ("channels-last",)),
    "vit.embed.grad_patch": Family(grad_patch, _SIZES, ("exact",), _KINDS),
    "vit.embed.grad_Theta": Family(grad_Theta, _SIZES, ("exact",), _KINDS),
    "vit.embed.grad_position": Family(sums, _SIZES, ("exact",), _KINDS),
    "vit.embed.grad_token": Family(sums, _SIZES, ("exact",), _KINDS),
}
