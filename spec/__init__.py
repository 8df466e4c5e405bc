"""What the deck says: one record per equation, as printed, with readings, traps and worked numbers.

    spec.get("act.elu").value        the machine form
    spec.function("act.elu")         the same, as a Python function over any number type
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import expressions
from .records import Equation, Erratum, Example, Form, Reading, SpecError, Trap, UnknownId, findings, get, load

__all__ = [
    "Equation", "Erratum", "Example", "Form", "Reading", "SpecError", "Trap", "UnknownId",
    "expression", "findings", "function", "get", "load",
]


def function(id: str, which: str = "value") -> Callable[..., Any]:
    """A form ("value", "stable", "stable_prime") of a scalar record as a function of its `symbols`."""
    return expressions.function(get(id), which)


def expression(id: str, which: str = "value") -> Any:
    """The same form as a SymPy expression over the record's own names."""
    from . import symbolic  # SymPy takes a while to import; records and functions do without it

    return symbolic.expression(get(id), which)
