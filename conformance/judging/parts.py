"""A part of a large op: the rows and columns of its arguments that some elements of its outputs need.

An op names the axes of its arrays, "x B K, w N K, b N -> a B N". An axis that every output asked for has may be cut:
row i of x alone gives row i of a. (An axis over which something is normalised has no name.) So one element of a large
answer costs one row, not the whole product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from .numbers.lanes import Array
from .operations import operation_of

Index = tuple[Array, ...]
GROUPED = "CF"               # axes of images that groups tie together


@frozen
class Part:
    """The arguments of some elements of each output, and which elements those are."""

    arguments: dict[str, Any]
    index: dict[str, Index]


def axes_of(op: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The axes of an op's arguments and of its outputs, by name; both empty where nothing can be cut."""
    def named(text: str) -> dict[str, list[str]]:
        return {one.split()[0]: one.split()[1:] for one in text.split(",") if one.strip()}
    given, _, made = operation_of(op).axes.partition("->")
    return named(given), named(made)


def free(op: str, arguments: Mapping[str, Any], outputs: Iterable[str]) -> dict[str, int]:
    """The axes that may be cut, with their lengths."""
    given, made = axes_of(op)
    wanted = [made.get(name, []) for name in outputs]
    shared = [axis for axis in (wanted[0] if wanted else []) if axis != "." and all(axis in one for one in wanted)]
    if arguments.get("groups", 1) != 1:
        shared = [axis for axis in shared if axis not in GROUPED]
    found = {axis: length(given, arguments, axis) for axis in shared}
    return {axis: n for axis, n in found.items() if n is not None}


def length(given: Mapping[str, list[str]], arguments: Mapping[str, Any], axis: str) -> int | None:
    """How long an axis is; None if no array has as many axes."""
    for name, axes in given.items():
        value = arguments.get(name)
        if axis in axes and value is not None and axes.index(axis) < value.ndim:
            return int(value.shape[axes.index(axis)])
    return None


def cut(op: str, arguments: Mapping[str, Any], chosen: Mapping[str, Array],
        shapes: Mapping[str, tuple[int, ...]]) -> Part:
    """The part of an op at these places along each free axis; `shapes` are those of the outputs asked for."""
    given, made = axes_of(op)
    less = dict(arguments)
    for name, axes in given.items():
        value = arguments.get(name)
        if isinstance(value, np.ndarray):
            less[name] = value[_open_mesh(axes, value.shape, chosen)]
    return Part(less, {name: _open_mesh(made.get(name, []), shape, chosen) for name, shape in shapes.items()})


def _open_mesh(axes: list[str], shape: tuple[int, ...], chosen: Mapping[str, Array]) -> Index:
    """An index of an array: the chosen places along named axes, everything along the others."""
    if not shape:
        return ()
    places = [chosen.get(axes[k], np.arange(n)) if k < len(axes) else np.arange(n) for k, n in enumerate(shape)]
    return np.ix_(*places)


def size(op: str, arguments: Mapping[str, Any]) -> int:
    """About how many products or functions an op costs: its axes' lengths multiplied, the unnamed ones by argument."""
    given, _ = axes_of(op)
    lengths: dict[str, int] = {}
    for name, axes in given.items():
        shape = np.shape(arguments.get(name, 0))
        for k, n in enumerate(shape):
            axis = axes[k] if k < len(axes) and axes[k] != "." else f"{name} {k}"
            lengths[axis] = n
    return int(np.prod(list(lengths.values()), dtype=float)) if lengths else 0


def fewer(op: str, arguments: Mapping[str, Any], needed: Mapping[str, Array], most: int) -> dict[str, Array]:
    """The needed places along each free axis, thinned out until the part costs no more than `most`."""
    given, _ = axes_of(op)
    chosen = {axis: np.asarray(places) for axis, places in needed.items()}
    cost = float(size(op, arguments))
    for axis, places in chosen.items():
        cost *= len(places) / max(length(given, arguments, axis) or 1, 1)
    while cost > most and any(len(places) > 1 for places in chosen.values()):
        axis = max(chosen, key=lambda a: len(chosen[a]))
        before = len(chosen[axis])
        chosen[axis] = chosen[axis][np.unique(np.linspace(0, before - 1, (before + 1) // 2).astype(int))]
        cost *= len(chosen[axis]) / before
    return chosen
