"""What varies in batch normalization: examples, channels, positions, ε, ρ, and channels that hardly vary."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .base import Levels, Rule, apart, beside, factors
from .regimes import values

EXAMPLES = (4, 1, 2, 17, 65)
CHANNELS = (3, 1, 2, 16, 17, 65, 129)
POSITIONS = ((), (1,), (6,), (3, 5), (4, 4), (17, 1), (2, 3, 2))
KINDS = ("normal", "shifted", "small", "positive", "wide", "constant", "two", "one constant", "ties")
EPS = (2.0**-10, 1e-5, 3.0)
GAMMA = ("normal", "zero", "one")


def _rows(at: Levels) -> int:
    return int(at.examples * np.prod(at.positions, dtype=int))


def _short(at: Levels) -> bool:
    return _rows(at) <= 1100


def _affordable(at: Levels) -> bool:
    return _rows(at) * int(at.channels) <= 20_000


def _several(at: Levels) -> bool:
    return _rows(at) > 1


RULES: tuple[Rule, ...] = (_short, _affordable)
SIZES = {"examples": EXAMPLES, "channels": CHANNELS, "positions": POSITIONS}


def features(s: Source, at: Levels) -> Array:
    """x (N, C, …): each channel of the same kind, or one that never varies among those that do."""
    shape, kind = (at.examples, at.channels, *at.positions), at.data
    if kind == "shifted":
        return round_to(s.normal(shape) + (4096.0 if s.dtype == "fp32" else 64.0), s.dtype)
    x = values(s, shape, "normal" if kind == "one constant" else kind)
    if kind == "one constant":
        x[:, at.channels // 2] = 0.75
    return x


def _gamma(s: Source, at: Levels) -> Array:
    return {"normal": s.normal((at.channels,)), "zero": np.zeros(at.channels), "one": np.ones(at.channels)}[at.gamma]


_AFFINE = {**SIZES, "data": KINDS, "gamma": GAMMA, "eps": EPS}


@factors("norm.batch", levels={**_AFFINE, **beside("gamma", "beta")}, rules=RULES)
def batch(s: Source, at: Levels) -> Arguments:
    own = apart(s, at)
    return {"x": features(s, at), "gamma": _gamma(own, at), "beta": own.normal((at.channels,)), "eps": at.eps}


def _gathered(s: Source, at: Levels) -> dict[str, Array]:
    """What training gathered: means, and variances, of which one may be 0."""
    var = round_to(s.rng.uniform(0.25, 4.0, at.channels), s.dtype)
    if at.var == "one zero":
        var[at.channels // 2] = 0.0
    return {"mu": s.normal((at.channels,)), "var": var * (2.0**-9 if at.var == "small" else 1)}


@factors("norm.batch.inference", rules=RULES,
         levels={**_AFFINE, "var": ("plain", "one zero", "small"), **beside("mu", "var", "gamma", "beta")})
def inference(s: Source, at: Levels) -> Arguments:
    return {**batch(s, at), **_gathered(apart(s, at), at)}


@factors("norm.batch.running", levels={**SIZES, "data": KINDS, "rho": (0.1, 0.0, 0.5, 1.0),
                                       "var": ("plain", "one zero", "small")}, rules=(*RULES, _several))
def running(s: Source, at: Levels) -> Arguments:
    return {"x": features(s, at), **_gathered(s, at), "rho": at.rho}


_BACK = {**SIZES, "data": KINDS, "d": ("normal", "small", "wide", "zero")}


@factors("norm.batch.grad_x", levels={**_BACK, "gamma": GAMMA, "eps": EPS, **beside("gamma")}, rules=RULES)
def grad_x(s: Source, at: Levels) -> Arguments:
    x = features(s, at)
    return {"d": values(s, x.shape, at.d), "x": x, "gamma": _gamma(apart(s, at), at), "eps": at.eps}


@factors("norm.batch.grad_gamma", levels={**_BACK, "eps": EPS}, rules=RULES)
def grad_gamma(s: Source, at: Levels) -> Arguments:
    x = features(s, at)
    return {"d": values(s, x.shape, at.d), "x": x, "eps": at.eps}


@factors("norm.batch.grad_beta", levels={**SIZES, "data": ("normal", "small", "positive", "wide", "ties")}, rules=RULES)
def grad_beta(s: Source, at: Levels) -> Arguments:
    return {"d": values(s, (at.examples, at.channels, *at.positions), at.data)}
