"""Arguments at the edges: special values, batches without examples, and what every op must refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import field, frozen

from ... import spec
from . import edges_bands, edges_embedding, edges_images
from .numbers.lanes import Array
from .operations import ACTIVATIONS
from .recipes import Arguments

POINTS = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.125, -0.125, 2.0**-14, -(2.0**-14),
          20.0, -20.0, 88.0, -88.0, 100.0, -100.0, 1000.0)


@frozen
class Special:
    """An elementwise op at special values of one argument; `legal` leaves out where the formula has no value."""

    argument: str = "z"
    others: dict[str, float] = field(factory=dict)
    legal: Callable[[float], bool] = lambda z: True


SPECIAL: dict[str, Special] = {
    **{f"act.{a}{prime}": Special() for prime in ("", ".prime") for a in ACTIVATIONS},
    **{f"act.{a}{prime}": Special(legal=lambda z: not np.isinf(z)) for prime in ("", ".prime")       # 0 · ∞
       for a in ("gelu", "gelu.tanh")},
    # the value at a kink is a convention, a trap of its own; and no branch owns NaN
    "act.relu.prime": Special(legal=lambda z: z != 0 and not np.isnan(z)),
    "act.leaky.prime": Special(legal=lambda z: z != 0 and not np.isnan(z)),
    "act.elu.prime": Special(legal=lambda z: not np.isnan(z)),
    "act.identity.prime": Special(legal=lambda z: not np.isnan(z)),
    # its square overflows before its argument does
    "loss.square": Special("yhat", {"y": 0.0}, lambda z: not np.isfinite(z) or abs(z) <= 100),
    # −∞ · 0 is the printed 0 log 0, which the deck does not define
    "loss.xent.logits": Special("z", {"y": 1.0}, lambda z: bool(np.isfinite(z))),
}

def _moving(n: int) -> Arguments:
    return {"theta": np.ones(n), "D": np.ones(n), "v": np.ones(n)}


def _adam(n: int, t: int) -> Arguments:
    return {**_moving(n), "m": np.ones(n), "t": t, "eta": 0.5, "beta1": 0.5, "beta2": 0.5, "eps": 0.5}


def _rows(n: int = 2) -> Arguments:
    return {"x": np.ones((n, 4)), "gamma": np.ones(4), "beta": np.ones(4), "eps": 0.5}


def _head(queries: int = 2, **more: Array) -> Arguments:
    return {"Q": np.ones((1, 2, queries, 4)), "K": np.ones((1, 2, 3, 4)), "V": np.ones((1, 2, 3, 5)), **more}


def _step(**other: Array) -> Arguments:
    return {"x": np.ones((4, 3)), "y": np.ones((4, 2)), "w1": np.ones((5, 3)), "b1": np.ones(5), "w2": np.ones((2, 5)),
            "b2": np.ones(2), "act": "relu", "loss": "square", "lam": 0.5, "eta": 0.5, **other}


def _part(**other: Array) -> Arguments:
    return {"G": np.ones((2, 3)), "Gb": np.ones(2), "delta": np.ones((4, 2)), "a": np.ones((4, 3)), "n": 4, **other}


def _batch() -> Arguments:
    return {"x": np.ones((4, 3)), "gamma": np.ones(3), "beta": np.ones(3), "eps": 0.5}


# An empty batch gives an empty result; the average of no examples is refused.
EMPTY: dict[str, Callable[[], Arguments]] = {
    "net.layer.affine": lambda: {"x": np.zeros((0, 3)), "w": np.ones((2, 3)), "b": np.ones(2), "act": "relu"},
    "bp.delta.chain": lambda: {"delta": np.zeros((0, 2)), "w": np.ones((2, 3)), "z": np.zeros((0, 3)),
                               "act": "relu"},
    "bp.delta.rec": lambda: {"delta": np.zeros((0, 2)), "w": np.ones((2, 3)), "a": np.zeros((0, 3))},
    "loss.softmax": lambda: {"z": np.zeros((0, 4)), "y": np.zeros(0, dtype=np.int64)},
    "loss.softmax.weighted": lambda: {"z": np.zeros((0, 4)), "y": np.zeros(0, dtype=np.int64), "w": np.ones(4)},
    "loss.xent.logits": lambda: {"z": np.zeros((0,)), "y": np.zeros((0,))},
    "loss.square": lambda: {"yhat": np.zeros((0,)), "y": np.zeros((0,))},
    "opt.sgd": lambda: {"theta": np.zeros((0,)), "D": np.zeros((0,)), "eta": 0.5},
    **{f"opt.{rule}": lambda: {**_moving(0), "eta": 0.5, "mu": 0.5} for rule in ("momentum", "nesterov")},
    "opt.adam": lambda: _adam(0, 1),
    "opt.adamw": lambda: {**_adam(0, 1), "lam": 0.5},
    "opt.lamb": lambda: {**_adam(0, 1), "lam": 0.5},
    **{f"act.{a}{p}": lambda: {"z": np.zeros((0, 3))} for a in ACTIVATIONS for p in ("", ".prime")},
    "act.softmax": lambda: {"z": np.ones((0, 4))},
    "act.softmax.prime": lambda: {"d": np.ones((0, 4)), "z": np.ones((0, 4))},
    "norm.layer": lambda: _rows(0),
    "norm.layer.grad_x": lambda: {"d": np.ones((0, 4)), "x": np.ones((0, 4)), "gamma": np.ones(4), "eps": 0.5},
    "attn.head": lambda: _head(0),
    **{f"attn.head.grad_{letter}": lambda: _head(0, d=np.ones((1, 2, 0, 5))) for letter in "QKV"},
    **edges_images.EMPTY,
    **edges_bands.EMPTY,
    **edges_embedding.EMPTY,
}

#: Ops that torch takes without a batch: whoever does as torch does there has not forgotten to refuse (`refuses-rank`).
EXTENDED = ("net.layer.affine", "conv2d.layer")

REFUSED: dict[str, dict[str, Callable[[], Arguments]]] = {
    "net.layer.affine": {
        "sizes": lambda: {"x": np.ones((2, 3)), "w": np.ones((4, 5)), "b": np.ones(4), "act": "relu"},
        "rank": lambda: {"x": np.ones(3), "w": np.ones((4, 3)), "b": np.ones(4), "act": "relu"},
        "activation": lambda: {"x": np.ones((2, 3)), "w": np.ones((4, 3)), "b": np.ones(4), "act": "softmx"},
    },
    "bp.delta.chain": {
        "sizes": lambda: {"delta": np.ones((2, 4)), "w": np.ones((3, 5)), "z": np.ones((2, 5)), "act": "relu"},
    },
    "bp.delta.rec": {"sizes": lambda: {"delta": np.ones((2, 4)), "w": np.ones((3, 5)), "a": np.ones((2, 5))}},
    "alg.average": {
        "no-examples": lambda: {"delta": np.zeros((0, 2)), "a": np.zeros((0, 3)), "w": np.ones((2, 3)),
                                "lam": 0.1, "n": 0},
        "sizes": lambda: {"delta": np.ones((4, 2)), "a": np.ones((5, 3)), "w": np.ones((2, 3)), "lam": 0.1, "n": 4},
    },
    "alg.accumulate.batch": {
        "sizes": lambda: _part(a=np.ones((5, 3))), "gradient": lambda: _part(G=np.ones((2, 4))),
        "no-examples": lambda: {**_part(), "n": 0},
    },
    "net.step": {
        "sizes": lambda: _step(w2=np.ones((2, 4))), "examples": lambda: _step(y=np.ones((3, 2))),
        "activation": lambda: {**_step(), "act": "softmx"},
    },
    "net.step.momentum": {"velocities": lambda: {**_step(), "mu": 0.5, "v1": np.ones((5, 2)), "vb1": np.ones(5),
                                                 "v2": np.ones((2, 5)), "vb2": np.ones(2)}},
    "opt.sgd": {"sizes": lambda: {"theta": np.ones(3), "D": np.ones(4), "eta": 0.1}},
    **{f"opt.{rule}": {"sizes": lambda: {**_moving(3), "v": np.ones(4), "eta": 0.5, "mu": 0.5}}
       for rule in ("momentum", "nesterov")},
    "opt.adagrad": {"sizes": lambda: {"theta": np.ones(3), "D": np.ones(4), "G": np.ones(3), "eta": 0.5, "eps": 0.5}},
    "opt.adam": {"step-zero": lambda: _adam(3, 0), "sizes": lambda: {**_adam(3, 1), "m": np.ones(1)}},
    "opt.adamw": {"step-zero": lambda: {**_adam(3, 0), "lam": 0.5}},
    "opt.lamb": {"step-zero": lambda: {**_adam(3, 0), "lam": 0.5}},
    "norm.batch": {
        "channels": lambda: {**_batch(), "gamma": np.ones(2)},
        "rank": lambda: {**_batch(), "x": np.ones(3)},
    },
    "norm.batch.inference": {"channels": lambda: {**_batch(), "mu": np.ones(2), "var": np.ones(3)}},
    "norm.batch.running": {
        "one-value": lambda: {"x": np.ones((1, 3)), "mu": np.ones(3), "var": np.ones(3), "rho": 0.5},
    },
    "norm.batch.grad_x": {
        "sizes": lambda: {"d": np.ones((2, 3)), "x": np.ones((4, 3)), "gamma": np.ones(3), "eps": 0.5},
    },
    "norm.batch.grad_gamma": {"sizes": lambda: {"d": np.ones((2, 3)), "x": np.ones((4, 3)), "eps": 0.5}},
    "norm.layer": {
        "features": lambda: {**_rows(), "gamma": np.ones(3)},
        "rank": lambda: {**_rows(), "x": np.ones(4)},
        "no-features": lambda: {"x": np.ones((2, 0)), "gamma": np.ones(0), "beta": np.ones(0), "eps": 0.5},
    },
    "norm.layer.grad_x": {
        "sizes": lambda: {"d": np.ones((2, 4)), "x": np.ones((3, 4)), "gamma": np.ones(4), "eps": 0.5},
    },
    "norm.layer.grad_gamma": {"sizes": lambda: {"d": np.ones((2, 3)), "x": np.ones((2, 4)), "eps": 0.5}},
    "act.softmax": {"rank": lambda: {"z": np.ones(4)}, "no-numbers": lambda: {"z": np.ones((2, 0))}},
    "act.softmax.prime": {"sizes": lambda: {"d": np.ones((2, 3)), "z": np.ones((2, 4))}},
    "attn.head": {
        "widths": lambda: _head(K=np.ones((1, 2, 3, 5))),
        "keys": lambda: _head(V=np.ones((1, 2, 4, 5))),
        "heads": lambda: _head(K=np.ones((1, 1, 3, 4)), V=np.ones((1, 1, 3, 5))),
        "rank": lambda: {"Q": np.ones((2, 4)), "K": np.ones((3, 4)), "V": np.ones((3, 5))},
        "mask": lambda: _head(keep=np.ones((1, 2), bool)),
    },
    **{f"attn.head.grad_{letter}": {"sizes": lambda: _head(d=np.ones((1, 2, 2, 4)))} for letter in "QKV"},
    "loss.softmax": {"sizes": lambda: {"z": np.ones((3, 4)), "y": np.zeros(2, dtype=np.int64)}},
    "loss.softmax.weighted": {
        "weights": lambda: {"z": np.ones((3, 4)), "y": np.zeros(3, dtype=np.int64), "w": np.ones(3)},
        "smoothing": lambda: {"z": np.ones((3, 4)), "y": np.zeros(3, dtype=np.int64), "smoothing": 1.5},
    },
    "loss.mean": {"sizes": lambda: {"loss": np.ones(3), "mass": np.ones(4)}},
    "loss.xent.logits": {"sizes": lambda: {"z": np.ones(3), "y": np.ones(4)}},
    "loss.square": {"sizes": lambda: {"yhat": np.ones(3), "y": np.ones(4)}},
    "conv1d.valid": {"filter-too-long": lambda: {"theta": np.ones(6), "x": np.ones(5)}},
    "conv1d.centred": {"even-filter": lambda: {"theta": np.ones(4), "a": np.ones(9)}},
    "conv2d.valid": {"filter-too-large": lambda: {"I": np.ones((5, 5)), "K": np.ones((2, 6))}},
    **edges_images.REFUSED,
    **edges_bands.REFUSED,
    **edges_embedding.REFUSED,
}


def traps(op: str) -> list[spec.Trap]:
    """The traps of an op: of its own record, and of the record of the δ that comes with a loss."""
    records = [spec.load()[id] for id in (op, f"{op}.delta") if id in spec.load()]
    return list({trap.name: trap for record in reversed(records) for trap in record.traps}.values())
