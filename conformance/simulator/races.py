"""Who read and who wrote what within one launch.

Programs of a grid run in any order and at the same time, and nothing but atomics orders them. So one
program may not store what another stores or has read, nor read what another has stored, unless it took hold
of an atomic (semaphore, counter) that the other had let go of in between.

A release ends a *stretch* of its program's work. Cells remember stretches, so what a program does after its
release is not covered by it. Without atomics a stretch is a program, and bears its number; all count from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import tables
from .fault import KernelFault
from .regions import MANY, NOBODY, Region
from .values import Array

_MANY_CELLS = 1 << 22           # of loads that may be unsettled


class Races:
    """The order between the programs of one launch, and the rules that follow from it."""

    def __init__(self, programs: int) -> None:
        self.me: Any = 1                            # the stretch that is running, or one for each program of a pass
        self.known: set[int] = set()                # stretches that came before the present one for certain
        self.released: dict[int, set[int]] = {}     # address of an atomic -> stretches released there
        self.program: list[int] = []                # of each stretch after a program's first
        self.first = programs + 1                   # its number
        self._unsettled = 0

    def begin(self, programs: Array) -> None:
        self.me = int(programs[0]) + 1 if len(programs) == 1 else (programs + 1).astype(np.int32)
        self.known = set()

    def acquire(self, address: int) -> None:
        """What others released at this address has come before."""
        self.known |= self.released.get(address, set())

    def release(self, address: int) -> None:
        """All of this program's work so far comes before that of whoever acquires at this address."""
        self.known.add(self.me)
        self.released.setdefault(address, set()).update(self.known)
        self.program.append(self._program_of(self.me))
        self.me = self.first + len(self.program) - 1

    def load(self, region: Region, cells: Array, me: Any) -> None:
        """`me`: whose access each cell is; MANY: each is that of every program of the pass."""
        region.touch(cells)
        if region.stored:
            self._only(me, region.writer[cells], "reads what program {} wrote")
        if region.atomic is not None:
            self._only(me, region.atomic[cells], "reads what program {} updates atomically")
        region.unsettled.append((cells, me))          # most of what is read is never stored: nobody asks who read it
        self._unsettled += cells.size
        if self._unsettled > _MANY_CELLS:
            self._settle(region)

    def _settle(self, region: Region) -> None:
        for cells, me in region.unsettled:
            self._claim(region.reader, cells, me)
            self._unsettled -= cells.size
        region.unsettled.clear()

    def store(self, region: Region, cells: Array, me: Any, distinct: bool) -> None:
        """`distinct`: no cell comes twice."""
        region.touch(cells)
        if region.stored:
            self._only(me, region.writer[cells], "stores what program {} stored", "write race")
        self._settle(region)
        self._only(me, region.reader[cells], "overwrites what program {} reads")
        if region.atomic is not None:
            self._only(me, region.atomic[cells], "overwrites what program {} updates atomically")
        region.stored = True
        region.writer[cells] = me
        if isinstance(me, np.ndarray) and not distinct:
            self._only(me, region.writer[cells], "stores what program {} stored", "write race")
        elif isinstance(me, int) and me == MANY:
            raise KernelFault("write race: every program stores this", check="write race")

    def update(self, region: Region, cells: Array) -> None:
        """An atomic: no race with another atomic, always one with a plain access of another program."""
        region.touch(cells)
        if region.atomic is None:
            region.atomic = tables.zeros(region.cells, np.int32)
        if region.stored:
            self._only(self.me, region.writer[cells], "atomically updates what program {} stored")
        self._settle(region)
        self._only(self.me, region.reader[cells], "atomically updates what program {} reads")
        self._claim(region.atomic, cells, self.me)

    def _claim(self, owner: Array, cells: Array, me: Any) -> None:
        now = owner[cells]
        mine = np.where((now == NOBODY) | (now == me), me, MANY)
        owner[cells] = mine
        if isinstance(me, np.ndarray):                # several programs of a pass may have reached one cell
            owner[cells[owner[cells] != mine]] = MANY

    def _only(self, me: Any, who: Array, what: str, check: str = "read/write race") -> None:
        others = (who != NOBODY) & (who != me)
        if not others.any():
            return
        if isinstance(me, np.ndarray):
            raise KernelFault(f"{check} between programs of a pass", check=check)       # which: found one by one
        for other in np.unique(who[others]).tolist():
            # Of many, one cannot tell which: give a program that waits for others the benefit of the doubt.
            if other in self.known or (other == MANY and self.known):
                continue
            text = what.replace("program {}", "others") if other == MANY else what.format(self._program_of(other))
            number, count = self._program_of(me), int(others.sum())
            raise KernelFault(
                f"{check}: program {number} {text} ({count} elements), and nothing orders them", check=check)

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
