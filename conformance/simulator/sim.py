"""One simulation: its options, what it counted, and the launch that is running."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from ..judging.numbers.tensor_cores import TENSOR_CORES
from .fault import KernelFault
from .memory import Memory, Region, View
from .races import Races, same_value
from .traffic import Stored, Traffic
from .values import Array

ACCUMULATE = ("float32", "device")
ORDERS = ("forward", "reverse", "random")


class Sim:
    """What `simulate()` hands out. See there for the options.

    `launches`, `bytes_read`, `bytes_written`, `bytes_requested` are totals; `kernels` has them per kernel.
    """

    def __init__(self, check: bool, order: str, seed: int, target: str, overflow: bool, poison: bool,
                 accumulate: str = "float32") -> None:
        if order not in ORDERS:
            raise ValueError(f"simulate(order={order!r}): the orders are {', '.join(ORDERS)}")
        self.check, self.order, self.target = check, order, target
        self.overflow, self.poison = overflow, poison
        if accumulate not in ACCUMULATE:
            raise ValueError(f"simulate(accumulate={accumulate!r}): products are added as {' or '.join(ACCUMULATE)}")
        if accumulate == "device" and target not in TENSOR_CORES:
            raise ValueError(f"simulate(target={target!r}, accumulate='device'): how that device adds is not known; "
                             f"known are {', '.join(TENSOR_CORES)}")
        self.accumulate = accumulate
        self.core = TENSOR_CORES[target] if accumulate == "device" else None
        self.random = np.random.default_rng(seed)
        self.total = Traffic()
        self.kernels: defaultdict[str, Traffic] = defaultdict(Traffic)
        self.launch: Launch | None = None
        self._stored = Stored()
        self.reached: tuple[torch.Tensor, ...] = ()       # tensors that the next launch reaches by addresses in a table
        self._kept: dict[int, tuple[Any, dict[str, Any]]] = {}

    def keep(self, tuner: Any) -> None:
        """Remember a tuner as it is, to be so again when the simulation ends; until then it has tables of its own."""
        if id(tuner) not in self._kept:
            self._kept[id(tuner)] = tuner, dict(vars(tuner))
            vars(tuner).update({k: dict(v) for k, v in vars(tuner).items() if type(v) is dict})

    def close(self) -> None:
        for tuner, before in self._kept.values():
            vars(tuner).clear()
            vars(tuner).update(before)

    @property
    def launches(self) -> int:
        return self.total.launches

    @property
    def bytes_read(self) -> int:
        return self.total.bytes_read

    @property
    def bytes_written(self) -> int:
        return self.total.bytes_written

    @property
    def bytes_requested(self) -> int:
        return self.total.bytes_requested

    def stored(self, tensor: torch.Tensor) -> torch.Tensor:
        """Per element of a tensor: does it hold what a kernel stored there since this simulation began?"""
        return self._stored.of(tensor)

    def programs(self, grid: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """Every program of a grid, in the order they shall run in."""
        nx, ny, nz = grid
        all_of_them = [(x, y, z) for z in range(nz) for y in range(ny) for x in range(nx)]
        if self.order == "reverse":
            all_of_them.reverse()
        elif self.order == "random":
            all_of_them = [all_of_them[i] for i in self.random.permutation(len(all_of_them))]
        return all_of_them

    def begin(self, kernel: str, programs: int, tensors: Iterable[tuple[str, torch.Tensor]]) -> Launch:
        by_address = [(f"reached[{i}]", t) for i, t in enumerate(self.reached)]
        self.launch = Launch(self, kernel, Memory([*tensors, *by_address]), Races(programs))
        return self.launch

    def finish(self, launch: Launch) -> None:
        """Book what the launch moved."""
        regions = launch.memory.regions
        moved = Traffic(
            launches=1,
            bytes_read=sum(r.grain * r.count(read=True) for r in regions),
            bytes_written=sum(r.grain * r.count(read=False) for r in regions),
            bytes_requested=launch.requested,
        )
        self.total.add(moved)
        self.kernels[launch.kernel].add(moved)
        for view in launch.memory.views.values():
            if view.region.stored or view.region.atomic is not None:
                if view.region.blocks is None:
                    self._stored.mark(view.tensor, view.written())
                else:
                    self._stored.mark_cells(view.tensor, view.region.lo, view.region.grain, view.region.written_cells())


class Launch:
    """One launch while it runs: every access to memory is checked and booked here."""

    def __init__(self, sim: Sim, kernel: str, memory: Memory, races: Races) -> None:
        self.sim, self.kernel, self.memory, self.races = sim, kernel, memory, races
        self.requested = 0

    def load(self, view: View | None, pointers: Array, mask: Array | None, size: int) -> None:
        for region, cells, _ in self._cells(view, pointers, mask, size, "load"):
            self.races.load(region, cells)

    def store(self, view: View | None, pointers: Array, mask: Array | None, values: Array) -> None:
        size = values.dtype.itemsize
        for region, cells, lanes in self._cells(view, pointers, mask, size, "store"):
            if self.sim.check and cells.size == lanes.size > 1:
                same_value(region, cells, values.ravel()[lanes])
            self.races.store(region, cells)

    def atomic(self, view: View | None, pointers: Array, mask: Array | None, size: int, sem: str) -> None:
        orders = pointers.size == 1 and mask is None and self.sim.check       # a vector of atomics orders nothing
        address = int(pointers.reshape(-1)[0])
        if orders and sem in ("acquire", "acq_rel"):
            self.races.acquire(address)
        for region, cells, _ in self._cells(view, pointers, mask, size, "atomic"):
            self.races.update(region, cells)
        if orders and sem in ("release", "acq_rel"):
            self.races.release(address)

    def _cells(
        self, view: View | None, pointers: Array, mask: Array | None, size: int, what: str
    ) -> list[tuple[Region, Array, Array]]:
        """The cells of one access, by region, with the lanes (numbered in C order) that reach them."""
        lanes = np.arange(pointers.size) if mask is None else np.flatnonzero(mask)
        if lanes.size == 0:
            return []
        addresses = pointers.ravel() if mask is None else pointers.ravel()[lanes]
        self.requested += lanes.size * size
        if view is not None:
            cells = view.cells(addresses, size)
            if cells is None:
                raise self._outside(view, addresses, lanes, pointers.shape, size, what)
            return [(view.region, cells, lanes)]
        found = []
        for owner, positions in self.memory.owners(addresses, size):
            cells = owner.cells(addresses[positions], size)
            assert cells is not None
            found.append((owner.region, cells, lanes[positions]))
        return found

    def _outside(
        self, view: View, addresses: Array, lanes: Array, shape: tuple[int, ...], size: int, what: str
    ) -> KernelFault:
        bad = np.flatnonzero(view.outside(addresses, size))
        address = int(addresses[bad[0]])
        element, rest = divmod(address - view.lo, view.size)
        if element < 0:
            place = f"{-element} before its first"
        elif address + size > view.hi:
            place = f"{element - (view.hi - view.lo) // view.size + 1} past its last"
        else:
            place = "between its elements"
        offset = f"{element}" + (f" and {rest} bytes" if rest else "")
        lane = [int(i) for i in np.unravel_index(int(lanes[bad[0]]), shape)]
        return KernelFault(
            f"out-of-bounds {what} through {view}: {bad.size} of {lanes.size} lanes, first lane {lane} at "
            f"element offset {offset}, {place}",
            check="out of bounds", argument=view.name,
        )
