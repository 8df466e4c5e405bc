"""How the parts of a page are set: formulas, ranges, matrices, paragraphs, within the columns there are."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .expressions import bounds
from .folding import fold, narrow

_columns: ContextVar[int] = ContextVar("columns", default=100)


@contextmanager
def columns(width: int) -> Iterator[None]:
    """Set pages in so many columns."""
    token = _columns.set(max(width, 40))
    try:
        yield
    finally:
        _columns.reset(token)


def width() -> int:
    """The columns of the page that is being set."""
    return _columns.get()


def latex(latex: str) -> Iterator[str]:
    """LaTeX broken at its own line ends first, then at spaces outside brackets."""
    for row in latex.replace(r"\\ ", "\\\\\n").split("\n"):
        yield from fold(row, 0, 4, width() - 2).split("\n")


def lines(lines: Iterable[int]) -> str:
    """deck lines 35, 68, 213 and 38 more"""
    shown = list(lines)
    head = ", ".join(map(str, shown[:8]))
    more = f" … {shown[-1]} ({len(shown)} places)" if len(shown) > 8 else ""
    return f"deck line{'s' if len(shown) > 1 else ''} {head}{more}"


def formula(text: str, indent: int = 0) -> list[RenderableType]:
    """left = right, ranges: folded after the equals sign, the ranges below where they do not fit beside."""
    text, _, over = text.partition(",   ")
    left, equals, right = text.partition("= ")
    hang = indent + len(left) + 2 if equals and len(left) < width() // 3 else indent + 6
    rows = fold(right if equals else left, indent + len(left + equals), hang, width() - 2).split("\n")
    rows[0] = " " * indent + left + equals + rows[0] if equals else " " * indent + rows[0]
    if over:
        beside = len(rows) == 1 and len(rows[0]) + 3 + len(over) <= width() - 2
        rows = [f"{rows[0]},   {over}"] if beside else [*rows, *textwrap.wrap(
            over, width() - 2, initial_indent=" " * (indent + 2), subsequent_indent=" " * (indent + 2))]
    return [Text(row, style="green") for row in rows]


def relation(text: str) -> str:
    """A relation as it is printed."""
    for typed, printed in ((" + 1 - 1", ""), ("<=", "≤"), (">=", "≥"), (" & ", " and "), (" - ", " − "), ("*", "·")):
        text = text.replace(typed, printed)
    return text


def span(ranges: str) -> str:
    """'1..q, 0..p' as index ranges, 'n' as 0 … n − 1."""
    return ", ".join(f"{relation(low)} … {relation(high)}" for low, high in bounds(ranges))


def number(value: Any) -> str:
    """A coordinate of a trap."""
    return f"({', '.join(map(number, value))})" if isinstance(value, list) else repr(value).removesuffix(".0")


def code(form: str) -> list[str]:
    """A machine form in lines."""
    return fold(" ".join(form.split()), 0, 2, width() - 16).split("\n")


def matrix(value: Any) -> str:
    """Rows under each other."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        if isinstance(value[0][0], list):
            return "\n\n".join(map(matrix, value))
        widths = [max(len(str(row[j])) for row in value) for j in range(len(value[0]))]
        rows = [" ".join(str(v).rjust(w) for v, w in zip(row, widths, strict=True)) for row in value]
        return "\n".join(f"[{row}]" for row in rows)
    if isinstance(value, list):
        return "[" + " ".join(map(str, value)) + "]"
    return str(value)


def wrapped(text: str, style: str = "", hang: int = 0) -> list[RenderableType]:
    """A paragraph; its lines after the first begin in column `hang`."""
    first, *others = _wrap(text, width() - 2) or [""]
    more = _wrap(" ".join(others), width() - 2 - hang)
    return [Text(first, style=style), *(Text(" " * hang + line, style=style) for line in more)]


def numbered(k: int, text: str) -> list[RenderableType]:
    """The title of a step, hanging behind its number."""
    return wrapped(f"{k}. {text}", hang=len(f"{k}. "))


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, break_on_hyphens=False, break_long_words=False)


def table(rows: Iterable[tuple[str, Any]]) -> RenderableType:
    """Labels and what belongs to them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold dim")
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, value)
    return grid


def entry(name: str, text: str, more: str) -> RenderableType:
    """A name, and below it what is said about it."""
    body = "\n".join(part for part in (text.strip(), more) if part)
    return Group(Text(name, style="yellow"), Padding(Text("\n".join(
        line for part in body.split("\n") for line in _wrap(part, width() - 6))), (0, 0, 0, 2)))


def python(source: str) -> RenderableType:
    """Source code."""
    code = narrow(textwrap.dedent(source).strip(), width() - 2)
    return Syntax(code, "python", theme="ansi_light", background_color="default", word_wrap=True)
