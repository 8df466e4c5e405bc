"""The smallest case that still fails: one factor after the other made plain, or smaller, while the failure stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..backend import Backend
from .cases import Case, case_at, levels_of
from .factors import FACTORS, Levels
from .judge import judge
from .verdict import FAIL

TRIALS, SHRUNK = 24, 3           # cases that one failure may cost, and failures of an op that are made smaller
_done: Counter[str] = Counter()


def smallest(case: Case, backend: Backend, mode: str, undefined: str = "poison") -> str:
    """What a failure needs beside plain arguments, and the id of that case; empty where the case has no factors."""
    found = levels_of(case.id)
    if found is None or _done[case.op] >= SHRUNK:
        return ""
    levels, draw = found
    _done[case.op] += 1
    left = TRIALS
    for name in FACTORS[case.op].all:
        for level in simpler(case.op, name, levels[name]):
            trial = Levels({**levels, name: level})
            if left and FACTORS[case.op].legal(trial):
                left -= 1
                trying = case_at(case.op, trial, case.dtype, draw=draw)
                if judge(trying, backend, mode, explained=False, undefined=undefined).state == FAIL:
                    levels = trial
                    break
    needs = [f"{name} {level}" for name, level in levels.items() if level != FACTORS[case.op].all[name][0]]
    return f"{', '.join(needs) or 'plain arguments'}   --case {case_at(case.op, levels, case.dtype, draw=draw).id}"


def simpler(op: str, name: str, level: Any) -> Iterator[Any]:
    """The plain level of a factor, and sizes below this one."""
    levels = FACTORS[op].all[name]
    if level == levels[0]:
        return
    yield levels[0]
    if isinstance(level, int):
        yield from sorted(n for n in levels[1:] if isinstance(n, int) and n < level)
