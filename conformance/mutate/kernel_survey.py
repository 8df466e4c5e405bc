"""Mutants of every kernel, run through the suite: who is noticed, by which tier, and who is not.

`python -m chainrule.conformance.mutate.kernel_survey`: all of them; `--sample 2000 --seed 3` so many, spread evenly
over kernels and over the kinds of changes to each. A mutant that no case notices must stand in kernel_survivors.toml
with the reason why; a new one is an error.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

from attrs import asdict

from ... import readable, triton_kernels
from ..judging.cases import FIELD
from .kernel_mutants import Mutant, mutants
from .kernel_rates import COLUMNS, record, table
from .kernel_trial import EXACT, Outcome, homes, outcome

SURVIVORS = Path(__file__).with_name("kernel_survivors.toml")
TOGETHER = 8                 # mutants that one process tries one after the other, with the cases that they share


def modules() -> list[str]:
    """The modules with jitted functions of ops."""
    root = Path(str(triton_kernels.__file__)).parent
    every = [".".join(file.relative_to(root).with_suffix("").parts) for file in sorted(root.rglob("*.py"))
             if "@triton.jit" in file.read_text(encoding="utf-8")]
    return [module for module in every if homes(module)]


def everyone() -> list[Mutant]:
    return [mutant for module in modules() for mutant in mutants(module)]


def sample(count: int | None, seed: int) -> list[Mutant]:
    """So many mutants, spread evenly over the kernels, and over the kinds of changes to each; a larger sample holds the
    smaller ones. All of them where no count is given."""
    every = everyone()
    random.Random(seed).shuffle(every)
    kernels = [dealt(_by(kernel, lambda m: m.kind)) for kernel in _by(every, lambda m: (m.module, m.function))]
    return dealt(kernels)[:count]


def _by(mutants: list[Mutant], key: Callable[[Mutant], Any]) -> list[list[Mutant]]:
    groups = defaultdict[Any, list[Mutant]](list)
    for mutant in mutants:
        groups[key(mutant)].append(mutant)
    return list(groups.values())


def dealt(groups: list[list[Mutant]]) -> list[Mutant]:
    """The first of each group, then the second of each that has one, and so on."""
    return [one for row in zip_longest(*groups) for one in row if one is not None]


def version_of_code() -> str:
    """Which commit this is, as git says it; empty without one."""
    root = Path(__file__).resolve().parents[2]
    try:
        said = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True,
                              text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()


def outcomes(wanted: list[Mutant], workers: int, until: float = math.inf, exactly: bool = False) -> Iterator[Outcome]:
    """What becomes of each, neighbours in one process; none is begun after this time."""
    ordered = sorted(wanted, key=lambda m: m.module)
    if workers < 2:
        yield from (outcome(mutant, exactly) for mutant in ordered if time.time() < until)
        return
    with ProcessPoolExecutor(workers) as pool:
        for found in pool.map(_outcomes, ((ordered[k:k + TOGETHER], until, exactly)
                                          for k in range(0, len(ordered), TOGETHER))):
            yield from found


def _outcomes(group: tuple[list[Mutant], float, bool]) -> list[Outcome]:
    mutants, until, exactly = group
    return list(outcomes(mutants, 1, until, exactly))


class Explained:
    """Why a mutant is not noticed, for those of which it is known: by name, or by a pattern for many of one kind."""

    def __init__(self) -> None:
        listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
        self.named = {one["mutant"]: one["why"] for one in listed.get("survivor", [])}
        self.kinds = [(re.compile(one["where"]), one["why"]) for one in listed.get("kind", [])]

    def __call__(self, mutant: str) -> str:
        return self.named.get(mutant) or next((why for where, why in self.kinds if where.search(mutant)), "")

    def equivalent(self, mutant: str) -> bool:
        return self(mutant).startswith("equivalent")

    def rounding(self, mutant: str) -> bool:
        """Whether it is the same function of exact numbers, so that only floats can tell."""
        return self(mutant).startswith("rounding")


def new(found: Iterable[Outcome]) -> list[Outcome]:
    """Survivors that nobody has explained."""
    why = Explained()
    return [one for one in found if one.state == "survived" and not why(one.mutant)]


def rates(found: list[Outcome]) -> dict[str, dict[str, int]]:
    """Per op, of the mutants that compile and are not equivalent: how many, and how many are noticed by what."""
    why, rates = Explained(), dict[str, dict[str, int]]()
    for one in sorted(found, key=lambda one: one.op):
        if one.stillborn or one.same or (not one.tier and why.equivalent(one.mutant)):
            continue
        structural = one.structural and not why.rounding(one.mutant)
        told = (1, bool(one.tier), one.tier == FIELD, one.tier == "T0", structural, structural and one.tier in EXACT)
        into = rates.setdefault(one.op, dict.fromkeys(COLUMNS, 0))
        for name, count in zip(COLUMNS, told, strict=True):
            into[name] += count
    return rates


def summary(found: list[Outcome], sample: int | None = None, seed: int = 0,
            commits: Iterable[str] = ()) -> dict[str, Any]:
    """What is told of a survey. `whole`: the modules of which it tried every mutant; `holes`: what nothing notices,
    `unexplained` of them without a reason; `late`: what only never ends; `seconds` of the processor."""
    every, had = everyone(), {one.mutant for one in found}
    left = {mutant.module for mutant in every if str(mutant) not in had}
    why, count = Explained(), Counter(one.state for one in found)
    survived = [one for one in found if one.state == "survived"]
    equivalent = sum(why.equivalent(one.mutant) for one in survived)
    return {"mutants": len(every), "whole": sorted({mutant.module for mutant in every} - left),
            "tried": len(found), "sample": sample or len(every), "seed": seed,
            "stillborn": count["stillborn"], "same": count["same"],
            "equivalent": equivalent, "holes": len(survived) - equivalent, "unexplained": len(new(found)),
            "late": sum(one.late for one in found),
            "seconds": round(sum(one.seconds for one in found)), "commits": sorted(set(commits)),
            "triton": version("triton"), "ops": rates(found)}


def written(file: Path | None) -> dict[str, tuple[Outcome, str]]:
    """What an earlier survey has written, by mutant, and of which commit; of one that stands there twice the last."""
    lines = file.read_text(encoding="utf-8").splitlines() if file is not None and file.exists() else []
    records = [json.loads(line) for line in lines]
    return {one["mutant"]: (Outcome(**one), commit) for one in records for commit in [one.pop("commit", "")]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m chainrule.conformance.mutate.kernel_survey", description=__doc__)
    parser.add_argument("--sample", type=int, help="so many mutants, spread evenly; all without it")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--only", default="", help="kernels of modules that begin so, as losses.,norms.")
    parser.add_argument("-n", dest="workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write every outcome here, and try none that stands there")
    parser.add_argument("--exactly", action="store_true", help="ask no floats; --again does, of those that are left")
    parser.add_argument("--again", action="store_true", help="try those again that exact data did not notice there")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no mutant after so many")
    parser.add_argument("--record", action="store_true", help="keep the rates, for the README and reports")
    given = parser.parse_args(arguments)
    only = tuple(given.only.split(","))
    start, wanted = time.time(), [m for m in sample(given.sample, given.seed) if m.module.startswith(only)]
    had, commit = written(given.json), version_of_code()
    kept = {str(m): had[str(m)] for m in wanted if str(m) in had and not (given.again and had[str(m)][0].missed)}
    left = [m for m in wanted if str(m) in had or not given.again]
    for one in outcomes([m for m in left if str(m) not in kept], given.workers, start + 60 * given.minutes,
                        given.exactly):
        kept[one.mutant] = one, commit
        if given.json:
            with given.json.open("a", encoding="utf-8") as out:
                out.write(json.dumps({**asdict(one), "commit": commit}, ensure_ascii=False) + "\n")
    found = [one for one, _ in kept.values()]
    print("\n".join(table(rates(found))))
    if given.record:
        record(summary(found, given.sample, given.seed, (commit for _, commit in kept.values())))
    count = Counter(one.state for one in found)
    print(f"{len(found)} of {len(wanted)} mutants: {count['noticed']} noticed, {count['survived']} survived, "
          f"{count['same']} compile to the same, {count['stillborn']} do not compile; {time.time() - start:.0f} s")
    for one in (unexplained := new(found)):
        print(f"not noticed: {one.mutant}   (tried on {one.op})")
    return 1 if unexplained or not count["noticed"] else 0


if __name__ == "__main__":
    readable()
    sys.exit(main())
