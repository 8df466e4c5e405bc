"""Whether MathML says what its LaTeX says: both are written down in one linear form and compared.

Every visible character in order; a fraction as ⟨a⁄b⟩, a root as √⟨a⟩, a script as ⟦base⟧_⟨i⟩ or ^⟨i⟩ (an accent or
brace is one too), a table as ▦⟨cell&cell;row⟩. Spaces and invisible operators count for nothing. The reader of LaTeX
below knows what the deck and the derivations use, and refuses everything else.
"""

from __future__ import annotations

import re
import unicodedata
from xml.etree.ElementTree import Element

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|\d+(?=\^)|.", re.S)      # a number to the power of something is its whole base
SPACES = {"\\,", "\\;", "\\:", "\\!", "\\ ", "\\quad", "\\qquad", "~", "\\displaystyle", "\\limits"}
WORDS = {name: name for name in ("log", "exp", "max", "min", "tanh", "arg", "sin", "cos")} | {"bmod": "mod", "pi": "π"}
SIGNS = {
    "cdot": "⋅", "cdots": "⋯", "dots": "…", "vdots": "⋮", "ell": "ℓ", "forall": "∀", "ge": "≥", "geq": "≥", "le": "≤",
    "leq": "≤", "in": "∈", "leftarrow": "←", "rightarrow": "→", "mid": "|", "nabla": "∇", "neq": "≠", "partial": "∂",
    "star": "⋆", "sum": "∑", "times": "×", "triangleq": "≜", "approx": "≈", "lceil": "⌈", "rceil": "⌉", "lfloor": "⌊",
    "rfloor": "⌋", "epsilon": "ϵ", "varepsilon": "ε", "|": "∥", "{": "{", "}": "}", "lambda": "λ",
}
ACCENTS = {"hat": "ˆ", "dot": "˙", "bar": "ˉ", "tilde": "˜", "underbrace": "⏟"}
ALPHABETS = {"mathbf": ("MATHEMATICAL BOLD",), "mathcal": ("MATHEMATICAL SCRIPT", "SCRIPT"),
             "mathbb": ("MATHEMATICAL DOUBLE-STRUCK", "DOUBLE-STRUCK")}
FENCES = {"cases": ("{", ""), "aligned": ("", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "array": ("", "")}
SAME = str.maketrans({"-": "−", "*": "∗", "∣": "|", "´": "′", "'": "′", "^": "ˆ", "¯": "ˉ", "‾": "ˉ", "‖": "∥",
                      "·": "⋅",
                      "⁡": None, "⁢": None, "⁣": None, "⁤": None, "︀": None, "\u00a0": None, " ": None, "\u2009": None,
                      "\u2003": None, "\u2002": None, "\u2004": None, "\u2005": None, "\u200b": None, "\u205f": None})


def _plain(text: str) -> str:
    return re.sub(r"\s", "", text).translate(SAME).replace("″", "′′")


def _script(base: str, mark: str, part: str) -> str:
    return f"⟦{base}⟧{mark}⟨{part}⟩"


def greek(name: str) -> str:
    kind = "CAPITAL" if name[0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {kind} LETTER {'LAMDA' if name.lower() == 'lambda' else name.upper()}")


def styled(letter: str, alphabet: str) -> str:
    kind = "CAPITAL" if letter.isupper() else "SMALL"
    name = unicodedata.name(letter).rpartition(" LETTER ")[2]
    for start in ALPHABETS[alphabet]:
        try:
            return unicodedata.lookup(f"{start} {kind} {name}")
        except KeyError:
            continue
    return letter


class Latex:
    """A formula read from the left."""

    def __init__(self, latex: str) -> None:
        self.tokens = TOKEN.findall(latex)
        self.at = 0

    def peek(self) -> str:
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def row(self, *stops: str) -> str:
        """Atoms with their scripts up to one of these tokens."""
        out = ""
        while (token := self.peek()) and token not in stops:
            if token in SPACES:
                self.take()
                continue
            out += self.scripts(self.atom())
        return out

    def scripts(self, base: str) -> str:
        found: dict[str, str] = {}
        while (mark := self.peek()) in ("_", "^", "'"):
            self.take()
            if mark == "'":
                found["^"] = found.get("^", "") + "′"
            else:
                found[mark] = found.get(mark, "") + self.argument()
        out = base
        if "_" in found and "^" in found:
            return f"⟦{base}⟧_⟨{found['_']}⟩^⟨{found['^']}⟩"
        for mark, part in found.items():
            out = _script(out, mark, part)
        return out

    def argument(self) -> str:
        return self.atom()

    def raw(self) -> str:
        """The text in braces, as it stands."""
        assert self.take() == "{"
        start, depth = self.at, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.tokens[self.at], 0)
            self.at += 1
        return "".join(self.tokens[start:self.at - 1])

    def atom(self) -> str:
        token = self.take()
        if token == "{":
            inside = self.row("}")
            assert self.take() == "}"
            return inside
        if not token.startswith("\\"):
            return _plain(token)
        return self.command(token[1:])

    def command(self, name: str) -> str:
        if name == "frac":
            return f"⟨{self.argument()}⁄{self.argument()}⟩"
        if name == "sqrt":
            return f"√⟨{self.argument()}⟩"
        if name in ACCENTS:
            return _script(self.argument(), "_" if name == "underbrace" else "^", ACCENTS[name])
        if name in ("text", "mathrm", "operatorname"):
            return _plain(self.raw())
        if name in ALPHABETS:
            return "".join(styled(letter, name) if letter.isalpha() else letter for letter in Latex(self.raw()).row())
        if name == "left":
            start = _plain(self.delimiter())
            inside = self.row("\\right")
            self.take()
            return start + inside + _plain(self.delimiter())
        if name.lower() in ("big", "bigg", "bigl", "bigr"):
            return _plain(self.delimiter())
        if name == "begin":
            return self.table(self.raw())
        return WORDS.get(name) or SIGNS.get(name) or greek(name)

    def delimiter(self) -> str:
        token = self.take()
        return "" if token == "." else SIGNS[token[1:]] if token.startswith("\\") else token

    def table(self, environment: str) -> str:
        left, right = FENCES[environment]
        if environment == "array":
            self.raw()
        rows, cells = [], []
        while True:
            cells.append(self.row("&", "\\\\", "\\end"))
            token = self.take()
            if token != "&":
                rows.append("&".join(cells))
                cells = []
            if token == "\\end":
                assert self.raw() == environment
                rows = [row for row in rows if row] if rows[-1] == "" else rows
                return f"{left}▦⟨{';'.join(rows)}⟩{right}"


def of_latex(latex: str) -> str:
    reader = Latex(latex)
    out = reader.row()
    assert not reader.peek()
    return out


def of_mathml(node: Element) -> str:
    """The same of an element, in any namespace."""
    kind, kids = node.tag.rpartition("}")[2], list(node)
    if kind == "semantics":
        return of_mathml(kids[0])
    if kind == "mtable":
        return f"▦⟨{';'.join('&'.join(of_mathml(cell) for cell in row) for row in kids)}⟩"
    parts = [of_mathml(kid) for kid in kids]
    if kind in ("mi", "mn", "mo", "mtext"):
        return variant(_plain(node.text or ""), node.get("mathvariant"))
    if kind == "mspace":
        return ""
    if kind == "mfrac":
        return f"⟨{parts[0]}⁄{parts[1]}⟩"
    if kind == "msqrt":
        return f"√⟨{''.join(parts)}⟩"
    if kind in ("msub", "munder", "msup", "mover"):
        return _script(parts[0], "_" if kind in ("msub", "munder") else "^", parts[1])
    if kind in ("msubsup", "munderover"):
        return f"⟦{parts[0]}⟧_⟨{parts[1]}⟩^⟨{parts[2]}⟩"
    assert kind in ("math", "mrow", "mstyle", "mtd", "mpadded"), kind
    return "".join(parts).replace("...", "…")                  # three dots, set as one sign or as three


def variant(text: str, mathvariant: str | None) -> str:
    alphabet = {"bold": "mathbf", "script": "mathcal", "double-struck": "mathbb"}.get(mathvariant or "")
    return "".join(styled(letter, alphabet) for letter in text) if alphabet else text
