"""A derivation a line at a time: each as a text that a reader may change, against the line before it, over the field.

    lines("bp.delta.rec")                     the rule, the reason and the text of every step
    compared("bp.delta.rec", texts)           what of them holds, line by line

A text is read as the pages are: what stands there is compared, at all the sizes of the derivation's trials, with what
stands above it, and the first line with the derivative of the definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import attrs

from ..field import DRAWS, Field, NoRoot, P, constant
from . import command, printed
from .evaluate import OutOfRange
from .language import Expr
from .printers import Plain
from .proof import Trial
from .reading import Unicode, Unreadable
from .steps import Derivation


@attrs.frozen
class Line:
    """One step as it is shown."""

    rule: str
    why: str
    text: str


@attrs.frozen
class Compared:
    """One line against the one before it: at so many places of so many sizes, and the two values at the last of them,
    the first that differs where some do. `why` says where that is, or why there is no value."""

    equal: bool
    places: int = 0
    sizes: int = 0
    before: str = ""
    here: str = ""
    why: str = ""


def lines(id: str) -> list[Line]:
    """The steps of a derivation. Raises UnknownDerivation."""
    derivation = command.make(id)
    plain = Plain(derivation.order, derivation.notation)
    return [Line(step.rule, step.why, plain(step.expr)) for step in derivation.steps]


def compared(id: str, texts: Sequence[str]) -> list[Compared]:
    """Every line, as it is written, against the one before it. Raises UnknownDerivation, and ValueError for a text too
    few or too many."""
    derivation = command.make(id)
    if len(texts) != len(derivation.steps):
        raise ValueError(f"{id} has {len(derivation.steps)} steps, and here are {len(texts)} texts")
    names = printed.names(derivation)["text"]
    read = [_read(text, names) for text in texts]
    found = [Compared(False, why=one) if isinstance(one, str) else Compared(True) for one in read]
    for number, sizes in enumerate(derivation.trials):
        found = _at(derivation, sizes, number, read, found)
    return found


def _read(text: str, names: Any) -> Expr | str:
    try:
        return Unicode(" ".join(text.split()), names).whole()
    except Unreadable as why:
        return f"this cannot be read: {why}"


def _at(derivation: Derivation, sizes: Any, number: int, read: list[Expr | str],
        found: list[Compared]) -> list[Compared]:
    """What was found at other sizes, and at these."""
    for attempt in range(DRAWS):
        try:
            with Field(number * DRAWS + attempt) as field:
                trial = Trial(derivation, sizes, field)
                values = [_values(one, trial) for one in read]
                pairs = [_first(values[0], trial), *(_line(*two, trial) for two in pairwise(values))]
                return [_joined(one, pair) for one, pair in zip(found, pairs)]
        except NoRoot:
            continue
    return found


def _values(read: Expr | str, trial: Trial) -> list[int] | str:
    """A line at every free index, or why it has no value there."""
    if isinstance(read, str):
        return read
    try:
        return [constant(trial.instance.value(read, place)).v % P for place in trial.places]
    except (OutOfRange, ArithmeticError, LookupError, TypeError) as why:
        return f"this has no value{trial.where()}: {why}"


def _line(before: list[int] | str, here: list[int] | str, trial: Trial) -> Compared:
    if isinstance(here, str):
        return Compared(False, why=here)
    if isinstance(before, str):
        return Compared(False, why="the line before it has no value")
    for k, (a, b) in enumerate(zip(before, here)):
        if a != b:
            return Compared(False, k, 1, str(a), str(b), f"not equal{trial.where()}")
    return Compared(True, len(here), 1, *(str(one[-1]) for one in (before, here) if one))


def _first(here: list[int] | str, trial: Trial) -> Compared:
    """The first line against the definition, by a derivative in a random direction."""
    if isinstance(here, str):
        return Compared(False, why=here)
    truth, claimed = trial.directional(here)
    return Compared(truth == claimed, len(here), 1, str(truth), str(claimed),
                    "" if truth == claimed else f"not the derivative of the definition{trial.where()}")


def _joined(sofar: Compared, now: Compared) -> Compared:
    """What was found first stays, if it is a difference."""
    if not sofar.equal:
        return sofar
    return attrs.evolve(now, places=sofar.places + now.places, sizes=sofar.sizes + now.sizes)
