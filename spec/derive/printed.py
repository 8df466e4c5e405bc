"""What a page shows, read back and evaluated: definitions, every step and its reason, the result, in both scripts.

What stands around a formula (its left side, the ranges of its indices, arrays, sizes, assumptions) is read in `around`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import sympy as sp

from ..dual import constant
from . import around, whys
from .language import Expr, Prime
from .printers import Latex, Plain
from .reading import LaTeX, Names, Reader, Unicode, Unreadable, greek
from .steps import LOSS, Derivation

Place = dict[Expr, int]


def misprint(derivation: Derivation, page: str, trial: Any, others: Iterable[Any] = ()) -> str:
    """The first formula of a page that is not what the derivation says; empty if there is none.

    Formulas are evaluated at all of the trials, what is said in words at the first.
    """
    try:
        checker = _Checker(derivation, trial, others)
        for one in _formulas(derivation, page):
            for kind, shown in (("text", one.text), ("LaTeX", one.latex)):
                if shown is not None and not checker.holds(kind, shown, one):
                    return f"{one.where}: the printed {kind} is not what it says it is: {' '.join(shown.split())[:90]}"
        if letters := undefined(derivation, page):
            return f"{', '.join(letters)} stands in a step and nothing says what it is; give it a name or a shape"
        named = list(things(derivation))
        if wrong := around.misprint(derivation, page, trial, named, *checker.plainly):
            return wrong
        for k, step in enumerate(derivation.steps):
            if untrue := whys.untrue(derivation, k, trial, named):
                return f"step {k + 1} ({step.rule}): its reason says what is not so: {untrue}"
    except Unreadable as error:
        return f"the page cannot be read as mathematics: {error}"
    return ""


def undefined(derivation: Derivation, page: str) -> list[str]:
    """Letters that stand in a step and are neither an index there nor defined by a line of what is given."""
    plain, given = Plain((), derivation.notation), _section(page, "Given")
    arrays = re.findall(r"^- `(\S+)` has the indices", given, re.M)
    named = [plain.name(str(n.base)) for n in derivation.named if f"\n- `{plain(n.entry)} = " in given]
    alone = [one for line in re.findall(r"^- (?:whole )?numbers: (.*)$", given, re.M) for one in line.split(", ")]
    defined = {*arrays, *named, *alone}
    known = {derivation.wrt, *(index for index, _, _ in derivation.over)}
    found: dict[str, None] = {}
    for step in derivation.steps:
        bound = {i for s in step.expr.atoms(sp.Sum) for i in s.variables} | known
        for name, thing in _letters([step.expr]):
            printed = plain.name(name)
            there = printed in (given if isinstance(thing, type) else defined)    # a function is named where it is used
            if thing not in bound and not there:
                found[printed] = None
    return list(found)


class _Checker:
    """Reads both ways of writing with the letters of one derivation."""

    def __init__(self, derivation: Derivation, trial: Any, others: Iterable[Any] = ()) -> None:
        self.trial, self.trials = trial, (trial, *others)
        letters = names(derivation)
        self.readers: dict[str, tuple[type[Reader], Names]] = {
            "text": (Unicode, letters["text"]), "LaTeX": (LaTeX, letters["LaTeX"])}

    @property
    def plainly(self) -> tuple[Names, type[Reader]]:
        return self.readers["text"][1], self.readers["text"][0]

    def holds(self, kind: str, shown: str, formula: Formula) -> bool:
        """Left side, right side and ranges of a printed formula."""
        left, right, ranges = around.parts(shown, formula.over)
        reader, names = self.readers[kind]
        if not around.says_ranges(ranges, formula.over, reader, names, self.trial):
            return False
        if formula.left is TARGET and not around.says_target(
                left, self.trial.derivation, reader, names, kind == "LaTeX"):
            return False
        if isinstance(formula.left, sp.Basic) and reader(left, names).whole() != formula.left:
            return False
        return self.says(kind, right, formula.means, formula.at)

    def says(self, kind: str, text: str, expr: Expr, at: Any) -> bool:
        """Has the text the value of the expression, at all values of these indices?"""
        reader, names = self.readers[kind]
        read = reader(text, names).whole()
        if read == expr:
            return True
        try:
            return all(constant(trial.instance.value(read, place)) == constant(trial.instance.value(expr, place))
                       for trial in self.trials for place in _places(at, trial))
        except (ArithmeticError, LookupError, TypeError):
            return False


def names(derivation: Derivation) -> dict[str, Names]:
    """What the letters of one derivation stand for, in both ways of writing."""
    named = list(things(derivation))
    plain, latex = Plain((), derivation.notation), Latex((), derivation.notation)
    for name, _ in named:
        letter = greek(name)
        if letter != name and name not in derivation.notation and (
                plain.name(name) != letter or latex.name(name) != f"\\{name}"):
            raise Unreadable(f"{name} is printed as {plain.name(name)} and {latex.name(name)}")
    return {"text": Names((plain.name(name), thing) for name, thing in named),
            "LaTeX": Names((latex.name(name), thing) for name, thing in named)}


def things(derivation: Derivation) -> Iterator[tuple[str, Expr]]:
    """Everything with a name that stands in a derivation: arrays, functions, sizes, indices, scalars."""
    return _letters(_expressions(derivation))


def _letters(expressions: Iterable[Expr]) -> Iterator[tuple[str, Expr]]:
    found: set[Expr] = set()
    for e in expressions:
        arrays = {a.base for a in e.atoms(sp.Indexed)}
        functions = {f.func for f in e.atoms(sp.core.function.AppliedUndef)}
        labels = {a.label for a in arrays} | {f.args[0] for f in e.atoms(Prime)}
        found |= arrays | functions | (e.atoms(sp.Symbol) - labels)
        found |= {sp.Function(str(f.args[0])) for f in e.atoms(Prime)}
    yield from ((thing.__name__ if isinstance(thing, type) else str(thing), thing)
                for thing in sorted(found, key=lambda thing: (str(thing), str(type(thing)))))


def _expressions(derivation: Derivation) -> Iterator[Expr]:
    yield LOSS
    yield from (step.expr for step in derivation.steps)
    yield derivation.wrt
    if derivation.output is not None:
        yield from (derivation.output.entry, derivation.output.means, derivation.output.delta)
    yield from (e for n in derivation.named for e in (n.entry, n.means))
    yield from (sp.sympify(e) for over in _ranges(derivation) for one in over for e in one)
    if derivation.loss is not None:
        yield derivation.loss
    if derivation.plus is not None:
        yield derivation.objective


def _ranges(derivation: Derivation) -> Iterator[Any]:
    yield derivation.over
    yield from (n.over for n in derivation.named)
    if derivation.output is not None:
        yield derivation.output.over


TARGET = "what is derived"


@attrs.frozen
class Formula:
    """left = means, over: where it stands, in both ways of writing, and over which indices it is to be tried."""

    where: str
    text: str
    latex: str | None
    means: Expr
    at: Any = ()
    left: Any = None
    over: Any = ()


def _formulas(d: Derivation, page: str) -> Iterator[Formula]:
    given, steps, result = (_section(page, name) for name in ("Given", "Steps", "Result"))
    blocks = list(zip(_blocks(given), re.findall(r"^ *\$\$(.*)\$\$$", given, re.M)))
    o = d.output
    for text, latex in blocks[:1]:
        yield Formula("Given", text, latex, *(
            (d.loss,) if o is None else (o.means, o.over, o.entry, o.over)))
    for text, latex in blocks[1:]:
        yield Formula("Given, objective", text, latex, d.objective)
    lines = re.findall(r"^- `(.*?)`$", given, re.M)
    for n, text in zip(d.named, [line for line in lines if " = " in line]):
        yield Formula(f"Given, {n.base}", text, None, n.means, n.over, n.entry, n.over)
    texts, formulas = _blocks(steps), re.findall(r"^ *\$\$(.*)\$\$$", steps, re.M)
    if not len(texts) == len(formulas) == len(d.steps):
        raise Unreadable(f"{len(texts)} steps in text, {len(formulas)} in LaTeX, {len(d.steps)} in the derivation")
    for k, (text, latex, step) in enumerate(zip(texts, formulas, d.steps)):
        yield Formula(f"step {k + 1} ({step.rule})", text, latex, step.expr, d.over, None if k else TARGET)
    yield Formula("Result", _blocks(result)[0], None, d.last, d.over, TARGET, d.over)
    yield Formula("docstring", docstring(_section(page, "Python")), None, d.last, d.over, TARGET, d.over)


def docstring(section: str) -> str:
    """What the function of a section says it returns."""
    found = re.search(r'\n    """(.*?)"""', section.rpartition("\ndef ")[2], re.S)
    return found[1] if found else ""


def _section(page: str, name: str) -> str:
    return page.partition(f"## {name}\n")[2].partition("\n## ")[0]


def _blocks(text: str) -> list[str]:
    return re.findall(r"```text\n(.*?)\n *```", text, re.S)


def _places(over: Any, trial: Any) -> list[Place]:
    places: list[Place] = [{}]
    for index, low, high in over:
        span = range(int(trial.instance.value(low, {})), int(trial.instance.value(high, {})) + 1)
        places = [{**place, index: k} for place in places for k in span]
    return places
