"""The deck's chapters: which record stands where, in the order in which the deck first speaks of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import PurePath

from attrs import frozen

from ... import spec
from ...spec import records

TITLES = {
    "losses": "Losses", "networks": "Networks", "activations": "Activations", "optimizers": "Gradient descent",
    "training": "Training in practice", "backprop": "Backpropagation", "algorithm": "The algorithm",
    "architectures": "Architectures", "convolution": "Convolution", "images": "Images",
}


@frozen
class Chapter:
    """A file of records, and the gradients that were derived from them."""

    name: str
    title: str
    ids: tuple[str, ...]


@cache
def chapters() -> tuple[Chapter, ...]:
    """Every chapter that has records; a derived gradient follows what it is the gradient of."""
    known = spec.load()
    home: dict[str, str] = {}
    first: dict[str, int] = {}
    for file in records.chapters():
        name = PurePath(file.name).stem
        for id, equation in records.read(file)[0].items():
            home[id] = name
            if equation.deck_lines:
                first[name] = min(first.get(name, equation.deck_lines[0]), equation.deck_lines[0])
    for id, equation in known.items():
        if home[id] not in first and equation.of in home:
            home[id] = home[equation.of]
    names = sorted(set(home.values()), key=lambda name: (first.get(name, 10**9), name))
    return tuple(Chapter(name, TITLES.get(name, name.capitalize()), _ordered(home, name, known)) for name in names)


def _ordered(home: Mapping[str, str], name: str, known: Mapping[str, spec.Equation]) -> tuple[str, ...]:
    """The ids of a chapter in file order, each followed by the gradients derived from it elsewhere."""
    mine = [id for id in known if home[id] == name]
    later = {id for id in mine if known[id].of in mine and not known[id].deck_lines and not id.endswith(".prime")}
    order: list[str] = []
    for id in mine:
        if id not in later:
            order += [id, *(one for one in mine if one in later and known[one].of == id)]
    return tuple(order + [id for id in mine if id not in order])
