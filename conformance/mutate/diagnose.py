"""What a wrong result looks like: the known faults whose formula reproduces it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..judging.bounds import Bound
from ..judging.numbers.lanes import Array
from ..judging.oracle import Truth
from .faults import FAULTS

EXPLAINED = 0.98             # the share of elements a fault must reproduce to be named


def looks_like(op: str, arguments: Mapping[str, Any], actual: Mapping[str, Array], bounds: Mapping[str, Bound],
               truths: Mapping[str, Truth]) -> str:
    """The name of the fault that explains the result best; empty if none does.

    A fault counts where it is within the bound of the kernel's element; elements where it agrees with the right answer
    say nothing about it, so it must also explain elements that are wrong.
    """
    best, best_score = "", (0.0, 0.0)
    for fault in FAULTS.get(op, ()):
        try:
            outputs = dict(zip(actual, fault.outputs(**arguments)))
        except (ValueError, IndexError, ZeroDivisionError):       # a fault that these shapes cannot have
            continue
        if any(outputs[name].shape != actual[name].shape for name in actual):
            continue
        score = explained(outputs, actual, bounds, truths)
        if score[0] >= EXPLAINED and score > best_score:
            best, best_score = fault.name, score
    return best


def explained(outputs: Mapping[str, Array], actual: Mapping[str, Array], bounds: Mapping[str, Bound],
              truths: Mapping[str, Truth]) -> tuple[float, float]:
    """Share of the wrong elements a fault reproduces, and of all elements."""
    wrong_total = wrong_hit = total = hit = 0
    for name, value in actual.items():
        limit = np.broadcast_to(bounds[name].total, value.shape)
        with np.errstate(all="ignore"):
            scale = np.abs(outputs[name]) + np.abs(truths[name].value)
            slack = np.maximum(limit, scale * _unit(limit, truths[name].value))
            same = (np.abs(outputs[name] - value) <= slack) | (np.isnan(outputs[name]) & ~np.isfinite(value)) \
                | (outputs[name] == value)
            wrong = ~(np.abs(truths[name].value - value) <= limit)
        wrong_total += int(wrong.sum())
        wrong_hit += int((wrong & same).sum())
        total += value.size
        hit += int(same.sum())
    return (wrong_hit / wrong_total if wrong_total else 0.0), (hit / total if total else 0.0)


def _unit(limit: Array, value: Array) -> float:
    """The bound relative to the answer, typical of this result: what rounding alone does to a fault's value."""
    with np.errstate(all="ignore"):
        share = limit[value != 0] / np.abs(value[value != 0])
    return float(np.median(share)) if share.size else 0.0
