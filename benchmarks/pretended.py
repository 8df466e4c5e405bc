"""A GPU run without a GPU, to see what its files are worth when it is cut off: jobs sleep, and write as jobs do.

Every number is pretended, the file's name begins with `dry`, and its environment says so: the README takes none of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from . import floors
from .phases import PHASES, Run
from .rounds import AGAIN, OURS
from .schedule import Job, Phase
from .subjects import Subject

GPU = "pretended"
ROUNDS = 15


def phases(scale: float) -> tuple[Phase, ...]:
    return tuple(attrs.evolve(phase, seconds=phase.seconds * scale) for phase in PHASES)


def jobs(run: Run, real: Sequence[Job], chosen: Sequence[Subject], scale: float) -> list[Job]:
    """The same jobs, each a sleep and then its entry in the record."""
    subjects = {one.id: one for one in chosen}
    return [attrs.evolve(job, seconds=job.seconds * scale, run=sleeper(run, job, subjects.get(job.id), scale))
            for job in real]


def sleeper(run: Run, job: Job, subject: Subject | None, scale: float) -> Callable[[], None]:
    def pretend() -> None:
        time.sleep(job.seconds * scale)
        if job.id == "fingerprint":
            run.put("environment", {"gpu": GPU, "packages": {}, "dry": True})
        elif job.id == "ceilings":
            samples = {name: [value] for name, value in floors.DATASHEET.items()}
            run.put("ceilings", {**floors.DATASHEET, "samples": samples})
        elif job.id == "conformance suite":
            run.put("conformance", {"cases": 0, "judged": 0, "failed": []})
        elif subject is not None:
            run.append("rows", row(subject))
        elif job.id.startswith("tune "):
            run.append("tuning", {"id": job.id.removeprefix("tune "), "table": "", "tried": [], "best": None})
    return pretend


def row(subject: Subject) -> dict[str, Any]:
    """Twice the floor for everybody."""
    problem = subject.problem
    us = 2e6 * problem.floor.seconds(floors.DATASHEET)
    entry = {"passed": True, "error": 0.0, "limit": 1.0, "why": "", "samples_us": [us] * ROUNDS}
    return {"id": subject.id, "op": problem.op, "priority": subject.priority, "sources": list(problem.sources),
            "floor": attrs.asdict(problem.floor), "sets": 1, "tuned": None, "clocks": [], "missing": [],
            "implementations": {name: dict(entry) for name in (OURS, AGAIN, "eager")}}
