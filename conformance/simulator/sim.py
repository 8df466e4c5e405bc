"""One simulation: its options, what it counted, and the launch that is running."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from ..judging.numbers.tensor_cores import TENSOR_CORES
from .accesses import Launch
from .memory import Memory
from .traffic import Stored, Traffic
from .values import Array

ACCUMULATE = ("float32", "device")
ORDERS = ("forward", "reverse", "random")


class Sim:
    """What `simulate()` hands out. See there for the options.

    `launches`, `bytes_read`, `bytes_written`, `bytes_requested` are totals; `kernels` has them per kernel.
    """

    def __init__(self, check: bool, order: str, seed: int, target: str, overflow: bool, poison: bool | str,
                 accumulate: str = "float32", fp_fusion: bool = False) -> None:
        if order not in ORDERS:
            raise ValueError(f"simulate(order={order!r}): the orders are {', '.join(ORDERS)}")
        self.check, self.order, self.target = check, order, target
        self.overflow, self.poison, self.fp_fusion = overflow, poison, fp_fusion
        self.open: set[str] = set()             # lines whose loads have left lanes undefined
        if accumulate not in ACCUMULATE:
            raise ValueError(f"simulate(accumulate={accumulate!r}): products are added as {' or '.join(ACCUMULATE)}")
        if accumulate == "device" and target not in TENSOR_CORES:
            raise ValueError(f"simulate(target={target!r}, accumulate='device'): how that device adds is not known; "
                             f"known are {', '.join(TENSOR_CORES)}")
        self.accumulate = accumulate
        self.core = TENSOR_CORES[target] if accumulate == "device" else None
        self.exact: Any = None             # the elements in memory, where floats carry elements (`field.memory`)
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

    def poisons(self, line: str) -> bool:
        """Whether the lanes that a load of this line leaves undefined hold anything, or 0."""
        self.open.add(line)
        return self.poison if isinstance(self.poison, bool) else self.poison == line

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

    def programs(self, grid: tuple[int, int, int]) -> Array:
        """Every program of a grid, x, y and z, in the order they shall run in."""
        all_of_them = np.indices(grid[::-1], np.int32).reshape(3, -1)[::-1].T
        if self.order == "reverse":
            return all_of_them[::-1]
        return all_of_them if self.order == "forward" else self.random.permutation(all_of_them)

    def begin(self, kernel: str, grid: tuple[int, int, int], tensors: Iterable[tuple[str, torch.Tensor]]) -> Launch:
        by_address = [(f"reached[{i}]", t) for i, t in enumerate(self.reached)]
        self.launch = Launch(self, kernel, Memory([*tensors, *by_address]), grid)
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
