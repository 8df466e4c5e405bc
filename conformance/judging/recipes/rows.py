"""Data for what is done to each row of a matrix: layer norm, softmax."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from . import training
from .base import Arguments, Family, Source, drawn, striped


def features(s: Source, size: tuple[int, ...], kind: str) -> Array:
    """`exact`: each row alternates around an integer, so that σ² is 1. `shifted`: the mean is large beside σ, as
    `flat` has nearly equal and `equal` quite equal numbers in a row."""
    if kind == "exact":
        return np.ascontiguousarray(training.features(s, size[::-1], kind).T)
    if kind in ("flat", "equal"):
        around = s.normal((size[0], 1)) * np.ones(size)
        return around if kind == "equal" else round_to(around + s.normal(size, 2.0**-9), s.dtype)
    x = drawn(s, size, "normal" if kind == "shifted" else kind)
    far = 10000.0 if s.dtype == "fp32" else 64.0
    return round_to(x + far, s.dtype) if kind == "shifted" else x


def layer(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    width = size[1:]
    draw = s.integers(width, 3) if kind == "exact" else s.normal(width)
    return {"x": features(s, size, kind), "gamma": draw, "beta": s.integers(width, 2) if kind == "exact" else
            s.normal(width), "eps": 3.0 if kind == "exact" else 2.0**-10}


def layer_grad(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """Exact: g = γ d is what batch norm's gradient takes, so that m₁ and m₂ are dyadic for every D."""
    if kind == "exact":
        across = training.batch_grad(s, size[::-1], kind)
        gamma = 2.0 ** s.rng.integers(-1, 2, size[1]) * s.rng.choice([-1.0, 1.0], size[1])
        return {"d": across["d"].T / gamma, "x": np.ascontiguousarray(across["x"].T), "gamma": gamma, "eps": 3.0}
    plain = kind in ("shifted", "flat", "equal")
    return {"d": drawn(s, size, "normal" if plain else kind), "x": features(s, size, kind),
            "gamma": s.normal(size[1:]), "eps": 2.0**-10}


def layer_grad_gamma(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    arguments = layer_grad(s, size, kind)
    return {key: arguments[key] for key in ("d", "x", "eps")}


def layer_grad_beta(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    return {"d": layer_grad(s, size, kind)["d"]}


def softmax(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """`saturated`: one number far above the others, as logits up to 10⁴ are. `stripes`: half of them are −∞."""
    if kind == "stripes":
        return {"z": striped(s, size)}
    z = s.normal(size, 2.0**10) if kind == "saturated" else drawn(s, size, kind)
    return {"z": z if kind != "equal" else 0 * z + s.normal((size[0], 1))}


def softmax_grad(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    plain = kind in ("saturated", "equal", "stripes")
    return {"d": drawn(s, size, "normal" if plain else kind), **softmax(s, size, kind)}


_ROWS = ((5, 12), (3, 268), (37, 4), (1, 1024))
_SPREAD = ("normal", "shifted", "small", "positive", "wide", "flat", "equal")
_SHARED = ("normal", "small", "wide", "positive", "saturated", "equal", "stripes")
FAMILIES: dict[str, Family] = {
    "act.softmax": Family(softmax, ((17, 10), (3, 1), (1, 37), (5, 130)), (), _SHARED, long=((9, 260),)),
    "act.softmax.prime": Family(softmax_grad, ((17, 10), (3, 1), (1, 37), (5, 130)), (), _SHARED),
    "norm.layer": Family(layer, _ROWS, ("exact",), _SPREAD, long=((9, 268),)),
    "norm.layer.grad_x": Family(layer_grad, _ROWS, ("exact",), _SPREAD),
    "norm.layer.grad_gamma": Family(layer_grad_gamma, _ROWS, ("exact",), _SPREAD),
    "norm.layer.grad_beta": Family(layer_grad_beta, _ROWS, ("exact",), ("normal", "small", "positive", "wide")),
}
