"""Arguments at the edges for the embedding of patches: no images, and what it must refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .recipes import Arguments

Make = Callable[[], Arguments]


def _embed(images: int = 2, **more: Any) -> Make:
    return lambda: {"x": np.ones((images, 2, 4, 6)), "w": np.ones((3, 2, 2, 2)), "b": np.ones(3), "token": np.ones(3),
                    "position": np.ones((7, 3)), **more}


def _to_patch(images: int = 2, **more: Any) -> Make:
    return lambda: {"d": np.ones((images, 7, 3)), "w": np.ones((3, 2, 2, 2)), "H": 4, "W": 6, **more}


def _to_theta(**more: Any) -> Make:
    return lambda: {"d": np.ones((2, 7, 3)), "x": np.ones((2, 2, 4, 6)), "P": 2, **more}


EMPTY: dict[str, Make] = {"vit.embed": _embed(0), "vit.embed.grad_patch": _to_patch(0)}

REFUSED: dict[str, dict[str, Make]] = {
    "vit.embed": {
        "rows-left-over": _embed(x=np.ones((2, 2, 5, 6))), "columns-left-over": _embed(x=np.ones((2, 2, 4, 5))),
        "channels": _embed(x=np.ones((2, 1, 4, 6))), "rank": _embed(x=np.ones((2, 4, 6))),
        "no-class-token": _embed(position=np.ones((6, 3))), "positions": _embed(position=np.ones((7, 2))),
        "token": _embed(token=np.ones(2)), "intercepts": _embed(b=np.ones(2)),
        "oblong": _embed(w=np.ones((3, 2, 2, 3))),
    },
    "vit.embed.grad_patch": {"tokens": _to_patch(d=np.ones((2, 6, 3))), "width": _to_patch(d=np.ones((2, 7, 2))),
                             "rows-left-over": _to_patch(H=5)},
    "vit.embed.grad_Theta": {"tokens": _to_theta(d=np.ones((2, 6, 3))), "images": _to_theta(d=np.ones((1, 7, 3))),
                             "patch": _to_theta(P=3), "no-patch": _to_theta(P=0)},
    "vit.embed.grad_position": {"rank": lambda: {"d": np.ones((7, 3))}},
    "vit.embed.grad_token": {"rank": lambda: {"d": np.ones((7, 3))}, "no-tokens": lambda: {"d": np.ones((2, 0, 3))}},
}
