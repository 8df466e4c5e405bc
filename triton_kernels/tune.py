"""Which row is fastest here: an explicit measurement, never made behind anybody's back.

    found = tune("net.layer.affine", [(8192, 1024, 4096)], measure)
    save(found, Path("rows.json"))
    with using(load(Path("rows.json"))): …

A table maps (operation, shape, dtype) to a row; while it is in use, `configs.choose` takes rows from it where it has
one. Nothing here runs unless called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import torch

from chainrule import write_whole

from .runtime import configs
from .runtime.configs import Row
from .runtime.launch import current_arch

Shape = tuple[int, ...]
Key = tuple[str, Shape, str]
Table = dict[Key, Row]

#: call(shape, dtype) runs the op once; seconds(call) times it.
Call = Callable[[Shape, torch.dtype], object]
Clock = Callable[[Callable[[], object]], float]


@attrs.frozen
class Timing:
    """One row on one shape: seconds, or why it did not run."""

    row: Row
    seconds: float = float("inf")
    failed: str = ""


def seconds(call: Callable[[], object], rounds: int = 20) -> float:
    """The median time of a call on the current GPU."""
    if not torch.cuda.is_available():
        raise RuntimeError("tune: there is no GPU to measure on; pass a clock of your own")
    call()
    times: list[float] = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))     # type: ignore[no-untyped-call]
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return sorted(times)[len(times) // 2]


def timings(op: str, call: Callable[[], object], dtype: torch.dtype, clock: Clock = seconds) -> list[Timing]:
    """Every shipped row of an operation, fastest first; a row that cannot run comes last, with the reason."""
    found = []
    for row in configs.rows(op, current_arch(), dtype):
        try:
            with configs.pinned(op, row):
                found.append(Timing(row, clock(call)))
        except Exception as error:      # a row that does not fit this GPU is a finding, not the end of the search
            found.append(Timing(row, failed=f"{type(error).__name__}: {error}"))
    return sorted(found, key=lambda one: one.seconds)


def tune(
    op: str, shapes: Sequence[Shape], call: Call, dtype: torch.dtype = torch.bfloat16, clock: Clock = seconds
) -> Table:
    """The fastest row of operation `op` (see configs.OPERATIONS) per shape; `call(shape, dtype)` runs it once.

    A shape is what the op's launcher asks `configs.choose` about. ValueError where no row runs.
    """
    table: Table = {}
    for shape in shapes:
        ranked = timings(op, lambda shape=shape: call(shape, dtype), dtype, clock)          # type: ignore[misc]
        if not ranked or ranked[0].failed:
            raise ValueError(f"tune: no row of {op} runs at {shape}: "
                             f"{ranked[0].failed if ranked else 'it has none for ' + str(dtype)}")
        table[op, tuple(shape), _name(dtype)] = ranked[0].row
    return table


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def using(table: Mapping[Key, Row]) -> Iterator[None]:
    """Rows from this table for as long as the block runs; elsewhere the shipped choice stands."""
    token = configs.tuned.set({(op, tuple(shape), dtype): row for (op, shape, dtype), row in table.items()})
    try:
        yield
    finally:
        configs.tuned.reset(token)


def save(table: Mapping[Key, Row], file: Path) -> None:
    entries = [{"op": op, "shape": shape, "dtype": dtype, "row": attrs.asdict(row)}
               for (op, shape, dtype), row in sorted(table.items())]
    write_whole(file, json.dumps({"arch": current_arch(), "rows": entries}, indent=1))


def load(file: Path) -> Table:
    """A saved table; ValueError if it was measured on another architecture."""
    saved = json.loads(file.read_text())
    if saved["arch"] != current_arch():
        raise ValueError(f"{file}: measured on {saved['arch']}, this is {current_arch()}; tune again here")
    return {(one["op"], tuple(one["shape"]), one["dtype"]): Row(**{**one["row"], "bits": tuple(one["row"]["bits"])})
            for one in saved["rows"]}
