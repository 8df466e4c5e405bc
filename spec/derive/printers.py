"""Three ways to write an expression: a line of Unicode, LaTeX, and Python that runs.

SymPy's own printers change between releases and write −j + p for p − j; these know only the words of a derivation
and put them in the order a reader expects: positive terms first, factors as δ, Θ, a.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from .language import BRACKETS, CeilDiv, Divides, Expr, FloorDiv, Prime, Same, Within, negative

SUM, PRODUCT, UNARY, POWER, ATOM = range(5)      # how tightly a piece of text binds

_GREEK = {
    "theta": "θ", "Theta": "Θ", "delta": "δ", "Delta": "Δ", "gamma": "γ", "beta": "β", "mu": "μ", "alpha": "α",
    "eta": "η", "epsilon": "ε", "sigma": "σ", "tau": "τ",
}
_NAMES = {                                       # Python name: (LaTeX, Unicode)
    "lam": (r"\lambda", "λ"),
    "eps": (r"\varepsilon", "ε"),
    "yhat": (r"\hat{y}", "ŷ"),
    "xhat": (r"\hat{x}", "x̂"),
    "S2": ("S'", "S′"), "R2": ("R'", "R′"), "D2": ("D'", "D′"),
    "slope": ("s", "s"),
}


def latex_name(name: str) -> str:
    """The LaTeX of a name: theta is \\theta, delta_next is \\delta^{(l+1)}."""
    if name in _NAMES:
        return _NAMES[name][0]
    return "\\" + name if name in _GREEK else name


def plain_name(name: str) -> str:
    """The Unicode of a name: theta is θ, delta_next is δ⁽ˡ⁺¹⁾."""
    return _NAMES[name][1] if name in _NAMES else _GREEK.get(name, name)


class Printer:
    """What the three have in common: order and brackets. `order` lists the arrays as they should follow in a product."""

    times, minus = " ", "−"

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
            ((sp.exp, sp.log), self.applied),
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
        terms = sorted(e.args, key=_term_rank)
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
        return rank if name not in self.order else 2, place, PLAIN(f)

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

    def bracket(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        raise NotImplementedError

    def prime(self, e: Expr) -> tuple[str, int]:
        raise NotImplementedError


class Plain(Printer):
    """One line of Unicode: Σ_{i=max(0, p−m+1)}^{min(p, n−m)} d_i θ_{p−i}."""

    def name(self, name: str) -> str:
        return self.notation[name][0] if name in self.notation else plain_name(name)

    def subscript(self, parts: list[str]) -> str:
        text = ",".join(p.replace(" ", "") for p in parts)
        return text if len(text) == 1 else f"{{{text}}}"

    def indexed(self, e: Expr) -> tuple[str, int]:
        return f"{self.name(str(e.base))}_{self.subscript([self(i) for i in e.indices])}", ATOM

    def total(self, e: Expr) -> tuple[str, int]:
        signs = []
        for index, low, high in reversed(e.limits):
            signs.append(f"Σ_{self.subscript([f'{self(index)}={self(low)}'])}^{self.subscript([self(high)])}")
        return f"{' '.join(signs)} {self.inside(e.function, PRODUCT)}", PRODUCT

    def quotient(self, above: Expr, below: Expr) -> tuple[str, int]:
        return f"{self.inside(above, PRODUCT)}/{self.inside(below, POWER)}", PRODUCT

    def power(self, e: Expr) -> tuple[str, int]:
        if negative(e.exp):
            return self.quotient(sp.Integer(1), sp.Pow(e.base, -e.exp))
        if e.exp == sp.Rational(1, 2):
            return f"√({self(e.base)})", ATOM
        raised = str(e.exp).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        if isinstance(e.base, sp.Indexed):
            return f"({self(e.base)}){raised}", ATOM
        return f"{self.inside(e.base, ATOM)}{raised}", POWER

    def derivative(self, e: Expr) -> tuple[str, int]:
        below = f"∂{self(e.variables[0])}"
        if isinstance(e.expr, sp.Indexed | sp.Symbol):
            return f"∂{self(e.expr)}/{below}", POWER
        return f"∂/{below} ({self(e.expr)})", PRODUCT

    def cases(self, e: Expr) -> tuple[str, int]:
        rows = [self(value) if c == sp.true else f"{self(value)} if {self.condition(c)}" for value, c in e.args]
        return f"{{ {'; else '.join(rows)} }}", ATOM

    def condition(self, c: Expr) -> str:
        return f"{self(c.lhs)} {_RELATIONS[c.func][0]} {self(c.rhs)}"

    def bracket(self, e: Expr) -> tuple[str, int]:
        a = [self(x) for x in e.args]
        if isinstance(e, Same):
            return f"[{a[0]} = {a[1]}]", ATOM
        if isinstance(e, Divides):
            return f"[{a[0]} divides {a[1]}]", ATOM
        return f"[{a[1]} ≤ {a[0]} ≤ {a[2]}]", ATOM

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        text = self.quotient(*e.args)[0]
        return (f"⌈{text}⌉" if up else f"⌊{text}⌋"), ATOM

    def prime(self, e: Expr) -> tuple[str, int]:
        return f"{self(e.args[0])}′({self(e.args[1])})", ATOM

    def applied(self, e: Expr) -> tuple[str, int]:
        return super().applied(e)


PLAIN = Plain()


def _term_rank(term: Expr) -> tuple[bool, bool, bool, str, str]:
    """Positive terms first, sums last. Among indices: S i + D m − R, n − m + 1; elsewhere numbers lead: 1 − a."""
    below_zero = negative(term)
    body = -term if below_zero else term
    text = PLAIN(body).lower()
    if not body.is_integer:
        return below_zero, not body.is_number, body.has(sp.Sum), "", text
    letters = "".join(sorted(s.name for s in body.free_symbols if s.is_Symbol and not s.is_nonnegative))
    return bool(body.is_number), below_zero, not letters, letters, text


class Latex(Plain):
    """LaTeX without packages beyond amsmath."""

    times, minus = r"\, ", "-"

    def name(self, name: str) -> str:
        return self.notation[name][1] if name in self.notation else latex_name(name)

    def parentheses(self, text: str) -> str:
        return rf"\left({text}\right)"

    def subscript(self, parts: list[str]) -> str:
        return "{" + ", ".join(parts) + "}"

    def total(self, e: Expr) -> tuple[str, int]:
        signs = [rf"\sum_{{{self(i)}={self(low)}}}^{{{self(high)}}}" for i, low, high in reversed(e.limits)]
        return f"{' '.join(signs)} {self.inside(e.function, PRODUCT)}", PRODUCT

    def quotient(self, above: Expr, below: Expr) -> tuple[str, int]:
        return rf"\frac{{{self(above)}}}{{{self(below)}}}", UNARY

    def power(self, e: Expr) -> tuple[str, int]:
        if negative(e.exp):
            return self.quotient(sp.Integer(1), sp.Pow(e.base, -e.exp))
        if e.exp == sp.Rational(1, 2):
            return rf"\sqrt{{{self(e.base)}}}", ATOM
        base = self.parentheses(self(e.base)) if isinstance(e.base, sp.Indexed) else self.inside(e.base, ATOM)
        return f"{base}^{{{self(e.exp)}}}", POWER

    def derivative(self, e: Expr) -> tuple[str, int]:
        below = rf"\partial {self(e.variables[0])}"
        if isinstance(e.expr, sp.Indexed | sp.Symbol):
            return rf"\frac{{\partial {self(e.expr)}}}{{{below}}}", UNARY
        return rf"\frac{{\partial}}{{{below}}} {self.parentheses(self(e.expr))}", PRODUCT

    def cases(self, e: Expr) -> tuple[str, int]:
        otherwise, newline = r"\text{otherwise}", r" \\ "
        rows = [f"{self(v)} & {otherwise if c == sp.true else self.condition(c)}" for v, c in e.args]
        return rf"\begin{{cases}} {newline.join(rows)} \end{{cases}}", ATOM

    def condition(self, c: Expr) -> str:
        return f"{self(c.lhs)} {_RELATIONS[c.func][1]} {self(c.rhs)}"

    def extreme(self, e: Expr) -> tuple[str, int]:
        return "\\" + super().extreme(e)[0], ATOM

    def bracket(self, e: Expr) -> tuple[str, int]:
        a = [self(x) for x in e.args]
        if isinstance(e, Same):
            return f"[{a[0]} = {a[1]}]", ATOM
        if isinstance(e, Divides):
            return rf"[{a[0]} \mid {a[1]}]", ATOM
        return rf"[{a[1]} \le {a[0]} \le {a[2]}]", ATOM

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        text = self.quotient(*e.args)[0]
        return (rf"\lceil {text} \rceil" if up else rf"\lfloor {text} \rfloor"), ATOM

    def prime(self, e: Expr) -> tuple[str, int]:
        return f"{self(e.args[0])}'({self(e.args[1])})", ATOM

    def applied(self, e: Expr) -> tuple[str, int]:
        if isinstance(e, sp.exp):
            return f"e^{{{self(e.args[0])}}}", POWER
        name = r"\log" if isinstance(e, sp.log) else self.name(e.func.__name__)
        return f"{name}({', '.join(self(a) for a in e.args)})", ATOM


_RELATIONS: dict[Any, tuple[str, str, str]] = {
    sp.Ge: ("≥", r"\ge", ">="), sp.Gt: (">", ">", ">"), sp.Le: ("≤", r"\le", "<="), sp.Lt: ("<", "<", "<"),
}


class Python(Printer):
    """Python over any number type: sums are sum(...), conditions are filters, quotients of indices are //."""

    times, minus = " * ", "-"

    def name(self, name: str) -> str:
        return name

    def indexed(self, e: Expr) -> tuple[str, int]:
        return str(e.base) + "".join(f"[{self.whole(i)}]" for i in e.indices), ATOM

    def whole(self, i: Expr) -> str:
        """An index: a quotient stands beside its [a divides e], so // is exact."""
        above, below = sp.fraction(sp.together(i))
        return self(i) if below == 1 else f"{self.inside(above, UNARY)} // {self.inside(below, ATOM)}"

    def total(self, e: Expr) -> tuple[str, int]:
        loops = [f"for {index} in {self.range(low, high)}" for index, low, high in reversed(e.limits)]
        factors = sp.Mul.make_args(e.function)
        brackets = [f for f in factors if isinstance(f, BRACKETS)]
        body = self(sp.Mul(*(f for f in factors if f not in brackets)))
        for f in brackets:
            if f.has(sp.Indexed):                    # depends on data: lanes may differ
                body = f"where({self.condition(f)}, {body}, 0)"
        filters = [f"if {self.condition(f)}" for f in brackets if not f.has(sp.Indexed)]
        return f"sum({' '.join([body, *loops, *filters])})", ATOM

    def range(self, low: Expr, high: Expr) -> str:
        end = self(sp.expand(high + 1))
        return f"range({end})" if low == 0 else f"range({self(low)}, {end})"

    def fraction(self, above: Expr, below: Expr) -> tuple[str, int]:
        """All of the numerator first: 1 / n would make a float of two integers."""
        return self.quotient(above, below)

    def quotient(self, above: Expr, below: Expr) -> tuple[str, int]:
        return f"{self.inside(above, PRODUCT)} / {self.inside(below, POWER)}", PRODUCT

    def power(self, e: Expr) -> tuple[str, int]:
        if negative(e.exp):
            return self.quotient(sp.Integer(1), sp.Pow(e.base, -e.exp))
        if e.exp == sp.Rational(1, 2):
            return f"sqrt({self(e.base)})", ATOM
        return f"{self.inside(e.base, ATOM)} ** {self(e.exp)}", POWER

    def cases(self, e: Expr) -> tuple[str, int]:
        (value, condition), (otherwise, always) = e.args
        if always != sp.true:
            raise TypeError(f"Python: two cases, the second for all else, not {e}")
        return f"where({self.condition(condition)}, {self.branch(value)}, {self.branch(otherwise)})", ATOM

    def branch(self, value: Expr) -> str:
        """A thunk where a function could overflow outside its own branch."""
        return f"lambda: {self(value)}" if value.has(sp.exp, sp.log) else self(value)

    def condition(self, c: Expr) -> str:
        if isinstance(c, Same):
            return f"{self(c.args[0])} == {self(c.args[1])}"
        if isinstance(c, Divides):
            return f"{self.inside(c.args[1], UNARY)} % {self.inside(c.args[0], ATOM)} == 0"
        if isinstance(c, Within):
            return f"{self(c.args[1])} <= {self(c.args[0])} <= {self(c.args[2])}"
        return f"{self(c.lhs)} {_RELATIONS[c.func][2]} {self(c.rhs)}"

    def product(self, e: Expr) -> tuple[str, int]:
        """A condition outside every sum chooses: what it forbids is not computed."""
        factors = sp.Mul.make_args(e)
        conditions = [self.condition(f) for f in factors if isinstance(f, BRACKETS)]
        if not conditions:
            return super().product(e)
        rest = sp.Mul(*(f for f in factors if not isinstance(f, BRACKETS)))
        return f"({self(rest)} if {' and '.join(conditions)} else 0)", ATOM

    def bracket(self, e: Expr) -> tuple[str, int]:
        return f"(1 if {self.condition(e)} else 0)", ATOM

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        above, below = (self.inside(a, ATOM) for a in e.args)
        return (f"-(-{above} // {below})" if up else f"{above} // {below}"), (UNARY if up else PRODUCT)

    def prime(self, e: Expr) -> tuple[str, int]:
        return f"{e.args[0]}_prime({self(e.args[1])})", ATOM

    def derivative(self, e: Expr) -> tuple[str, int]:
        raise TypeError(f"Python: a derivative is left in the last step: {e}")
