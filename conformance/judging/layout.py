"""The one place that converts between the deck's layout and a kernel's.

The deck keeps the intercept in slot 0 of a layer (a_0 = 1, Θ_i0) and counts nodes from 1; a kernel has (weight,
bias) and counts from 0. Here arrays become the deck's lists with nodes and examples as lanes, and parameters convert
both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .numbers.lanes import Array

Lift = Callable[[Array], Any]


def layer(lift: Lift, x: Array) -> list[Any]:
    """A batch of activations (examples, nodes) as the deck's a = [1, a_1, …], one lane per example."""
    return [1, *(lift(column[:, None]) for column in x.T)]


def errors(lift: Lift, delta: Array) -> list[Any]:
    """A batch of errors (examples, nodes) as the deck's δ = [·, δ_1, …], one lane per example."""
    return [None, *(lift(column[:, None]) for column in delta.T)]


def weights(lift: Lift, w: Array) -> list[Any]:
    """A kernel's w (out, in) as Θ = [·, Θ_1, …] with one node i whose lanes are all inputs: Θ[k][1] = w[k, :]."""
    return [None, *([None, lift(row[None, :])] for row in w)]


def theta(w: Sequence[Sequence[Any]], b: Sequence[Any]) -> list[Any]:
    """A kernel's (weight, bias) as the deck's Θ with slot 0."""
    return [None, *([b_i, *w_i] for w_i, b_i in zip(w, b))]


def weight_bias(Theta: Sequence[Any]) -> tuple[Array, Array]:
    """The deck's Θ as a kernel's (weight, bias)."""
    return np.array([row[1:] for row in Theta[1:]], dtype=float), np.array([row[0] for row in Theta[1:]], dtype=float)
