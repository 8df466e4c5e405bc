"""Arguments at the edges for local and shared layers: no examples, and what they must refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .recipes import Arguments

Make = Callable[[], Arguments]


def _local(x: tuple[int, ...] = (2, 5), w: tuple[int, ...] = (5, 3), b: int = 5, act: str = "relu") -> Make:
    return lambda: {"x": np.ones(x), "w": np.ones(w), "b": np.ones(b), "act": act}


def _shared(x: tuple[int, ...] = (2, 5), theta: tuple[int, ...] = (3,), b: int = 1, act: str = "relu") -> Make:
    return lambda: {"x": np.ones(x), "theta": np.ones(theta), "b": np.ones(b), "act": act}


def _average(which: str, weights: tuple[int, ...], d: tuple[int, ...] = (2, 5), m: int = 3, n: float = 2) -> Make:
    return lambda: {"d": np.ones(d), "x": np.ones((2, 5)), "m": m, which: np.ones(weights), "lam": 0.5, "n": n}


def _refused(which: str, right: tuple[int, ...], even: tuple[int, ...]) -> dict[str, dict[str, Make]]:
    """What a layer and its gradients must refuse, its weights being `which`."""
    op = "arch.local.layer" if which == "w" else "arch.shared.layer"
    return {
        f"{op}.grad_x": {"even-window": lambda: {"d": np.ones((2, 5)), which: np.ones(even)},
                         "size-of-z": lambda: {"d": np.ones((2, 5)), which: np.ones(right), "z": np.ones((2, 4))}},
        f"{op}.grad_{which}": {"even-window": _average(which, even, m=4), "size": _average(which, right, (2, 4)),
                               "window": _average(which, right, m=5), "no-examples": _average(which, right, n=0)},
        f"{op}.grad_b": {"no-examples": lambda: {"d": np.ones((2, 5)), "n": 0}},
    }


EMPTY: dict[str, Make] = {
    "arch.local.layer": _local((0, 5)),
    "arch.shared.layer": _shared((0, 5)),
    "arch.local.layer.grad_x": lambda: {"d": np.ones((0, 5)), "w": np.ones((5, 3))},
    "arch.shared.layer.grad_x": lambda: {"d": np.ones((0, 5)), "theta": np.ones(3)},
}

REFUSED: dict[str, dict[str, Make]] = {
    "arch.local.layer": {
        "even-window": _local(w=(5, 4)), "no-window": _local(w=(5, 0)), "rows": _local(w=(4, 3)), "rank": _local((5,)),
        "filter": _local(w=(3,)), "intercepts": _local(b=1), "activation": _local(act="softmx"),
    },
    "arch.shared.layer": {
        "even-window": _shared(theta=(4,)), "rank": _shared((5,)), "band": _shared(theta=(5, 3)),
        "intercepts": _shared(b=5), "activation": _shared(act="softmx"),
    },
    **_refused("w", (5, 3), (5, 4)), **_refused("theta", (3,), (4,)),
}
