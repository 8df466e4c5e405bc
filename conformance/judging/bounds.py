"""How wrong a kernel may be: |computed − y| ≤ B, element by element, derived from the equation and the data.

B = accumulation (the careful form of the equation over `Bounded` numbers in the declared arithmetic, every order of
summation allowed) + input rounding (tf32 operands, where declared) + output rounding u·|y| + underflow of the output
format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve, frozen

from .numbers.bounded import FLOAT32, FLOAT64, TF32, Arithmetic, Bounded
from .numbers.formats import FORMATS
from .numbers.lanes import Array
from .numbers.tensor_cores import TENSOR_CORES
from .operations import evaluate, operation_of, stable

ARITHMETIC = {"ieee": FLOAT32, "tf32": TF32, "fp64": FLOAT64}


@frozen
class Bound:
    """B of one output, and the terms it is the sum of."""

    accumulation: Array
    input_rounding: Array
    output_rounding: Array
    underflow: Array

    @property
    def total(self) -> Array:
        """Where a term knows no bound, there is none."""
        with np.errstate(invalid="ignore"):
            every: Array = self.accumulation + self.input_rounding + self.output_rounding + self.underflow
        return np.where(np.isnan(every), np.inf, every)

    def terms(self, index: tuple[int, ...]) -> dict[str, float]:
        names = ("accumulation", "input_rounding", "output_rounding", "underflow")
        return {name: float(np.broadcast_to(getattr(self, name), self.accumulation.shape)[index]) for name in names}


def declared(backend: Mapping[str, str], dtype: str, device: str | None = None) -> Arithmetic:
    """The arithmetic a backend declares for a dtype. The default accumulates in IEEE float32, and on a device what its
    tensor cores take (16 bits and tf32) as they do."""
    if dtype == "fp64":
        return FLOAT64
    mode = ARITHMETIC[backend.get(dtype, "ieee")]
    if device in TENSOR_CORES and (dtype in ("fp16", "bf16") or mode is TF32):
        return evolve(mode, core=TENSOR_CORES[device], size=4 if dtype == "fp32" else 2)
    return mode


def bound(op: str, arguments: Mapping[str, Any], dtype: str, arithmetic: Arithmetic) -> dict[str, Bound]:
    """B for every output of an op on these arguments."""
    if not operation_of(op).dot:
        arithmetic = evolve(arithmetic, core=None)
    input_u = arithmetic.input_u if operation_of(op).dot else 0.0
    plain = _errors(op, arguments, dtype, evolve(arithmetic, input_u=0.0))
    rounded = _errors(op, arguments, dtype, arithmetic) if input_u else plain
    return {name: limit(value, error, rounded[name][1], dtype) for name, (value, error) in plain.items()}


def limit(value: Array, error: Array, rounded: Array, dtype: str) -> Bound:
    """B of a value in a dtype: its error without and with rounded operands, and the rounding of the result."""
    form = FORMATS[dtype]
    # a result that is already float32 is rounded by its last operation; a narrower one is rounded once more
    u = 0.0 if form.bits >= 24 else form.u
    with np.errstate(invalid="ignore"):
        return Bound(error, rounded - error, u * (np.abs(value) + rounded),
                     np.full(value.shape, form.step / 2 if form.bits < 24 else 0.0))


def _errors(
    op: str, arguments: Mapping[str, Any], dtype: str, arithmetic: Arithmetic
) -> dict[str, tuple[Array, Array]]:
    def lift(x: Array) -> Bounded:
        e = arithmetic.input_u * np.abs(x) if arithmetic.input_u else 0.0
        return Bounded(np.asarray(x, dtype=np.float64), arithmetic, e=e)

    lift.format = FORMATS[dtype]        # type: ignore[attr-defined]    # of what a kernel keeps between its products
    numbers = evaluate(op, lift, stable, arguments)
    return {name: (n.v, np.broadcast_to(n.error, n.v.shape)) for name, n in numbers.items()}
