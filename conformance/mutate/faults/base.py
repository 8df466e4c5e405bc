"""Deliberately wrong formulas, by op and by name: each is a fault somebody once shipped.

They are plain float64 numpy over whole arrays, so that a failing kernel's output can be compared with every one of them
(`diagnose`), and planted in a backend to show that the suite catches them (`planted`). A fault of a rational op that
changes the formula itself (not just its precision) is structural: exact data alone must show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from ...judging.numbers.lanes import Array

Outputs = tuple[Array, ...]


@frozen
class Fault:
    """A wrong formula: its op, what is wrong, and the outputs it would give."""

    op: str
    name: str
    outputs: Callable[..., Outputs]
    structural: bool = True

    def __str__(self) -> str:
        return f"{self.op}: {self.name}"


FAULTS: dict[str, list[Fault]] = {}


def fault(op: str, name: str, outputs: Callable[..., Any], structural: bool = True) -> None:
    def listed(**arguments: Any) -> Outputs:
        with np.errstate(all="ignore"):
            found = outputs(**arguments)
        return tuple(map(np.asarray, found if isinstance(found, tuple) else (found,)))

    FAULTS.setdefault(op, []).append(Fault(op, name, listed, structural))


def every() -> list[Fault]:
    return [one for faults in FAULTS.values() for one in faults]


def zero_last(x: Array) -> Array:
    x = np.array(x, dtype=float)
    if x.size:
        x.flat[-1] = 0.0
    return x


def dropped(x: Array, block: int) -> Array:
    """x with the ragged tail of its last axis set to zero, as a loop over n // block whole blocks leaves it."""
    x = np.array(x, dtype=float)
    x[..., x.shape[-1] // block * block:] = 0.0
    return x


def transposed(w: Array) -> Array:
    """w read with its strides swapped."""
    return np.asarray(w.T.reshape(w.shape) if w.shape[0] != w.shape[1] else w.T)


def rounded(x: Array, bits: int) -> Array:
    """x with `bits` of significand, rounded to nearest."""
    mantissa, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def half_sum(x: Array, w: Array) -> Array:
    """x wᵀ accumulated in fp16."""
    total = np.zeros((x.shape[0], w.shape[0]), dtype=np.float16)
    for k in range(x.shape[1]):
        total = (total.astype(np.float32) + np.outer(x[:, k], w[:, k]).astype(np.float32)).astype(np.float16)
    return total.astype(float)
