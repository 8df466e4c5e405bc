"""What an answer may be: its truth, its bound, and the element that is furthest off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve

from ..backend import Backend
from .bounds import Bound, bound, declared
from .cases import Case, representable
from .numbers.bounded import Arithmetic
from .numbers.formats import FORMATS
from .numbers.lanes import Array
from .operations import evaluate, operation_of, stable
from .oracle import Answered, Truth, truth
from .verdict import Worst


def expected(case: Case, arguments: Mapping[str, Any], backend: Backend, device: str | None = None) -> tuple[Any, Any]:
    """Bounds and truths per output, of the reading that the backend declares; (None, reason) where the case cannot be
    judged. Exact data have one right answer, unless the arithmetic that is declared rounds them first."""
    arithmetic = declared(backend.arithmetic, case.dtype, device)
    op = backend.reading_of(case.op)
    rounds = operation_of(op).dot and arithmetic.input_u > 0
    if case.tier == "T0" and not rounds and op == case.op:
        answered = arguments if isinstance(arguments, Answered) else Answered(op, arguments)
        if not representable(op, answered, case.dtype):
            return None, f"the exact answer, or what is kept on the way to it, is not representable in {case.dtype}"
        truths = answered.answer(op)
        zero = {name: np.zeros(one.value.shape) for name, one in truths.items()}
        return {name: Bound(z, z, z, z) for name, z in zero.items()}, truths
    return judged(op, arguments, case.dtype, arithmetic)


def judged(op: str, arguments: Mapping[str, Any], dtype: str,
           arithmetic: Arithmetic) -> tuple[dict[str, Bound], dict[str, Truth]]:
    """Bounds and truths of an op, or of a reading of it, in an arithmetic."""
    bounds = bound(op, arguments, dtype, arithmetic)
    truths = truth(op, arguments, {name: b.total for name, b in bounds.items()})
    return bounds, with_limits(op, arguments, truths)


def typical(case: Case, arguments: Mapping[str, Any], backend: Backend, device: str | None) -> dict[str, Bound]:
    """How far off sums are in the mean rather than at most."""
    arithmetic = evolve(declared(backend.arithmetic, case.dtype, device), typical=True)
    return bound(backend.reading_of(case.op), arguments, case.dtype, arithmetic)


def with_limits(op: str, arguments: Mapping[str, Any], truths: dict[str, Truth]) -> dict[str, Truth]:
    """Where the printed formula has no value (∞/∞), the value of its careful form, which is the limit."""
    if not any(np.isnan(one.value).any() for one in truths.values()):
        return truths
    numbers = evaluate(op, lambda x: np.asarray(x, dtype=np.float64), stable, arguments)
    return {name: Truth(np.where(np.isnan(one.value), np.broadcast_to(numbers[name], one.value.shape), one.value),
                        np.where(np.isnan(one.value), 0.0, one.radius), one.known) for name, one in truths.items()}


def compare(name: str, actual: Array, one: Truth, limit: Bound, case: Case) -> Worst:
    """The worst element of one output."""
    total = np.broadcast_to(limit.total, one.value.shape)
    largest = FORMATS[case.dtype].largest
    with np.errstate(all="ignore"):
        error = np.maximum(np.abs(actual - one.value) - one.radius, 0.0)
        fraction = np.where(error == 0, 0.0, error / total)
        overflows = np.abs(one.value) + total > largest
        legal_infinity = overflows & (actual == np.copysign(np.inf, one.value))
    fraction = np.where(np.isfinite(one.value), fraction, np.inf)
    fraction = np.where(np.isnan(actual) | np.isnan(fraction), np.inf, fraction)
    same = (np.isnan(one.value) & np.isnan(actual)) | (one.value == actual) | legal_infinity
    fraction = np.where(same, 0.0, fraction)
    if one.known is not None:
        fraction = np.where(one.known, fraction, 0.0)
    if fraction.size == 0:
        return Worst(name, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(fraction)), fraction.shape))
    return Worst(name, index, float(one.value[index]), float(actual[index]),
                 abs(float(actual[index]) - float(one.value[index])), float(total[index]), float(fraction[index]),
                 limit.terms(index))
