"""Data for convolution layers and pooling.

A size is batch, channels and filters of a group, groups, and pairs: image, filter, stride, padding, dilation. Nothing
is square, and no two numbers that could be mixed up are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numbers.lanes import Array
from ..operations import LAYERED
from .base import Arguments, Family, Source, drawn, exact_pair

Size = tuple[int, ...]


def named(size: Size) -> dict[str, Any]:
    B, C, F, G, H, W, M, N, s, t, p, q, d, e = size
    output = (H + 2 * p - d * (M - 1) - 1) // s + 1, (W + 2 * q - e * (N - 1) - 1) // t + 1
    return {"x": (B, C * G, H, W), "w": (F * G, C, M, N), "d": (B, F * G, *output),
            "how": {"stride": (s, t), "padding": (p, q), "dilation": (d, e), "groups": G}}


def pair_of(s: Source, size: Size, kind: str, one: str, two: str, terms: int,
            along: tuple[int, int] | None = None) -> tuple[Array, Array]:
    shapes = named(size)
    if kind == "exact":
        return exact_pair(s, shapes[one], shapes[two], terms, along)
    return drawn(s, shapes[one], kind), s.normal(shapes[two], terms**-0.5)


def layer(s: Source, size: Size, kind: str) -> Arguments:
    kind, _, act = kind.partition("-")
    shapes = named(size)
    x, w = pair_of(s, size, kind, "x", "w", int(np.prod(shapes["w"][1:])), (1, 1) if size[3] == 1 else None)
    b = s.integers(shapes["w"][:1], 3) if kind == "exact" else s.normal(shapes["w"][:1])
    return {"x": x, "w": w, "b": b, **shapes["how"], "act": act or "identity"}


def layer_pooled(s: Source, size: Size, kind: str) -> Arguments:
    """The last two of a size are the window's."""
    return {**layer(s, size[:-2], kind), "k": size[-2:]}


def grad_x(s: Source, size: Size, kind: str) -> Arguments:
    kind, _, act = kind.partition("-")
    shapes = named(size)
    F, _, M, N = shapes["w"]
    d, w = pair_of(s, size, kind, "d", "w", F // size[3] * M * N)
    arguments = {"d": d, "w": w, "H": size[4], "W": size[5], **shapes["how"]}
    if act:
        z = (2 * s.rng.integers(-4, 4, shapes["x"]) + 1) / 4 if kind == "exact" else s.normal(shapes["x"], 2.0)
        arguments |= {"z": z, "act": act}
    return arguments


def grad_w(s: Source, size: Size, kind: str) -> Arguments:
    kind, _, averaged = kind.partition("-")
    shapes = named(size)
    d, x = pair_of(s, size, kind, "d", "x", int(np.prod(shapes["d"])) // shapes["d"][1])
    arguments = {"d": d, "x": x, "M": size[6], "N": size[7], **shapes["how"]}
    if averaged and kind == "exact":
        return arguments | {"w": s.integers(shapes["w"], 3) * 4, "lam": 0.25, "n": 2 if s.dtype == "bf16" else 8}
    if averaged:
        return arguments | {"w": s.normal(shapes["w"]), "lam": 0.125 if s.dtype == "bf16" else 0.01, "n": 6}
    return arguments


def grad_b(s: Source, size: Size, kind: str) -> Arguments:
    shape = named(size)["d"]
    if kind == "exact":
        return {"d": s.integers(shape, 2, 0.5 if s.dtype == "bf16" else 1.0), "n": 2}
    return {"d": drawn(s, shape, kind), "n": 6}


def pooling(size: Size) -> dict[str, Any]:
    B, C, H, W, k, m, s, t, p, q = size
    output = (H + 2 * p - k) // s + 1, (W + 2 * q - m) // t + 1
    return {"x": (B, C, H, W), "d": (B, C, *output), "how": {"k": (k, m), "stride": (s, t), "padding": (p, q)}}


def pool(s: Source, size: Size, kind: str) -> Arguments:
    """Exact data have many equal maxima; `special` has NaN, infinities and windows of one value."""
    shapes = pooling(size)
    if kind == "exact":
        return {"x": s.rng.integers(-2, 3, shapes["x"]).astype(float), **shapes["how"]}
    x = drawn(s, shapes["x"], "normal" if kind == "special" else kind)
    if kind == "special":
        x.flat[::7], x.flat[3::11], x.flat[5::13] = np.nan, -np.inf, np.inf
    return {"x": x, **shapes["how"]}


def pool_grad_x(s: Source, size: Size, kind: str) -> Arguments:
    kind, _, act = kind.partition("-")
    shapes = pooling(size)
    B, C, P, Q = shapes["d"]
    (H, W), (k, m) = size[2:4], size[4:6]
    (r, c), ((v, h), (p, q)) = np.indices((P, Q)), (shapes["how"][name] for name in ("stride", "padding"))
    row, column = s.rng.integers(0, k, (B, C, P, Q)), s.rng.integers(0, m, (B, C, P, Q))
    row = np.clip(r * v - p + row, 0, H - 1) - (r * v - p)              # a winner is never in the padding
    column = np.clip(c * h - q + column, 0, W - 1) - (c * h - q)
    d = s.integers(shapes["d"], 2) if kind == "exact" else drawn(s, shapes["d"], kind)
    arguments = {"d": d, "index": (row * m + column).astype(np.uint8), "H": H, "W": W, **shapes["how"]}
    if act:
        saved = (2 * s.rng.integers(-4, 4, shapes["d"]) + 1) / 4 if kind == "exact" else s.normal(shapes["d"], 2.0)
        arguments |= {"saved": saved, "act": act}
    return arguments


_SIZES = (
    #B  C  F  G  H  W  M  N  stride padding dilation
    (2, 2, 3, 2, 7, 9, 2, 3, 2, 1, 1, 2, 1, 2),
    (1, 1, 1, 1, 3, 2, 3, 2, 1, 1, 0, 0, 1, 1),             # one output
    (3, 5, 17, 1, 4, 5, 3, 2, 1, 1, 0, 1, 1, 1),            # 17 filters, 30 terms
    (2, 1, 1, 5, 9, 7, 3, 2, 3, 2, 1, 2, 2, 1),             # depthwise; a class of ∂x without a tap
    (1, 3, 2, 1, 6, 8, 3, 2, 1, 3, 3, 2, 3, 1),             # padded by as much as a filter has, and spread by three
    (1, 28, 2, 1, 5, 6, 1, 2, 1, 1, 0, 0, 1, 1),            # channels enough for a block of their own
)
_MANY = ((3, 1, 2, 1, 11, 10, 2, 1, 1, 1, 0, 0, 1, 1),)     # pixels enough to be split
_POOLS = ((2, 3, 7, 9, 2, 3, 2, 1, 1, 1), (1, 1, 2, 2, 2, 2, 2, 2, 0, 0), (2, 5, 9, 6, 2, 2, 2, 2, 0, 0),
          (1, 2, 8, 9, 3, 2, 1, 3, 1, 0), (1, 1, 7, 6, 5, 4, 3, 2, 2, 2))
_BOTH = (
    (2, 2, 3, 2, 9, 13, 2, 3, 2, 1, 1, 2, 1, 2, 2, 2), (1, 1, 1, 1, 4, 3, 3, 2, 1, 1, 0, 0, 1, 1, 2, 2),
    (3, 5, 17, 1, 4, 9, 3, 2, 1, 1, 0, 1, 1, 1, 2, 2), (2, 1, 1, 5, 9, 7, 3, 2, 1, 2, 1, 2, 2, 1, 2, 3),
    (1, 28, 2, 1, 5, 6, 1, 2, 1, 1, 0, 0, 1, 1, 3, 2))
_ACTS = tuple(f"normal-{act}" for act in LAYERED if act != "identity")
_OWN = ("channels-last",)

FAMILIES: dict[str, Family] = {
    "conv2d.layer": Family(layer, _SIZES, ("exact", "exact-relu"), ("normal", "wide", "cancelling", *_ACTS), _OWN,
                           long=((1, 131, 17, 1, 8, 9, 2, 1, 1, 1, 0, 0, 1, 1),)),
    "conv2d.layer.pool": Family(layer_pooled, _BOTH, ("exact-relu", "exact"), ("normal", "normal-tanh"), _OWN),
    "conv2d.layer.grad_x": Family(grad_x, _SIZES, ("exact", "exact-relu"), ("normal", "wide", *_ACTS), _OWN),
    "conv2d.layer.grad_w": Family(grad_w, (*_SIZES, *_MANY), ("exact", "exact-averaged"),
                                  ("normal-averaged", "normal", "wide", "cancelling"), _OWN),
    "conv2d.layer.grad_b": Family(grad_b, (_SIZES[0], _SIZES[1], *_MANY), ("exact",), ("normal", "cancelling"), _OWN),
    "pool.max": Family(pool, _POOLS, ("exact",), ("normal", "special"), _OWN),
    "pool.max.grad_x": Family(pool_grad_x, _POOLS, ("exact", "exact-relu"), ("normal", "normal-tanh"), _OWN),
}
