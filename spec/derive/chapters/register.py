"""The list of all derivations, in the order in which the chapters give them."""

from __future__ import annotations

from collections.abc import Callable

from ..steps import Derivation

Maker = Callable[[str], Derivation]
MAKERS: dict[str, Maker] = {}


def derives(id: str) -> Callable[[Maker], Maker]:
    """Enter the function below as the derivation of this id."""
    def enter(make: Maker) -> Maker:
        if id in MAKERS:
            raise ValueError(f"{id} is derived twice: {MAKERS[id].__name__} and {make.__name__}")
        MAKERS[id] = make
        return make
    return enter
