"""The phases of a GPU run, and every job in them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, wait
from typing import Any

import attrs

from . import subjects
from .schedule import Deadline, Job, Phase, first_line
from .subjects import Subject

#: By what a second of each is worth: is it right, what can the GPU do, what the README claims, then all else. What one
#: call does not reach, the next takes up (`gpu.py --resume`).
PHASES = (
    Phase("fingerprint", 10, "which GPU, driver, packages; the hash of every kernel file"),
    Phase("compile", 40, "every kernel the subjects need, in parallel"),
    Phase("check", 60, "the whole suite natively"),
    Phase("ceilings", 18, "copy, products per precision, launches: what this GPU can do"),
    Phase("claims", 150, "shuffled rounds against every peer, of what the README claims; whole steps first"),
    Phase("steps", 32, "further training steps"),
    Phase("torch", 15, "training steps compiled, on two streams, on a second GPU: the same bits as plain launches"),
    Phase("measure", 225, "shuffled rounds of everything else"),
    Phase("more checks", 10, "the simulator's rounding against the device; compute-sanitizer"),
    Phase("tune", 15, "the rows of each table, on the subjects that choose among them"),
    Phase("autotune", 5, "torch.compile max-autotune, on what claims rest on"),
)
SECONDS = sum(phase.seconds for phase in PHASES) + 10       # and ten to write
MOST_SECONDS = 600


@attrs.define
class Run:
    """What the jobs of a run know of each other."""

    deadline: Deadline
    record: dict[str, Any] = attrs.field(factory=dict)
    best: dict[str, str | None] = attrs.field(factory=dict)
    clocks: Any = None

    def put(self, key: str, value: Any) -> None:
        self.record[key] = value

    def append(self, key: str, value: Any) -> None:
        self.record.setdefault(key, []).append(value)


def workers() -> int:
    return max(1, min(14, (os.cpu_count() or 2) - 2))


def jobs(run: Run, chosen: Iterable[Subject]) -> list[Job]:
    """Every job, for these subjects."""
    mine = list(chosen)
    listed = [
        Job("fingerprint", "fingerprint", 1, 5, lambda: fingerprint(run)),
        Job("ceilings", "ceilings", 1, 15, lambda: ceilings(run)),
        Job("compile", "compile", 1, 40, lambda: compile_all(run, mine, 40)),
        Job("conformance suite", "check", 1, 60, lambda: conformance(run, 60)),
        Job("rounding model", "more checks", 2, 5, lambda: rounding(run)),
        Job("compute-sanitizer", "more checks", 3, 28, lambda: sanitizer(run, 28)),
        Job("under torch", "torch", 1, 14, lambda: under_torch(run, 30)),
    ]
    for subject in mine:
        if subject.priority < 3 and choices(subject.problem.table) > 1:
            listed.append(Job(f"tune {subject.id}", "tune", subject.priority, 3, tuner(run, subject)))
        claimed = subject.priority == 1
        order = subject.priority if subject.phase != "steps" or not claimed else 0
        listed.append(Job(subject.id, "claims" if claimed else subject.phase, order, subject.seconds,
                          measurer(run, subject)))
        if subject.priority == 1:
            again = attrs.evolve(subject, id=f"{subject.id}, max-autotune", peers=("max-autotune",))
            listed.append(Job(again.id, "autotune", 1, again.seconds, measurer(run, again, subject.id)))
    return listed


def choices(table: str | None) -> int:
    """How many rows there are to choose from, on the GPU that the most were made for."""
    from chainrule.triton_kernels.runtime import configs

    return 0 if table is None else len(configs.rows(table, "sm_90"))


def fingerprint(run: Run) -> None:
    from . import device

    run.clocks = device.Clocks()
    run.put("environment", device.fingerprint())


def ceilings(run: Run) -> None:
    from . import device

    run.put("ceilings", device.ceilings())


def compile_one(id: str, arch: str) -> str | None:
    """Compile what a subject launches, without touching the GPU; None, or what went wrong."""
    from chainrule.triton_kernels.gate.offline import compiled

    problem = subjects.BY_ID[id].problem
    try:
        compiled(lambda: problem.ours(problem.tensors("meta"))(), arch)
    except Exception as error:      # found again, and reported, where the kernel is called
        return first_line(error)
    return None


def compile_all(run: Run, mine: list[Subject], seconds: float) -> None:
    from chainrule.triton_kernels.runtime.launch import current_arch

    arch = current_arch()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers(), mp_context=context)
    futures = {pool.submit(compile_one, subject.id, arch): subject.id for subject in mine}
    done, late = wait(futures, timeout=seconds)
    pool.shutdown(wait=False, cancel_futures=True)
    run.put("compiled", {futures[f]: f.result() or "compiled" for f in done} | {futures[f]: "late" for f in late})


def conformance(run: Run, seconds: float) -> None:
    from . import native

    limit = share(run.deadline, seconds)
    run.put("conformance", native.conformance(limit, workers()))


def sanitizer(run: Run, seconds: float) -> None:
    from . import native

    run.put("sanitizer", native.sanitized(share(run.deadline, seconds)))


def under_torch(run: Run, seconds: float) -> None:
    from . import under_torch as against

    run.put("under torch", against.checks(share(run.deadline, seconds)))


def rounding(run: Run) -> None:
    from . import rounding as against

    run.put("rounding", against.model())


def share(deadline: Deadline, seconds: float) -> Callable[[], float]:
    """Seconds left of this many from now."""
    end = deadline.spent() + seconds
    return lambda: min(end - deadline.spent(), deadline.left())


def tuner(run: Run, subject: Subject) -> Callable[[], None]:
    def job() -> None:
        from .measure import tune

        found = tune(subject)
        run.best[subject.id] = found["best"]
        run.append("tuning", found)
    return job


def measurer(run: Run, subject: Subject, tuned_as: str | None = None) -> Callable[[], None]:
    def job() -> None:
        from .measure import measure

        best = run.best.get(tuned_as or subject.id)
        run.append("rows", measure(subject, best, run.clocks, run.deadline.left))
    return job
