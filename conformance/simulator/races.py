"""Who read and who wrote what within one launch.

Programs of a grid run in any order and at the same time, and nothing but atomics orders them. So one
program may not store what another stores or has read, nor read what another has stored, unless it took hold
of an atomic (semaphore, counter) that the other had let go of in between.

A release ends a *stretch* of its program's work. Cells remember stretches, so what a program does after its
release is not covered by it. Without atomics a stretch is a program, and bears its number; all count from 1.
"""

from __future__ import annotations

import numpy as np

from . import tables
from .fault import KernelFault
from .memory import MANY, NOBODY, Region
from .values import Array


class Races:
    """The order between the programs of one launch, and the rules that follow from it."""

    def __init__(self, programs: int) -> None:
        self.me = 1
        self.known: set[int] = set()                # stretches that came before the present one for certain
        self.released: dict[int, set[int]] = {}     # address of an atomic -> stretches released there
        self.program: list[int] = []                # of each stretch after a program's first
        self.first = programs + 1                   # its number

    def begin(self, program: int) -> None:
        self.me, self.known = program + 1, set()

    def acquire(self, address: int) -> None:
        """What others released at this address has come before."""
        self.known |= self.released.get(address, set())

    def release(self, address: int) -> None:
        """All of this program's work so far comes before that of whoever acquires at this address."""
        self.known.add(self.me)
        self.released.setdefault(address, set()).update(self.known)
        self.program.append(self._program_of(self.me))
        self.me = self.first + len(self.program) - 1

    def load(self, region: Region, cells: Array) -> None:
        region.touch(cells)
        if region.stored:
            self._only_me(region.writer[cells], "reads what program {} wrote")
        if region.atomic is not None:
            self._only_me(region.atomic[cells], "reads what program {} updates atomically")
        self._claim(region.reader, cells)

    def store(self, region: Region, cells: Array) -> None:
        region.touch(cells)
        if region.stored:
            self._only_me(region.writer[cells], "stores what program {} stored", "write race")
        self._only_me(region.reader[cells], "overwrites what program {} reads")
        if region.atomic is not None:
            self._only_me(region.atomic[cells], "overwrites what program {} updates atomically")
        region.stored = True
        region.writer[cells] = self.me

    def update(self, region: Region, cells: Array) -> None:
        """An atomic: no race with another atomic, always one with a plain access of another program."""
        region.touch(cells)
        if region.atomic is None:
            region.atomic = tables.zeros(region.cells, np.int32)
        if region.stored:
            self._only_me(region.writer[cells], "atomically updates what program {} stored")
        self._only_me(region.reader[cells], "atomically updates what program {} reads")
        self._claim(region.atomic, cells)

    def _claim(self, owner: Array, cells: Array) -> None:
        now = owner[cells]
        owner[cells] = np.where((now == NOBODY) | (now == self.me), self.me, MANY)

    def _only_me(self, who: Array, what: str, check: str = "read/write race") -> None:
        others = (who != NOBODY) & (who != self.me)
        if not others.any():
            return
        for other in np.unique(who[others]).tolist():
            # Of many, one cannot tell which: give a program that waits for others the benefit of the doubt.
            if other in self.known or (other == MANY and self.known):
                continue
            text = what.replace("program {}", "others") if other == MANY else what.format(self._program_of(other))
            me, count = self._program_of(self.me), int(others.sum())
            raise KernelFault(
                f"{check}: program {me} {text} ({count} elements), and nothing orders them", check=check)

    def _program_of(self, stretch: int) -> int:
        return stretch - 1 if stretch < self.first else self.program[stretch - self.first]


def same_value(region: Region, cells: Array, bits: Array) -> None:
    """Two lanes of one store may hit one element only with the same value."""
    lane = np.arange(cells.size, dtype=np.int32)
    region.lane[cells] = lane
    last = region.lane[cells]
    clash = last != lane
    if clash.any() and (bits != bits[last])[clash].any():
        i = int(np.flatnonzero(clash & (bits != bits[last]))[0])
        raise KernelFault(
            f"lane collision: lanes {i} and {int(last[i])} of one store give one element different values",
            check="lane collision",
        )
