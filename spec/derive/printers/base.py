"""What the three ways of writing have in common: which rule an expression follows, order, and parentheses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from ..language import BRACKETS, CeilDiv, Expr, FloorDiv, Prime, negative

SUM, PRODUCT, UNARY, POWER, ATOM = range(5)      # how tightly a piece of text binds

RELATIONS: dict[Any, tuple[str, str, str]] = {
    sp.Ge: ("≥", r"\ge", ">="), sp.Gt: (">", ">", ">"), sp.Le: ("≤", r"\le", "<="), sp.Lt: ("<", "<", "<"),
    sp.Eq: ("=", "=", "=="), sp.Ne: ("≠", r"\ne", "!="),
}
JOINED: dict[Any, tuple[str, str, str]] = {
    sp.And: (" and ", r" \text{ and } ", " & "), sp.Or: (" or ", r" \text{ or } ", " | "),
}


FUNCTIONS = (sp.exp, sp.log, sp.tanh, sp.erf, sp.erfc, sp.sin, sp.cos)


class Printer:
    """What the three have in common. `order` lists the names as they should follow in a product."""

    times, minus = " ", "−"
    script = 0                                       # which of the three ways of RELATIONS and JOINED
    #: One spelling for all printers to sort by, so that they all put things in the same order: the plain one's.
    spelling: Callable[[Expr], str]

    def __init__(self, order: tuple[str, ...] = (), notation: dict[str, tuple[str, str]] | None = None) -> None:
        self.order = order
        self.notation = notation or {}

    def __call__(self, e: Expr) -> str:
        return self.text(e)[0]

    def text(self, e: Expr) -> tuple[str, int]:
        """The text, and how tightly it binds."""
        for kind, rule in self.rules():
            if isinstance(e, kind):
                return rule(e)
        raise TypeError(f"{type(self).__name__} has no rule for {e.func}: {e}")

    def rules(self) -> tuple[tuple[Any, Callable[[Expr], tuple[str, int]]], ...]:
        return (
            (sp.Symbol, lambda e: (self.name(e.name), ATOM)),
            (sp.Integer, lambda e: (str(e).replace("-", self.minus), ATOM if e >= 0 else UNARY)),
            (sp.Add, self.sum_of_terms),
            (sp.Mul, self.product),
            (sp.Rational, self.product),
            (sp.Pow, self.power),
            (sp.Indexed, self.indexed),
            (sp.Sum, self.total),
            (sp.Derivative, self.derivative),
            (sp.Piecewise, self.cases),
            ((sp.Max, sp.Min), self.extreme),
            (FUNCTIONS, self.applied),
            (sp.Abs, self.absolute),
            (type(sp.pi), lambda e: (self.pi(), ATOM)),
            (BRACKETS, self.bracket),
            (CeilDiv, lambda e: self.rounded(e, up=True)),
            (FloorDiv, lambda e: self.rounded(e, up=False)),
            (Prime, self.prime),
            (sp.core.function.AppliedUndef, self.applied),
        )

    def inside(self, e: Expr, at_least: int) -> str:
        """The text of e, in parentheses if it binds less tightly than its place asks."""
        text, binds = self.text(e)
        return text if binds >= at_least else self.parentheses(text)

    def parentheses(self, text: str) -> str:
        return f"({text})"

    def sum_of_terms(self, e: Expr) -> tuple[str, int]:
        of_indices = all(t.is_integer for t in e.args)
        terms = sorted(e.args, key=lambda term: _term_rank(term, of_indices))
        if all(t.is_number or negative(t) for t in terms):
            terms.sort(key=lambda term: not term.is_number)                      # 1 − i, where no letter can lead
        pieces = []
        for k, term in enumerate(terms):
            below_zero = negative(term)
            text = self.inside(-term if below_zero else term, PRODUCT)
            sign = self.minus if below_zero else "+"
            pieces.append((self.minus if below_zero else "") + text if k == 0 else f" {sign} {text}")
        return "".join(pieces), SUM

    def product(self, e: Expr) -> tuple[str, int]:
        if negative(e):
            return self.minus + self.inside(-e, PRODUCT), UNARY
        above, below = sp.fraction(e, exact=True)
        if below != 1:
            return self.fraction(above, below)
        factors = sorted(sp.Mul.make_args(e), key=self._factor_rank)
        last = len(factors) - 1
        texts = [self.inside(f, PRODUCT if k == last and isinstance(f, sp.Sum | sp.Derivative) else UNARY)
                 for k, f in enumerate(factors)]
        return self.times.join(texts), PRODUCT

    def fraction(self, above: Expr, below: Expr) -> tuple[str, int]:
        """What is simple in the numerator over the denominator, then sums, derivatives and brackets beside it."""
        wide = (sp.Sum, sp.Derivative, *BRACKETS)
        beside = [f for f in sp.Mul.make_args(above) if f.has(*wide)]
        simple = sp.Mul(*(f for f in sp.Mul.make_args(above) if not f.has(*wide)))
        if not beside:
            return self.quotient(above, below)
        if negative(simple):
            return self.minus + self.fraction(sp.Mul(-simple, *beside), below)[0], UNARY
        front, binds = self.quotient(simple, below)
        rest = self.inside(sp.Mul(*beside), PRODUCT if len(beside) == 1 and isinstance(beside[0], wide) else UNARY)
        return f"{front if binds >= UNARY else self.parentheses(front)}{self.times}{rest}", PRODUCT

    def _factor_rank(self, f: Expr) -> tuple[int, int, str]:
        base = f.base if isinstance(f, sp.Pow) else f
        if base.is_number:
            return 0, 0, ""
        rank = 7 if isinstance(base, sp.Sum) else 6 if isinstance(base, sp.Derivative) else \
            5 if isinstance(base, BRACKETS) else 3 if isinstance(base, sp.Add) else \
            4 if isinstance(base, sp.Function) else 2
        name = str(base.base) if isinstance(base, sp.Indexed) else base.name if base.is_Symbol else ""
        place = self.order.index(name) if name in self.order else len(self.order)
        return rank if name not in self.order else 2, place, Printer.spelling(f)

    # what each way of writing says for itself
    def name(self, name: str) -> str:
        raise NotImplementedError

    def quotient(self, above: Expr, below: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def power(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def indexed(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def total(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def derivative(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def cases(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def extreme(self, e: Expr) -> tuple[str, int]:
        parts = sorted((self(a) for a in e.args), key=lambda t: (len(t), t))
        return f"{'max' if isinstance(e, sp.Max) else 'min'}({', '.join(parts)})", ATOM

    def applied(self, e: Expr) -> tuple[str, int]:
        return f"{self.name(e.func.__name__)}({', '.join(self(a) for a in e.args)})", ATOM

    def absolute(self, e: Expr) -> tuple[str, int]:
        return f"|{self(e.args[0])}|", ATOM

    def pi(self) -> str:
        return "π"

    def bracket(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def condition(self, c: Expr) -> str:
        """The condition of a case: a relation, or several that hold together."""
        if isinstance(c, sp.And | sp.Or):
            parts = sorted(map(self.condition, c.args))
            return JOINED[c.func][self.script].join(f"({part})" if self.script == 2 else part for part in parts)
        if c.func not in RELATIONS:
            raise TypeError(f"no way to print the condition {c}")
        return f"{self(c.lhs)} {RELATIONS[c.func][self.script]} {self(c.rhs)}"

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        raise NotImplementedError

    def prime(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError


def _term_rank(term: Expr, of_indices: bool) -> tuple[bool, bool, bool, str, str]:
    """Positive terms first, sums last. Among indices: S i + D m − R, n − m + 1; elsewhere numbers lead: 1 − a."""
    below_zero = negative(term)
    body = -term if below_zero else term
    text = Printer.spelling(body).lower()
    if not of_indices:
        return below_zero, not body.is_number, body.has(sp.Sum), "", text
    letters = "".join(sorted(s.name for s in body.free_symbols if s.is_Symbol and not s.is_nonnegative))
    return bool(body.is_number), below_zero, not letters, letters, text
