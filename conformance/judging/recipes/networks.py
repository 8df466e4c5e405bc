"""Data for activations, layers, deltas, the averaged gradient, the update and the losses."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..operations import ACTIVATIONS, LAYERED, PARAMETERS
from .base import DISTRIBUTIONS, Arguments, Family, Source, drawn, exact_elements, exact_pair, hide, stripe, striped


def affine(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, inputs, outputs, act = size[0], size[1], size[2], "relu"
    if kind.startswith("exact"):
        x, w = exact_pair(s, (batch, inputs), (outputs, inputs), inputs, (1, 1))
        return {"x": x, "w": w, "b": s.integers((outputs,), 3), "act": kind.partition("-")[2] or act}
    kind, _, act = kind.partition("-")
    x = drawn(s, (batch, inputs), kind)
    w = s.normal((outputs, inputs), inputs**-0.5) if kind != "cancelling" else _repeated(s, outputs, inputs)
    return {"x": x, "w": w, "b": s.normal((outputs,)), "act": act or "identity"}


def _repeated(s: Source, outputs: int, inputs: int) -> Array:
    """Weights whose two halves are equal, so that a cancelling row nearly sums to zero."""
    w = s.normal((outputs, inputs))
    half = inputs // 2
    w[:, half:2 * half] = w[:, :half]
    return w


def delta_chain(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, outputs, inputs = size
    if kind.startswith("exact"):
        terms = outputs * (2 if s.dtype != "fp32" else 1)
        delta, w = exact_pair(s, (batch, outputs), (outputs, inputs), terms, (1, 0))
        z = (2 * s.rng.integers(-4, 4, (batch, inputs)) + 1) / 4        # never 0: the kink is a convention
        return {"delta": thin(s, delta), "w": w, "z": z, "act": kind.partition("-")[2] or "relu"}
    kind, _, act = kind.partition("-")
    return {"delta": drawn(s, (batch, outputs), kind), "w": s.normal((outputs, inputs), outputs**-0.5),
            "z": s.normal((batch, inputs), 2.0), "act": act or "sigmoid"}


def thin(s: Source, delta: Array) -> Array:
    """Keep a sum over the batch representable too: in 16-bit types only a few rows are non-zero."""
    if s.dtype == "fp32":
        return delta
    keep = s.rng.random(len(delta)) < 6 / max(len(delta), 1)
    keep[[0, -1]] = True
    return delta * keep[:, None]


def delta_rec(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    arguments = delta_chain(s, size, kind.partition("-")[0])
    z = arguments.pop("z")
    arguments.pop("act")
    if kind.startswith("exact"):
        return {**arguments, "a": np.where(z > 0, 0.5, np.where(z < -1, 1.0, -1.0))}
    return {**arguments, "a": round_to(1 / (1 + np.exp(-z)), s.dtype)}


def average(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, outputs, inputs = size
    if kind.startswith("exact"):
        delta, a = exact_pair(s, (batch, outputs), (batch, inputs), batch)
        delta = thin(s, delta)                           # what cancels must not be thinned out
        hide(s, delta, a)
        return {"delta": delta, "a": a,
                "w": s.integers((outputs, inputs), 3) * 4, "lam": 0.25, "n": 2 if s.dtype == "bf16" else 8}
    return {"delta": drawn(s, (batch, outputs), kind), "a": drawn(s, (batch, inputs), kind),
            "w": s.normal((outputs, inputs)), "lam": 0.125 if s.dtype == "bf16" else 0.01, "n": batch}


def sgd(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind.startswith("exact"):
        return {"theta": s.integers(size, 9), "D": s.integers(size, 5), "eta": 0.25}
    return {"theta": drawn(s, size, kind), "D": drawn(s, size, kind), "eta": 0.01}


def logits(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    z = s.normal(size, 3.0) if kind == "normal" else drawn(s, size, kind)
    y = (s.rng.random(size) < 0.5).astype(np.float64)
    return {"z": z, "y": s.uniform(size) if kind == "positive" else y}


def square(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind.startswith("exact"):
        return {"yhat": exact_elements(s, size), "y": s.integers(size, 2)}
    return {"yhat": drawn(s, size, kind), "y": drawn(s, size, "normal")}


def softmax(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, classes = size
    z = s.normal(size, 3.0) if kind == "normal" else striped(s, size) if kind == "stripes" else drawn(s, size, kind)
    y = s.rng.integers(0, classes, batch)
    y[0], y[-1] = 0, classes - 1
    return {"z": z, "y": np.where(np.isneginf(z[np.arange(batch), y]), y - stripe(classes), y)}


def softmax_weighted(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """Every third label but the first is left out: by −100, or `class` by being a class."""
    arguments = softmax(s, size, "normal" if kind in ("unweighted", "unsmoothed", "class") else kind)
    ignored = 0 if kind == "class" else -100
    arguments["y"][2::3] = ignored
    weights = round_to(s.rng.uniform(0.25, 4.0, size[1]), s.dtype)
    return {**arguments, "w": None if kind == "unweighted" else weights, "ignored": ignored,
            "smoothing": 0.0 if kind in ("unsmoothed", "stripes") else 0.125}


def mean(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """Exact: weights 1 and 2 of a power of two in all, and a few losses that are not 0."""
    n = size[0]
    if kind == "exact":
        quarter = 2 ** int(np.log2(n)) // 4
        mass = np.repeat([1.0, 2.0, 0.0], [2 * quarter, quarter, n - 3 * quarter]) if quarter else np.ones(n)
        return {"loss": s.integers(size, 3, 8 / n), "mass": s.rng.permutation(mass)}
    mass = round_to(s.rng.uniform(0.25, 4.0, n), s.dtype) * (np.arange(n) % 3 != 2)
    return {"loss": abs(drawn(s, size, kind)), "mass": mass}


def activation(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind.startswith("exact"):
        return {"z": (2 * s.rng.integers(-8, 8, size) + 1) / 4}
    kind, _, parameter = kind.partition("-")
    z = s.normal(size, 4.0) if kind == "normal" else drawn(s, size, kind)
    return {"z": z, **({parameter: 0.75} if parameter else {})}


_MATRIX = ((33, 40, 17), (5, 70, 3), (1, 1, 1), (64, 129, 66))
_FLAT = ((3, 43), (1,), (129,))
FAMILIES: dict[str, Family] = {
    **{f"act.{a}{prime}": Family(activation, _FLAT, ("exact",) if a in ("relu", "identity") else (),
                                 ("normal", "small", "wide", *(f"normal-{p}" for p in PARAMETERS.get(a, {}))))
       for prime in ("", ".prime") for a in ACTIVATIONS},
    "net.layer.affine": Family(affine, _MATRIX, ("exact-relu", "exact-identity"),
                               (*DISTRIBUTIONS, *(f"normal-{a}" for a in LAYERED if a != "identity")),
                               long=((33, 261, 41), (26, 1030, 40))),
    "bp.delta.chain": Family(delta_chain, _MATRIX, ("exact-relu", "exact-identity"),
                             (*DISTRIBUTIONS, *(f"normal-{a}" for a in LAYERED if a != "sigmoid")),
                             long=((33, 261, 41), (26, 518, 40))),
    "bp.delta.rec": Family(delta_rec, _MATRIX),
    "alg.average": Family(average, _MATRIX, long=((261, 33, 41), (1030, 26, 40))),
    "opt.sgd": Family(sgd, _FLAT),
    "loss.xent.logits": Family(logits, _FLAT, (), ("normal", "small", "positive", "wide")),
    "loss.square": Family(square, _FLAT, ("exact",), ("normal", "small", "wide")),
    "loss.softmax": Family(softmax, ((17, 10), (3, 1), (1, 37), (5, 130)), (),
                           ("normal", "small", "wide", "stripes"), long=((9, 260),)),
    "loss.softmax.weighted": Family(
        softmax_weighted, ((17, 10), (3, 1), (1, 37), (5, 130)), (),
        ("normal", "small", "wide", "unweighted", "unsmoothed", "class", "stripes")),
    "loss.mean": Family(mean, ((43,), (1,), (129,)), ("exact",), ("normal", "small", "wide")),
}
