"""One subject on the GPU: every implementation checked, then timed in rounds; and its configurations tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import torch

from chainrule.triton_kernels.runtime import configs
from chainrule.triton_kernels.runtime.launch import current_arch

from . import check
from .device import Clocks
from .peers import PEERS
from .problems import Call, Outputs, Prepare, Problem, Tensors
from .rounds import OURS, rounds
from .samples import median
from .schedule import first_line
from .subjects import Subject
from .timing import Timed, prepared, sets_for

ROUNDS, TRIALS = 15, 5
DEVICE = "cuda"
TUNED = "ours tuned"


def with_row(prepare: Prepare, table: str, row: configs.Row) -> Prepare:
    """The same with one configuration pinned."""
    def pinned(tensors: Tensors) -> Call:
        call = prepare(tensors)

        def run() -> Outputs:
            with configs.pinned(table, row):
                return call()
        return run
    return pinned


def candidates(problem: Problem) -> list[configs.Row]:
    """The rows a problem may choose from. Rows of a softmax hold its classes or cannot run it."""
    if problem.table is None:
        return []
    rows = configs.rows(problem.table, current_arch(), problem.rounded)
    classes = problem.inputs["y"].classes if problem.table == "loss.softmax" else 0
    return [row for row in rows if classes <= row.BN]


def tune(subject: Subject) -> dict[str, Any]:
    """Every row, checked and timed; the fastest that is right."""
    problem, table = subject.problem, subject.problem.table
    generator = torch.Generator(DEVICE).manual_seed(7)
    sets = [problem.tensors(DEVICE, generator) for _ in range(sets_for(problem))]
    wanted = check.exact(problem, sets[0])
    tried = []
    for row in candidates(problem):
        assert table is not None
        entry: dict[str, Any] = {"row": str(row)}
        tried.append(entry)
        try:
            mine = with_row(problem.ours, table, row)
            entry |= attrs.asdict(found := check.check(problem, mine, sets[0], wanted))
            if found.passed:
                timed = prepared(mine, sets)
                entry["us"] = median([timed.sample() for _ in range(TRIALS)])
        except Exception as error:      # a row that does not run on this device is struck, the others go on
            entry["why"] = first_line(error)
    right = [entry for entry in tried if "us" in entry]
    best = min(right, key=lambda entry: entry["us"])["row"] if right else None
    return {"id": subject.id, "table": table, "tried": tried, "best": best}


def implementations(subject: Subject, best: str | None) -> tuple[dict[str, Prepare], list[dict[str, str]]]:
    """Ours, ours with the tuner's row, and the peers there are; with what there is not, and why."""
    problem, missing = subject.problem, []
    found: dict[str, Prepare] = {OURS: problem.ours}
    for row in candidates(problem):
        if str(row) == best and problem.table is not None:
            found[TUNED] = with_row(problem.ours, problem.table, row)
    for name in subject.peers:
        why = PEERS[name].missing()
        try:
            prepare = None if why else PEERS[name].make(problem)
        except Exception as error:      # a peer that cannot be imported or built is no reason to stop
            prepare, why = None, first_line(error)
        if prepare is not None:
            found[name] = prepare
        elif why:
            missing.append({"id": f"{subject.id}: {name}", "why": why})
    return found, missing


def measure(subject: Subject, best: str | None, clocks: Clocks, left: Callable[[], float]) -> dict[str, Any]:
    """Raw samples of everything that passes its check."""
    problem = subject.problem
    generator = torch.Generator(DEVICE).manual_seed(11)
    sets = [problem.tensors(DEVICE, generator) for _ in range(sets_for(problem))]
    wanted = check.exact(problem, sets[0])
    found, missing = implementations(subject, best)
    entries: dict[str, dict[str, Any]] = {}
    timers: dict[str, Timed] = {}
    for name, prepare in found.items():
        entries[name] = {}
        try:
            entries[name] = attrs.asdict(verdict := check.check(problem, prepare, sets[0], wanted))
            entries[name]["passed"] = verdict.passed and (verdict.repeats or name not in (OURS, TUNED))
            if entries[name]["passed"]:
                timers[name] = prepared(prepare, [{n: t.clone() for n, t in one.items()} for one in sets])
        except Exception as error:      # reported as failed, not as beaten
            entries[name] |= {"passed": False, "why": first_line(error)}
    before = clocks.sample()
    samplers = {name: timed.sample for name, timed in timers.items()}
    samples = rounds(samplers, ROUNDS, left=left) if OURS in samplers else {}
    for name, timed in timers.items():
        entries[name] |= {"method": timed.method, "why": timed.why, "call_us": timed.call_us}
    for name, values in samples.items():
        entries.setdefault(name, {})["samples_us"] = values
    torch.cuda.empty_cache()
    return {
        "id": subject.id, "op": problem.op, "priority": subject.priority, "sources": list(problem.sources),
        "floor": attrs.asdict(problem.floor), "sets": len(sets), "tuned": best, "implementations": entries,
        "clocks": [before, clocks.sample()], "missing": missing,
    }
