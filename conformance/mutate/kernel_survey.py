"""Mutants of every kernel, run through the suite: who is noticed, by which tier, and who is not.

`python -m chainrule.conformance.mutate.kernel_survey`: all of them; `--share 1/50 --seed 3` a sample. A mutant that no
case notices must stand in kernel_survivors.toml with the reason why; a new one is an error.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from attrs import asdict, frozen

from ... import readable, triton_kernels
from ...triton_kernels.ops import MODULES
from ..backend import Backend
from ..backends.triton import ELEMENTARY
from ..judging.cases import FIELD, Case, cases_of, field_cases
from ..judging.judge import judge
from ..judging.verdict import FAIL
from ..simulator import launch
from .kernel_mutants import Mutant, mutants
from .kernels import above, executed_anew

SURVIVORS = Path(__file__).with_name("kernel_survivors.toml")
OPS_EACH = 3                 # ops that a mutant is tried on
DTYPES = ("fp32", "fp16")


@frozen
class Outcome:
    """What became of a mutant: the tiers that noticed it, `stillborn` if Triton does not compile it."""

    mutant: str
    op: str
    kind: str
    structural: bool
    tiers: tuple[str, ...] = ()
    stillborn: bool = False
    seconds: float = 0.0

    @property
    def state(self) -> str:
        return "stillborn" if self.stillborn else "noticed" if self.tiers else "survived"


def modules() -> list[str]:
    """The modules with jitted functions."""
    root = Path(str(triton_kernels.__file__)).parent
    return [".".join(file.relative_to(root).with_suffix("").parts) for file in sorted(root.rglob("*.py"))
            if "@triton.jit" in file.read_text(encoding="utf-8")]


def everyone() -> list[Mutant]:
    return [mutant for module in modules() for mutant in mutants(module)]


def sample(share: Fraction, seed: int) -> list[Mutant]:
    """A seeded share of all mutants, at least one."""
    every = everyone()
    return random.Random(seed).sample(every, max(1, int(len(every) * share)))


@cache
def ran(op: str) -> frozenset[tuple[str, str]]:
    """(module, function) of every jitted function that an op runs on a plain case."""
    found: set[tuple[str, str]] = set()
    run, call = launch.run, launch.call

    def noting(original: Any) -> Any:
        def note(self: Any, *args: Any, **kwargs: Any) -> Any:
            name = self.fn.__module__.removeprefix(f"{triton_kernels.__name__}.")
            found.add((name, self.fn.__name__))
            return original(self, *args, **kwargs)

        return note

    with mock.patch.object(launch, "run", noting(run)), mock.patch.object(launch, "call", noting(call)):
        for case in tried(op)[:2]:
            judge(case, _ours(), "simulated", explained=False)
    return frozenset(found)


@cache
def _ours() -> Backend:
    from ..backends.triton import backend

    return backend


@cache
def tried(op: str) -> list[Case]:
    """The cases of an op, the field's and the exact ones first, then by how soon they are judged."""
    order = {FIELD: 0, "T0": 1, "T1": 2, "T3": 3}
    exactly = [c for c in field_cases(op, DTYPES) if c.dtype == DTYPES[0] or c.quick]
    others = [c for c in cases_of(op, DTYPES) if c.tier == "T0" or c.quick]
    every = [c for c in (*exactly, *others) if not c.convention and not c.refused]
    return sorted(every, key=lambda c: (order[c.tier], not c.quick, c.dtype != "fp32"))


@cache
def ops_of(module: str, function: str) -> tuple[str, ...]:
    """The ops whose kernels run this function."""
    homes = {home for home in MODULES.values() if home in above(module, home)}
    return tuple(op for op, home in MODULES.items() if home in homes and (module, function) in ran(op))


def outcome(mutant: Mutant) -> Outcome:
    """Try a mutant: over the field and on exact data always, on the other tiers where neither noticed it."""
    start, tiers, ops = time.perf_counter(), set[str](), ops_of(mutant.module, mutant.function)[:OPS_EACH]
    for op in ops:
        backend = Backend("mutant", device="cuda", kernels=True, elementary=ELEMENTARY)
        try:
            backend.op(op)(executed_anew(mutant.module, mutant.text, MODULES[op]).OPS[op])
        except Exception:                                   # the module itself refuses: nobody would ship it
            return Outcome(str(mutant), op, mutant.kind, mutant.structural, stillborn=True)
        for case in tried(op):
            if case.tier in tiers or (tiers and case.tier not in (FIELD, "T0")):
                continue
            verdict = judge(case, backend, "simulated", explained=False)
            if verdict.state == FAIL:
                if "does not compile" in verdict.reason or "undefined when compiled" in verdict.reason:
                    return Outcome(str(mutant), op, mutant.kind, mutant.structural, stillborn=True)
                tiers.add(case.tier)
        if tiers:
            break
    op = op if ops else "no op"
    return Outcome(str(mutant), op, mutant.kind, mutant.structural, tuple(sorted(tiers)),
                   seconds=time.perf_counter() - start)


def outcomes(chosen: list[Mutant], workers: int) -> Iterator[Outcome]:
    if workers < 2:
        yield from map(outcome, chosen)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(outcome, chosen, chunksize=8)


def known() -> dict[str, str]:
    """Survivors that are known, with the reason why each is."""
    listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8")).get("survivor", [])
    return {one["mutant"]: one["why"] for one in listed}


def new(found: Iterable[Outcome]) -> list[Outcome]:
    """Survivors that nobody has explained."""
    explained = known()
    return [one for one in found if one.state == "survived" and one.mutant not in explained]


def table(found: list[Outcome]) -> str:
    """Noticed, by tier, of those that compile and are not known to be equivalent, per op."""
    explained = known()
    rows = ["| op | mutants | by the field | by exact data | by any | survived |", "|---|---:|---:|---:|---:|---:|"]
    alive = [one for one in found if not one.stillborn and one.mutant not in explained]
    for op in [*dict.fromkeys(sorted(one.op for one in alive)), "all"]:
        own = [one for one in alive if op in (one.op, "all")]
        count = Counter(tier for one in own for tier in one.tiers)
        rows.append(f"| {op} | {len(own)} | {_rate(count[FIELD], own)} | {_rate(count['T0'], own)} | "
                    f"{_rate(sum(bool(one.tiers) for one in own), own)} | {sum(not one.tiers for one in own)} |")
    return "\n".join(rows)


def _rate(count: int, of: list[Any]) -> str:
    return f"{count / len(of):.0%}" if of else "–"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m chainrule.conformance.mutate.kernel_survey", description=__doc__)
    parser.add_argument("--share", type=Fraction, default=Fraction(1), help="of all mutants, such as 1/50")
    parser.add_argument("--seed", type=int, default=0, help="which share")
    parser.add_argument("-n", dest="workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write every outcome here, one a line")
    given = parser.parse_args(arguments)
    chosen, start, found = sample(given.share, given.seed), time.perf_counter(), []
    for one in outcomes(chosen, given.workers):
        found.append(one)
        if given.json:
            with given.json.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
    print(table(found))
    count = Counter(one.state for one in found)
    print(f"{len(found)} mutants: {count['noticed']} noticed, {count['survived']} survived, {count['stillborn']} do "
          f"not compile; {time.perf_counter() - start:.0f} s")
    for one in (unexplained := new(found)):
        print(f"not noticed: {one.mutant}   (tried on {one.op})")
    return 1 if unexplained or not count["noticed"] else 0


if __name__ == "__main__":
    readable()
    sys.exit(main())
