"""The reference against its outside witnesses, within the bound the formula itself derives for float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ... import reference
from ..judging.numbers.bounded import FLOAT64, Bounded
from .architectures import ROWS as ARCHITECTURES
from .convolution import ROWS as CONVOLUTION
from .networks import ROWS as NETWORKS
from .row import Witness, leaves
from .training import ROWS as TRAINING

Functions = Mapping[str, Callable[..., Any]]


@cache
def table() -> tuple[Witness, ...]:
    """Every row; an id may have several."""
    return (*NETWORKS, *CONVOLUTION, *TRAINING, *ARCHITECTURES)


def bounded(x: Any) -> Any:
    """Every float of a nest as a number that knows how wrong float64 may be; sizes and functions stay."""
    if isinstance(x, float):
        return Bounded(np.asarray(x), FLOAT64)
    if isinstance(x, list | tuple):
        return type(x)(bounded(part) for part in x)
    if isinstance(x, dict):
        return {key: bounded(part) for key, part in x.items()}
    return x


@cache
def evidence(row: Witness) -> tuple[list[Any], list[Any]]:
    """What the outside says, and how far float64 may be from it: both sides compute, so twice the bound."""
    reached = reference.FUNCTIONS[row.id](*bounded(row.arguments), **bounded(row.options))
    room = [2 * float(v.error) if isinstance(v, Bounded) else 0 for v in leaves(reached)]
    return list(leaves(row.outside())), room


def disagreement(row: Witness, functions: Functions = reference.FUNCTIONS) -> str | None:
    """None if the function of this id agrees with its witness, else one sentence."""
    expected, room = evidence(row)
    found = list(leaves(functions[row.id](*row.arguments, **row.options)))
    if len(found) != len(expected):
        return f"{row.id}: {len(found)} entries, the witness has {len(expected)}"
    for at, (mine, theirs, error) in enumerate(zip(found, expected, room)):
        if not agree(mine, theirs, error):
            return f"{row.id}: entry {at} is {mine}, the witness says {theirs}, at most {error} apart"
    return None


def agree(mine: Any, theirs: Any, error: float) -> bool:
    """Brackets, empty slots and exact numbers are equal, floats within their bound; NaN agrees with NaN."""
    if isinstance(mine, float) and isinstance(theirs, float):
        return abs(mine - theirs) <= error or mine == theirs or (mine != mine and theirs != theirs)
    return bool(mine == theirs)
