"""A row of the table: an id, arguments, and what somebody else's code makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from attrs import field, frozen


@frozen(eq=False)
class Witness:
    """`outside()` is called with nothing and returns nested lists shaped as the reference shapes them."""

    id: str
    arguments: tuple[Any, ...]
    outside: Callable[[], Any]
    options: dict[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        return self.id


def tensor(x: Any) -> Any:
    """Nested lists in float64."""
    return torch.tensor(x, dtype=torch.float64)


def leaf(x: Any) -> Any:
    """The same, to be differentiated by."""
    return tensor(x).requires_grad_()


def rows(Theta: Any) -> Any:
    """Θ of the deck without its empty slot 0: one row per node, the intercept first."""
    return leaf(Theta[1:])


def slot(first: Any, x: Any) -> list[Any]:
    """A layer of the deck: slot 0, then the nodes."""
    return [first, *x.tolist()]


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    """Nested lists of numbers that are different, of both signs and away from 0."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    size = torch.randint(3, 30, shape, generator=generator)
    sign = 2 * torch.randint(0, 2, shape, generator=generator) - 1
    return ((size * sign).double() * scale / 16).tolist()


def leaves(x: Any) -> Iterator[Any]:
    """What a nest holds, with its brackets: two nests agree in shape if their brackets do."""
    if isinstance(x, list | tuple):
        yield "["
        for part in x:
            yield from leaves(part)
        yield "]"
    else:
        yield x
