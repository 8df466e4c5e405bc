"""What the reason of a step states as a fact, read and tried: an equation, a range, what does not depend on what.

    (eᵘ)′ = eᵘ u′                an identity of any u, or of the derivation's own letters
    only j = p − i survives      a bracket of the line before that this j satisfies, or the reindexing that was done
    0 ≤ i ≤ K − 1                true of every free index, both ends reached; or a bracket of the line before
    γ does not depend on i       read literally
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import attrs
import sympy as sp

from ..dual import constant
from ..letters import plain_name
from . import rules
from .evaluate import OutOfRange
from .language import Expr, Same, Within
from .printers import Plain
from .reading import FUNCTIONS, Names, Unicode, Unreadable
from .steps import Derivation

RELATIONS: dict[str, Any] = {
    "=": lambda a, b: a == b, "≤": lambda a, b: a <= b, "≥": lambda a, b: a >= b, "<": lambda a, b: a < b,
}
JOINTS = re.compile(r"([;:]| because | where |, that is |, so that |, read as |, (?![^\[({]*[\])}])| and )")
WORD = re.compile(rf"(?<![\w_′])(?!(?:{'|'.join(FUNCTIONS)})\b)[A-Za-z]{{2,}}(?:'s)?(?![\w(])")
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹ᵘᵛˣᶻ", "−0123456789uvxz")
u, v, slope = sp.Symbol("any u", real=True), sp.Symbol("any v", real=True), sp.Symbol("any u′", real=True)
ANY = {"u": u, "v": v, "u′": slope, "x": sp.IndexedBase("any x"),
       **{name: sp.Symbol(f"any {name}", integer=True) for name in "ab"}}


@attrs.frozen
class Fact:
    """a = b ≤ c: the parts, the signs between them, and whether a `because` stands before it."""

    parts: tuple[str, ...]
    signs: tuple[str, ...]
    reason: bool

    def __str__(self) -> str:
        return " ".join(x for pair in zip(self.parts, (*self.signs, "")) for x in pair if x)


def facts(why: str) -> Iterator[Fact]:
    """The relations that a reason states."""
    joint = ""
    for k, clause in enumerate(JOINTS.split(why)):
        if k % 2:
            joint = clause.strip()
            continue
        for segment in WORD.split(clause):
            pieces = _at_depth_zero(segment)
            if len(pieces) > 1:
                yield Fact(tuple(p.strip() for p in pieces[::2]), tuple(pieces[1::2]), joint == "because")


def _at_depth_zero(segment: str) -> list[str]:
    """a = b ≤ c as [a, =, b, ≤, c]; a relation between brackets is no relation of the sentence."""
    pieces, depth = [""], 0
    for letter in segment:
        depth += (letter in "([{⌊") - (letter in ")]}⌋")
        if depth == 0 and letter in RELATIONS:
            pieces += [letter, ""]
        else:
            pieces[-1] += letter
    return pieces


def untrue(derivation: Derivation, k: int, trial: Any, things: Any) -> str:
    """The first fact that the reason of step k states and that is none; empty if there is none."""
    why = derivation.steps[k].why
    if not why:
        return ""
    sayings = Sayings(derivation, k, trial, things)
    for fact in facts(why):
        if sayings.holds(fact) is False:
            return str(fact)
    if not sayings.agree():
        return why
    return sayings.independent(why)


def unread(derivation: Derivation, k: int, trial: Any, things: Any) -> list[str]:
    """The facts that are stated and cannot be tried."""
    sayings = Sayings(derivation, k, trial, things)
    return [str(fact) for fact in facts(derivation.steps[k].why) if sayings.holds(fact) is None]


class Sayings:
    """The reason of one step, with the letters of its derivation or, where those do not do, with any u, v, x."""

    def __init__(self, derivation: Derivation, k: int, trial: Any, things: Any) -> None:
        self.d, self.k, self.trial = derivation, k, trial
        plain = Plain((), derivation.notation)
        others = {letter: sp.Symbol(letter, integer=True) for letter in "ijklmnpqrst"}
        self.own = {**others, "g": sp.Function("g"), **{
            name_of(name): thing for name_of in (plain_name, plain.name) for name, thing in things}}
        sums = {s for e in self._lines() for s in e.atoms(sp.Sum)}
        self.ends = {plain(limit[0]): (plain(limit[1]), plain(limit[2])) for s in sorted(
            sums, key=sp.default_sort_key) for limit in s.limits}
        self.truths: list[list[bool]] = []
        self.general = False

    def _lines(self) -> list[Expr]:
        lines = [step.expr for step in self.d.steps] + [n.means for n in self.d.named]
        return [*lines, *([self.d.output.means] if self.d.output else []), *([self.d.loss] if self.d.loss else [])]

    def holds(self, fact: Fact) -> bool | None:
        """Is it so? None where it cannot be read."""
        self.general = any("u′" in part for part in fact.parts)      # else u is what we differentiate by
        for names in (self.own, {**self.own, **ANY}, ANY):
            try:
                parts = [self._read(part, names) for part in fact.parts]
            except (Unreadable, IndexError, KeyError, TypeError, ValueError):
                continue
            found = self._of_index(fact, parts) if self._bound(parts) else self._everywhere(fact, parts)
            if found is not None:
                return found
        return None

    def _read(self, text: str, names: dict[str, Any]) -> Expr:
        known = {name: thing for name, thing in names.items() if name != "u′"}
        if self.general:
            known["u′"] = slope
        return _Saying(self._spelled_out(text, known), Names(known.items()), self.d.wrt).whole()

    def _spelled_out(self, text: str, known: dict[str, Any]) -> str:
        """The shorthands of a sentence in the words of the printers: eᵘ, G_st, Σ_e, √π, log u, tanh′."""
        text = re.sub(r"(?<![\w_])e([⁻⁰¹²³⁴⁵⁶⁷⁸⁹ᵘᵛˣᶻ]+)", lambda m: f"exp({m[1].translate(RAISED)})", text)
        text = re.sub(r"(?<![\w_])e\^\(", "exp(", text)
        text = re.sub(r"_([a-zα-ω])([a-z])(?![a-z])", r"_{\1,\2}", text)
        text = re.sub(r"Σ_([a-z])(?![\w=])", self._with_ends, text)
        text = re.sub(r"√(\w)", r"√(\1)", text)
        text = re.sub(rf"\b({'|'.join(FUNCTIONS)}) (\w)", r"\1(\2)", text)
        names = "|".join([*FUNCTIONS, *(name for name, thing in known.items() if isinstance(thing, type))])
        text = re.sub(rf"(?<![\w_])({names})(′?)(?![A-Za-z_(′])", r"\1\2(u)", text)
        return re.sub(rf"(?<![\w_])({'|'.join(FUNCTIONS)})′\((\w)\)", r"(\1(\2))′", text)

    def _with_ends(self, sign: re.Match[str]) -> str:
        """Σ_k with the range that k has elsewhere in the derivation."""
        low, high = self.ends.get(sign[1], ("0", "0"))
        return f"Σ_{{{sign[1]}={low}}}^{{{high}}}"

    # ---- about an index that the line before sums over

    def _before(self) -> Expr:
        return self.d.steps[self.k - 1].expr if self.k else sp.S.Zero

    def _bound(self, parts: list[Expr]) -> bool:
        variables = {i for s in self._before().atoms(sp.Sum) for i in s.variables}
        free = {i for i, _, _ in self.d.over}
        over = variables - free
        return parts[0] in over or (any(part.free_symbols & over for part in parts)
                                    and all(part.is_integer for part in parts))

    def _of_index(self, fact: Fact, parts: list[Expr]) -> bool:
        before = self._before()
        if set(fact.signs) == {"="}:
            return any(self._solves(before, one, other) for one, other in pairwise(parts))
        low, middle, high = parts
        distances = {sp.expand(middle - low), sp.expand(high - middle)}
        return any({sp.expand(w.args[0] - w.args[1]), sp.expand(w.args[2] - w.args[0])} == distances
                   for w in before.atoms(Within))

    def _solves(self, before: Expr, index: Expr, value: Expr) -> bool:
        """Does index = value satisfy a bracket, or is it the reindexing or the single term of this step?"""
        if not index.is_Symbol:
            return False
        differences = [bracket.args[0] - bracket.args[1] for bracket in before.atoms(Same)]
        if any(one.has(index) and sp.expand(one.subs(index, value)) == 0 for one in differences):
            return True
        made = [_if_made(rules.single, before, index, value)]
        made += [_if_made(rules.reindex, before, index, new, value) for new in value.free_symbols]
        return self.d.steps[self.k].expr in made

    # ---- about numbers

    def _everywhere(self, fact: Fact, parts: list[Expr]) -> bool | None:
        """At every free index, and at every value of the other letters at which the arrays have entries."""
        instance = copy.copy(self.trial.instance)
        instance.shapes = {**instance.shapes}
        letters = {s for part in parts for s in part.free_symbols if s.is_Symbol}
        known = {*instance.sizes, *(i for i, _, _ in self.d.over)}
        labels = {x.base.label for part in parts for x in part.atoms(sp.Indexed)}
        others = sorted((s for s in letters - known - labels if s.is_integer and s not in instance.shapes), key=str)
        instance._bounds = {**{str(s): () for s in (u, v, slope)}, "any x": ((0, 3),), **instance._bounds}
        instance.functions = {"g": lambda t: 1 / (1 + (-constant(t)).exp()), **instance.functions}
        found: list[list[Any]] = []
        for place in self.trial.places:
            for values in product(range(6), repeat=len(others)):
                try:
                    found.append([instance.value(part, {**place, **dict(zip(others, values))}) for part in parts])
                except (OutOfRange, ZeroDivisionError):
                    continue
        if not found:
            return None
        truths = [all(RELATIONS[sign](_number(one), _number(other)) for sign, one, other in
                      zip(fact.signs, row, row[1:])) for row in found]
        if set(fact.signs) == {"="}:
            return all(truths)
        if all(part.is_integer for part in parts):
            ends = [min(abs(row[k] - row[k + 1]) for row in found) for k in range(len(parts) - 1)]
            return all(truths) and not any(ends)
        if fact.reason:
            return all(truths)
        self.truths.append(truths)
        return True

    def agree(self) -> bool:
        """Inequalities of one sentence say the same of every number."""
        return all(truths == self.truths[0] for truths in self.truths)

    def independent(self, why: str) -> str:
        """The first claim that something is constant, a function of something, or does not depend on it, if untrue."""
        for sentence in re.split(r"[;:]", why):
            found = re.search(r"([^,]+?) (?:does|do) not depend on (\S+)", sentence)
            if found and not self._apart(found[1], found[2]):
                return sentence.strip()
            found = re.search(r"(.+?) (?:is a constant|are constants) here", sentence)
            if found and any(self._moves(name) is True for name in re.split(r" and |, ", found[1])):
                return sentence.strip()
            found = re.search(r"(?:every )?(\S+) is a function of", sentence)
            if found and self._moves(found[1]) is False:
                return sentence.strip()
        return ""

    def thing(self, text: str) -> Expr | None:
        try:
            return self._read(text.strip(), self.own)
        except (Unreadable, IndexError, KeyError, TypeError, ValueError):
            return self.own.get(text.strip().partition("_")[0])

    def _apart(self, text: str, letter: str) -> bool:
        e, by = self.thing(text), self.thing(letter)
        if e is None or by is None:
            return True
        return not e.has(by) if by.is_Symbol and by.is_integer else self._moves(text, by) is not True

    def _moves(self, text: str, by: Expr | None = None) -> bool | None:
        """Does it depend on what we differentiate by?"""
        e = self.thing(text)
        if e is None or isinstance(e, type):
            return None
        return bool(e.has(*self.d.names, self.d.wrt.base if isinstance(self.d.wrt, sp.Indexed) else self.d.wrt))


def _if_made(rule: Any, *arguments: Any) -> Expr | None:
    """What the rule makes, or nothing where it does not apply."""
    try:
        return rule(*arguments)
    except rules.RuleError:
        return None


def _number(value: Any) -> Any:
    return value if isinstance(value, int) else constant(value)


class _Saying(Unicode):
    """As a line of a page, and a dash behind anything: its derivative by u, or by what the derivation is by."""

    def __init__(self, text: str, names: Names, by: Expr) -> None:
        self.by = by
        super().__init__(text, names)

    def atom(self) -> Expr:
        value = super().atom()
        while self.token == "′":
            self.advance()
            value = self._dashed(value)
        return value

    def _dashed(self, value: Expr) -> Expr:
        if not value.has(u):
            return sp.Derivative(value, self.by, evaluate=False)
        return sp.Derivative(value, u, evaluate=False) * self.names.things.get("u′", 1)
