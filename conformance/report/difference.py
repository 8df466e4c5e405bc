"""`chainrule diff A.jsonl B.jsonl`: what a later run lost against an earlier one.

A case that is gone, one that no longer passes, and an op whose worst fraction of the bound has doubled on the cases
that both runs judged are regressions: exit code 1. What has got better is only said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

from .reading import WORDS, Case, Run, read

SHOWN = 20                   # lines of each kind that are printed


class Unreadable(ValueError):
    """A file that is no result of a run."""


@frozen
class Difference:
    """The regressions and the improvements between two runs, each as a sentence."""

    worse: dict[str, list[str]] = field(factory=dict)
    better: list[str] = field(factory=list)
    common: int = 0

    @property
    def status(self) -> int:
        """0 nothing lost · 1 a regression · 3 no case in common."""
        return 1 if any(self.worse.values()) else 0 if self.common else 3

    def lines(self) -> Iterator[str]:
        for kind, found in (*self.worse.items(), ("better", self.better)):
            if found:
                yield f"{kind}: {len(found)}"
                yield from (f"  {one}" for one in found[:SHOWN])
                if len(found) > SHOWN:
                    yield f"  … and {len(found) - SHOWN} more"
        lost = sum(map(len, self.worse.values()))
        yield f"{self.common} cases in both runs, {lost} regressions, {len(self.better)} improvements"


def result_of(path: Path) -> Run:
    """The run of a file; Unreadable where there is none."""
    if not path.is_file():
        raise Unreadable(f"{path} is not a file; `chainrule conform --json FILE` writes one")
    run = read(path)
    if not run.cases:
        raise Unreadable(f"{path} holds no case of a run; `chainrule conform --json FILE` writes one")
    return run


def difference(before: Run, after: Run) -> Difference:
    """What became of every case of the earlier run, and of every op's worst fraction."""
    old, new = ({case.id: case for case in run.cases} for run in (before, after))
    common = [id for id in old if id in new]
    changed = [(old[id], new[id]) for id in common if old[id].state != new[id].state]
    worse = {
        "lost cases": [f"{id} {_word(old[id])}" for id in old if id not in new and old[id].state == "pass"],
        "new failures": [f"{b.id}   {b.reason or 'beyond its bound'}" for a, b in changed if b.state == "fail"],
        "no longer judged": [f"{b.id} {_word(b)}: {b.reason}" for a, b in changed
                             if a.state == "pass" and b.state != "fail"],
        "worst fraction doubled": list(doubled([(old[id], new[id]) for id in common])),
    }
    better = [f"{b.id} {_word(a)}, now {_word(b)}" for a, b in changed if b.state == "pass"]
    return Difference(worse, better, len(common))


def doubled(pairs: list[tuple[Case, Case]]) -> Iterator[str]:
    """Ops and dtypes whose worst fraction over the same cases is more than twice what it was."""
    worst: dict[tuple[str, str], list[float]] = {}
    for a, b in pairs:
        if a.state == b.state == "pass" and a.fraction is not None and b.fraction is not None:
            both = worst.setdefault((a.op, a.dtype), [0.0, 0.0])
            both[:] = max(both[0], a.fraction), max(both[1], b.fraction)
    for (op, dtype), (was, now) in worst.items():
        if now > 2 * was > 0:
            yield f"{op} {dtype}: {was:.2g} of the bound, now {now:.2g}"


def _word(case: Case) -> str:
    return WORDS.get(case.state, case.state)
