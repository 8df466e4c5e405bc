"""How the parts of a page are set: formulas, ranges, matrices, paragraphs, all within 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .expressions import bounds

WIDTH = 100


def latex(latex: str) -> Iterator[str]:
    """LaTeX broken at its own line ends first, then at spaces."""
    rows = latex.replace(r"\\ ", "\\\\\n").split("\n")
    for row in rows:
        yield from textwrap.wrap(row, WIDTH - 2, subsequent_indent="    ", break_long_words=False) or [""]


def lines(lines: Iterable[int]) -> str:
    """deck lines 35, 68, 213 and 38 more"""
    shown = list(lines)
    head = ", ".join(map(str, shown[:8]))
    more = f" … {shown[-1]} ({len(shown)} places)" if len(shown) > 8 else ""
    return f"deck line{'s' if len(shown) > 1 else ''} {head}{more}"


def steps(line: str, indent: int) -> list[RenderableType]:
    """A line of a derivation; what does not fit continues further in."""
    stem = " " * (len(line) - len(line.lstrip()) + indent)
    rows = textwrap.wrap(line.strip(), WIDTH - 2, initial_indent=stem, subsequent_indent=stem + " " * 6)
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
    return textwrap.wrap(form, WIDTH - 16, subsequent_indent="  ", break_long_words=False)


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


def wrapped(text: str, style: str = "") -> list[RenderableType]:
    """A paragraph."""
    return [Text(line, style=style) for line in textwrap.wrap(text, WIDTH - 2)]


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
        line for part in body.split("\n") for line in textwrap.wrap(part, WIDTH - 6))), (0, 0, 0, 2)))


def python(source: str) -> RenderableType:
    """Source code."""
    code = textwrap.dedent(source).strip()
    return Syntax(code, "python", theme="ansi_light", background_color="default", word_wrap=True)
