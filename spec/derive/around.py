"""What a page says around its formulas: which letter, over which range, of which arrays, under which conditions.

    ∂ℒ/∂x_p = …,   0 ≤ p ≤ n − 1      the left side is what is derived, the ranges are those of its indices
    `x` has the indices 0…n − 1       the axes of the array
    sizes: 1 ≤ m ≤ n                  true of every choice of sizes that is tried, and met with equality by one
    assumed: 0 ≤ y ≤ 1                true of every number that is drawn
    This is 1 − tanh(x)²              the result in other words
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import sympy as sp

from ..dual import constant
from . import whys
from .language import Expr
from .reading import Names, Reader, Unreadable
from .steps import LOSS, Derivation


def parts(text: str, over: Any) -> tuple[str, str, str]:
    """left = right, ranges"""
    left, _, rest = text.partition("= ")
    right, ranges = rest, ""
    if over:
        right, *more = re.split(r",   |,\\quad |\n *(?=[^\n\[\]Σ]*≤[^\n\[\]Σ]*$)", rest, maxsplit=1)
        ranges = more[0] if more else ""
    return left.strip(), " ".join(right.split()), ranges.strip()


def says_ranges(text: str, over: Any, reader: type[Reader], names: Names, trial: Any) -> bool:
    """Are these the ranges of the indices, in order?"""
    spans = reader(text, names).spans() if text else []
    return len(spans) == len(over) and all(
        index == i and same(low, first, trial) and same(high, last, trial)
        for (low, index, high), (i, first, last) in zip(spans, over))


def same(one: Expr, other: Expr, trial: Any) -> bool:
    """Equal as expressions, or at every choice of sizes."""
    if one == other or sp.expand(one - other) == 0:
        return True
    value = trial.instance.value
    return all(value(one, sizes) == value(other, sizes) for sizes in trial.derivation.trials)


def says_target(left: str, derivation: Derivation, reader: type[Reader], names: Names, latex: bool) -> bool:
    """∂ℒ/∂x_p; or a name of its own, with the free indices or, of a scalar function, its argument."""
    if derivation.lhs is None:
        return bool(reader(left, names).whole() == sp.Derivative(LOSS, derivation.wrt, evaluate=False))
    if left != derivation.lhs[latex]:
        return False
    found = re.search(r"(?:_\{?([^{}]*)\}?|\((\w+)\))$", left)
    letters = [i for i, _, _ in derivation.over] or [derivation.wrt]
    return not found or [names.things.get(one.strip()) for one in (found[1] or found[2]).split(",")] == letters


def misprint(derivation: Derivation, page: str, trial: Any, things: Any, names: Names, reader: type[Reader]) -> str:
    """The first thing said around the formulas that is not so."""
    given, checked = (page.partition(f"## {name}\n")[2].partition("\n## ")[0] for name in ("Given", "Checked"))
    for letter, axes in re.findall(r"^- `(.*?)` has the indices (.*)$", given, re.M):
        if not _says_axes(names.things[letter], axes, derivation, reader, names, trial):
            return f"{letter} does not have the indices {axes}"
    for left, right in re.findall(r"with `?(\S+?) = (∂[^`\n]*)`?$", given, re.M):
        if not _says_delta(left, right, derivation, reader, names):
            return f"{left} is not {right}"
    for text in re.findall(r"^- sizes: (.*)$", given, re.M):
        if wrong := _untrue_of_sizes(text, derivation, trial, reader, names):
            return f"not so of every choice of sizes, or of none with equality: {wrong}"
    return _untrue(given, derivation, trial, things) or _other_sizes(checked, derivation, trial, reader, names)


def _says_axes(base: Expr, text: str, d: Derivation, reader: type[Reader], names: Names, trial: Any) -> bool:
    spans = [[reader(end, names).whole() for end in axis.split("…")] for axis in text.split(" × ")]
    return len(spans) == len(d.shapes[base]) and all(
        same(one, other, trial) for span, axis in zip(spans, d.shapes[base]) for one, other in zip(span, axis))


def _says_delta(left: str, right: str, d: Derivation, reader: type[Reader], names: Names) -> bool:
    """`d_i = ∂ℒ/∂y_i` of the output; D_{i,j} = ∂J/∂Θ_{i,j} of an objective."""
    if right.startswith("∂J/"):
        return bool(reader(right.replace("∂J", "∂ℒ"), names).whole() == sp.Derivative(LOSS, d.wrt, evaluate=False))
    assert d.output is not None
    return bool(reader(left, names).whole() == d.output.delta and
                reader(right, names).whole() == sp.Derivative(LOSS, d.output.entry, evaluate=False))


def _untrue_of_sizes(text: str, d: Derivation, trial: Any, reader: type[Reader], names: Names) -> str:
    """The first relation between sizes that some choice does not satisfy, or that none meets with equality."""
    for fact in whys.facts(text):
        try:
            read = [reader(part, names).whole() for part in fact.parts]
        except (Unreadable, IndexError, KeyError):
            continue
        known = set(d.trials[0])
        if any(e.free_symbols - known for e in read):
            continue
        rows = [[trial.instance.value(e, sizes) for e in read] for sizes in d.trials]
        true = all(whys.RELATIONS[sign](a, b) for row in rows for sign, a, b in zip(fact.signs, row, row[1:]))
        met = all(any(row[k] == row[k + 1] for row in rows) for k in range(len(fact.signs)))
        if not (true and met):
            return str(fact)
    return ""


def _untrue(given: str, d: Derivation, trial: Any, things: Any) -> str:
    """The first assumption or remark with a fact that is none."""
    sayings = whys.Sayings(d, 0, trial, things)
    known = {s for _, thing in things if isinstance(thing, sp.Basic) for s in (thing, *thing.free_symbols)}
    for text in re.findall(r"^- assumed: (.*)$", given, re.M):
        for fact in whys.facts(text):
            letters = {s for part in fact.parts for s in getattr(sayings.thing(part), "free_symbols", ())}
            if letters <= known and sayings.holds(attrs.evolve(fact, reason=True)) is False:
                return f"assumed, and not so of what is drawn: {fact}"
    free = {str(i) for i, _, _ in d.over}                             # `where j = 0` says of which entries
    for remark in d.remarks:
        for fact in whys.facts(remark):
            if fact.parts[0] not in free and sayings.holds(fact) is False:
                return f"a remark says what is not so: {fact}"
        for other in _in_other_words(remark, sayings):
            if any(constant(trial.instance.value(other, place)) != constant(trial.instance.value(d.last, place))
                   for place in trial.places):
                return f"a remark says that the result is what it is not: {remark}"
    return ""


def _in_other_words(remark: str, sayings: Any) -> Iterator[Expr]:
    """The expression of a remark that says what the result is, if it is one."""
    found = re.match(r"This is ([^,.;:]+)", remark)
    e = sayings.thing(found[1]) if found else None
    if e is not None and not isinstance(e, type):
        yield e


def _other_sizes(checked: str, d: Derivation, trial: Any, reader: type[Reader], names: Names) -> str:
    """Is it proved at as many choices, and at as large ones, as the page says?"""
    found = re.search(r"at (\d+) (?:choices of (.*?)|points)[;.]", checked)
    if not found or int(found[1]) != len(d.trials):
        return "it is not said at how many points it is proved"
    wrong = _untrue_of_sizes(found[2] or "", d, trial, reader, names)
    return wrong and f"proved at {wrong}, it says"

