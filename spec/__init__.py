"""What the deck says: one record per equation, as printed, with readings, traps and worked numbers.

    spec.get("act.elu").value        the machine form
    spec.function("act.elu")         the same, as a Python function over any number type
    spec.derived("bp.delta.rec")     a derived gradient, as a Python function over any number type; which="jvp" or
                                     "hvp": how fast the output, or the gradient, moves along a direction
    spec.derivation("bp.delta.rec")  its derivation as data: given, steps, result; .json(), .latex()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import expressions
from .derivations import NotDerived, derivation, derivation_page, derived, derived_ids
from .page import DerivationText, StepText
from .records import (
    Equation,
    Erratum,
    Example,
    Form,
    Note,
    Reading,
    SpecError,
    Trap,
    UnknownId,
    beside,
    findings,
    get,
    load,
    notes,
)

__all__ = [
    "DerivationText", "Equation", "Erratum", "Example", "Form", "NotDerived", "Note", "Reading", "SpecError",
    "StepText", "Trap", "UnknownId", "beside", "derivation", "derivation_page", "derived", "derived_ids", "expression",
    "findings", "function", "get", "load", "notes",
]


def function(id: str, which: str = "value") -> Callable[..., Any]:
    """A form ("value", "stable", "stable_prime") of a scalar record as a function of its `symbols`."""
    return expressions.function(get(id), which)


def expression(id: str, which: str = "value") -> Any:
    """The same form as a SymPy expression over the record's own names."""
    from . import symbolic  # SymPy takes a while to import; records and functions do without it

    return symbolic.expression(get(id), which)
