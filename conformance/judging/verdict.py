"""What became of one case: its state, the element that uses most of its bound, and the line of the result file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import asdict, define, field

from . import messages
from .cases import Case

PASS, FAIL, UNSUPPORTED, NOT_JUDGED = "pass", "fail", "unsupported", "not_judged"


@define
class Worst:
    """The element that uses most of its bound."""

    output: str
    index: tuple[int, ...]
    expected: float
    actual: float
    error: float
    bound: float
    fraction: float
    terms: dict[str, float] = field(factory=dict)


@define
class Verdict:
    """What became of one case. `fraction` is the largest |error| / bound, on a pass too."""

    case: Case
    backend: str
    target: str
    mode: str
    state: str
    fraction: float | None = None
    reason: str = ""
    worst: Worst | None = None
    looks_like: str = ""
    reading: str = ""            # the reading that would make it pass, if it were declared
    formula: str = ""            # the reading it was judged by, where that is not the op itself
    frames: list[str] = field(factory=list)
    place: str = ""              # of the function that is judged
    smallest: str = ""           # what a failure needs beside plain arguments
    undefined: list[str] = field(factory=list)       # lines of kernels whose undefined lanes reach a result
    printed: str = ""
    seconds: float = 0.0
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def passed(self) -> bool:
        return self.state == PASS

    @property
    def repro(self) -> str:
        where = {"simulated": " --simulate", "native": " --native"}.get(self.mode, "")
        return f"chainrule conform {self.target} --case {self.case.id}{where}"

    def record(self) -> dict[str, Any]:
        """The line of the result file."""
        worst = asdict(self.worst) if self.worst else None
        if worst is not None:
            worst = {k: _json_number(v) for k, v in worst.items()}
            worst["terms"] = {k: _json_number(v) for k, v in worst["terms"].items()}
        return {"record": "case", "case": self.case.id, "id": self.case.op, "tier": self.case.tier,
                "dtype": self.case.dtype, "backend": self.backend, "mode": self.mode, "state": self.state,
                "fraction": _json_number(self.fraction), "reason": self.reason, "looks_like": self.looks_like,
                "reading": self.reading, "place": self.place, "smallest": self.smallest, "undefined": self.undefined,
                "printed": self.printed, "frames": self.frames,
                "seconds": round(self.seconds, 4), "worst": worst, "repro": self.repro}

    def report(self) -> str:
        """A failure one can act on, on one screen."""
        return messages.failure(self)


def _json_number(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
