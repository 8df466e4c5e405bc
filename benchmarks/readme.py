"""The performance block of the README, from committed files alone.

    python -m benchmarks.readme                     write it
    python -m benchmarks.readme --check             exit 1 if the README says anything else
    python -m benchmarks.readme --gate FILE         take over the gate's facts from its JSON first

Rows where we lose are in it, and so is what is not measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainrule import in_readme, write_whole
from chainrule.triton_kernels.gate.subjects import REPORTED

from . import audit, counts, floors, networks, record
from .rounds import OURS
from .subjects import SUBJECTS

README = record.ROOT / "README.md"
BEGIN, END = "<!-- performance: written by `python -m benchmarks.readme` -->", "<!-- end of performance -->"
COUNTS, GATE = "counts.json", "gate.json"
PEERS = ("eager", "compile", "max-autotune", "liger", "flag_gems", "timm", "channels_last",
         "compile channels_last")


def block(folder: Path = record.RESULTS, tree: dict[str, str] | None = None) -> str:
    parts = [BEGIN, *training(folder), "", *compiled(folder), "", *measured(folder, tree), END]
    return "\n".join(parts)


def training(folder: Path) -> list[str]:
    found = json.loads((folder / COUNTS).read_text())
    return ["What one training step launches and moves, counted in the simulator; torch eager by its own operator list",
            "(`python -m benchmarks.counts`):", "", *counts.table(found["steps"]), "",
            "What is kept for the backward pass, and launched and moved forward and backward; torch.compile by the",
            "kernels and calls in its code for a CPU; a goal that is missed stands beside what missed it:", "",
            *networks.table(found["networks"], found["peaks"])]


def compiled(folder: Path) -> list[str]:
    facts = json.loads((folder / GATE).read_text())
    lines = [f"Every configuration compiled ahead of time with Triton {facts['triton']} "
             "(`python -m chainrule.triton_kernels.gate`):", "",
             "| target | configurations | failed | with spills | most registers | tensor-core kernels |",
             "|---|---:|---:|---:|---:|---:|"]
    for target, found in facts["targets"].items():
        name = f"{target} (reported only)" if target in REPORTED else target
        shown = [found[one] for one in ("configurations", "failed", "spilling", "registers", "matrix")]
        lines.append(f"| {name} | {' | '.join(map(str, shown))} |")
    return lines


def gate_facts(entries: Sequence[dict[str, Any]], triton: str) -> dict[str, Any]:
    """What the block says of a gate's JSON."""
    targets: dict[str, dict[str, int]] = {}
    for entry in entries:
        one = targets.setdefault(entry["target"], dict.fromkeys(
            ("configurations", "failed", "spilling", "registers", "matrix"), 0))
        one["configurations"] += 1
        one["failed"] += bool(entry["wrong"])
        one["spilling"] += bool(entry.get("spills"))
        one["registers"] = max(one["registers"], entry.get("registers", 0))
        one["matrix"] += bool(entry.get("matrix"))
    return {"triton": triton, "targets": targets}


def measured(folder: Path, tree: dict[str, str] | None = None) -> list[str]:
    """The newest run of each GPU, or the floors of what would be measured."""
    newest: dict[str, dict[str, Any]] = {}
    for file in record.committed(folder):
        run = record.read(file)
        gpu = run["environment"]["gpu"]
        if gpu not in newest or newest[gpu]["started"] < run["started"]:
            newest[gpu] = run
    if not newest:
        return unmeasured()
    return [line for gpu, run in newest.items() for line in table(gpu, run, audit.audit(run, tree))]


def unmeasured() -> list[str]:
    head = ["On a GPU: *not measured yet* (`python benchmarks/gpu.py` does it in one command). The floors are those of",
            f"one {floors.DATASHEET_OF}, by its datasheet:", "",
            "| what | bound by | floor, µs | ours | torch eager | torch.compile |", "|---|---|---:|---|---|---|"]
    missing = "| *not measured yet* " * 3
    return head + [
        f"| {s.id} | {s.problem.floor.bound(floors.DATASHEET)} "
        f"| {s.problem.floor.seconds(floors.DATASHEET) * 1e6:.1f} {missing}|" for s in SUBJECTS if s.priority == 1]


def table(gpu: str, run: dict[str, Any], found: audit.Audit) -> list[str]:
    shown = [p for p in PEERS if any(p in row.ratios or p in row.failed for row in found.rows)]
    packages = run["environment"]["packages"]
    lines = [f"On one {gpu}, {run['started'][:10]}, torch {packages['torch']}, Triton {packages['triton']}: how many",
             "times faster than each peer, with the interval that covers 95 % of resampled medians; below 1 the",
             "peer is faster.", "",
             f"| what | µs | of the floor | {' | '.join(shown)} | |", f"|---|---:|---:|{'---:|' * len(shown)}---|"]
    for row in found.rows:
        cells = [cell(row, peer) for peer in shown]
        own = [f"{row.us[OURS]:.1f}", f"{row.of_floor:.0%}"] if row.of_floor is not None else ["failed", ""]
        lines.append(f"| {row.id} | " + " | ".join([*own, *cells, "; ".join(row.notes)]) + " |")
    lines += [f"- {one}" for one in found.complaints]
    left = run.get("not_run", [])
    return [*lines, "", f"Not run: {'; '.join(one['id'] for one in left)}."] if left else lines


def cell(row: audit.Row, peer: str) -> str:
    if peer in row.failed:
        return "failed its check"
    return audit.shown(row.ratios[peer]) if peer in row.ratios else ""


def replaced(text: str, new: str) -> str:
    return in_readme(text, BEGIN, END, new)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="readme", description="the performance block of the README")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if it differs")
    parser.add_argument("--gate", type=Path, metavar="FILE", help="the gate's JSON, to be taken over first")
    given = parser.parse_args(arguments)
    if given.check and given.gate:
        parser.error("--check changes nothing, and --gate takes facts over: one of the two")
    if given.gate:
        full = json.loads(given.gate.read_text())
        facts = gate_facts(full["entries"], full["triton"])
        (record.RESULTS / GATE).write_text(json.dumps(facts, indent=1) + "\n")
    text = README.read_text()
    wanted = replaced(text, block())
    if given.check:
        if wanted != text:
            print("README.md differs from the committed results; `python -m benchmarks.readme` writes it",
                  file=sys.stderr)
        return int(wanted != text)
    write_whole(README, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
