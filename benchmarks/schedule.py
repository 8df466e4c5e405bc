"""Jobs before a deadline: phases in order, the important first, what does not fit is named and left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs


@attrs.frozen
class Job:
    """One piece of work. `seconds` is an estimate; priority 1 runs before 2."""

    id: str
    phase: str
    priority: int
    seconds: float
    run: Callable[[], Any] = attrs.field(repr=False)


@attrs.frozen
class Phase:
    """Its jobs may use `seconds`, and whatever earlier phases left over; `needed` phases may use all there is."""

    name: str
    seconds: float
    says: str


@attrs.define
class Deadline:
    """Seconds that are left, by any clock."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    start: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.start = self.clock()

    def spent(self) -> float:
        return self.clock() - self.start

    def left(self) -> float:
        return self.seconds - self.spent()


@attrs.define
class Outcome:
    """What became of the jobs."""

    done: dict[str, Any] = attrs.field(factory=dict)
    not_run: list[dict[str, str]] = attrs.field(factory=list)
    wall: dict[str, float] = attrs.field(factory=dict)


def run(
    jobs: Iterable[Job], phases: Iterable[Phase], deadline: Deadline, reserve: float = 10.0,
    finished: Callable[[Outcome, Job], None] = lambda outcome, job: None, outcome: Outcome | None = None,
) -> Outcome:
    """Every job that fits. `reserve` is kept for writing; `finished` is called after each job, to save what there is.

    Of equal importance the shorter job runs first, so that many fit. Estimates are corrected while a phase runs: if its
    jobs take twice what was thought, so will the next one.
    """
    waiting, allowed = list(jobs), 0.0
    outcome = Outcome() if outcome is None else outcome
    for phase in phases:
        allowed += phase.seconds
        begin, thought = deadline.spent(), 0.0
        mine = sorted((j for j in waiting if j.phase == phase.name), key=lambda j: (j.priority, j.seconds))
        for job in mine:
            so_far = deadline.spent() - begin
            expected = job.seconds * max(1.0, so_far / thought if thought else 1.0)
            room = min(allowed - deadline.spent(), deadline.left() - reserve)
            if expected > room:
                outcome.not_run.append({"id": job.id, "why": f"needs {expected:.0f} s, {max(room, 0):.0f} s were left"})
                continue
            try:
                outcome.done[job.id] = job.run()
            except Exception as error:      # one job's failure is a finding, not the end of the others
                outcome.not_run.append({"id": job.id, "why": f"failed: {type(error).__name__}: {first_line(error)}"})
            thought += job.seconds
            finished(outcome, job)
        outcome.wall[phase.name] = deadline.spent() - begin
    return outcome


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


def plan(jobs: Iterable[Job], phases: Iterable[Phase], seconds: float, reserve: float = 10.0) -> Outcome:
    """What `run` would do if every estimate were right."""
    clock = [0.0]

    def pretended(job: Job) -> Job:
        def advance() -> float:
            clock[0] += job.seconds
            return job.seconds
        return attrs.evolve(job, run=advance)

    return run([pretended(j) for j in jobs], phases, Deadline(seconds, lambda: clock[0]), reserve)
