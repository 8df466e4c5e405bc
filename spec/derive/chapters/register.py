"""Derivations and how they are entered: ours, in the order in which the chapters give them, or somebody's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import attrs

from ...records import Equation, beside
from ..steps import Derivation

Maker = Callable[[str], Derivation]


@attrs.frozen
class Chapters:
    """A list of derivations. `records` is the TOML file of the equations they start from.

        chapters = Chapters(records=Path(__file__).with_name("mine.toml"))

        @chapters.derives("mine.pool.grad_x")
        def pool(id): ...

    A scalar record and a sum of products derive by themselves: a gradient record with `of` and `wrt` is enough.
    """

    records: Path | str | None = None
    makers: dict[str, Maker] = attrs.field(factory=dict)

    def derives(self, id: str) -> Callable[[Maker], Maker]:
        """Enter the function below as the derivation of this id."""
        def enter(make: Maker) -> Maker:
            if id in self.makers:
                raise ValueError(f"{id} is derived twice: {self.makers[id].__name__} and {make.__name__}")
            self.makers[id] = make
            return make
        return enter

    @contextmanager
    def opened(self) -> Iterator[Chapters]:
        """These derivations with their records known, and those that the records alone give."""
        from . import sums

        known: AbstractContextManager[Mapping[str, Equation]] = \
            nullcontext({}) if self.records is None else beside(self.records)
        with known as found:
            yield attrs.evolve(self, makers={**sums.makers(found), **self.makers})


OURS = Chapters()
MAKERS = OURS.makers
derives = OURS.derives
