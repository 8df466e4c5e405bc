"""Local and shared layers: examples are lanes, nodes and taps are walked one by one.

The corners of a band, which see no input, may hold anything; the reference does not read them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import layers
from ..numbers.bounded import total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, filled, g, gathered, operation, rearranged, scalars
from .convolution_layers import averaged


def nodes(lift: Lift, x: Array) -> list[Any]:
    """x (B, N) as the reference's list of nodes, each one number per example."""
    return [lift(column) for column in x.T]


def corners(n: int, m: int) -> Array:
    """Where a band of n rows of m has no input."""
    t = np.arange(n)[:, None] + np.arange(m) - m // 2
    return np.asarray((t < 0) | (t >= n))


def band(lift: Lift, w: Array) -> Any:
    return scalars(lift, np.where(corners(*w.shape), 0.0, w))


def examples_first(numbers: Any, like: Array) -> Any:
    """A list of nodes as an array (B, N)."""
    whole = gathered(filled(numbers, np.zeros(len(like))))
    return rearranged(whole, np.transpose)


@operation("arch.local.layer", "a", dot=True, axes="x B -> a B")
def local_layer(lift: Lift, form: Form, x: Array, w: Array, b: Array | None, act: str) -> Outputs:
    bias = scalars(lift, np.zeros(len(w)) if b is None else b)
    return {"a": examples_first(layers.local_affine(nodes(lift, x), band(lift, w), bias, g(form, act)), x)}


@operation("arch.shared.layer", "a", dot=True, axes="x B -> a B")
def shared_layer(lift: Lift, form: Form, x: Array, theta: Array, b: Array | None, act: str) -> Outputs:
    bias = scalars(lift, np.zeros(()) if b is None else b[0])
    return {"a": examples_first(layers.shared_affine(nodes(lift, x), scalars(lift, theta), bias, g(form, act)), x)}


def through(lift: Lift, form: Form, dx: Any, d: Array, z: Array | None, act: str) -> Outputs:
    found = examples_first(filled(dx, lift(np.zeros(len(d)))), d)
    return {"dx": found if z is None else found * g(form, act, ".prime")(lift(z))}


@operation("arch.local.layer.grad_x", "dx", dot=True, axes="d B, z B -> dx B")
def local_grad_x(lift: Lift, form: Form, d: Array, w: Array, z: Array | None = None, act: str = "identity") -> Outputs:
    found = form("arch.local.layer.grad_x")(nodes(lift, d), band(lift, w))
    return through(lift, form, found, d, z, act)


@operation("arch.shared.layer.grad_x", "dx", dot=True, axes="d B, z B -> dx B")
def shared_grad_x(lift: Lift, form: Form, d: Array, theta: Array, z: Array | None = None,
                  act: str = "identity") -> Outputs:
    found = form("arch.shared.layer.grad_x")(nodes(lift, d), scalars(lift, theta))
    return through(lift, form, found, d, z, act)


@operation("arch.local.layer.grad_w", "D", dot=True)
def local_grad_w(lift: Lift, form: Form, d: Array, x: Array, m: int, w: Array | None = None, lam: Any = 0,
                 n: Any = 1) -> Outputs:
    """Δ summed over the examples, then D = Δ/n + λΘ, both 0 in the corners."""
    found = form("arch.local.layer.grad_w")(nodes(lift, d), nodes(lift, x), m)
    Delta = total(gathered(filled(found, lift(np.zeros(len(d))))), 2)
    own = None if w is None else np.where(corners(*w.shape), 0.0, w)
    return {"D": averaged(lift, Delta, own, lam, n)}


@operation("arch.shared.layer.grad_theta", "D", dot=True)
def shared_grad_theta(lift: Lift, form: Form, d: Array, x: Array, m: int, theta: Array | None = None, lam: Any = 0,
                      n: Any = 1) -> Outputs:
    found = form("arch.shared.layer.grad_theta")(nodes(lift, d), nodes(lift, x), m)
    Delta = total(gathered(filled(found, lift(np.zeros(len(d))))), 1)
    return {"D": averaged(lift, Delta, theta, lam, n)}


@operation("arch.local.layer.grad_b", "Db")
def local_grad_b(lift: Lift, form: Form, d: Array, n: Any = 1) -> Outputs:
    Delta = total(gathered(form("arch.local.layer.grad_b")(nodes(lift, d))), 1)
    return {"Db": averaged(lift, Delta, None, 0, n)}


@operation("arch.shared.layer.grad_b", "Db")
def shared_grad_b(lift: Lift, form: Form, d: Array, n: Any = 1) -> Outputs:
    Delta = total(gathered([form("arch.shared.layer.grad_b")(nodes(lift, d))]), 1)
    return {"Db": averaged(lift, Delta, None, 0, n)}
