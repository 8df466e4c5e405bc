"""Where a derivation starts: its definition, and its result where the deck prints one, against the records.

A record's machine form is read by its own language (`spec.expressions`) on the numbers of a trial, and must have the
value that the derivation's own expression has. So a derivation cannot go on without noticing that its record moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import sympy as sp

from .. import expressions
from ..dual import NoRoot, constant
from ..records import Equation, load
from .language import Expr
from .steps import Derivation


def record_of(derivation: Derivation) -> Equation | None:
    """The record that this derivation differentiates."""
    own = load().get(derivation.id)
    start = derivation.starts or (own.of if own is not None else "")
    return load().get(start)


def records_of(derivation: Derivation) -> dict[str, str]:
    """The records a derivation rests on, each with the digest of its machine form."""
    own, start = load().get(derivation.id), record_of(derivation)
    used = [r for r in (start, own, *(load().get(id) for id in (*derivation.given.values(), *derivation.uses))) if r]
    return {r.id: form_digest(r) for r in used if r.value is not None}


def form_digest(record: Equation) -> str:
    """sha256 of what a machine form says: the form and the ranges of its indices."""
    text = "\n".join([str(record.value), *(f"{name} = {ranges}" for name, ranges in record.index.items())])
    return hashlib.sha256(text.encode()).hexdigest()


class Table:
    """An array of a trial, read as a record's form reads it."""

    def __init__(self, read: Callable[[tuple[int, ...]], Any]) -> None:
        self._read = read

    def __getitem__(self, index: Any) -> Any:
        return self._read(index if isinstance(index, tuple) else (index,))


def values_of(record: Equation, trial: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """The record's form at every index it has, on the numbers of the trial."""
    names = _names(record, trial)
    arguments = tuple(names)
    ends = [[expressions.compiled(end, arguments)(**names) for end in expressions.bounds(ranges)[0]]
            for ranges in record.index.values()]
    assert record.value is not None
    form = expressions.compiled(record.value, (*arguments, *record.index))
    for at in product(*(range(low, high + 1) for low, high in ends)):
        yield at, form(**names, **dict(zip(record.index, at)))


def _names(record: Equation, trial: Any) -> dict[str, Any]:
    """Everything the record's form may name: sizes, arrays, scalars, functions."""
    sizes = {str(size): value for size, value in trial.sizes.items()}
    told = {name: _told(what, trial) for name, what in trial.derivation.reads.items()
            if name in (*record.sizes, *record.arrays, *record.symbols)}
    found = {name: sizes[name] for name in record.sizes if name not in told and name in sizes}
    found |= {name: _array(name, trial) for name in record.arrays if name not in told}
    for name, sort in record.symbols.items():
        if name not in told:
            found[name] = trial.derivation.functions.get(name, _same) if sort == "function" \
                else _base(name, trial, ())
    return {**found, **told}


def _same(u: Any) -> Any:
    """A layer's activation where the derivation is of the layer's linear part."""
    return u


def _array(name: str, trial: Any) -> Table:
    return Table(lambda index: _base(name, trial, index))


def _base(name: str, trial: Any, index: tuple[int, ...]) -> Any:
    d = trial.derivation
    bases = {str(base): base for base in (*d.shapes, *(n.base for n in d.named))}
    if name not in bases:
        raise KeyError(f"the record's {name!r} has no counterpart in the derivation; say one in `reads`")
    return trial.instance.entry(bases[name], index)


def _told(what: Any, trial: Any) -> Any:
    """What `reads` says of a record's name: another array's name, an expression, or (letters, expression)."""
    if isinstance(what, str):
        return _array(what, trial)
    if callable(what) and not isinstance(what, sp.Basic):
        return Table(lambda index: what(trial, *index))
    if isinstance(what, tuple):
        letters, expression = what
        return Table(lambda index: trial.instance.value(expression, dict(zip(letters, index))))
    return trial.instance.value(what, {})


def moved(trial: Any, last: list[Any] | None) -> str:
    """The first thing that is not as its record says; empty if nothing."""
    d: Derivation = trial.derivation
    start, own = record_of(d), load().get(d.id)
    if start is not None and start.value is not None and not d.built:
        what = _differ(start, trial, _definition(trial))
        if what is not None:
            return f"its definition is not what the record {start.id} says{what}"
    if last is not None and own is not None and own.value is not None:
        places = {tuple(place[i] for i, _, _ in d.over): value for place, value in zip(trial.places, last)}
        what = _differ(own, trial, places)
        if what is not None:
            return f"its result is not what the record {own.id} says{what}"
    return ""


def _definition(trial: Any) -> dict[tuple[int, ...], Any]:
    """What the derivation differentiates, by the record's index."""
    d: Derivation = trial.derivation
    if d.output is None or d.plus is not None:
        return {(): trial.loss()}
    entry: Expr = d.output.entry
    return {trial.indices_of(entry, place): trial.instance.value(d.output.means, place)
            for _, place in trial.output_places()}


def _differ(record: Equation, trial: Any, ours: dict[tuple[int, ...], Any]) -> str | None:
    """None if the record's form has these values; else how it fails, where it cannot even be read."""
    try:
        theirs = dict(values_of(record, trial))
    except NoRoot:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return f" (its form cannot be read here: {error})"
    same = theirs.keys() == ours.keys() and all(constant(theirs[at]) == constant(ours[at]) for at in ours)
    return None if same else ""
