"""One function per printed equation, found by the equation's id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}


def implements(*ids: str) -> Callable[[Function], Function]:
    """Tag a function with the ids of the equations it is; an id belongs to one function."""

    def tag(function: Function) -> Function:
        for name in ids:
            if name in FUNCTIONS:
                raise ValueError(f"{name}: {FUNCTIONS[name].__name__} has this id already, so "
                                 f"{function.__name__} needs one of its own")
            FUNCTIONS[name] = function
        function.ids = ids                                      # type: ignore[attr-defined]
        return function

    return tag
