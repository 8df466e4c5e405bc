"""What varies in local and shared layers: examples, nodes, the window, the intercept, g, λ, n."""

from __future__ import annotations

from typing import Any

from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .base import Levels, Make, Rule, factors
from .networks import ACTS, SLOPES, count, slopes
from .regimes import values

BATCH = (5, 1, 2, 16, 17, 65, 130)
NODES = (13, 1, 2, 6, 16, 17, 64, 130)
WINDOW = (3, 1, 5, 7, 17)
KINDS = ("normal", "small", "positive", "wide", "cancelling", "ties", "zero")
RULES: tuple[Rule, ...] = (lambda at: at.batch * at.nodes <= 4500, lambda at: at.nodes * at.m <= 1200)
_SIZES = {"batch": BATCH, "nodes": NODES, "m": WINDOW}


def _weights(s: Source, at: Levels, which: str) -> Array:
    return s.normal((at.nodes, at.m) if which == "w" else (at.m,), at.m**-0.5)


def _layer(which: str) -> Make:
    def make(s: Source, at: Levels) -> Arguments:
        b = s.normal((at.nodes if which == "w" else 1,))
        return {"x": values(s, (at.batch, at.nodes), at.data), which: _weights(s, at, which),
                "b": None if at.b is None else b, "act": at.act}
    return make


def _grad_x(which: str) -> Make:
    def make(s: Source, at: Levels) -> Arguments:
        shape = (at.batch, at.nodes)
        through: dict[str, Any] = {} if at.z is None else {"z": slopes(s, shape, at.z), "act": at.act}
        return {"d": values(s, shape, at.data), which: _weights(s, at, which), **through}
    return make


def _grad_w(which: str) -> Make:
    def make(s: Source, at: Levels) -> Arguments:
        shape = (at.batch, at.nodes)
        averaged = {} if at.lam is None else {which: _weights(s, at, which), "lam": at.lam}
        return {"d": values(s, shape, at.data), "x": s.normal(shape), "m": at.m, **averaged, "n": count(at)}
    return make


def _grad_b(s: Source, at: Levels) -> Arguments:
    return {"d": values(s, (at.batch, at.nodes), at.data), "n": count(at)}


_N = ("batch", "one", "parts")
for _op, _which in (("arch.local.layer", "w"), ("arch.shared.layer", "theta")):
    factors(_op, rules=RULES, levels={**_SIZES, "data": KINDS, "b": ("given", None), "act": ACTS})(_layer(_which))
    factors(f"{_op}.grad_x", rules=RULES, levels={
        **_SIZES, "data": KINDS, "z": (*SLOPES, None), "act": ACTS})(_grad_x(_which))
    factors(f"{_op}.grad_{_which}", rules=RULES, levels={
        **_SIZES, "data": KINDS, "lam": (0.125, None, 0.0, 1.0), "n": _N})(_grad_w(_which))
    factors(f"{_op}.grad_b", rules=RULES, levels={
        "batch": BATCH, "nodes": NODES, "data": KINDS, "n": _N})(_grad_b)
