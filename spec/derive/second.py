"""JVP and Hessian-vector product of a derivation against nested dual numbers over the field.

With x + ε ẋ + η v for a random ẋ and a random v in the definition, the ε of an output is the JVP, and the εη of the
loss is v · H ẋ. What is printed of both is read back, and their Python is called on the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sympy as sp

from ..field import DRAWS, Dual, Field, NoRoot, P, constant
from ..nested import Nested, nested
from . import along, pages, printed
from .evaluate import Instance
from .language import Expr
from .proof import Refused, Trial
from .steps import Derivation

MOST = 3                                         # choices of sizes: those that differ most


def prove(derivation: Derivation, functions: dict[str, Any], page: str = "") -> tuple[int, str]:
    """How many numbers were compared, and the first thing that does not hold."""
    compared = 0
    try:
        for number, sizes in enumerate(_choices(derivation)):
            compared += _at(derivation, sizes, number, functions, page if number == 0 else "")
    except Refused as refusal:
        return compared, str(refusal)
    return compared, ""


def _choices(derivation: Derivation) -> list[dict[Expr, int]]:
    """The largest of those whose sizes differ most, which tells most, and small ones."""
    first = max(derivation.trials, key=lambda one: (len(set(one.values())), sum(one.values())))
    others = sorted(derivation.trials, key=lambda one: (-len(set(one.values())), sum(one.values())))
    return [first, *others[:MOST - 1]]


def _at(derivation: Derivation, sizes: dict[Expr, int], seed: int, functions: dict[str, Any], page: str) -> int:
    for attempt in range(DRAWS):
        try:
            with Field(seed * DRAWS + attempt + 7) as field:
                return _compare(Moving(Trial(derivation, sizes, field)), functions, page)
        except NoRoot:
            continue
    raise Refused(f"{derivation.id}: no random point has all the square roots that its second derivative needs")


class Moving:
    """A trial whose entries move: the truth, and the rates that what is claimed is read with."""

    def __init__(self, trial: Trial) -> None:
        self.trial, draw = trial, trial.field.random.randrange
        d, self.v = trial.derivation, [draw(1, P) for _ in trial.places]
        wrt = [trial._key(d.wrt, place) for place in trial.places]
        rates = [draw(1, P) for _ in trial.places]
        trial.instance.move({key: (u, v) for key, u, v in zip(wrt, rates, self.v)})
        self.outputs = [nested(trial.instance.value(d.output.means, place)) for _, place in trial.output_places()] \
            if d.output is not None else []
        loss = nested(trial.loss())
        self.outputs = self.outputs or [loss]
        self.curve = loss.d.d % P
        trial.instance.move(dict(zip(wrt, rates)))
        self.rates = {(f"{name}{along.DOT}", at): Dual(u) for (name, at), u in zip(wrt, rates)}
        if d.output is not None:
            for (at, place), y in zip(trial.output_places(), self.outputs):
                name, index = trial._key(d.output.delta, place)
                self.rates[f"{name}{along.DOT}", index] = Dual(2 * trial.curvature[at][1] * y.v.d % P)
                trial.instance.moving[name, index] = 2 * trial.curvature[at][1] * y.v.d % P
        for n in d.named:
            if str(n.base) in d.python:
                for index in trial.instance.entries(n.base):
                    rate = constant(trial.instance.entry(n.base, index)).d
                    self.rates[f"{n.base}{along.DOT}", index] = Dual(rate % P)
        trial.instance.move({})

    def instance_of(self, made: Derivation) -> Instance:
        """The same numbers, with the rates among them."""
        t = self.trial
        given = {n.base: n for n in t.derivation.named if n.base in made.shapes}
        for base, n in given.items():
            for index in t.instance.entries(n.base):
                t.instance.known[base.name, index] = t.instance.entry(n.base, index)
        named = {n.base: (n.axes, n.letters, n.means) for n in made.named}
        found = Instance(t.field, t.sizes, made.shapes, named, made.functions, made.draws)
        found.known = {**t.instance.known, **self.rates}
        return found

    def places(self, made: Derivation) -> list[dict[Expr, int]]:
        return printed._places(made.over, self.trial)


def _compare(moving: Moving, functions: dict[str, Any], page: str) -> int:
    d = moving.trial.derivation
    for which, made in pages.directions(d):
        instance = moving.instance_of(made)
        found = [constant(instance.value(made.last, place)) for place in moving.places(made)]
        if which == "jvp":
            right = [y.v.d % P for y in moving.outputs] == [y.v % P for y in found]
        else:
            right = sum(v * y.v for v, y in zip(moving.v, found)) % P == moving.curve
        if not right:
            raise _refused(moving, which, "is not the derivative along the direction")
        if which in functions:
            _call(moving, which, made, instance, found, functions[which])
        if page and (text := _misprint(moving, which, made, instance, page)):
            raise _refused(moving, which, f"is printed as what it is not: {text[:90]}")
    return (len(moving.outputs) + len(moving.v)) * (1 + bool(functions))


def _refused(moving: Moving, which: str, what: str) -> Refused:
    return Refused(f"{moving.trial.derivation.id}: its {which.upper()} {what}{moving.trial.where()}")


def _call(moving: Moving, which: str, made: Derivation, instance: Instance, expected: list[Any], function: Any) -> None:
    try:
        result = _numbers(function(*_given(made, instance)))
        same = len(result) == len(expected) and all(constant(a) == b for a, b in zip(result, expected))
    except Exception as error:                                       # edited code may fail in any way
        raise _refused(moving, which, f"cannot be called: its Python raises {type(error).__name__}: {error}") from error
    if not same:
        raise _refused(moving, which, "does not equal its printed Python")


def _given(made: Derivation, instance: Instance) -> Iterator[Any]:
    bases = {str(base): base for base in made.shapes}
    for name in made.python:
        if name in bases:
            yield instance.list_of(bases[name])
        elif name in made.functions:
            yield made.functions[name]
        elif name.removesuffix("_prime") in made.functions:
            yield _slope(made.functions[name.removesuffix("_prime")])
        else:
            yield instance.value(made.values[name], {})


def _slope(g: Any) -> Any:
    return lambda u: nested(g(Nested(constant(u), Dual(1)))).d


def _numbers(result: Any) -> list[Any]:
    if not isinstance(result, list):
        return [] if result is None else [result]
    return [x for one in result for x in _numbers(one)]


def _misprint(moving: Moving, which: str, made: Derivation, instance: Instance, page: str) -> str:
    """A formula of the page that does not say what it should."""
    section = printed._section(page, which.upper())
    checker = printed._Checker(made, _Shown(instance, made))
    text, latex = printed._blocks(section)[0], re.findall(r"^\$\$(.*)\$\$$", section, re.M)[0]
    claims = [printed.Formula(which, text, latex, made.last, made.over, over=made.over),
              printed.Formula(which, printed.docstring(section), None, made.last, made.over, over=made.over)]
    lines = re.findall(r"^- `(.*?)`$", section, re.M)
    rates = [n for n in pages.needed(made) if str(n.base).endswith(along.DOT)]
    if len(lines) != len(rates):
        return f"{len(lines)} rates of {len(rates)}"
    claims += [printed.Formula(which, line, None, sp.sympify(n.means), n.over, n.entry, n.over)
               for n, line in zip(rates, lines)]
    return next((shown for one in claims for kind, shown in (("text", one.text), ("LaTeX", one.latex))
                 if shown is not None and not checker.holds(kind, shown, one)), "")


class _Shown:
    """What the checker of printed formulas asks a trial for."""

    def __init__(self, instance: Instance, derivation: Derivation) -> None:
        self.instance, self.derivation = instance, derivation
