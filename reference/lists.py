"""Nested lists: their sizes, and one clear sentence where sizes do not fit.

A layer of a network has a slot 0, the intercept unit a_0 = 1, so that every index is the slide's: `nodes`
counts i = 1 … n and `inputs` counts j = 0 … n. Images and filters count from 0 and have no such slot.
"""

from __future__ import annotations

from typing import Any

Scalar = Any                # int, float, Fraction, mpf, a SymPy expression, an array of lanes, …
Vector = list[Any]
Matrix = list[Any]          # of rows
Image = list[Any]           # of channels, each a matrix
Filters = list[Any]         # of one image-shaped filter per output channel
Network = list[Any]         # [None, Θ^(1), …, Θ^(L)]


def nodes(layer: Vector) -> range:
    """i = 1 … n"""
    return range(1, len(layer))


def inputs(layer: Vector) -> range:
    """j = 0 … n, where j = 0 is the intercept"""
    return range(len(layer))


def shape(x: Any) -> tuple[int, ...]:
    """The size at every depth; lists of one depth must be equally long."""
    if not isinstance(x, list | tuple):
        return ()
    inner = [shape(v) for v in x]
    for k, size in enumerate(inner):
        if size != inner[0]:
            raise ValueError(f"ragged list: entry {k} has shape {size}, entry 0 has {inner[0]}")
    return (len(x), *(inner[0] if inner else ()))


def sizes(x: Any, depth: int, name: str) -> tuple[int, ...]:
    """The shape of `x`, which must be a list of lists `depth` deep with something in it."""
    found = shape(x)
    if len(found) != depth or 0 in found:
        raise ValueError(f"{name} has shape {found}; it must be a non-empty list, {depth} deep")
    return found


def same(what: str, one: Any, other: Any) -> None:
    """Refuse two sizes that differ; `what` names both."""
    if one != other:
        raise ValueError(f"{what}: {one} and {other} differ")


def equally_long(**layers: Vector) -> None:
    """Refuse layers of different lengths, by name."""
    if len({len(layer) for layer in layers.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(layer)}" for name, layer in layers.items())
        raise ValueError(f"layers of different lengths, slot 0 included: {lengths}")


def takes(Theta: Matrix, a: Vector) -> None:
    """Refuse a matrix whose rows are not as long as the layer it is applied to."""
    for i in nodes(Theta):
        same(f"length of row {i} of Theta and of a, slot 0 included", len(Theta[i]), len(a))


def gives(Theta: Matrix, layer: Vector) -> None:
    """Refuse a matrix that has not one row for every node of the layer it leads to."""
    same("rows of Theta and length of the next layer, slot 0 included", len(Theta), len(layer))
