"""A line of Unicode, as it stands in a terminal and in the pages."""

from __future__ import annotations

from functools import cache

import sympy as sp

from ...letters import plain_name
from ..language import Divides, Expr, Same, negative
from .base import ATOM, POWER, PRODUCT, Printer


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
        if not e.exp.is_Integer:
            return f"{self.inside(e.base, ATOM)}^({self(e.exp)})", POWER
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


Printer.spelling = staticmethod(cache(Plain()))
