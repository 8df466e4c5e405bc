"""LaTeX, for pages that are typeset."""

from __future__ import annotations

import sympy as sp

from ...letters import latex_name
from ..language import Divides, Expr, Same, negative
from .base import ATOM, POWER, PRODUCT, UNARY
from .plain import Plain


class Latex(Plain):
    """LaTeX without packages beyond amsmath."""

    times, minus = r"\, ", "-"
    script = 1

    def name(self, name: str) -> str:
        if name in self.notation:
            return self.notation[name][1]
        text = latex_name(name)
        return rf"\mathrm{{{text}}}" if len(text) > 1 and text.isalpha() else text      # one name and no product

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

    def extreme(self, e: Expr) -> tuple[str, int]:
        return "\\" + super().extreme(e)[0], ATOM

    def absolute(self, e: Expr) -> tuple[str, int]:
        return rf"\left|{self(e.args[0])}\right|", ATOM

    def pi(self) -> str:
        return r"\pi"

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
        known = e.func.__name__ in ("log", "tanh", "sin", "cos")
        name = "\\" + e.func.__name__ if known else self.name(e.func.__name__)
        if isinstance(e, sp.erf | sp.erfc):
            name = rf"\operatorname{{{e.func.__name__}}}"
        return name + self.parentheses(", ".join(self(a) for a in e.args)), ATOM
