"""A whole training step of a network of two layers, and the gradient of a batch that comes in parts.

Nodes and examples are lanes, as in the layers that a step is made of; tests prove a step equal to the reference's. Of
what a step keeps in memory between its products each may be rounded to the dtype of its tensors: a, z, δ and D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....reference import backprop, optimizers
from ....scalar import exp
from .. import layout
from ..numbers.bounded import Bounded, total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, g, narrowed, operation
from .networks import accumulated

LOSSES = {"square": "loss.square", "logits": "loss.xent.logits", "softmax": "loss.softmax"}   # of the last layer's z
WEIGHTS, VELOCITIES = ("w1", "b1", "w2", "b2"), ("v1", "vb1", "v2", "vb2")


@operation("alg.accumulate.batch", "G", "Gb", dot=True, keeps=True, axes="G N K, Gb N, delta B N, a B K -> G N K, Gb N")
def accumulate(lift: Lift, form: Form, G: Array, Gb: Array, delta: Array, a: Array, n: int) -> Outputs:
    """What was there, and Δ/n of this part; a mean's 1/n may be in δ before the product, and Δ/n be kept after it."""
    (intercept, weights), = accumulated(narrowed(lift(delta) / n, lift), map(lift, a))[1:]
    return {"G": lift(G) + narrowed(weights, lift), "Gb": lift(Gb) + narrowed(intercept[:, 0], lift)}


def as_it_is(number: Any) -> Any:
    """What is lifted already."""
    return number


def affine(lift: Lift, x: Any, w: Array, b: Array) -> Any:
    Theta = [None, [lift(b[None, :]), *(lift(column[None, :]) for column in w.T)]]
    return backprop.layer_z(Theta, layout.layer(as_it_is, x))[1]


def slope(form: Form, lift: Lift, act: str, z: Any) -> Any:
    """g′(z); where a rounded a is kept, as sigmoid's and tanh's are, g′ of that may stand for it."""
    prime = g(form, act, ".prime")(z)
    if act not in ("sigmoid", "tanh") or not isinstance(prime, Bounded):
        return prime
    a = narrowed(g(form, act)(z), lift)
    kept = a * (1 - a) if act == "sigmoid" else 1 - a * a
    return Bounded(prime.v, prime.ar, e=np.maximum(prime.error, kept.error))


def output_error(lift: Lift, form: Form, z: Any, y: Array, loss: str) -> Any:
    """δ of the last layer; behind a softmax y are labels, and rows are moved by their largest number, as kernels do."""
    if loss != "softmax":
        return form(f"{LOSSES[loss]}.delta")(**{"y": lift(y), "yhat" if loss == "square" else "z": z})
    hot = (y[:, None] == np.arange(z.v.shape[1] if isinstance(z, Bounded) else z.shape[1])).astype(np.float64)
    e = exp(z - lift(z.v.max(axis=1, keepdims=True)) if isinstance(z, Bounded) else z)
    return e / total(e, 1)[:, None] - lift(hot)


def averages(lift: Lift, form: Form, x: Array, y: Array, w: tuple[Array, ...], b: tuple[Array, ...], act: str,
             loss: str, lam: Any) -> list[Any]:
    """D of w1, b1, w2, b2: every δ from the weights that are there."""
    z = narrowed(affine(lift, lift(x), w[0], b[0]), lift)
    a = narrowed(g(form, act)(z), lift)
    out = narrowed(affine(lift, a, w[1], b[1]), lift)
    last = narrowed(output_error(lift, form, out, y, loss), lift)
    through = [None, slope(form, lift, act, z)]
    chained = backprop.delta_chain(layout.weights(lift, w[1]), layout.errors(as_it_is, last), through)
    hidden, found = narrowed(chained[1], lift), []
    for delta, before, theta in ((hidden, lift(x), w[0]), (last, a, w[1])):
        (intercept, weights), = accumulated(delta, before)[1:]
        summed = narrowed(weights / len(x), lift)                 # D may be kept before λΘ is added, and after it
        found += [narrowed(summed + lam * lift(theta), lift), narrowed(intercept[:, 0] / len(x), lift)]
    return found


def stepped(move: Callable[..., tuple[Any, ...]], lift: Lift, form: Form, given: dict[str, Array],
            **rest: Any) -> list[tuple[Any, ...]]:
    theta = [given[name] for name in WEIGHTS]
    D = averages(lift, form, w=(theta[0], theta[2]), b=(theta[1], theta[3]), **rest)
    return [move(lift(one), d, *(lift(given[name]) for name in (own,) if name in given))
            for one, d, own in zip(theta, D, VELOCITIES)]


@operation("net.step", *WEIGHTS, dot=True, keeps=True)
def step(lift: Lift, form: Form, x: Array, y: Array, w1: Array, b1: Array, w2: Array, b2: Array, act: str, loss: str,
         lam: Any, eta: Any) -> Outputs:
    moved = stepped(lambda theta, D: (optimizers.sgd(theta, D, eta),), lift, form,
                    {"w1": w1, "b1": b1, "w2": w2, "b2": b2}, x=x, y=y, act=act, loss=loss, lam=lam)
    return dict(zip(WEIGHTS, (one for (one,) in moved)))


@operation("net.step.momentum", *WEIGHTS, *VELOCITIES, dot=True, keeps=True)
def step_momentum(lift: Lift, form: Form, x: Array, y: Array, w1: Array, b1: Array, w2: Array, b2: Array, v1: Array,
                  vb1: Array, v2: Array, vb2: Array, act: str, loss: str, lam: Any, eta: Any, mu: Any) -> Outputs:
    given = {"w1": w1, "b1": b1, "w2": w2, "b2": b2, "v1": v1, "vb1": vb1, "v2": v2, "vb2": vb2}

    def move(theta: Any, D: Any, v: Any) -> tuple[Any, Any]:
        """opt.momentum, whose v may be kept before it is stepped along."""
        _, v = optimizers.momentum(theta, D, v, eta, mu)
        return optimizers.sgd(theta, narrowed(v, lift), eta), v
    moved = stepped(move, lift, form, given, x=x, y=y, act=act, loss=loss, lam=lam)
    return dict(zip((*WEIGHTS, *VELOCITIES), (part for k in (0, 1) for part in [one[k] for one in moved])))
