"""Reading printed mathematics back: a line of Unicode or LaTeX as an expression, to be evaluated like any other.

The printers can be wrong where the algebra is right: ⌈ ⌉ for ⌊ ⌋, a lost sign, a bracket that closes too early. So what
a page shows is read here, by a grammar that knows nothing of the printers, and must have the value of its step.

    expression   [−] term { (+ | −) term }
    term         factor { [/] factor }                   side by side, or with \\, between them: a product
    factor       atom { ² | ^{…} | ^(…) }
    atom         number, name_{index, …}, (…), [a = b], [a ≤ e ≤ b], ⌊…⌋, |…|, { … if …; else … }, Σ_{i=a}^{b} term, …
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

import sympy as sp

from .language import CeilDiv, Divides, Expr, FloorDiv, Prime, Same, Within

SUPERSCRIPT = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))
FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "exp": sp.exp, "log": sp.log, "tanh": sp.tanh, "erf": sp.erf, "erfc": sp.erfc, "sin": sp.sin, "cos": sp.cos,
    "max": lambda *a: sp.Max(*a, evaluate=False), "min": lambda *a: sp.Min(*a, evaluate=False),
}
RELATIONS = {"≤": sp.Le, "≥": sp.Ge, "<": sp.Lt, ">": sp.Gt, "=": sp.Eq, "≠": sp.Ne}
ENDS = {None, ")", "]", "}", "⌉", "⌋", ",", ";", "+", "−", *RELATIONS, "if",
        "divides", "mod", "and", "or", "&", "\\\\", "end"}


class Unreadable(ValueError):
    """Printed text that is no mathematics by the grammar; the message shows where."""


def greek(name: str) -> str:
    """theta → θ, Theta → Θ: by the character's own name; other names stand for themselves."""
    size = "CAPITAL" if name[:1].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return name


class Names:
    """What the letters of a page stand for. Two things with one letter are refused."""

    def __init__(self, things: Iterable[tuple[str, Expr]]) -> None:
        self.things: dict[str, Expr] = {}
        for text, thing in things:
            if self.things.setdefault(text, thing) != thing:
                raise Unreadable(f"{text!r} is printed for two things, {self.things[text]} and {thing}")
        self.longest = sorted(self.things, key=len, reverse=True)


class Reader:
    """One text, read from left to right. `next_token` is the way of writing; the grammar is common to both."""

    def __init__(self, text: str, names: Names) -> None:
        self.text, self.names, self.at = text, names, 0
        self.token: Any = None
        self.in_bars = False                                     # between | and |: the next one closes
        self.advance()

    def next_token(self) -> Any:
        raise NotImplementedError

    def advance(self) -> Any:
        before, self.token = self.token, self.next_token()
        return before

    def expect(self, token: str) -> None:
        if self.token != token:
            raise Unreadable(f"{token!r} expected, {self.token!r} found before {self.text[self.at:self.at + 30]!r}")
        self.advance()

    def match(self, pattern: str) -> str | None:
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def known(self) -> str | None:
        """The longest name that begins here."""
        for name in self.names.longest:
            if self.text.startswith(name, self.at):
                self.at += len(name)
                return name
        return None

    def whole(self) -> Expr:
        """The text, to its end."""
        value = self.expression()
        self.ended()
        return value

    def ended(self) -> None:
        if self.token is not None:
            raise Unreadable(f"not read to the end: {self.token!r} before {self.text[self.at:self.at + 30]!r}")

    def spans(self) -> list[tuple[Expr, Expr, Expr]]:
        """a ≤ i ≤ b, c ≤ j ≤ d: ranges, to the end of the text."""
        found: list[tuple[Expr, Expr, Expr]] = []
        while not found or self.token == ",":
            if found:
                self.advance()
            low = self.expression()
            self.expect("≤")
            index = self.expression()
            self.expect("≤")
            found.append((low, index, self.expression()))
        self.ended()
        return found

    def expression(self) -> Expr:
        sign = -1 if self.token == "−" and self.advance() else 1
        total = sign * self.term()
        while self.token in ("+", "−"):
            total = total + (1 if self.advance() == "+" else -1) * self.term()
        return total

    def term(self) -> Expr:
        value = self.factor()
        while True:
            if self.token == "/":
                self.advance()
                value = value / self.factor()
            elif self.token == "mod":
                self.advance()
                value = sp.Mod(value, self.factor())
            elif self.token not in ENDS and not (self.token == "|" and self.in_bars):
                value = value * self.factor()
            else:
                return value

    def factor(self) -> Expr:
        value = self.atom()
        while isinstance(self.token, tuple) and self.token[0] == "power":
            value = value ** self.advance()[1]
        return value

    def atom(self) -> Expr:
        token = self.advance()
        if isinstance(token, tuple):
            kind, value = token
            return self.named(value) if kind == "name" else self.applied(value) if kind == "function" else value
        if token == "(":
            return self.closing(self.expression(), ")")
        if token in ("⌈", "⌊"):
            return self.rounded(token)
        if token == "|":
            self.in_bars = True
            value = self.expression()
            self.in_bars = False
            return self.closing(sp.Abs(value, evaluate=False), "|")
        if token == "[":
            return self.bracket()
        if token == "Σ":
            return self.total()
        if token == "∂":
            return self.derivative()
        if token == "cases":
            return self.cases()
        if token == "√":
            return self.root()
        raise Unreadable(f"no mathematics begins with {token!r} before {self.text[self.at:self.at + 30]!r}")

    def closing(self, value: Expr, end: str) -> Expr:
        self.expect(end)
        return value

    def rounded(self, opening: str) -> Expr:
        above, below = sp.fraction(sp.together(self.quotient()))
        self.expect("⌉" if opening == "⌈" else "⌋")
        return (CeilDiv if opening == "⌈" else FloorDiv)(above, below)

    def quotient(self) -> Expr:
        return self.expression()

    def named(self, text: str) -> Expr:
        """A name, with its indices where it is an array, its argument where it is a function."""
        thing = self.names.things[text]
        if isinstance(thing, sp.IndexedBase):
            return thing[tuple(self.subscript())]
        if isinstance(thing, type):                              # a function g: g(u), or g′(u)
            if self.token == "′":
                self.advance()
                return Prime(sp.Symbol(thing.__name__), *self.arguments())
            return thing(*self.arguments())
        return thing

    def applied(self, name: str) -> Expr:
        return FUNCTIONS[name](*self.arguments())

    def arguments(self) -> list[Expr]:
        self.expect("(")
        return self.listed(")")

    def listed(self, end: str) -> list[Expr]:
        found = [self.expression()]
        while self.token == ",":
            self.advance()
            found.append(self.expression())
        self.expect(end)
        return found

    def bracket(self) -> Expr:
        first = self.expression()
        relation = self.advance()
        if relation == "=":
            return self.closing(Same(first, self.expression()), "]")
        if relation == "divides":
            return self.closing(Divides(first, self.expression()), "]")
        if relation != "≤":
            raise Unreadable(f"a bracket says =, ≤ or divides, not {relation!r}")
        middle = self.expression()
        self.expect("≤")
        return self.closing(Within(middle, first, self.expression()), "]")

    def condition(self) -> Expr:
        first, relation = self.expression(), self.advance()
        if relation not in RELATIONS:
            raise Unreadable(f"a condition says ≤, ≥, < or >, not {relation!r}")
        found = RELATIONS[relation](first, self.expression(), evaluate=False)
        if self.token in ("and", "or"):
            join = sp.And if self.advance() == "and" else sp.Or
            return join(found, self.condition(), evaluate=False)
        return found

    def total(self) -> Expr:
        """Σ_{i=a}^{b} f: the term that follows is under the sum, to its end."""
        self.expect("_")
        self.expect("{")
        _, text = self.advance()
        index = self.names.things[text]
        self.expect("=")
        low = self.expression()
        self.expect("}")
        high = self.advance()[1]
        return sp.Sum(self.term(), (index, low, high))

    def subscript(self) -> list[Expr]:
        self.expect("_")
        self.expect("{")
        return self.listed("}")

    def derivative(self) -> Expr:
        raise NotImplementedError

    def cases(self) -> Expr:
        raise NotImplementedError

    def root(self) -> Expr:
        raise NotImplementedError


class Unicode(Reader):
    """A line as it stands in a terminal."""

    def next_token(self) -> Any:
        self.match(r"\s+")
        if self.at >= len(self.text):
            return None
        for word in ("if", "else", "divides", "and", "or"):
            if self.match(rf"{word}(?= )"):
                return word
        for name in FUNCTIONS:
            if self.match(rf"{name}(?=\()"):
                return "function", name
        if (known := self.known()) is not None:
            return "name", known
        if number := self.match(r"\d+"):
            return "number", sp.Integer(number)
        if raised := self.match("[⁰¹²³⁴⁵⁶⁷⁸⁹]+"):
            return "power", sp.Integer("".join(SUPERSCRIPT[digit] for digit in raised))
        if self.match(r"\^"):
            return self.raised()
        if self.match(r"\{ "):
            return "cases"
        if self.match("_"):
            return self.lowered()
        if self.match("π"):
            return "number", sp.pi
        letter = self.text[self.at]
        self.at += 1
        return letter

    def lowered(self) -> str:
        """An index of one letter stands without braces: as if it had them."""
        if self.text[self.at] != "{":
            end = self.at + 1
            while end < len(self.text) and unicodedata.combining(self.text[end]):
                end += 1
            self.text = f"{self.text[:self.at]}{{{self.text[self.at:end]}}}{self.text[end:]}"
        return "_"

    def raised(self) -> Any:
        """^n, ^{n − 1}, ^(v): an exponent, or the end of a sum."""
        opening = self.text[self.at]
        if opening not in "{(":
            self.text = f"{self.text[:self.at]}({opening}){self.text[self.at + 1:]}"
        inner = Unicode(inside(self.text, self.at), self.names)
        self.at += len(inner.text) + 2
        return "power", inner.whole()

    def derivative(self) -> Expr:
        """∂u/∂x, or ∂/∂x (…)"""
        if self.token == "/":
            self.advance()
            self.expect("∂")
            by = self.atom()
            return sp.Derivative(self.atom(), by, evaluate=False)
        of = self.atom()
        self.expect("/")
        self.expect("∂")
        return sp.Derivative(of, self.atom(), evaluate=False)

    def cases(self) -> Expr:
        """{ v if c; else w }"""
        found = []
        while True:
            value = self.expression()
            condition = self.condition() if self.token == "if" and self.advance() else sp.true
            found.append((value, condition))
            if self.token == "}":
                self.advance()
                return sp.Piecewise(*found, evaluate=False)
            self.expect(";")
            self.expect("else")

    def root(self) -> Expr:
        self.expect("(")
        return sp.sqrt(self.closing(self.expression(), ")"))


WORDS = {
    r"\le": "≤", r"\ge": "≥", r"\ne": "≠", r"\bmod": "mod", r"\text{ and }": "and", r"\text{ or }": "or",
    r"\mid": "divides", r"\partial": "∂", r"\lceil": "⌈", r"\rceil": "⌉", r"\lfloor": "⌊",
    r"\rfloor": "⌋", r"\left(": "(", r"\right)": ")", r"\sum": "Σ", r"\sqrt": "√", r"\\": "\\\\",
    r"\begin{cases}": "cases", r"\end{cases}": "end", r"\text{otherwise}": "else", "-": "−", "'": "′",
}


class LaTeX(Reader):
    """A formula between dollars."""

    def next_token(self) -> Any:
        self.match(r"(\s|\\[,! ])+")
        if self.at >= len(self.text):
            return None
        if self.match(r"\\(left|right)\|"):
            return "|"
        if self.match(r"e\^(?=\{)"):
            return "number", sp.exp(self.group())
        if self.match(r"\\frac(?=\{)"):
            return self.fraction()
        if self.match(r"\\pi(?![a-z])"):
            return "number", sp.pi
        for name in FUNCTIONS:
            if self.match(rf"(\\{name}|\\operatorname\{{{name}\}})(?=\\left\(|\()"):
                return "function", name
        if (known := self.known()) is not None:
            return "name", known
        for word in sorted(WORDS, key=len, reverse=True):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return WORDS[word]
        if number := self.match(r"\d+"):
            return "number", sp.Integer(number)
        if self.match(r"\^(?=\{)"):
            return "power", self.group()
        letter = self.text[self.at]
        self.at += 1
        return letter

    def group(self) -> Expr:
        """{…} as a formula of its own."""
        inner = inside(self.text, self.at)
        self.at += len(inner) + 2
        return LaTeX(inner, self.names).whole()

    def fraction(self) -> Any:
        above = inside(self.text, self.at)
        below = inside(self.text, self.at + len(above) + 2)
        self.at += len(above) + len(below) + 4
        if not above.startswith(r"\partial"):
            return "number", LaTeX(above, self.names).whole() / LaTeX(below, self.names).whole()
        by = LaTeX(below.removeprefix(r"\partial"), self.names).whole()
        of = above.removeprefix(r"\partial").strip()
        if of:
            return "number", sp.Derivative(LaTeX(of, self.names).whole(), by, evaluate=False)
        self.advance()
        return "number", sp.Derivative(self.resumed(), by, evaluate=False)

    def resumed(self) -> Expr:
        """The operand of ∂/∂x, a bracket; the token after it is read again by who asked."""
        self.expect("(")
        value = self.expression()
        if self.token != ")":
            raise Unreadable("the operand of a derivative does not close")
        return value

    def cases(self) -> Expr:
        found = []
        while True:
            value = self.expression()
            self.expect("&")
            condition = sp.true if self.token == "else" and self.advance() else self.condition()
            found.append((value, condition))
            if self.token == "end":
                self.advance()
                return sp.Piecewise(*found, evaluate=False)
            self.expect("\\\\")

    def root(self) -> Expr:
        self.expect("{")
        return sp.sqrt(self.closing(self.expression(), "}"))


def inside(text: str, at: int) -> str:
    """What stands between the bracket at this place and the one that closes it."""
    opening, depth = text[at], 0
    closing = {"{": "}", "(": ")"}[opening]
    for k in range(at, len(text)):
        depth += (text[k] == opening) - (text[k] == closing)
        if depth == 0:
            return text[at + 1:k]
    raise Unreadable(f"{opening!r} is never closed in {text[at:at + 40]!r}")
