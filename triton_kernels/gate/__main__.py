"""python -m chainrule.triton_kernels.gate [TARGET …] [--json FILE]: exit 0 if every configuration passes, else 1."""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import torch
import triton

from .. import configs
from . import machine_code
from .machine_code import Facts, facts
from .offline import SHARED, compiled
from .subjects import NAMES, PRODUCTS_ONLY, REPORTED, WHOLE, Subject, complaints, every, over, unsound

CACHE = Path("build") / "gate"
READER = f"{zlib.crc32(Path(str(machine_code.__file__)).read_bytes()):08x}"        # facts are as good as what read them


def measure(subject: Subject, dtype: torch.dtype, row: configs.Row, arch: str) -> dict[str, Any]:
    """Compile one configuration; its facts, and what is wrong with them or with a kernel that it starts besides."""
    entry: dict[str, Any] = {"target": arch, "subject": subject.name, "dtype": NAMES[dtype], "row": str(row)}
    try:
        with configs.pinned(subject.table, row):
            kernels = [(name, _remembered(kernel)) for name, kernel in compiled(lambda: subject.call(dtype, row), arch)]
    except Exception as error:      # a compiler reports failure in many classes; each is a failed configuration
        said = str(error).strip().splitlines() or [type(error).__name__]
        return entry | {"wrong": [f"does not compile: {said[-1][:200]}"]}
    name, found = kernels.pop(subject.launch)
    wrong = complaints(subject, dtype, row, found, SHARED[arch])
    if subject.unpooled is not None:
        wrong += _against(subject.unpooled, subject.as_many(row), dtype, found, arch)
    wrong += [f"{other}: {one}" for other, facts in kernels for one in unsound(facts, SHARED[arch])]
    return entry | {"kernel": name, **attrs.asdict(found), "wrong": wrong}


def _against(plain: Subject, row: configs.Row, dtype: torch.dtype, found: Facts, arch: str) -> list[str]:
    with configs.pinned(plain.table, row):
        ((_, kernel),) = compiled(lambda: plain.call(dtype, row), arch)
    return over(found, _remembered(kernel), row.BM * row.BN)


def _remembered(kernel: Any) -> Facts:
    """Facts by the kernel's hash: disassembling takes as long as compiling."""
    file = CACHE / f"{kernel.hash}-{READER}.json"
    if file.exists():
        known = json.loads(file.read_text())
        return Facts(**{**known, "warnings": tuple(known["warnings"])})
    found = facts(kernel)
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(attrs.asdict(found)))
    partial.replace(file)
    return found


def parts(arch: str) -> list[tuple[str, int, int]]:
    """The work on one target in halves, so that two processors end together."""
    return [(arch, 0, 2), (arch, 1, 2)]


def gate_part(part: tuple[str, int, int]) -> list[dict[str, Any]]:
    arch, first, step = part
    return [measure(*what, arch) for what in list(every(arch))[first::step]]


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gate", description="compile every shipped configuration ahead of time")
    parser.add_argument("targets", nargs="*", metavar="TARGET",
                        help=f"of {', '.join(SHARED)}; default all; sm_100 and gfx942 only report")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every fact there")
    given = parser.parse_args(arguments)
    targets = given.targets or [*WHOLE, *PRODUCTS_ONLY, *REPORTED]
    unknown = [t for t in targets if t not in SHARED]
    if unknown:
        parser.error(f"unknown target {unknown[0]}; choose among {', '.join(SHARED)}")
    work = [part for arch in targets for part in parts(arch)]
    with ProcessPoolExecutor(min(len(work), os.cpu_count() or 1)) as pool:
        entries = [entry for part in pool.map(gate_part, work) for entry in part]
    for entry in entries:
        print(line(entry))
    failed = sum(map(fails, entries))
    print(f"{len(entries)} configurations, {failed} failed, Triton {triton.__version__}")
    if given.json:
        partial = given.json.with_name(given.json.name + ".partial")
        partial.write_text(json.dumps({"triton": triton.__version__, "entries": entries}, indent=1))
        partial.replace(given.json)
    return 1 if failed or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
