"""What varies in an optimizer: its numbers, its step, the states that earlier steps left, and zeros everywhere."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .activations import SHAPES
from .base import Levels, factors
from .regimes import values

ETA = (0.01, 0.5, 0.0, 1.0)
MU = (0.9, 0.0, 0.5, 0.99)
BETA1 = (0.9, 0.0, 0.5, 0.95)
BETA2 = (0.999, 0.5, 0.9, 0.98)
EPS = (2.0**-10, 0.0625, 1e-6)
T = (3, 1, 2, 300)
DECAY = (0.125, 0.0, 0.01)
STATES = ("earlier", "zero", "fresh", "huge")
KINDS = ("normal", "small", "positive", "wide", "ties", "zero")
THETA = ("normal", "zero", "wide")


def moving(s: Source, shape: tuple[int, ...], state: str) -> Array:
    """A velocity, or a first moment."""
    if state == "zero":
        return np.zeros(shape)
    return s.normal(shape, {"earlier": 1.0, "fresh": 2.0**-6, "huge": 2.0**7}[state])


def squared(s: Source, shape: tuple[int, ...], state: str) -> Array:
    """A sum or an average of squares; away from 0 unless it is 0, so that its root is well known."""
    if state == "zero":
        return np.zeros(shape)
    scale = {"earlier": 1.0, "fresh": 2.0**-8, "huge": 2.0**12}[state]
    return round_to(scale * s.rng.uniform(0.25, 2.0, shape), s.dtype)


def moments(s: Source, shape: tuple[int, ...], state: str) -> tuple[Array, Array]:
    return moving(s, shape, state), squared(s, shape, state)


def _plain(s: Source, at: Levels) -> Arguments:
    return {"theta": values(s, at.shape, at.theta), "D": values(s, at.shape, at.data), "eta": at.eta}


_PLAIN = {"shape": SHAPES, "data": KINDS, "theta": THETA, "eta": ETA}


@factors("opt.sgd", levels=_PLAIN)
def sgd(s: Source, at: Levels) -> Arguments:
    return _plain(s, at)


@factors("opt.momentum", "opt.nesterov", levels={**_PLAIN, "mu": MU, "state": STATES})
def momentum(s: Source, at: Levels) -> Arguments:
    return {**_plain(s, at), "v": moving(s, at.shape, at.state), "mu": at.mu}


@factors("opt.adagrad", levels={**_PLAIN, "eps": EPS, "state": STATES})
def adagrad(s: Source, at: Levels) -> Arguments:
    return {**_plain(s, at), "G": squared(s, at.shape, at.state), "eps": at.eps}


_ADAM = {**_PLAIN, "t": T, "beta1": BETA1, "beta2": BETA2, "eps": EPS, "state": STATES}


@factors("opt.adam", levels=_ADAM)
def adam(s: Source, at: Levels) -> Arguments:
    m, v = moments(s, at.shape, at.state)
    return {**_plain(s, at), "m": m, "v": v, "t": at.t, "beta1": at.beta1, "beta2": at.beta2, "eps": at.eps}


@factors("opt.adamw", levels={**_ADAM, "lam": DECAY})
def adamw(s: Source, at: Levels) -> Arguments:
    return {**adam(s, at), "lam": at.lam}


_SHORT = ((3, 11), (1,), (2,), (17,), (64,), (65,), (5, 26), (2, 3, 4))


@factors("opt.lamb", levels={**_ADAM, "shape": _SHORT, "lam": DECAY})
def lamb(s: Source, at: Levels) -> Arguments:
    """One layer's lengths are sums over all of it: short ones, which the reference walks."""
    return adamw(s, at)
