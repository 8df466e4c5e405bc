"""One launch while it runs: every access to memory is checked, booked and made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import internals, passes
from .fault import KernelFault
from .memory import Memory, View
from .races import Races, same_value
from .regions import MANY
from .values import Array

if TYPE_CHECKING:
    from .sim import Sim


@dataclass(slots=True)
class Access:
    """What one load or store reaches of one tensor: the elements, their cells in the tables, by which lanes (numbered
    in C order; None: all, in order), and whose each cell is: a program's number, MANY for all, or one number a cell."""

    view: View
    places: Array
    cells: Array
    lanes: Array | None
    me: Any

    def of(self, values: Array) -> Array:
        return values.ravel() if self.lanes is None else values.ravel()[self.lanes]


class Launch:
    """One launch while it runs.

    `group` are the programs of the pass that is running; `together` says whether several may be (`passes.py`).
    """

    def __init__(self, sim: Sim, kernel: str, memory: Memory, grid: tuple[int, int, int]) -> None:
        self.sim, self.kernel, self.memory, self.grid = sim, kernel, memory, grid
        self.races = Races(grid[0] * grid[1] * grid[2])
        self.requested = self.widest = 0
        self.fuses = False                                        # x·y + z rounds once
        self.together = False
        self._before: list[tuple[Array, Array, Array]] = []       # memory, places, and what each store found there

    def enter(self, group: Array) -> tuple[int, int]:
        """Begin a pass of these programs; what `undo` needs to go back to before it."""
        self.group = group
        x, y, z = group.T.astype(np.int64)
        number = x + self.grid[0] * (y + self.grid[1] * z)
        if not (self.sim.check or self.together):
            number = np.zeros_like(number)                         # unchecked, all are one
        self.races.begin(number)
        internals.machine.set_grid_idx(*group[0].tolist())
        return len(self._before), self.requested

    def program_id(self, axis: int) -> Array:
        ids = self.group[:, axis]
        return ids[:1] if (ids == ids[0]).all() else ids

    def undo(self, until: tuple[int, int] = (0, 0)) -> None:
        """Memory as it was when `enter` said this. What is known of accesses stays: they will be made again."""
        while len(self._before) > until[0]:
            memory, places, before = self._before.pop()
            memory[places] = before
        self.requested = until[1]

    def undone(self, stored: list[tuple[Array, Array, Array]]) -> None:
        """Tables beside memory that a store wrote to, their places, and what stood there: `undo` puts it back."""
        if self.together:
            self._before += stored

    def load(self, view: View | None, pointers: Array, mask: Array | None, found: Array) -> Array:
        """What memory holds where the mask is on, put into `found`, which may be there for more programs."""
        size = found.dtype.itemsize
        for access in self._reach(view, pointers, mask, size, "load"):
            self.races.load(access.view.region, access.cells, access.me)
            values = access.view.elements(size)[access.places]
            if access.lanes is None and len(found) == len(pointers):
                return values.reshape(found.shape)
            lanes = slice(None) if access.lanes is None else access.lanes
            found.reshape(len(found) // len(pointers), -1)[:, lanes] = values
        return found

    def store(self, view: View | None, pointers: Array, mask: Array | None, values: Array) -> None:
        size = values.dtype.itemsize
        for access in self._reach(view, pointers, mask, size, "store"):
            region, bits = access.view.region, access.of(values)
            distinct = _rising(access.cells)
            if self.sim.check and access.cells.size == access.places.size and not distinct:
                same_value(region, access.cells, bits)
            self.races.store(region, access.cells, access.me, distinct)
            memory = access.view.elements(size)
            if self.together:
                self._before.append((memory, access.places, memory[access.places]))
            memory[access.places] = bits

    def atomic(self, view: View | None, pointers: Array, mask: Array | None, size: int, sem: str) -> None:
        orders = pointers.size == 1 and mask is None and self.sim.check       # a vector of atomics orders nothing
        address = int(pointers.reshape(-1)[0])
        if orders and sem in ("acquire", "acq_rel"):
            self.races.acquire(address)
        for access in self._reach(view, pointers, mask, size, "atomic"):
            self.races.update(access.view.region, access.cells)
        if orders and sem in ("release", "acq_rel"):
            self.races.release(address)

    def _reach(self, view: View | None, pointers: Array, mask: Array | None, size: int, what: str) -> Iterator[Access]:
        """An access by tensor; all of its lanes lie in one, or it is a fault."""
        passes.narrow(self, pointers[0].size)
        lanes = None if mask is None else np.flatnonzero(mask)
        addresses = pointers.ravel() if lanes is None else pointers.ravel()[lanes]
        if addresses.size == 0:
            return
        me = self._whose(pointers, mask)
        self.requested += addresses.size * size * (len(self.group) if len(pointers) == 1 else 1)
        owners = [(view, None)] if view is not None else self.memory.owners(addresses, size)
        for owner, some in owners:
            here = addresses if some is None else addresses[some]
            offsets = owner.offsets(here, size)
            if offsets is None:
                raise _outside(owner, addresses, lanes, pointers.shape, size, what)
            places, cells = owner.places(offsets, size), owner.cells(offsets, size)
            own = me if isinstance(me, int) or some is None else me[some]
            if not isinstance(own, int) and len(cells) > len(own):
                own = np.repeat(own, len(cells) // len(own))
            yield Access(owner, places, cells, lanes if some is None else some if lanes is None else lanes[some], own)

    def _whose(self, pointers: Array, mask: Array | None) -> Any:
        """Which program makes each lane of an access; one number where all are made by one, or each by all."""
        me = self.races.me
        if isinstance(me, int):
            return me
        if len(pointers) == 1:
            return MANY
        return np.repeat(me, pointers[0].size if mask is None else mask.reshape(len(me), -1).sum(1))


def _rising(cells: Array) -> bool:
    """Is every cell beyond the one before, so that none comes twice?"""
    return bool((cells[1:] > cells[:-1]).all())


def _outside(
    view: View, addresses: Array, lanes: Array | None, shape: tuple[int, ...], size: int, what: str
) -> KernelFault:
    bad = np.flatnonzero(view.outside(addresses, size))
    address = int(addresses[bad[0]])
    element, rest = divmod(address - view.lo, view.size)
    if element < 0:
        place = f"{-element} before its first"
    elif address + size > view.hi:
        place = f"{element - (view.hi - view.lo) // view.size + 1} past its last"
    elif address % size:
        place = "not aligned"
    else:
        place = "between its elements"
    offset = f"{element}" + (f" and {rest} bytes" if rest else "")
    first = int(bad[0] if lanes is None else lanes[bad[0]])
    lane = [int(i) for i in np.unravel_index(first, shape[1:] or (1,))]
    return KernelFault(
        f"out-of-bounds {what} through {view}: {bad.size} of {addresses.size} lanes, first lane {lane} at "
        f"element offset {offset}, {place}",
        check="out of bounds", argument=view.name,
    )
