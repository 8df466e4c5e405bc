"""Python that runs."""

from __future__ import annotations

import sympy as sp

from ..language import BRACKETS, Divides, Expr, Same, Within, negative
from .base import ATOM, POWER, PRODUCT, UNARY, Printer


class Python(Printer):
    """Python over any number type: sums are sum(...), conditions are filters, quotients of indices are //."""

    times, minus = " * ", "-"
    script = 2
    like = ""                                        # a scalar argument, for π as a number of its kind

    def applied(self, e: Expr) -> tuple[str, int]:
        """log(3) is one of the argument's kind, as √2 is."""
        if len(e.args) == 1 and e.args[0].is_Integer and self.like:
            return f"{self.name(e.func.__name__)}({self.constant(e.args[0])})", ATOM
        return super().applied(e)

    def absolute(self, e: Expr) -> tuple[str, int]:
        return f"abs({self(e.args[0])})", ATOM

    def product(self, e: Expr) -> tuple[str, int]:
        """A condition outside every sum chooses; a fraction alone is one of the argument's kind, not a float."""
        if e.is_Rational and self.like:
            return f"number({self.like}, {e.p}) / {e.q}", PRODUCT
        factors = sp.Mul.make_args(e)
        conditions = [self.condition(f) for f in factors if isinstance(f, BRACKETS)]
        if not conditions:
            return super().product(e)
        rest = sp.Mul(*(f for f in factors if not isinstance(f, BRACKETS)))
        return f"({self(rest)} if {' and '.join(conditions)} else 0)", ATOM

    def pi(self) -> str:
        return f"pi({self.kind()})"

    def constant(self, n: Expr) -> str:
        """A whole number under a root, as a number of the argument's kind: √2 has as many digits as that has."""
        return f"number({self.kind()}, {n})"

    def kind(self) -> str:
        if not self.like:
            raise TypeError("Python: π and √2 need a scalar argument, to be numbers of its kind")
        return self.like

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
                body = self.lanes(self.condition(f), body)
        filters = [f"if {self.condition(f)}" for f in brackets if not f.has(sp.Indexed)]
        return f"sum({' '.join([body, *loops, *filters])})", ATOM

    def lanes(self, condition: str, body: str) -> str:
        """The body where a condition on data holds, 0 elsewhere."""
        return f"where({condition}, {body}, 0)"

    def list_of(self, body: str, loops: str, from_one: bool) -> str:
        """A list over some indices; a range from 1 leaves slot 0 empty."""
        return f"[None, *[{body} {loops}]]" if from_one else f"[{body} {loops}]"

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
            return f"sqrt({self.constant(e.base) if e.base.is_Integer else self(e.base)})", ATOM
        if e.exp.is_Rational and e.exp.q == 2:
            return f"{self(sp.sqrt(e.base))} ** {e.exp.p}", POWER
        whole, rest = e.exp.as_coeff_Add()
        if whole.is_Integer and whole != 0 and rest != 0 and not rest.is_integer:     # u**(v - 1) is u**v / u
            return self.product(sp.Mul(e.base**rest, sp.Pow(e.base, whole, evaluate=False), evaluate=False))
        return f"{self.inside(e.base, ATOM)} ** {self.inside(e.exp, ATOM)}", POWER

    def cases(self, e: Expr) -> tuple[str, int]:
        *cases, (otherwise, always) = e.args
        if always != sp.true:
            raise TypeError(f"Python: the last case is for all else, not {e}")
        text = self.branch(otherwise)
        for k, (value, condition) in enumerate(reversed(cases)):
            inner = f"lambda: {text}" if k and not text.startswith("lambda: ") else text
            text = f"where({self.condition(condition)}, {self.branch(value)}, {inner})"
        return text, ATOM

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
        return super().condition(c)

    def bracket(self, e: Expr) -> tuple[str, int]:
        return f"(1 if {self.condition(e)} else 0)", ATOM

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        above, below = (self.inside(a, ATOM) for a in e.args)
        return (f"-(-{above} // {below})" if up else f"{above} // {below}"), (UNARY if up else PRODUCT)

    def prime(self, e: Expr) -> tuple[str, int]:
        return f"{e.args[0]}_prime({self(e.args[1])})", ATOM

    def derivative(self, e: Expr) -> tuple[str, int]:
        raise TypeError(f"Python: a derivative is left in the last step: {e}")
