"""What varies in what is done to rows: how many, how long, how they spread, and the scale that follows."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .base import Levels, Rule, apart, beside, factors, mixed_in
from .regimes import values

ROWS = (5, 1, 2, 17, 50, 197, 257, 1024)
FEATURES = (40, 1, 2, 17, 50, 64, 65, 197, 257, 1025)
KINDS = ("normal", "shifted", "small", "positive", "wide", "constant", "two", "ties")
GAMMA = ("normal", "zero", "one")
EPS = (2.0**-10, 1e-5, 3.0)
RULES: tuple[Rule, ...] = (lambda at: at.rows * at.features <= 20_000,)
#: of γ that are all 0 or 1 nobody can tell the dtype
TELLING: tuple[Rule, ...] = (*RULES, lambda at: mixed_in(at) is None or at.gamma == "normal")
_SIZES = {"rows": ROWS, "features": FEATURES}


def spread(s: Source, shape: tuple[int, ...], kind: str) -> Array:
    """Rows of a kind; `shifted` ones lie far from 0, so that a variance by squares loses all its digits."""
    if kind == "shifted":
        return round_to(s.normal(shape) + (4096.0 if s.dtype == "fp32" else 64.0), s.dtype)
    return values(s, shape, kind)


def gamma(s: Source, at: Levels) -> Array:
    return {"normal": s.normal((at.features,)), "zero": np.zeros(at.features), "one": np.ones(at.features)}[at.gamma]


SCORES = ("spread", "normal", "small", "wide", "low", "high", "ties", "constant", "one far", "minus infinity", "nan")
_SHARES = {"rows": (17, 1, 2, 65), "numbers": (10, 1, 2, 3, 16, 17, 64, 65, 128, 129, 257, 1025, 4099),
           "data": SCORES}
_FEW: tuple[Rule, ...] = (lambda at: at.rows * at.numbers <= 20_000,)


@factors("act.softmax", levels=_SHARES, rules=_FEW)
def softmax(s: Source, at: Levels) -> Arguments:
    return {"z": values(s, (at.rows, at.numbers), at.data)}


@factors("act.softmax.prime", levels={**_SHARES, "d": ("normal", "small", "wide", "zero", "constant")}, rules=_FEW)
def softmax_prime(s: Source, at: Levels) -> Arguments:
    z = values(s, (at.rows, at.numbers), at.data)
    return {"d": values(s, z.shape, at.d), "z": z}


@factors("norm.layer", levels={**_SIZES, "data": KINDS, "gamma": GAMMA, "eps": EPS, **beside("gamma", "beta")},
         rules=TELLING)
def layer(s: Source, at: Levels) -> Arguments:
    x, own = spread(s, (at.rows, at.features), at.data), apart(s, at)
    return {"x": x, "gamma": gamma(own, at), "beta": own.normal((at.features,)), "eps": at.eps}


_BACK = {**_SIZES, "data": KINDS, "d": ("normal", "small", "wide", "zero")}


@factors("norm.layer.grad_x", levels={**_BACK, "gamma": GAMMA, "eps": EPS, **beside("gamma")}, rules=TELLING)
def grad_x(s: Source, at: Levels) -> Arguments:
    x = spread(s, (at.rows, at.features), at.data)
    return {"d": values(s, x.shape, at.d), "x": x, "gamma": gamma(apart(s, at), at), "eps": at.eps}


@factors("norm.layer.grad_gamma", levels={**_BACK, "eps": EPS}, rules=RULES)
def grad_gamma(s: Source, at: Levels) -> Arguments:
    x = spread(s, (at.rows, at.features), at.data)
    return {"d": values(s, x.shape, at.d), "x": x, "eps": at.eps}


@factors("norm.layer.grad_beta", rules=RULES,
         levels={**_SIZES, "data": ("normal", "small", "positive", "wide", "ties")})
def grad_beta(s: Source, at: Levels) -> Arguments:
    return {"d": values(s, (at.rows, at.features), at.data)}
