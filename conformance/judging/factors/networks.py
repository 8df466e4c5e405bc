"""What varies in a layer, the delta recursion and the averaged gradient: three sizes, λ, n, g, and the numbers."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..operations import LAYERED
from ..recipes import Arguments, Source
from .base import Levels, Rule, factors
from .regimes import values

SIZES = (5, 1, 2, 16, 17, 64, 65, 129, 1025)
PRODUCTS = 1_060_000                     # what one case may cost: two sizes past 1,024 where the third is 1
ACTS = ("relu", *(act for act in LAYERED if act != "relu"))
KINDS = ("normal", "small", "positive", "wide", "cancelling", "ties", "zero")


def affordable(*sizes: str) -> Rule:
    """Two sizes may be large together where the third is not."""
    return lambda at: float(np.prod([at.get(name, 1) for name in sizes])) <= PRODUCTS


@factors("net.layer.affine", levels={
    "batch": SIZES, "inputs": SIZES, "outputs": SIZES, "act": ACTS, "b": ("given", None),
    "data": (*KINDS, "nan", "infinite", "subnormal"),
}, rules=(affordable("batch", "inputs", "outputs"),))
def affine(s: Source, at: Levels) -> Arguments:
    return {"x": values(s, (at.batch, at.inputs), at.data),
            "w": s.normal((at.outputs, at.inputs), at.inputs**-0.5),
            "b": None if at.b is None else s.normal((at.outputs,)), "act": at.act}


def slopes(s: Source, shape: tuple[int, ...], regime: str) -> Array:
    """What g′ is taken of: plain, saturated, or of one sign; never at a kink."""
    scale = {"plain": 2.0, "saturated": 12.0, "positive": 1.0, "negative": 1.0}[regime]
    z = s.normal(shape, scale)
    z[z == 0] = 0.5
    return {"positive": np.abs(z), "negative": -np.abs(z)}.get(regime, z)


SLOPES = ("plain", "saturated", "positive", "negative")


@factors("bp.delta.chain", levels={
    "batch": SIZES, "outputs": SIZES, "inputs": SIZES, "act": ("sigmoid", *(a for a in ACTS if a != "sigmoid")),
    "data": KINDS, "z": SLOPES,
}, rules=(affordable("batch", "inputs", "outputs"),))
def chain(s: Source, at: Levels) -> Arguments:
    return {"delta": values(s, (at.batch, at.outputs), at.data),
            "w": s.normal((at.outputs, at.inputs), at.outputs**-0.5),
            "z": slopes(s, (at.batch, at.inputs), at.z), "act": at.act}


@factors("bp.delta.rec", levels={"batch": SIZES, "outputs": SIZES, "inputs": SIZES, "data": KINDS, "z": SLOPES},
         rules=(affordable("batch", "inputs", "outputs"),))
def recursion(s: Source, at: Levels) -> Arguments:
    z = slopes(s, (at.batch, at.inputs), at.z)
    return {"delta": values(s, (at.batch, at.outputs), at.data),
            "w": s.normal((at.outputs, at.inputs), at.outputs**-0.5),
            "a": round_to(1 / (1 + np.exp(-z)), s.dtype)}


def count(at: Levels) -> int:
    """n: the batch, or another number where a batch comes in parts."""
    return int({"batch": at.batch, "one": 1, "parts": 3 * at.batch + 1}[at.n])


AVERAGED = {"batch": SIZES, "outputs": SIZES, "inputs": SIZES, "lam": (0.125, 0.0, 1.0, 0.01),
            "n": ("batch", "one", "parts"), "data": KINDS}
#: λ as bf16 holds it too, so that it says nothing about how a scalar is passed.


@factors("alg.average", levels=AVERAGED, rules=(affordable("batch", "inputs", "outputs"),))
def average(s: Source, at: Levels) -> Arguments:
    return {"delta": values(s, (at.batch, at.outputs), at.data), "a": s.normal((at.batch, at.inputs)),
            "w": s.normal((at.outputs, at.inputs)), "lam": at.lam, "n": count(at)}
