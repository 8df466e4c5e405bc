"""What a wrong result looks like: the known faults whose formula reproduces it.

A fault is named only where it alone could have done it: at every element that is wrong it is itself off by more than
half the bound and gives the kernel's number within the bound; and it is right where the kernel is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..judging.bounds import Bound
from ..judging.numbers.lanes import Array
from ..judging.oracle import Truth
from .faults import FAULTS

NAMED = 3                    # faults that are named, the nearest first


def looks_like(op: str, arguments: Mapping[str, Any], actual: Mapping[str, Array], bounds: Mapping[str, Bound],
               truths: Mapping[str, Truth]) -> list[str]:
    """The names of the faults that explain the result, nearest first; none if none does."""
    found: list[tuple[float, str]] = []
    for fault in FAULTS.get(op, ()):
        try:
            outputs = dict(zip(actual, fault.outputs(**arguments)))
        except (ValueError, IndexError, ZeroDivisionError, TypeError):     # a fault that these arguments cannot have
            continue
        if all(outputs[name].shape == actual[name].shape for name in actual):
            distances = [distance(outputs[name], actual[name], bounds[name], truths[name]) for name in actual]
            if max(distances) <= 1 and any(wrong(actual[name], bounds[name], truths[name]).any() for name in actual):
                found.append((sum(distances), fault.name))
    return [name for _, name in sorted(found, key=lambda one: one[0])[:NAMED]]


def distance(fault: Array, actual: Array, limit: Bound, truth: Truth) -> float:
    """How far a fault is from the result, in bounds, at the worst element; infinite where it explains nothing."""
    total = np.broadcast_to(limit.total, actual.shape)
    known = np.ones(actual.shape, bool) if truth.known is None else truth.known
    with np.errstate(all="ignore"):
        slack = np.maximum(total, _relative(total, truth.value) * (np.abs(fault) + np.abs(truth.value)))
        off = np.abs(fault - actual) / slack
        off = np.where((fault == actual) | (np.isnan(fault) & np.isnan(actual)), 0.0, off)
        off = np.where(np.isfinite(off) & (np.isfinite(slack) | (off == 0)), off, np.inf)
        # a result that is just beyond the bound was rounded from a fault that may be just within
        planted = ~(2 * np.abs(fault - truth.value) <= total) & (fault != truth.value)
    if (wrong(actual, limit, truth) & ~planted).any():
        return float("inf")
    return float(np.max(np.where(known, off, 0.0), initial=0.0))


def wrong(actual: Array, limit: Bound, truth: Truth) -> Array:
    """Where a result is off by more than the bound, among what is known."""
    total = np.broadcast_to(limit.total, actual.shape)
    with np.errstate(all="ignore"):
        off = ~(np.abs(truth.value - actual) <= total + truth.radius) & (actual != truth.value)
    off &= ~(np.isnan(actual) & np.isnan(truth.value))
    return np.asarray(off if truth.known is None else off & truth.known)


def _relative(limit: Array, value: Array) -> float:
    """The bound relative to the answer, typical of this result: what rounding alone does to a fault's value."""
    with np.errstate(all="ignore"):
        share = limit[value != 0] / np.abs(value[value != 0])
        share = share[np.isfinite(share)]
    return float(np.median(share)) if share.size else 0.0
