"""Worked numbers as grids, and shapes in words."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from .. import spec
from ..spec.show_text import relation, span

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "eta": "η", "theta": "θ",
    "lam": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ", "nabla": "∇", "Delta": "Δ", "Theta": "Θ", "yhat": "ŷ", "ghat": "ĝ",
}


def letter(name: str) -> str:
    """The deck's letter for a name: theta is θ."""
    return GREEK.get(name, name)


@frozen
class Grid:
    """A number, row or matrix as rows of text; more dimensions as one grid per leading index."""

    name: str
    parts: tuple[tuple[tuple[str, ...], ...], ...]


def grid(name: str, value: Any) -> Grid:
    return Grid(letter(name), tuple(_parts(value)))


def _parts(value: Any) -> list[tuple[tuple[str, ...], ...]]:
    if not isinstance(value, list):
        return [((text(value),),)]
    if not value or not isinstance(value[0], list):
        return [(tuple(map(text, value)),)]
    if not isinstance(value[0][0], list):
        return [tuple(tuple(map(text, row)) for row in value)]
    return [part for one in value for part in _parts(one)]


def text(value: Any) -> str:
    return str(value).replace("-", "−")


def shapes(equation: spec.Equation) -> list[tuple[str, str]]:
    """Every symbol of a record with its range, sort or default."""
    rows = [(", ".join(map(letter, equation.sizes)), "sizes: " + ", ".join(map(relation, equation.sizes.values())))] \
        if equation.sizes else []
    rows += [(letter(name), f"indices {span(ranges)}" if ranges else "a number")
             for name, ranges in equation.arrays.items()]
    rows += [(letter(name), sort + (f", {equation.defaults[name]} unless said otherwise"
                                    if name in equation.defaults else ""))
             for name, sort in equation.symbols.items()]
    return [*rows, *(("assumed", relation(one)) for one in equation.assumes)]
