"""The losses with their output deltas."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import losses
from ....scalar import exp, log
from ..numbers.bounded import total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, elementwise, gathered, operation, scalars, stable

LANES = 64                   # classes beyond which the softmax is taken whole; proved equal to the reference below it


@operation("loss.xent.logits", "loss", "delta", axes=elementwise("z y", "loss delta"))
def cross_entropy_logits(lift: Lift, form: Form, z: Array, y: Array) -> Outputs:
    """The reading that training uses: minus the printed expression, δ = a − y."""
    return {
        "loss": form("loss.xent.logits")(y=lift(y), z=lift(z)),
        "delta": form("loss.xent.logits.delta")(y=lift(y), z=lift(z)),
    }


@operation("loss.square", "loss", "delta", axes=elementwise("yhat y", "loss delta"))
def square(lift: Lift, form: Form, yhat: Array, y: Array) -> Outputs:
    return {
        "loss": form("loss.square")(y=lift(y), yhat=lift(yhat)),
        "delta": form("loss.square.delta")(y=lift(y), yhat=lift(yhat)),
    }


@operation("loss.softmax", "loss", "delta", axes="z B, y B -> loss B, delta B")
def softmax(lift: Lift, form: Form, z: Array, y: Array) -> Outputs:
    """K-class cross entropy over the rows of z; the careful form subtracts the row's largest logit first."""
    hot = (y[:, None] == np.arange(z.shape[1])).astype(np.float64)
    logits = lift(z) - lift(z.max(axis=1, keepdims=True, initial=-np.inf)) if form is stable else lift(z)
    if form is stable or z.shape[1] > LANES:
        e = exp(logits)
        whole = total(e, 1)
        return {"loss": log(whole) - logits[np.arange(len(y)), y], "delta": e / whole[:, None] - lift(hot)}
    z_k, y_k = [lift(column) for column in z.T], [lift(column) for column in hot.T]
    delta = [p_k - one for p_k, one in zip(losses.softmax(z_k), y_k)]
    return {"loss": losses.cross_entropy_softmax(y_k, z_k), "delta": gathered(delta).T}


@operation("loss.softmax.weighted", "loss", "delta", "mass", axes="z B, y B -> loss B, delta B, mass B")
def softmax_weighted(lift: Lift, form: Form, z: Array, y: Array, w: Array | None = None, ignored: int = -100,
                     smoothing: Any = 0.0) -> Outputs:
    """A row whose label is `ignored` has w = 0 for every class; mass is the weight of the label's own."""
    K, hot = z.shape[1], (y[:, None] == np.arange(z.shape[1])).astype(np.float64)
    own = np.where((y != ignored)[:, None], np.ones(K) if w is None else w, 0.0)
    mass = lift((own * hot).sum(axis=1))
    if form is stable or K > LANES:
        largest = z.max(axis=1, keepdims=True, initial=-np.inf) if form is stable else np.zeros((len(z), 1))
        logits = lift(z) - lift(largest)
        e, labels = exp(logits), lift(own) * ((1 - smoothing) * lift(hot) + smoothing / K)
        whole = total(e, 1)
        delta = e / whole[:, None] * total(labels, 1)[:, None] - labels
        unasked = (own == 0) | (hot == 0) & (smoothing == 0)                   # 0 log 0 is 0, where −∞ is a mask
        asked = lift(np.where(unasked, 0.0, z)) - lift(np.where(unasked, 0.0, largest))
        return {"loss": total(labels * (log(whole)[:, None] - asked), 1), "delta": delta, "mass": mass}
    z_k, y_k, w_k = ([lift(column) for column in one.T] for one in (z, hot, own))
    return {"loss": form("loss.softmax.weighted")(y_k, z_k, w_k, smoothing),
            "delta": gathered(form("loss.softmax.weighted.delta")(z_k, y_k, w_k, smoothing)).T, "mass": mass}


@operation("loss.mean", "mean")
def mean(lift: Lift, form: Form, loss: Array, mass: Array) -> Outputs:
    return {"mean": form("loss.mean")(scalars(lift, loss), scalars(lift, mass))}
