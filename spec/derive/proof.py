"""Every line of a derivation against the line before it, and the first against the definition, over the exact field."""

from __future__ import annotations

from itertools import product
from typing import Any

import attrs
import sympy as sp

from ..field import DRAWS, Field, NoRoot, P, constant
from ..records import load
from . import origin, printed
from .evaluate import Instance, Key, OutOfRange
from .language import Expr
from .printers import Plain
from .steps import Derivation


@attrs.frozen
class Verdict:
    """How many comparisons held, or the first that did not."""

    compared: int
    sizes: int
    failure: str | None = None
    moved: bool = False


class Refused(ValueError):
    """A step that does not follow: the message names the derivation, the step and the sizes.

    `moved` says that it is a record that the derivation no longer agrees with.
    """

    def __init__(self, message: str, moved: bool = False) -> None:
        super().__init__(message)
        self.moved = moved


def prove(derivation: Derivation, function: Any = None) -> Verdict:
    """Compare all adjacent steps at all trial sizes, the first with the definition, the last with its Python."""
    compared = 0
    taken: set[tuple[Expr, Expr]] = set()
    try:
        for number, sizes in enumerate(derivation.trials):
            compared += _prove_at(derivation, sizes, number, function, taken)
        _every_case(derivation, taken)
    except Refused as refusal:
        return Verdict(compared, len(derivation.trials), str(refusal), refusal.moved)
    return Verdict(compared, len(derivation.trials))


def _every_case(derivation: Derivation, taken: set[tuple[Expr, Expr]]) -> None:
    """A case of the result that no trial has met is not proved."""
    for cases in sorted(derivation.last.atoms(sp.Piecewise), key=sp.default_sort_key):
        for value, condition in cases.args:
            if (value, condition) not in taken:
                write = Plain(derivation.order, derivation.notation)
                when = "else" if condition == sp.true else f"if {write.condition(condition)}"
                raise Refused(f"{derivation.id}: no trial meets the case {write(value)} {when} of its result, "
                              "so nothing is proved about it; is it ever met?")


def _prove_at(derivation: Derivation, sizes: dict[Expr, int], seed: int, function: Any,
              taken: set[tuple[Expr, Expr]]) -> int:
    for attempt in range(DRAWS):
        field = Field(seed * DRAWS + attempt)
        try:
            with field:
                trial = Trial(derivation, sizes, field)
                compared = _compare(trial, function)
                taken |= trial.instance.taken
                return compared
        except NoRoot:
            continue
        except ZeroDivisionError as error:
            raise Refused(f"{derivation.id}: {error}: it has no value at {sizes}") from None
    raise Refused(f"{derivation.id}: no random point has all the square roots that it and its record need")


class Trial:
    """A derivation at one choice of sizes."""

    def __init__(self, derivation: Derivation, sizes: dict[Expr, int], field: Field) -> None:
        self.derivation, self.field, self.sizes = derivation, field, sizes
        named = {n.base: (n.axes, n.letters, n.means) for n in derivation.named}
        self.instance = Instance(field, sizes, derivation.shapes, named, derivation.functions, derivation.draws)
        ranges = [range(self._int(low), self._int(high) + 1) for _, low, high in derivation.over]
        letters = [index for index, _, _ in derivation.over]
        self.places = [dict(zip(letters, at)) for at in product(*ranges)]
        self.curvature: dict[tuple[int, ...], tuple[int, int]] = {}
        for base, id in derivation.given.items():
            for at, value in origin.values_of(load()[id], self):
                self.instance.known[base.name, at] = value
        if derivation.output is not None:
            self._set_delta()

    def _int(self, e: Expr) -> int:
        return int(self.instance.value(e, {}))

    def output_places(self) -> list[tuple[tuple[int, ...], dict[Expr, int]]]:
        """The free indices of the output, as numbers and as a place to read expressions at."""
        over = self.derivation.output.over                           # type: ignore[union-attr]
        ranges = [range(self._int(low), self._int(high) + 1) for _, low, high in over]
        return [(at, dict(zip([r[0] for r in over], at))) for at in product(*ranges)]

    def _set_delta(self) -> None:
        """The loss is Σ c y + q y² with random c, q for each output y, hence δ = c + 2 q y."""
        output = self.derivation.output
        assert output is not None
        for at, place in self.output_places():
            c, q = self.field.random.randrange(P), self.field.random.randrange(P)
            self.curvature[at] = c, q
            y = constant(self.instance.value(output.means, place))
            key = self._key(output.delta, place)
            self.instance.known[key] = constant(0) + c + 2 * q * y

    def _key(self, entry: Expr, place: dict[Expr, int]) -> Key:
        base = entry.base if isinstance(entry, sp.Indexed) else entry
        return base.name, self.indices_of(entry, place)

    def indices_of(self, entry: Expr, place: dict[Expr, int]) -> tuple[int, ...]:
        indices = entry.indices if isinstance(entry, sp.Indexed) else ()
        return tuple(int(self.instance.value(i, place)) for i in indices)

    def share(self, first: int | None = None) -> Any:
        """The random loss of the outputs, or of those whose first index this is."""
        total: Any = 0
        for at, place in self.output_places():
            if first is None or at[0] == first:
                c, q = self.curvature[at]
                y = constant(self.instance.value(self.derivation.output.means, place))  # type: ignore[union-attr]
                total = total + c * y + q * y * y
        return total

    def loss(self) -> Any:
        """The loss at the current derivatives."""
        d = self.derivation
        if d.output is None:
            return self.instance.value(d.loss, {})
        total = self.share()
        total = self.instance.value(d.scale, {}) * total
        return total if d.plus is None else total + self.instance.value(d.plus, {})

    def directional(self, step: list[Any]) -> tuple[int, int]:
        """D_u loss for a random direction u, and what the line says it is."""
        u = [self.field.random.randrange(1, P) for _ in self.places]
        self.instance.move({self._key(self.derivation.wrt, place): v for place, v in zip(self.places, u)})
        truth = constant(self.loss()).d % P
        self.instance.move({})
        return truth, sum(constant(s).v * v for s, v in zip(step, u)) % P

    def line(self, k: int) -> list[Any]:
        """One line of the derivation at every free index."""
        step = self.derivation.steps[k]
        try:
            return [self.instance.value(step.expr, place) for place in self.places]
        except OutOfRange as error:
            raise Refused(self.refusal(k, str(error))) from None

    def refusal(self, k: int, what: str) -> str:
        step = self.derivation.steps[k]
        return f"{self.derivation.id}: step {k + 1} ({step.rule}) {what}{self.where()}"

    def where(self) -> str:
        """At which sizes, for a message."""
        at = ", ".join(f"{size} = {value}" for size, value in self.sizes.items())
        return f" at {at}" if at else ""


def _compare(trial: Trial, function: Any) -> int:
    lines = [trial.line(k) for k in range(len(trial.derivation.steps))]
    truth, claimed = trial.directional(lines[0])
    if truth != claimed:
        raise Refused(trial.refusal(0, "is not the derivative of the definition"))
    for k in range(1, len(lines)):
        if any(constant(a) != constant(b) for a, b in zip(lines[k - 1], lines[k])):
            raise Refused(trial.refusal(k, "does not equal the step before it"))
    if function is not None:
        _compare_python(trial, function, lines[-1])
    moved = origin.moved(trial, lines[-1])
    if moved:
        raise Refused(f"{trial.derivation.id}: {moved}{trial.where()}", moved=True)
    return (len(lines) + (function is not None)) * len(trial.places)


def _compare_python(trial: Trial, function: Any, last: list[Any]) -> None:
    number = len(trial.derivation.steps) - 1
    try:
        same = _same(_call(trial, function), last, trial)
    except Exception as error:                                       # edited code may fail in any way
        what = f"cannot be compared: the printed Python raises {type(error).__name__}: {error}"
        raise Refused(trial.refusal(number, what)) from error
    if not same:
        raise Refused(trial.refusal(number, "does not equal the printed Python"))


def _call(trial: Trial, function: Any) -> Any:
    """The printed Python on the same numbers, its arguments as nested lists."""
    d, instance = trial.derivation, trial.instance
    bases = {str(base): base for base in d.shapes} | {str(n.base): n.base for n in d.named}
    return function(*(instance.list_of(bases[name]) if name in bases else instance.value(d.values[name], {})
                      for name in d.python))


def _same(result: Any, expected: list[Any], trial: Trial) -> bool:
    """Nested lists against the values at the free indices; a list with slot 0 has None there."""
    for place, value in zip(trial.places, expected):
        found = result
        for index, _, _ in trial.derivation.over:
            found = found[place[index]]
        if constant(found) != constant(value):
            return False
    return _count(result) == len(trial.places)


def _count(result: Any) -> int:
    return sum(map(_count, result)) if isinstance(result, list) else int(result is not None)


def misprint(derivation: Derivation, page: str) -> str:
    """What a page shows, read back at choices of sizes that are as different as the trials have them."""
    first, *more = telling(derivation.trials)
    for attempt in range(DRAWS):
        try:
            with Field(attempt) as field:
                others = [Trial(derivation, sizes, field) for sizes in more]
                found = printed.misprint(derivation, page, Trial(derivation, first, field), others)
                return f"{derivation.id}: {found}" if found else ""
        except NoRoot:
            continue
    return f"{derivation.id}: no random point has the square roots that its page needs"


def telling(trials: tuple[dict[Expr, int], ...]) -> list[dict[Expr, int]]:
    """The choice whose sizes differ most, and what it takes for every size to be 2 or more, or below 0, somewhere.

    At 1 nothing is rounded: ⌈e/1⌉ is ⌊e/1⌋. On one side of 0 a formula with cases has one of them.
    """
    def kind(value: int) -> int:
        return (value > 1) - (value < 0)

    ordered = sorted(trials, key=lambda one: (-len(set(one.values())), -sum(one.values())))
    found = ordered[:1]
    for size in trials[0]:
        missing = {kind(one[size]) for one in trials} - {0} - {kind(one[size]) for one in found}
        found += [next(one for one in ordered if kind(one[size]) == value) for value in sorted(missing)]
    return found
