"""python -m chainrule.triton_kernels.gate [TARGET …] [--json FILE]: exit 0 if every configuration passes, else 1."""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import torch
import triton

from .. import configs
from .machine_code import Facts, facts
from .offline import SHARED, compiled
from .subjects import NAMES, Subject, complaints, every

CACHE = Path("build") / "gate"


def measure(subject: Subject, dtype: torch.dtype, row: configs.Row, arch: str) -> dict[str, Any]:
    """Compile one configuration; its facts, and what is wrong with them."""
    entry: dict[str, Any] = {"target": arch, "subject": subject.name, "dtype": NAMES[dtype], "row": str(row)}
    try:
        with configs.pinned(subject.table, row):
            name, kernel = compiled(lambda: subject.call(dtype, row), arch)[0]
        found = attrs.asdict(_remembered(kernel))
    except Exception as error:      # a compiler reports failure in many classes; each is a failed configuration
        return entry | {"wrong": [f"does not compile: {str(error).strip().splitlines()[-1][:200]}"]}
    return entry | {"kernel": name, **found, "wrong": complaints(subject, dtype, found, SHARED[arch])}


def _remembered(kernel: Any) -> Facts:
    """Facts by the kernel's hash: disassembling takes as long as compiling."""
    file = CACHE / f"{kernel.hash}.json"
    if file.exists():
        return Facts(**json.loads(file.read_text()))
    found = facts(kernel)
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(attrs.asdict(found)))
    partial.replace(file)
    return found


def gate(arch: str) -> list[dict[str, Any]]:
    return [measure(*what, arch) for what in every(arch)]


def line(entry: dict[str, Any]) -> str:
    left = f"{entry['target']:7s}{entry['subject']:22s}{entry['dtype']:6s}{entry['row']:18s}"
    if "registers" not in entry:
        return left + "FAIL " + "; ".join(entry["wrong"])
    middle = f"{entry['registers']:4d} registers {entry['shared']:7d} B shared  "
    instructions = ", ".join(f"{n} {name}" for name, n in entry["matrix"].items())
    return left + middle + (f"FAIL {'; '.join(entry['wrong'])}" if entry["wrong"] else f"ok  {instructions}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gate", description="compile every shipped configuration ahead of time")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(SHARED)}; default sm_80 sm_90")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every fact there")
    given = parser.parse_args(arguments)
    targets = given.targets or ["sm_80", "sm_90"]
    unknown = [t for t in targets if t not in SHARED]
    if unknown:
        parser.error(f"unknown target {unknown[0]}; choose among {', '.join(SHARED)}")
    with ProcessPoolExecutor(min(len(targets), os.cpu_count() or 1)) as pool:
        entries = [entry for part in pool.map(gate, targets) for entry in part]
    for entry in entries:
        print(line(entry))
    failed = sum(bool(entry["wrong"]) for entry in entries)
    print(f"{len(entries)} configurations, {failed} failed, Triton {triton.__version__}")
    if given.json:
        partial = given.json.with_name(given.json.name + ".partial")
        partial.write_text(json.dumps({"triton": triton.__version__, "entries": entries}, indent=1))
        partial.replace(given.json)
    return 1 if failed or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
