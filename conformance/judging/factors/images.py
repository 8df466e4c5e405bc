"""What varies in convolution layers and pooling: images, filters, groups, and how one passes over the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .base import Levels, Rule, factors
from .networks import ACTS, SLOPES, slopes
from .regimes import values

OWN = ("channels-last",)
KINDS = ("normal", "small", "positive", "wide", "cancelling", "ties", "zero")
WINDOWS = ((2, 3), (3, 3), (1, 1), (3, 2), (5, 5), (1, 4), (4, 1))
STRIDES = ((1, 1), (2, 1), (1, 3), (2, 2), (4, 4))
PADDINGS = ((0, 0), (1, 0), (1, 1), (2, 3), (0, 2))
DILATIONS = ((1, 1), (2, 1), (1, 2), (2, 2), (3, 1))
#: groups, and of each its channels and filters: one, several, depthwise, depthwise with a multiplier
CHANNELS = ((1, 2, 3), (2, 2, 3), (5, 1, 1), (4, 1, 2), (3, 1, 3), (1, 1, 1), (1, 17, 2), (1, 2, 17), (1, 3, 65),
            (1, 33, 3))
IMAGES = ((7, 9), (5, 5), (8, 6), (12, 7), (1, 11), (17, 18), (2, 131))
LAYER = {"batch": (2, 1, 3, 17), "channels": CHANNELS, "image": IMAGES,
         "window": WINDOWS, "stride": STRIDES, "padding": PADDINGS, "dilation": DILATIONS}


def size(at: Levels) -> tuple[int, int]:
    """Rows and columns of the output."""
    rows, columns = ((n + 2 * p - e * (m - 1) - 1) // s + 1 for n, m, s, p, e in
                     zip(at.image, at.window, at.stride, at.padding, at.dilation))
    return rows, columns


def _fits(at: Levels) -> bool:
    """An output there is, and not one that costs too much."""
    groups, channels, filters = at.channels
    cost = at.batch * groups * channels * filters * np.prod(size(at)) * np.prod(at.window)
    return min(size(at)) >= 1 and float(cost) <= 400_000


def _reaches(axis: int) -> Rule:
    """The window, spread out, fits between the padded edges."""
    return lambda at: at.image[axis] + 2 * at.padding[axis] > at.dilation[axis] * (at.window[axis] - 1)


RULES: tuple[Rule, ...] = (_fits, _reaches(0), _reaches(1),
                           lambda at: at.image[0] + 6 > at.window[0] - 1)


def _shapes(at: Levels) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    groups, channels, filters = at.channels
    how = {"stride": at.stride, "padding": at.padding, "dilation": at.dilation, "groups": groups}
    return {"x": (at.batch, channels * groups, *at.image), "w": (filters * groups, channels, *at.window),
            "d": (at.batch, filters * groups, *size(at))}, how


def _filters(s: Source, shape: tuple[int, ...]) -> Array:
    return s.normal(shape, float(np.prod(shape[1:])) ** -0.5)


@factors("conv2d.layer", rules=RULES, layouts=OWN, levels={
    **LAYER, "data": (*KINDS, "nan", "infinite"), "b": ("given", None), "act": ACTS})
def layer(s: Source, at: Levels) -> Arguments:
    shapes, how = _shapes(at)
    b = s.normal(shapes["w"][:1])
    return {"x": values(s, shapes["x"], at.data), "w": _filters(s, shapes["w"]),
            "b": None if at.b is None else b, **how, "act": at.act}


def _window(axis: int) -> Rule:
    """A window fits into what the layer gives."""
    return lambda at: size(at)[axis] >= at.k[axis]


@factors("conv2d.layer.pool", rules=(*RULES, _window(0), _window(1)), layouts=OWN, levels={
    **LAYER, "k": ((2, 2), (2, 3), (3, 2), (1, 1), (3, 3)), "data": (*KINDS, "nan", "infinite"), "b": ("given", None),
    "act": ACTS})
def layer_pooled(s: Source, at: Levels) -> Arguments:
    return {**layer(s, at), "k": at.k}


@factors("conv2d.layer.grad_x", rules=RULES, layouts=OWN, levels={
    **LAYER, "data": KINDS, "z": (None, *SLOPES), "act": ACTS})
def grad_x(s: Source, at: Levels) -> Arguments:
    shapes, how = _shapes(at)
    through = {} if at.z is None else {"z": slopes(s, shapes["x"], at.z), "act": at.act}
    return {"d": values(s, shapes["d"], at.data), "w": _filters(s, shapes["w"]), "H": at.image[0],
            "W": at.image[1], **how, **through}


@factors("conv2d.layer.grad_w", rules=RULES, layouts=OWN, levels={
    **LAYER, "data": KINDS, "lam": (0.125, None, 0.0, 1.0), "n": (6, 1, 2)})
def grad_w(s: Source, at: Levels) -> Arguments:
    shapes, how = _shapes(at)
    averaged = {} if at.lam is None else {"w": s.normal(shapes["w"]), "lam": at.lam}
    return {"d": values(s, shapes["d"], at.data), "x": s.normal(shapes["x"]), "M": at.window[0],
            "N": at.window[1], **how, **averaged, "n": at.n}


@factors("conv2d.layer.grad_b", layouts=OWN, levels={
    "batch": (2, 1, 3, 17, 65), "filters": (6, 1, 2, 17, 65, 129), "image": ((3, 4), (1, 1), (5, 7), (16, 17), (1, 33)),
    "data": KINDS, "n": (6, 1, 2)}, rules=(lambda at: at.batch * at.image[0] * at.image[1] <= 1200,))
def grad_b(s: Source, at: Levels) -> Arguments:
    return {"d": values(s, (at.batch, at.filters, *at.image), at.data), "n": at.n}


POOLED = {"batch": (2, 1, 3, 17), "channels": (3, 1, 2, 17, 65),
          "image": ((7, 9), (4, 4), (9, 6), (12, 7), (6, 17), (4, 131)),
          "k": ((2, 3), (2, 2), (1, 1), (3, 2), (4, 4), (3, 3)), "stride": (None, (1, 1), (2, 1), (1, 3), (5, 4)),
          "padding": ((0, 0), (1, 0), (0, 1), (1, 1))}
HALVES: tuple[Rule, ...] = (lambda at: 2 * at.padding[0] <= at.k[0] and 2 * at.padding[1] <= at.k[1],
                            lambda at: at.batch * at.channels * at.image[0] * at.image[1] <= 35_000)


def _pooled(at: Levels) -> tuple[tuple[int, int], dict[str, Any]]:
    stride = at.k if at.stride is None else at.stride
    rows, columns = ((n + 2 * p - k) // s + 1 for n, k, s, p in zip(at.image, at.k, stride, at.padding))
    return (rows, columns), {"k": at.k, **({} if at.stride is None else {"stride": at.stride}), "padding": at.padding}


@factors("pool.max", rules=HALVES, layouts=OWN, levels={
    **POOLED, "data": ("normal", "ties", "constant", "low", "high", "zero", "nan", "infinite", "minus infinity")})
def pool(s: Source, at: Levels) -> Arguments:
    _, how = _pooled(at)
    return {"x": values(s, (at.batch, at.channels, *at.image), at.data), **how}


@factors("pool.max.grad_x", rules=HALVES, layouts=OWN, levels={
    **POOLED, "data": ("normal", "small", "wide", "ties", "zero"), "saved": (None, *SLOPES), "act": ACTS})
def pool_grad_x(s: Source, at: Levels) -> Arguments:
    (P, Q), how = _pooled(at)
    shape, (k, m), (H, W) = (at.batch, at.channels, P, Q), at.k, at.image
    (v, h), (p, q) = how.get("stride", at.k), at.padding
    (r, c) = np.indices((P, Q))
    row, column = s.rng.integers(0, k, shape), s.rng.integers(0, m, shape)
    row = np.clip(r * v - p + row, 0, H - 1) - (r * v - p)              # a winner is never in the padding
    column = np.clip(c * h - q + column, 0, W - 1) - (c * h - q)
    through = {} if at.saved is None else {"saved": slopes(s, shape, at.saved), "act": at.act}
    return {"d": values(s, shape, at.data), "index": (row * m + column).astype(np.uint8), "H": H, "W": W, **how,
            **through}
