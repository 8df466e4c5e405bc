"""python -m chainrule.triton_kernels.gate [TARGET …] [--json FILE]: exit 0 if every configuration passes, else 1."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import torch
import triton
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chainrule import readable, write_whole

from ..runtime import configs
from . import machine_code
from .machine_code import Facts, facts
from .offline import SHARED, compiled
from .subjects import NAMES, PRODUCTS_ONLY, REPORTED, WHOLE, Subject, complaints, every, over, unsound

CACHE = Path("build") / "gate"
BATCH = 12          # configurations read together: enough to share the disassembler's start, few enough to watch
READER = f"{zlib.crc32(Path(str(machine_code.__file__)).read_bytes()):08x}"        # facts are as good as what read them


Work = tuple[Subject, torch.dtype, configs.Row]


@attrs.frozen
class Attempt:
    """One configuration compiled: the kernels it starts, the layer that a pooled one is held against, or why not."""

    kernels: list[tuple[str, Any]] = attrs.field(factory=list)
    unpooled: Any = None
    failure: str = ""

    def compiled(self) -> list[Any]:
        return [kernel for _, kernel in self.kernels] + ([] if self.unpooled is None else [self.unpooled])


def measure(work: Sequence[Work], arch: str) -> list[dict[str, Any]]:
    """Compile configurations; their facts, and what is wrong with them or with kernels that they start besides."""
    said: dict[str, str] = {}
    attempts = [_attempt(*one, arch, said) for one in work]
    found = _remembered([kernel for attempt in attempts for kernel in attempt.compiled()], said)
    return [_entry(*one, arch, attempt, found) for one, attempt in zip(work, attempts)]


def _attempt(subject: Subject, dtype: torch.dtype, row: configs.Row, arch: str, said: dict[str, str]) -> Attempt:
    try:
        with configs.pinned(subject.table, row):
            kernels = compiled(lambda: subject.call(dtype, row), arch, said)
        if len(kernels) <= subject.launch:
            return Attempt(failure=f"starts {len(kernels)} kernels, and number {subject.launch + 1} is to be judged")
        plain = subject.unpooled
        if plain is None:
            return Attempt(kernels)
        many = subject.as_many(row)
        with configs.pinned(plain.table, many):
            ((_, unpooled),) = compiled(lambda: plain.call(dtype, many), arch, said)
        return Attempt(kernels, unpooled)
    except Exception as error:      # a compiler reports failure in many classes; each is a failed configuration
        words = str(error).strip().splitlines() or [type(error).__name__]
        return Attempt(failure=f"does not compile: {words[-1][:200]}")


def _entry(
    subject: Subject, dtype: torch.dtype, row: configs.Row, arch: str, attempt: Attempt, found: dict[str, Facts]
) -> dict[str, Any]:
    entry: dict[str, Any] = {"target": arch, "subject": subject.name, "dtype": NAMES[dtype], "row": str(row)}
    if attempt.failure:
        return entry | {"wrong": [attempt.failure]}
    others = [(name, found[kernel.hash]) for name, kernel in attempt.kernels]
    name, own = others.pop(subject.launch)
    wrong = complaints(subject, dtype, row, own, SHARED[arch])
    if attempt.unpooled is not None:
        many = subject.as_many(row)
        wrong += over(own, found[attempt.unpooled.hash], many.BM * many.BN, subject.places, subject.sides)
    wrong += [f"{other}: {one}" for other, facts in others for one in unsound(facts, SHARED[arch])]
    return entry | {"kernel": name, **attrs.asdict(own), "wrong": wrong}


def _remembered(kernels: Sequence[Any], said: dict[str, str]) -> dict[str, Facts]:
    """Facts by the kernel's hash, read from the machine code once."""
    files = {kernel.hash: CACHE / f"{kernel.hash}-{READER}.json" for kernel in kernels}
    new = {kernel.hash: kernel for kernel in kernels if not files[kernel.hash].exists()}
    CACHE.mkdir(parents=True, exist_ok=True)
    for name, one in zip(new, facts(list(new.values()), said)):
        write_whole(files[name], json.dumps(attrs.asdict(one)))
    known = {name: json.loads(file.read_text()) for name, file in files.items()}
    return {name: Facts(**{**one, "warnings": tuple(one["warnings"])}) for name, one in known.items()}


Batch = tuple[str, str, int]        # a target, the pattern of subjects' names, the first configuration


def chosen(arch: str, pattern: str) -> list[Work]:
    return [one for one in every(arch) if re.search(pattern, one[0].name)]


def batches(arch: str, pattern: str) -> list[Batch]:
    return [(arch, pattern, first) for first in range(0, len(chosen(arch, pattern)), BATCH)]


def gate_batch(batch: Batch) -> list[dict[str, Any]]:
    arch, pattern, first = batch
    return measure(chosen(arch, pattern)[first : first + BATCH], arch)


def line(entry: dict[str, Any]) -> str:
    left = f"{entry['target']:7s}{entry['subject']:34s}{entry['dtype']:6s}{entry['row']:20s}"
    if "registers" not in entry:
        return left + ("FAIL " if fails(entry) else "NOTE ") + "; ".join(entry["wrong"])
    middle = f"{entry['registers']:4d} registers {entry['shared']:7d} B shared  "
    instructions = ", ".join(f"{n} {name}" for name, n in entry["matrix"].items())
    if not entry["wrong"]:
        return left + middle + f"ok  {instructions}"
    return left + middle + f"{'FAIL' if fails(entry) else 'NOTE'} {'; '.join(entry['wrong'])}"


def fails(entry: dict[str, Any]) -> bool:
    return bool(entry["wrong"]) and entry["target"] not in REPORTED


def run(targets: Sequence[str], pattern: str = "") -> Iterator[dict[str, Any]]:
    """Every entry, printed as soon as it is known; on a terminal under a bar."""
    work = [batch for arch in targets for batch in batches(arch, pattern)]
    bar = Progress(TextColumn("compiling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True,
                   disable=not sys.stdout.isatty())
    with bar, ProcessPoolExecutor(min(len(work), os.cpu_count() or 1) or 1) as pool:
        task = bar.add_task("", total=sum(len(chosen(arch, pattern)) for arch in targets))
        for entries in pool.map(gate_batch, work):
            for entry in entries:
                print(line(entry), flush=True)
                yield entry
            bar.advance(task, len(entries))


def main(arguments: list[str] | None = None) -> int:
    readable()
    parser = argparse.ArgumentParser(prog="gate", description="compile every shipped configuration ahead of time")
    parser.add_argument("targets", nargs="*", metavar="TARGET",
                        help=f"of {', '.join(SHARED)}; default all; sm_100 and gfx942 only report")
    parser.add_argument("-k", dest="pattern", default="", metavar="PATTERN",
                        help="only subjects in whose name this regular expression is found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every fact there")
    given = parser.parse_args(arguments)
    try:
        re.compile(given.pattern)
    except re.error as error:
        parser.error(f"-k {given.pattern} is no regular expression: {error}")
    targets = given.targets or [*WHOLE, *PRODUCTS_ONLY, *REPORTED]
    unknown = [t for t in targets if t not in SHARED]
    if unknown:
        parser.error(f"unknown target {unknown[0]}; choose among {', '.join(SHARED)}")
    entries = list(run(targets, given.pattern))
    wrong = [entry for entry in entries if fails(entry)]
    print(f"{len(entries)} configurations, {len(wrong)} failed, Triton {triton.__version__}")
    for entry in wrong:
        print(line(entry))
    if given.json:
        write_whole(given.json, json.dumps({"triton": triton.__version__, "entries": entries}, indent=1))
    return 1 if wrong or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
