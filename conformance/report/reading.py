"""A result file, read as an outsider reads it: new keys are passed over, lines that are no records are counted.

A state this module does not know is kept and shown by its own word, so that the counts always add up.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

STATES = ("fail", "not_judged", "unsupported", "pass")
MARKS = {"pass": "✓", "fail": "✗", "unsupported": "–", "not_judged": "?"}
WORDS = {"pass": "passed", "fail": "failed", "unsupported": "unsupported", "not_judged": "not judged"}


def number(value: Any) -> float | None:
    """A finite JSON number, or nothing."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


@frozen
class Worst:
    """The element of a case that uses most of its bound."""

    output: str
    index: tuple[int, ...]
    expected: float | None
    actual: float | None
    error: float | None
    bound: float | None
    terms: tuple[tuple[str, float], ...]

    @property
    def place(self) -> str:
        return f"{self.output}[{', '.join(map(str, self.index))}]"


@frozen
class Case:
    """One case record."""

    id: str
    op: str
    tier: str
    dtype: str
    state: str
    fraction: float | None
    reason: str
    looks_like: str
    repro: str
    worst: Worst | None
    extra: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def label(self) -> str:
        """What is between the op and the dtype: size and distribution, a layout, a trap."""
        return "/".join(self.id.split("/")[2:-1])


def case_of(record: Mapping[str, Any]) -> Case:
    id = words(record.get("case")) or "?"
    return Case(id, words(record.get("id")) or id.partition("/")[0], words(record.get("tier")),
                words(record.get("dtype")), words(record.get("state")) or "?", number(record.get("fraction")),
                words(record.get("reason")), words(record.get("looks_like")), words(record.get("repro")),
                _worst(record.get("worst")), record)


def _worst(value: Any) -> Worst | None:
    if not isinstance(value, dict):
        return None
    index = value.get("index")
    terms = ((str(name), number(share)) for name, share in table(value.get("terms")).items())
    return Worst(words(value.get("output")) or "?",
                 tuple(i for i in index if isinstance(i, int)) if isinstance(index, list) else (),
                 number(value.get("expected")), number(value.get("actual")),
                 number(value.get("error")), number(value.get("bound")),
                 tuple((name.replace("_", " "), share) for name, share in terms if share))


@define
class Run:
    """A run: what ran where, its cases, and how much of what was planned is here."""

    backend: str = "?"
    mode: str = "?"
    device: str = "?"
    planned: int | None = None
    versions: Mapping[str, str] = field(factory=dict)
    spec: str = ""
    arithmetic: Mapping[str, str] = field(factory=dict)
    command: str = ""
    cases: list[Case] = field(factory=list)
    exit: int | None = None
    unread: int = 0
    finished: bool = False

    @cached_property
    def counts(self) -> dict[str, int]:
        found = Counter(case.state for case in self.cases)
        return {state: found[state] for state in (*STATES, *sorted(set(found) - set(STATES)))}

    @property
    def missing(self) -> int:
        """Cases that were planned and are not in the file."""
        return max(0, (self.planned or 0) - len(self.cases))

    @property
    def verdict(self) -> tuple[str, str]:
        """One word for the style, one sentence for the reader."""
        counts = self.counts
        if counts["fail"]:
            return "fail", "does not conform"
        if not counts["pass"]:
            return "not_judged", "nothing was judged"
        if not self.finished or self.unread or set(counts) - set(STATES) or self.exit not in (None, 0):
            return "not_judged", "is not complete"
        if self.missing:
            return "not_judged", "conforms as far as it ran"
        return "pass", "conforms"


def read(path: Path) -> Run:
    """The run of a result file."""
    run = Run()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            run.unread += bool(line.strip())
        else:
            take(run, record)
    return run


def take(run: Run, record: Mapping[str, Any]) -> None:
    """One record joins its run."""
    kind = record.get("record")
    if kind == "case":
        run.cases.append(case_of(record))
    elif kind == "run":
        run.backend, run.mode = words(record.get("backend")) or "?", words(record.get("mode")) or "?"
        run.device = words(record.get("device")) or "?"
        planned, command = number(record.get("planned")), record.get("command")
        run.planned = None if planned is None else int(planned)
        run.versions = {str(name): str(value) for name, value in table(record.get("versions")).items()}
        run.spec = words(record.get("spec"))
        run.arithmetic = {str(name): str(value) for name, value in table(record.get("arithmetic")).items()}
        run.command = " ".join(map(str, command)) if isinstance(command, list) else ""
    elif kind == "summary":
        status = number(record.get("exit"))
        run.finished, run.exit = True, None if status is None else int(status)
