"""The activations as ATen composites: what a CPU tensor runs, and the `torch` backend. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from ..runtime import checks
from ..runtime.wide import rounded, wide
from .checks import activation
from .table import ACTIVATIONS


def _unary(name: str, act: str, prime: bool, z: Tensor, **parameter: float) -> Tensor:
    p = activation(name, act, **parameter)
    checks.floating(name, z=z)
    g = ACTIVATIONS[act]
    return rounded((g.prime if prime else g.value)(wide(z), p), z.dtype)


def value(z: Tensor, act: str, p: float) -> Tensor:
    return rounded(ACTIVATIONS[act].value(wide(z), p), z.dtype)


def g(z: Tensor, act: str, p: float) -> Tensor:
    """g(z) of a z that nobody else has: identity is z itself."""
    return z if act == "identity" else ACTIVATIONS[act].value(z, p)


def times(d: Tensor, saved: Tensor, act: str, form: str, p: float) -> Tensor:
    """d ⊙ g′, g′ read off what was saved, `a` or `z`; all wide."""
    one = ACTIVATIONS[act]
    if form != "a":
        return d * one.prime(saved, p)
    if one.times_prime is not None:
        return one.times_prime(d, saved, p)
    assert one.prime_of_a is not None
    return d * one.prime_of_a(saved, p)


def backward(grad: Tensor, saved: Tensor, act: str, form: str, p: float) -> Tensor:
    return rounded(times(wide(grad), wide(saved), act, form, p), grad.dtype)


OPS: dict[str, Callable[..., Any]] = {
    **{f"act.{act}": partial(_unary, f"act.{act}", act, False) for act in ACTIVATIONS},
    **{f"act.{act}.prime": partial(_unary, f"act.{act}.prime", act, True) for act in ACTIVATIONS},
}
