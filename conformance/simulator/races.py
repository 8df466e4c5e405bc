"""Who read and who wrote what within one launch.

Programs of a grid run in any order and at the same time, and nothing but atomics orders them. So one
program may not store what another stores or has read, nor read what another has stored, unless the one took
hold of an atomic (semaphore, counter) that the other had let go of before.
"""

from __future__ import annotations

import numpy as np

from .fault import KernelFault
from .memory import MANY, NOBODY, Region
from .values import Array


class Races:
    """The order between the programs of one launch, and the rules that follow from it."""

    def __init__(self) -> None:
        self.released: dict[int, set[int]] = {}     # address of a scalar atomic -> programs that released it
        self.after: dict[int, set[int]] = {}        # program -> programs whose work it may rely on

    def synchronise(self, me: int, address: int, sem: str) -> None:
        """A scalar atomic: acquire what others released at this address, and release our own work."""
        before = self.after.setdefault(me, set())
        if sem in ("acquire", "acq_rel"):
            before |= self.released.get(address, set())
        if sem in ("release", "acq_rel"):
            self.released.setdefault(address, set()).update(before, {me})

    def load(self, region: Region, cells: Array, me: int) -> None:
        if region.stored:
            self._no_other(region.writer[cells], me, "reads what program {other} wrote")
        if region.atomic is not None:
            self._no_other(region.atomic[cells], me, "reads what program {other} updates atomically")
        _claim(region.reader, cells, me)

    def store(self, region: Region, cells: Array, me: int) -> None:
        if region.stored:
            self._no_other(region.writer[cells], me, "stores what program {other} stored", "write race")
        self._no_other(region.reader[cells], me, "overwrites what program {other} reads")
        if region.atomic is not None:
            self._no_other(region.atomic[cells], me, "overwrites what program {other} updates atomically")
        region.stored = True
        region.writer[cells] = me

    def update(self, region: Region, cells: Array, me: int) -> None:
        """An atomic: no race with another atomic, always one with a plain access of another program."""
        if region.atomic is None:
            region.atomic = np.full_like(region.reader, NOBODY)
        plain = region.atomic[cells] == NOBODY
        if region.stored:
            self._no_other(region.writer[cells][plain], me, "atomically updates what program {other} stored")
        self._no_other(region.reader[cells][plain], me, "atomically updates what program {other} reads")
        _claim(region.atomic, cells, me)

    def _no_other(self, who: Array, me: int, what: str, check: str = "read/write race") -> None:
        others = (who != NOBODY) & (who != me)
        if not others.any():
            return
        known = self.after.get(me, set())
        for other in np.unique(who[others]).tolist():
            if other not in known and not (other == MANY and known):
                name = "several programs" if other == MANY else f"program {other}"
                text = what.replace("program {other}", name)
                raise KernelFault(
                    f"{check}: program {me} {text} ({int(others.sum())} element(s)), and nothing orders them",
                    check=check)


def _claim(owner: Array, cells: Array, me: int) -> None:
    now = owner[cells]
    owner[cells] = np.where((now == NOBODY) | (now == me), me, MANY)


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
