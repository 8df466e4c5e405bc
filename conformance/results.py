"""The result file: a run record, one record per case, a summary. Written to a temporary file first, then moved."""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from attrs import define, field

from .. import write_whole
from ..spec.records import digest

STATES = ("pass", "fail", "unsupported", "not_judged")
SCHEMA = Path(__file__).with_name("results.schema.json")


def versions() -> dict[str, str]:
    """What ran: Python and the packages that matter."""
    found = {"python": platform.python_version()}
    for name in ("chainrule", "torch", "triton", "numpy", "sympy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def device(mode: str) -> str:
    """The device the verdicts speak of. A simulated run never speaks of a GPU."""
    if mode == "native":
        import torch

        return str(torch.cuda.get_device_name())
    return "simulator" if mode == "simulated" else "cpu"


@define
class Results:
    """The records of a run as they come in."""

    backend: str
    mode: str
    planned: int
    path: Path | None = None
    cases: list[dict[str, Any]] = field(factory=list)
    broken: int = 0              # cases on which the suite itself failed
    arithmetic: dict[str, str] = field(factory=dict)         # what the backend declares, per dtype
    readings: dict[str, str] = field(factory=dict)           # by op, where they are not the deck's
    ended: str = "complete"      # or "interrupted", or "stopped" at the first failure

    @classmethod
    def for_config(cls, config: Any) -> Results:
        from . import selection

        chosen = selection.of(config)
        return cls(chosen.backend.name, chosen.mode, len(chosen.cases), Path(config.getoption("--chainrule-json")),
                   arithmetic=chosen.backend.arithmetic, readings=chosen.backend.readings)

    def add(self, record: dict[str, Any]) -> None:
        self.cases.append(record)

    @property
    def counts(self) -> dict[str, int]:
        count = Counter(one["state"] for one in self.cases)
        return {state: count[state] for state in STATES}

    def exit_code(self) -> int:
        """0 pass · 1 a check failed · 3 nothing was judged · 130 interrupted."""
        counts = self.counts
        if self.ended == "interrupted":
            return 130
        if counts["fail"] or self.broken:
            return 1
        return 0 if counts["pass"] else 3

    def records(self) -> list[dict[str, Any]]:
        run = {"record": "run", "backend": self.backend, "mode": self.mode, "device": device(self.mode),
               "planned": self.planned, "versions": versions(), "spec": digest(), "arithmetic": self.arithmetic,
               "readings": self.readings, "command": sys.argv[1:]}
        summary = {"record": "summary", "total": len(self.cases), **self.counts, "ended": self.ended,
                   "exit": self.exit_code()}
        return [run, *self.cases, summary]

    def write(self) -> None:
        """All or nothing: a reader never sees half a file."""
        assert self.path is not None
        lines = [json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in self.records()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, "".join(lines))
