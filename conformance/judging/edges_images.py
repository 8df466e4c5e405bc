"""Arguments at the edges for the ops on images: empty batches, and what they must refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .recipes import Arguments


def _layer(x: tuple[int, ...] = (2, 4, 5, 6), w: tuple[int, ...] = (6, 2, 3, 2), b: int = 6,
           **how: object) -> Callable[[], Arguments]:
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 2, "act": "relu", **how}
    return lambda: {"x": np.ones(x), "w": np.ones(w), "b": np.ones(b), **given}


def _grad_x(d: tuple[int, ...] = (2, 6, 3, 5), **how: object) -> Callable[[], Arguments]:
    return lambda: {"d": np.ones(d), "w": np.ones((6, 2, 3, 2)), "H": 5, "W": 6, "groups": 2, **how}


def _grad_w(d: tuple[int, ...] = (2, 6, 3, 5), **how: object) -> Callable[[], Arguments]:
    return lambda: {"d": np.ones(d), "x": np.ones((2, 4, 5, 6)), "M": 3, "N": 2, "groups": 2, **how}


def _pool(**how: object) -> Callable[[], Arguments]:
    return lambda: {"x": np.ones((1, 2, 5, 6)), "k": 2, **how}


def _pool_grad_x(d: tuple[int, ...] = (1, 2, 2, 3), **how: object) -> Callable[[], Arguments]:
    return lambda: {"d": np.ones(d), "index": np.zeros((1, 2, 2, 3), np.uint8), "H": 5, "W": 6, "k": 2, **how}


EMPTY: dict[str, Callable[[], Arguments]] = {
    "conv2d.layer": _layer((0, 4, 5, 6)),
    "conv2d.layer.pool": _layer((0, 4, 5, 6), k=2),
    "conv2d.layer.grad_x": _grad_x((0, 6, 3, 5)),
    "pool.max": lambda: {"x": np.ones((0, 2, 5, 6)), "k": 2},
}

REFUSED: dict[str, dict[str, Callable[[], Arguments]]] = {
    "conv2d.layer": {
        "filter-too-large": _layer(w=(6, 2, 6, 2)), "groups-not-dividing": _layer(groups=3),
        "negative-padding": _layer(padding=-1), "zero-stride": _layer(stride=(1, 0)),
        "zero-dilation": _layer(dilation=0), "channels": _layer(w=(6, 3, 3, 2)), "bias": _layer(b=5),
        "rank": _layer(x=(4, 5, 6)), "activation": _layer(act="softmx"),
    },
    "conv2d.layer.pool": {"window-too-large": _layer(k=4), "channels": _layer(w=(6, 3, 3, 2), k=2),
                          "bias": _layer(b=5, k=2), "zero-stride": _layer(stride=(1, 0), k=2)},
    "conv2d.layer.grad_x": {"size": _grad_x((2, 6, 3, 4)), "groups-not-dividing": _grad_x(groups=4),
                            "negative-padding": _grad_x(padding=-1)},
    "conv2d.layer.grad_w": {"size": _grad_w((2, 6, 4, 5)), "zero-stride": _grad_w(stride=0),
                            "no-examples": _grad_w(n=0), "groups-not-dividing": _grad_w(groups=4)},
    "conv2d.layer.grad_b": {"no-examples": lambda: {"d": np.ones((2, 6, 3, 5)), "n": 0}},
    "pool.max": {"window-too-large": _pool(k=7), "padding": _pool(padding=2), "zero-stride": _pool(stride=0),
                 "ceil": _pool(ceil_mode=True), "rank": lambda: {"x": np.ones((5, 6)), "k": 2}},
    "pool.max.grad_x": {"size": _pool_grad_x((1, 2, 2, 2)), "window-too-large": _pool_grad_x(k=7)},
}
