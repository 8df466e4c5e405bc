"""A derivation: what is differentiated, by what, and the named steps from the definition to the formula."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
import sympy as sp

from . import rules
from .evaluate import Axes
from .language import Expr
from .rules import Range


def as_ranges(over: Iterable[Iterable[Any]]) -> tuple[Range, ...]:
    """Plain integers among the bounds become SymPy's."""
    return tuple(tuple(map(sp.sympify, one)) for one in over)


def as_shapes(shapes: dict[Expr, Any]) -> dict[Expr, Axes]:
    return {base: as_ranges(axes) for base, axes in shapes.items()}  # type: ignore[misc]


LOSS = sp.Symbol("ℒ", real=True)


@attrs.frozen
class Step:
    """One line: the rule's name, what it did here, and the expression it led to."""

    rule: str
    why: str
    expr: Expr


@attrs.frozen
class Output:
    """The quantity that is differentiated, entry by entry, and δ = ∂(loss)/∂(output) for any loss after it."""

    entry: Expr
    means: Expr
    over: tuple[Range, ...] = attrs.field(converter=as_ranges)
    delta: Expr


@attrs.frozen
class Named:
    """A name for an intermediate quantity: entry = means, for the indices in over."""

    entry: Expr
    means: Expr
    over: tuple[Range, ...] = attrs.field(default=(), converter=as_ranges)

    @property
    def base(self) -> Expr:
        return self.entry.base if isinstance(self.entry, sp.Indexed) else self.entry

    @property
    def axes(self) -> Axes:
        return tuple((low, high) for _, low, high in self.over)

    @property
    def letters(self) -> tuple[Expr, ...]:
        return tuple(self.entry.indices) if isinstance(self.entry, sp.Indexed) else ()


@attrs.define
class Derivation:
    """∂(loss)/∂(wrt) for every free index in `over`, for all sizes that satisfy `relations`.

    `loss` is a scalar formula; or None, and then any loss of the `output`. Each step method applies one rule to the
    last line. `python` names the arguments of the printed function, `lengths` says how it reads the sizes off them.
    `starts` is the record that is differentiated (else the one under `of` of its own record), `reads` says what that
    record's names are here, `given` names arrays that a record computes, and `built` says that the definition was
    made from the record itself.
    """

    id: str
    title: str
    wrt: Expr
    over: tuple[Range, ...] = attrs.field(converter=as_ranges)
    shapes: dict[Expr, Axes] = attrs.field(converter=as_shapes)
    python: tuple[str, ...]
    lengths: dict[Expr, str]
    trials: tuple[dict[Expr, int], ...]
    lhs: tuple[str, str] | None = None
    of: tuple[str, str, str] = ("the loss", "ℒ", r"\mathcal{L}")
    notation: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    relations: str = ""
    assumes: tuple[str, ...] = ()
    output: Output | None = None
    loss: Expr | None = None
    plus: Expr | None = None
    scale: Expr = sp.S.One
    named: tuple[Named, ...] = ()
    functions: dict[str, Callable[[Any], Any]] = attrs.field(factory=dict)
    draws: dict[Expr, Callable[..., Any]] = attrs.field(factory=dict)
    values: dict[str, Expr] = attrs.field(factory=dict)
    defaults: dict[str, str] = attrs.field(factory=dict)
    order: tuple[str, ...] = ()
    code: dict[Expr, str] = attrs.field(factory=dict)
    helpers: str = ""
    remarks: tuple[str, ...] = ()
    starts: str = ""
    reads: dict[str, Any] = attrs.field(factory=dict)
    given: dict[Expr, str] = attrs.field(factory=dict)
    uses: tuple[str, ...] = ()
    built: bool = False
    steps: list[Step] = attrs.field(factory=list)
    made: dict[Expr, Any] = attrs.field(factory=dict, repr=False, eq=False)      # what is derived from the last step

    @property
    def last(self) -> Expr:
        return self.steps[-1].expr

    @property
    def objective(self) -> Expr:
        """What is differentiated where a loss ℒ of the output is scaled and something is added."""
        return self.scale * LOSS + (0 if self.plus is None else self.plus)

    @property
    def names(self) -> frozenset[Expr]:
        """The named quantities that depend on what we differentiate by."""
        found: set[Expr] = set()
        base = self.wrt.base if isinstance(self.wrt, sp.Indexed) else self.wrt
        for n in self.named:                                          # each uses earlier ones only
            if n.means.has(base, *found):
                found.add(n.base)
        return frozenset(found)

    def step(self, rule: str, why: str, expr: Expr) -> None:
        if self.steps and expr == self.last:
            raise rules.RuleError(f"{self.id}: the step {rule!r} changes nothing in {expr}")
        self.steps.append(Step(rule, why, expr))

    def chain(self, why: str = "") -> None:
        """The first line: the derivative of the loss; for a loss of the output, through all of its entries."""
        if self.output is None:
            what = sp.Derivative(self.loss, self.wrt, evaluate=False)
            self.step("definition", why or "the derivative to be found", what)
            return
        o = self.output
        total: Expr = o.delta * sp.Derivative(o.means, self.wrt, evaluate=False)
        if o.over:
            total = sp.Sum(total, *reversed(o.over))
        total = self.scale * total
        if self.plus is not None:
            total = total + sp.Derivative(self.plus, self.wrt, evaluate=False)
        self.step("chain rule", why or "the loss depends on it through every entry of the output", total)

    def differentiate(self, why: str = "the derivative passes through the sums; ∂x_a/∂x_b = [a = b]") -> None:
        """Carry out the derivatives; the step is called by the rules that this takes."""
        inside = [part.expr for part in self.last.atoms(sp.Derivative)]
        used = {name for e in inside for name in rules.names_of(e, self.wrt, self.names).split(", ")}
        title = ", ".join(n for n in rules.NAMES if n in used and (n != "linearity" or used == {n}))
        self.step(title, why, rules.flatten(rules.evaluate_derivatives(self.last, self.names)))

    def unfold(self, *entries: Expr, why: str = "") -> None:
        """Differentiate named quantities: what was ∂s/∂x becomes the derivative of what s stands for."""
        bases = {e.base if isinstance(e, sp.Indexed) else e for e in entries}
        names = self.names

        def open_up(part: Expr) -> Expr:
            inner = part.expr
            base = inner.base if isinstance(inner, sp.Indexed) else inner
            if base not in bases:
                return part
            n = next(n for n in self.named if n.base == base)
            means = n.means
            if n.letters:
                means = means.subs(dict(zip(n.letters, inner.indices)), simultaneous=True)
            return rules.differentiate(means, part.variables[0], names)

        expr = self.last.replace(lambda part: isinstance(part, sp.Derivative), open_up)
        self.step("chain rule", why, rules.flatten(expr))

    def collapse(self, index: Expr, why: str = "") -> None:
        self.step("collapse", why, rules.collapse(self.last, index))

    def absorb(self, *among: Expr, why: str = "") -> None:
        expr = self.last
        for index in among:
            expr = rules.absorb(expr, index)
        self.step("absorb", why or "the condition becomes the range", expr)

    def holds(self, why: str = "", extra: Iterable[Range] = ()) -> None:
        self.step("in range", why, rules.holds(self.last, (*self.over, *extra)))

    def single(self, index: Expr, value: Expr, why: str = "") -> None:
        self.step("in range", why, rules.single(self.last, index, value))

    def reindex(self, index: Expr, new: Expr, of_new: Expr, why: str = "") -> None:
        self.step("reindex", why, rules.reindex(self.last, index, new, of_new))

    def split(self, index: Expr, why: str = "a sum of terms is the sum of their sums") -> None:
        self.step("linearity", why, rules.split(self.last, index))

    def pull(self, index: Expr, why: str = "") -> None:
        self.step("pull", why, rules.pull(self.last, index))

    def rewrite(self, rule: str, why: str, expr: Expr) -> None:
        """A line written by hand, where no rule above says it: it stands because the field finds it equal."""
        self.step(rule, why, expr)

    def substitute(self, rule: str, why: str, what: dict[Expr, Expr]) -> None:
        """Replace subexpressions by equal ones."""
        self.step(rule, why, self.last.xreplace(what))


def grid(relation: Callable[..., bool] | None = None, /, **ranges: Iterable[int]) -> tuple[dict[str, int], ...]:
    """All size choices in a box that satisfy the relation: grid(lambda n, m: m <= n, n=range(1, 8), m=range(1, 5))."""
    found: list[dict[str, int]] = [{}]
    for name, values in ranges.items():
        found = [{**one, name: v} for one in found for v in list(values)]
    return tuple(one for one in found if relation is None or relation(**one))


def sample(count: int, relation: Callable[..., bool], /, **ranges: Sequence[int]) -> tuple[dict[str, int], ...]:
    """A fixed draw from a box that is too large to be tried whole; every value of every range is met."""
    rng, wanted = random.Random(253), {(name, v) for name, values in ranges.items() for v in values}
    found: list[dict[str, int]] = []
    for _ in range(20_000):
        one = {name: rng.choice(values) for name, values in ranges.items()}
        new = wanted & set(one.items())
        if relation(**one) and (new or len(found) < count - len(wanted)):
            found.append(one)
            wanted -= new
        if not wanted and len(found) >= count:
            break
    if wanted:
        raise ValueError(f"no choice of sizes has {sorted(wanted)}")
    return tuple(found)


def trials(sizes: dict[str, Expr], boxes: Iterable[dict[str, int]]) -> tuple[dict[Expr, int], ...]:
    """The same choices, keyed by symbols."""
    return tuple({sizes[name]: value for name, value in box.items()} for box in boxes)
