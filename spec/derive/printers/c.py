"""C: every sum is a loop of its own, every array a pointer to doubles in row-major order, every size an argument."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from ..evaluate import Axes
from ..language import BRACKETS, Expr
from .base import ATOM, PRODUCT, UNARY
from .python import Python

HEAD = """\
#include <math.h>
#include <stdlib.h>

static long low_of(long a, long b) { return a < b ? a : b; }
static long high_of(long a, long b) { return a > b ? a : b; }
static long down(long a, long b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
static long up(long a, long b) { return -down(-a, b); }
"""


class C(Python):
    """Statements that compute an expression; `text` gives what stands for it, after the lines before it."""

    def __init__(self, order: tuple[str, ...], shapes: dict[Expr, Axes]) -> None:
        super().__init__(order)
        self.shapes, self.lines, self.depth, self.count = shapes, [""][:0], 1, 0
        self.whole_numbers = False                   # inside an index, a range, a condition on indices

    def say(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def fresh(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def index(self, e: Expr) -> str:
        """A whole number."""
        before, self.whole_numbers = self.whole_numbers, True
        text = self(e)
        self.whole_numbers = before
        return text

    def text(self, e: Expr) -> tuple[str, int]:
        if e.is_Symbol and e.is_integer and not self.whole_numbers:
            return f"(double){e}", UNARY
        if e.is_Integer and not self.whole_numbers:
            return f"{e}.0", ATOM if e >= 0 else UNARY
        return super().text(e)

    def indexed(self, e: Expr) -> tuple[str, int]:
        place = ""
        for i, (_, high) in zip(e.indices, self.shapes[e.base]):
            here = f"({self.index(i)})"
            place = here if not place else f"({place} * ({self.index(high + 1)}) + {here})"
        read = f"{e.base}[{place}]"
        return (f"(long){read}" if self.whole_numbers else read), ATOM

    def whole(self, i: Expr) -> str:
        return self.index(i)

    def quotient(self, above: Expr, below: Expr) -> tuple[str, int]:
        return f"{self.inside(above, PRODUCT)} / {self.inside(below, ATOM)}", PRODUCT

    def power(self, e: Expr) -> tuple[str, int]:
        if e.exp.is_Integer and 0 < e.exp <= 4:
            return " * ".join([self.inside(e.base, ATOM)] * int(e.exp)), PRODUCT
        if e.exp == sp.Rational(1, 2):
            return f"sqrt({self(e.base)})", ATOM
        if e.exp.is_number and e.exp < 0:
            return self.quotient(sp.Integer(1), sp.Pow(e.base, -e.exp))
        return f"pow({self(e.base)}, {self(e.exp)})", ATOM

    def pi(self) -> str:
        return "acos(-1.0)"

    def absolute(self, e: Expr) -> tuple[str, int]:
        return f"fabs({self(e.args[0])})", ATOM

    def applied(self, e: Expr) -> tuple[str, int]:
        return f"{e.func.__name__}({self(e.args[0])})", ATOM

    def product(self, e: Expr) -> tuple[str, int]:
        if e.is_Rational:
            return f"{e.p}.0 / {e.q}.0", PRODUCT
        brackets = [f for f in sp.Mul.make_args(e) if isinstance(f, BRACKETS)]
        if brackets and not self.whole_numbers:
            rest = sp.Mul(*(f for f in sp.Mul.make_args(e) if f not in brackets))
            return self.chosen([(rest, " && ".join(map(self.bracket_condition, brackets)))], sp.S.Zero), ATOM
        return super(Python, self).product(e)

    def extreme(self, e: Expr) -> tuple[str, int]:
        first, *rest = e.args
        inner = self(e.func(*rest))
        name = ("high_of" if isinstance(e, sp.Max) else "low_of") if self.whole_numbers else \
            "fmax" if isinstance(e, sp.Max) else "fmin"
        return f"{name}({self(first)}, {inner})", ATOM

    def rounded(self, e: Expr, up: bool) -> tuple[str, int]:
        return f"{'up' if up else 'down'}({', '.join(map(self.index, e.args))})", ATOM

    def bracket(self, e: Expr) -> tuple[str, int]:
        return f"({self.bracket_condition(e)} ? 1.0 : 0.0)", ATOM

    def bracket_condition(self, e: Expr) -> str:
        before, self.whole_numbers = self.whole_numbers, True
        text = self.condition(e)
        self.whole_numbers = before
        low, *more = text.split(" <= ")
        return f"({low} <= {more[0]} && {more[0]} <= {more[1]})" if len(more) == 2 else f"({text})"

    def cases(self, e: Expr) -> tuple[str, int]:
        *cases, (otherwise, _) = e.args
        return self.chosen([(value, self.relation(condition)) for value, condition in cases], otherwise), ATOM

    def relation(self, condition: Expr) -> str:
        if isinstance(condition, sp.And | sp.Or):
            return (" && " if isinstance(condition, sp.And) else " || ").join(f"({self.relation(c)})"
                                                                               for c in condition.args)
        return self.condition(condition)

    def chosen(self, cases: list[tuple[Expr, str]], otherwise: Expr) -> str:
        """A variable with the value of the first case that holds; only that case is computed."""
        name = self.fresh()
        self.say(f"double {name};")
        for k, (value, condition) in enumerate(cases):
            self.say(f"{'} else ' if k else ''}if ({condition}) {{")
            self.assign(name, value)
        self.say("} else {")
        self.assign(name, otherwise)
        self.say("}")
        return name

    def assign(self, to: str, value: Expr, how: str = "=") -> None:
        self.depth += 1
        self.say(f"{to} {how} {self(value)};")
        self.depth -= 1

    def total(self, e: Expr) -> tuple[str, int]:
        name = self.fresh()
        self.say(f"double {name} = 0.0;")
        self.loops(((i, low, high) for i, low, high in reversed(e.limits)), lambda: self.added(name, e.function))
        return name, ATOM

    def added(self, name: str, term: Expr) -> None:
        """The term where its brackets hold; nothing is read where they do not."""
        brackets = [f for f in sp.Mul.make_args(term) if isinstance(f, BRACKETS)]
        rest = sp.Mul(*(f for f in sp.Mul.make_args(term) if f not in brackets))
        if not brackets:
            self.depth -= 1
            self.assign(name, rest, "+=")
            self.depth += 1
            return
        self.say(f"if ({' && '.join(map(self.bracket_condition, brackets))}) {{")
        self.assign(name, rest, "+=")
        self.say("}")

    def loops(self, over: Iterable[tuple[Expr, Expr, Expr]], body: object) -> None:
        """for every index, the body."""
        opened = 0
        for i, low, high in over:
            self.say(f"for (long {i} = {self.index(low)}; {i} <= {self.index(high)}; {i}++) {{")
            self.depth += 1
            opened += 1
        body()                                                       # type: ignore[operator]
        for _ in range(opened):
            self.depth -= 1
            self.say("}")

    def store(self, base: Expr, axes: Axes, over: tuple[tuple[Expr, Expr, Expr], ...], value: Expr) -> None:
        """base[…] = value, over all indices; a scalar is a variable."""
        target = sp.IndexedBase(str(base))
        self.shapes = {**self.shapes, target: axes}
        place = self.indexed(target[tuple(i for i, _, _ in over)])[0] if over else f"*{base}"

        def one() -> None:
            self.depth -= 1
            self.assign(place, value)
            self.depth += 1
        self.loops(over, one)


def size_of(axes: Axes, write: C) -> str:
    """How many doubles an array has, slot 0 of a range from 1 among them."""
    return " * ".join(f"({write.index(high + 1)})" for _, high in axes) or "1"
