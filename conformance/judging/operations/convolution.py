"""The printed convolutions and the derived gradients of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import convolution
from ....spec.derivations import derived
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, filled, gathered, operation, scalars


@operation("conv1d.valid", "y", dot=True)
def conv1d(lift: Lift, form: Form, theta: Array, x: Array) -> Outputs:
    return {"y": gathered(convolution.conv1d(scalars(lift, theta), scalars(lift, x)))}


@operation("conv1d.centred", "y", dot=True)
def conv1d_centred(lift: Lift, form: Form, theta: Array, a: Array) -> Outputs:
    return {"y": gathered(convolution.conv1d_centred(scalars(lift, theta), scalars(lift, a)))}


@operation("conv2d.valid", "y", dot=True)
def conv2d(lift: Lift, form: Form, I: Array, K: Array) -> Outputs:
    return {"y": gathered(convolution.conv2d(scalars(lift, I), scalars(lift, K)))}


def _derived(id: str, output: str) -> None:
    """A gradient the deck does not print: the oracle is the Python its derivation printed."""
    @operation(id, output, dot=True)
    def gradient(lift: Lift, form: Form, **arguments: Any) -> Outputs:
        lifted = {k: scalars(lift, v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
        return {output: gathered(filled(derived(id)(**lifted), lift(np.zeros(()))))}


for _id, _output in {
    "conv1d.valid.grad_x": "dx", "conv1d.valid.grad_theta": "dtheta",
    "conv1d.centred.grad_a": "da", "conv1d.centred.grad_theta": "dtheta",
    "conv2d.valid.grad_I": "dI", "conv2d.valid.grad_K": "dK",
}.items():
    _derived(_id, _output)
