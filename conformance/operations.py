"""What is judged: one entry per op id, which says how a backend's tensors enter the unchanged reference.

An op is called by keyword with tensors. Here the same arguments become the reference's lists: nodes and batch rows are
lanes (arrays), so only the sums of the formula are walked one by one. `lift` turns an array into the number type asked
for, `form` picks the formula: `literal` (as printed, the oracle) or `stable` (what a careful kernel computes, the bound).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from attrs import frozen

from .. import reference, spec
from ..reference import backprop, convolution, losses, optimizers
from ..scalar import exp, log
from ..spec.derivations import derived
from . import layout
from .numbers.bounded import Bounded, joined, total
from .numbers.lanes import Array

Lift = Callable[[Array], Any]
Form = Callable[[str], Callable[..., Any]]
Outputs = dict[str, Any]

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky", "elu", "identity")
PARAMETERS = {"leaky": {"slope": 0.1}, "elu": {"alpha": 1.0}}      # as the deck prints them; α it leaves open


@frozen
class Operation:
    """One op: its id, its outputs in order, and the reference over its arguments."""

    id: str
    outputs: tuple[str, ...]
    evaluate: Callable[..., Outputs]
    dot: bool = False            # the inputs meet in a matrix product, so tf32 may round them


OPERATIONS: dict[str, Operation] = {}


def literal(name: str) -> Callable[..., Any]:
    """The formula as printed; where the deck prints none, the Python that the derivation printed."""
    found = reference.FUNCTIONS.get(name)
    return found if found is not None else derived(name)


def stable(name: str) -> Callable[..., Any]:
    """The numerically careful form of a scalar formula; formulas without one are careful as printed."""
    record = spec.load().get(name)
    return spec.function(name, "stable") if record is not None and record.stable else literal(name)


def operation(id: str, *outputs: str, dot: bool = False) -> Callable[[Callable[..., Outputs]], Callable[..., Outputs]]:
    def register(evaluate: Callable[..., Outputs]) -> Callable[..., Outputs]:
        OPERATIONS[id] = Operation(id, outputs, evaluate, dot)
        return evaluate

    return register


def gathered(numbers: Any) -> Any:
    """Nested lists of numbers as one array, or as one Bounded array."""
    probe = numbers
    while isinstance(probe, list) and probe:
        probe = probe[0]
    return joined(numbers) if isinstance(probe, Bounded) else np.array(numbers)


def scalars(lift: Lift, x: Array) -> Any:
    """An array as nested lists of single lifted numbers."""
    return lift(np.asarray(x)) if x.ndim == 0 else [scalars(lift, row) for row in x]


def g(form: Form, act: str, suffix: str = "") -> Callable[[Any], Any]:
    """The activation (or its derivative) that a layer applies, with the parameters the deck prints."""
    return partial(form(f"act.{act}{suffix}"), **PARAMETERS.get(act, {}))


def _activation(name: str) -> None:
    def given(parameters: dict[str, float]) -> dict[str, float]:
        return {**PARAMETERS.get(name, {}), **parameters}

    @operation(f"act.{name}", "a")
    def value(lift: Lift, form: Form, z: Array, **parameters: Any) -> Outputs:
        return {"a": form(f"act.{name}")(lift(z), **given(parameters))}

    @operation(f"act.{name}.prime", "g_prime")
    def prime(lift: Lift, form: Form, z: Array, **parameters: Any) -> Outputs:
        g_prime = form(f"act.{name}.prime")(lift(z), **given(parameters))
        return {"g_prime": g_prime + lift(np.zeros_like(z))}      # a constant g′ (identity) still has z's shape


for _name in ACTIVATIONS:
    _activation(_name)


@operation("net.layer.affine", "a", dot=True)
def affine(lift: Lift, form: Form, x: Array, w: Array, b: Array | None, act: str) -> Outputs:
    """a = g(Θ a): every node of the layer is one lane, every example another."""
    bias = np.zeros(len(w)) if b is None else b
    Theta = [None, [lift(bias[None, :]), *(lift(column[None, :]) for column in w.T)]]
    return {"a": backprop.layer(Theta, layout.layer(lift, x), g(form, act))[1]}


@operation("bp.delta.chain", "delta_prev", "db", dot=True)
def delta_chain(lift: Lift, form: Form, delta: Array, w: Array, z: Array, act: str) -> Outputs:
    """δ_i = Σ_k δ_k Θ_ki g′(z_i); the intercept's gradient sums it over the batch."""
    g_prime = g(form, act, ".prime")(lift(z))
    result = backprop.delta_chain(layout.weights(lift, w), layout.errors(lift, delta), [None, g_prime])[1]
    return {"delta_prev": result, "db": total(result, 0)}


@operation("bp.delta.rec", "delta_prev", "db", dot=True)
def delta_rec(lift: Lift, form: Form, delta: Array, w: Array, a: Array) -> Outputs:
    """δ_i = a_i (1 − a_i) Σ_k δ_k Θ_ki, the deck's sigmoid form."""
    result = backprop.delta_rec(layout.weights(lift, w), layout.errors(lift, delta), [1, lift(a)])[1]
    return {"delta_prev": result, "db": total(result, 0)}


@operation("alg.average", "D", "Db", dot=True)
def average(lift: Lift, form: Form, delta: Array, a: Array, w: Array, lam: Any, n: int) -> Outputs:
    """Δ accumulated over the examples, then D = Δ/n + λΘ where j ≠ 0, Δ/n for the intercept."""
    Delta: Any = [None, [0, 0]]
    for delta_k, a_k in zip(delta, a):
        Delta = backprop.accumulate(Delta, [1, lift(a_k[None, :])], [None, lift(delta_k[:, None])])
    intercept, weights = backprop.average(Delta, [None, [0, lift(w)]], lam, n)[1]
    return {"D": weights, "Db": intercept[:, 0]}


@operation("opt.sgd", "theta")
def sgd(lift: Lift, form: Form, theta: Array, D: Array, eta: Any) -> Outputs:
    return {"theta": optimizers.sgd(lift(theta), lift(D), eta)}


@operation("loss.xent.logits", "loss", "delta")
def cross_entropy_logits(lift: Lift, form: Form, z: Array, y: Array) -> Outputs:
    """The reading that training uses: minus the printed expression, δ = a − y."""
    return {
        "loss": form("loss.xent.logits")(y=lift(y), z=lift(z)),
        "delta": form("loss.xent.logits.delta")(y=lift(y), z=lift(z)),
    }


@operation("loss.square", "loss", "delta")
def square(lift: Lift, form: Form, yhat: Array, y: Array) -> Outputs:
    return {
        "loss": form("loss.square")(y=lift(y), yhat=lift(yhat)),
        "delta": form("loss.square.delta")(y=lift(y), yhat=lift(yhat)),
    }


@operation("loss.softmax", "loss", "delta")
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


LANES = 64                   # classes beyond which the softmax is taken whole; proved equal to the reference below it


@operation("conv1d.valid", "y")
def conv1d(lift: Lift, form: Form, theta: Array, x: Array) -> Outputs:
    return {"y": gathered(convolution.conv1d(scalars(lift, theta), scalars(lift, x)))}


@operation("conv1d.centred", "y")
def conv1d_centred(lift: Lift, form: Form, theta: Array, a: Array) -> Outputs:
    return {"y": gathered(convolution.conv1d_centred(scalars(lift, theta), scalars(lift, a)))}


@operation("conv2d.valid", "y")
def conv2d(lift: Lift, form: Form, I: Array, K: Array) -> Outputs:
    return {"y": gathered(convolution.conv2d(scalars(lift, I), scalars(lift, K)))}


def _derived(id: str, output: str) -> None:
    """A gradient the deck does not print: the oracle is the Python its derivation printed."""
    @operation(id, output)
    def gradient(lift: Lift, form: Form, **arguments: Any) -> Outputs:
        lifted = {k: scalars(lift, v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
        return {output: gathered(derived(id)(**lifted))}


for _id, _output in {
    "conv1d.valid.grad_x": "dx", "conv1d.valid.grad_theta": "dtheta",
    "conv1d.centred.grad_a": "da", "conv1d.centred.grad_theta": "dtheta",
    "conv2d.valid.grad_I": "dI", "conv2d.valid.grad_K": "dK",
}.items():
    _derived(_id, _output)


def evaluate(id: str, lift: Lift, form: Form, arguments: Mapping[str, Any]) -> Outputs:
    """The outputs of one op over the number type of `lift`."""
    with np.errstate(all="ignore"):
        return OPERATIONS[id].evaluate(lift, form, **arguments)
