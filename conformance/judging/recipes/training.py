"""Data for the optimizers, with states as earlier steps would have left them, and for batch normalization."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from .base import Arguments, Family, Source, drawn


def momentum(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind == "exact":
        return {"theta": s.integers(size, 9), "D": s.integers(size, 5), "v": s.integers(size, 3), "eta": 0.25,
                "mu": 0.5}
    return {"theta": drawn(s, size, kind), "D": drawn(s, size, kind), "v": s.normal(size), "eta": 0.01, "mu": 0.9}


def adagrad(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    D = drawn(s, size, kind)
    return {"theta": s.normal(size), "D": D, "G": squares(s, D), "eta": 0.1, "eps": 2.0**-10}


def squares(s: Source, D: Array) -> Array:
    """A sum of squares like D's own; far from the format's largest."""
    limit = 2.0**14 if s.dtype == "fp16" else 2.0**60
    return round_to(np.minimum(D * D * s.rng.uniform(0.25, 4.0, D.shape), limit), s.dtype)


def adam(s: Source, size: tuple[int, ...], kind: str, lam: float | None = None) -> Arguments:
    """`first` is the step from zero moments, where β₂ = 0.999 leaves 1 − β₂ᵗ few digits in float32."""
    D = drawn(s, size, "normal" if kind == "first" else kind)
    zero = np.zeros(size)
    first = {"m": zero, "v": zero, "t": 1}
    later = {"m": round_to(D * s.rng.uniform(-1, 1, size), s.dtype), "v": squares(s, D), "t": 3}
    decay = {} if lam is None else {"lam": lam}
    return {"theta": s.normal(size), "D": D, **(first if kind == "first" else later), "eta": 0.05, **decay,
            "beta1": 0.9, "beta2": 0.999, "eps": 2.0**-10}


def decayed(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    return adam(s, size, kind, lam=0.125)


def batch(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    return {"x": features(s, size, kind), **_scale(s, size, kind), "eps": 3.0 if kind == "exact" else 2.0**-10}


def features(s: Source, size: tuple[int, ...], kind: str) -> Array:
    """Exact: each channel alternates around an integer, so that every pair has mean μ and σ² + 3 is 4."""
    channels = size[1]
    if kind == "exact":
        sign = np.where(np.arange(_count(size)) % 2, -1.0, 1.0)[:, None] * s.rng.choice([-1.0, 1.0], channels)
        return _placed(sign + s.integers((channels,), 3), size)
    x = drawn(s, size, "normal" if kind == "shifted" else kind)
    far = 4096.0 if s.dtype == "fp32" else 64.0
    return round_to(x + far, s.dtype) if kind == "shifted" else x


def inference(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    channels = (size[1],)
    var = np.full(channels, 13.0) if kind == "exact" else round_to(s.rng.uniform(0.25, 4.0, channels), s.dtype)
    mu = s.integers(channels, 3) if kind == "exact" else s.normal(channels)
    return {**batch(s, size, kind), "mu": mu, "var": var}


def running(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    channels = (size[1],)
    return {"x": features(s, size, kind), "mu": s.normal(channels), "var": round_to(
        s.rng.uniform(0.25, 4.0, channels), s.dtype), "rho": 0.1}


def batch_grad(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """Exact: d is c + e x̂ plus what is orthogonal to both, so that m₁ and m₂ are dyadic for every n."""
    scale = _scale(s, size, kind)["gamma"]
    if kind != "exact":
        return {"d": drawn(s, size, "normal" if kind == "shifted" else kind), "x": features(s, size, kind),
                "gamma": scale, "eps": 2.0**-10}
    x = features(s, size, kind)
    rows = np.moveaxis(x, 1, -1).reshape(-1, size[1])
    away = rows - rows.mean(0)
    blocks = np.repeat(s.integers((len(rows) // 4, size[1]), 3), 4, axis=0)
    across = np.tile([1.0, 1.0, -1.0, -1.0], len(rows) // 4)[:, None]
    d = s.integers((size[1],), 2) + 2 * s.integers((size[1],), 1) * away + across * blocks
    return {"d": _placed(d, size), "x": x, "gamma": scale, "eps": 3.0}


def grad_gamma(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    arguments = batch_grad(s, size, kind)
    return {key: arguments[key] for key in ("d", "x", "eps")}


def grad_beta(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    return {"d": batch_grad(s, size, kind)["d"]}


def _scale(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    channels = (size[1],)
    draw = s.integers(channels, 3) if kind == "exact" else s.normal(channels)
    return {"gamma": draw, "beta": s.integers(channels, 2) if kind == "exact" else s.normal(channels)}


def _count(size: tuple[int, ...]) -> int:
    """How many rows: examples and positions."""
    return int(np.prod(size)) // size[1]


def _placed(rows: Array, size: tuple[int, ...]) -> Array:
    """Rows (examples and positions, channels) as x (N, C, …)."""
    return np.ascontiguousarray(np.moveaxis(rows.reshape(*size[:1], *size[2:], size[1]), -1, 1))


_FLAT = ((3, 43), (1,), (129,))
_REAL = ("normal", "small", "positive", "wide")
_IMAGES = ((4, 3, 3, 5), (20, 7), (68, 3), (2, 2, 6))
_SPREAD = ("normal", "shifted", "small", "positive", "wide")
FAMILIES: dict[str, Family] = {
    "opt.momentum": Family(momentum, _FLAT),
    "opt.nesterov": Family(momentum, _FLAT),
    "opt.adagrad": Family(adagrad, _FLAT, (), _REAL),
    "opt.adam": Family(adam, _FLAT, (), (*_REAL, "first")),
    "opt.adamw": Family(decayed, _FLAT, (), (*_REAL, "first")),
    "opt.lamb": Family(decayed, ((3, 11), (1,), (37,)), (), (*_REAL, "first")),
    "norm.batch": Family(batch, _IMAGES, ("exact",), _SPREAD, long=((3, 5, 9, 12),)),
    "norm.batch.inference": Family(inference, _IMAGES, ("exact",), _SPREAD),
    "norm.batch.running": Family(running, _IMAGES, (), _SPREAD),
    "norm.batch.grad_x": Family(batch_grad, _IMAGES, ("exact",), _SPREAD),
    "norm.batch.grad_gamma": Family(grad_gamma, _IMAGES, ("exact",), _SPREAD),
    "norm.batch.grad_beta": Family(grad_beta, _IMAGES, ("exact",), ("normal", "small", "positive", "wide")),
}
