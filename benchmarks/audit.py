"""A result file believed only as far as its raw samples carry it.

    python -m benchmarks.audit [FILE …]         exit 1 where a file contradicts itself

Medians, ratios and intervals are computed here, from samples, and nowhere stored. A row is shown as faster than its
floor if it is: the floor by the file's own ceilings. It is shown as older than its kernel if the hash of a source it
speaks of is no longer the tree's. A peer that failed its own check is shown as failed, and nothing is claimed over it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from . import record
from .floors import DATASHEET, Floor
from .rounds import AGAIN, OURS
from .samples import Ratio, median, ratio

FASTEST = 0.97          # of the floor: what is left for the error of measuring both
STEADY = 0.10           # by how much the clock may move during a row
LOSING = 0.85           # below this, a row must have a fallback to the faster library


@attrs.frozen
class Row:
    """One subject, from its samples alone. `notes` is what is wrong with it; `failed` says so of implementations."""

    id: str
    bound: str
    floor_us: float
    us: Mapping[str, float]
    ratios: Mapping[str, Ratio]
    failed: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def of_floor(self) -> float | None:
        """Which share of what the device can do."""
        return self.floor_us / self.us[OURS] if OURS in self.us else None


@attrs.frozen
class Audit:
    rows: tuple[Row, ...]
    complaints: tuple[str, ...]         # of the file as a whole


def audit(run: Mapping[str, Any], tree: Mapping[str, str] | None = None) -> Audit:
    """Every number again. `tree` has the hashes of today's kernel files."""
    if "ceilings" not in run:
        return Audit((), ("it was cut off before the ceilings were measured, and so before any row",))
    today = record.sources() if tree is None else tree
    rows = tuple(audited(row, run, today) for row in run.get("rows", []))
    return Audit(rows, tuple(complaints(run)))


def audited(row: Mapping[str, Any], run: Mapping[str, Any], today: Mapping[str, str]) -> Row:
    ceilings, floor = run["ceilings"], Floor(**row["floor"])
    samples = {n: i["samples_us"] for n, i in row["implementations"].items() if i.get("samples_us")}
    failed = {n: reason(i) for n, i in row["implementations"].items() if n != AGAIN and not i.get("passed")}
    us = {name: median(values) for name, values in samples.items() if name not in failed}
    ratios = {}
    if OURS in us and AGAIN in us:
        ratios = {n: ratio(samples[OURS], samples[AGAIN], samples[n]) for n in us if n not in (OURS, AGAIN)}
    floor_us = floor.seconds(ceilings) * 1e6
    notes = [f"{name} is faster than the floor" for name, t in us.items() if t < FASTEST * floor_us]
    notes += [f"older than {name}" for name in row["sources"]
              if record.within(name, run["sources"]) != record.within(name, today)]
    clocks = [c["sm_mhz"] for c in row.get("clocks", []) if c]
    if clocks and max(clocks) - min(clocks) > STEADY * max(clocks):
        notes.append(f"the clock moved from {clocks[0]:.0f} to {clocks[-1]:.0f} MHz")
    return Row(row["id"], floor.bound(ceilings), floor_us, us, ratios, failed, tuple(notes))


def reason(entry: Mapping[str, Any]) -> str:
    if entry.get("error") is None:
        return str(entry.get("why") or "its result is not a number")
    if entry["error"] <= entry["limit"]:
        return str(entry.get("why") or "two runs of it differ")
    return f"its error is {entry['error']:.1e}, the limit {entry['limit']:.1e}"


def complaints(run: Mapping[str, Any]) -> list[str]:
    """What cannot be true of a whole file."""
    found = []
    for name, said in run["ceilings"].items():
        if name == "samples":
            continue
        if median(run["ceilings"]["samples"][name]) != said:
            found.append(f"the ceiling {name} is not the median of its samples")
    gpu = run.get("environment", {}).get("gpu", "")
    if "H200" in gpu:
        found += [f"the ceiling {name}, {run['ceilings'][name]:.3g}, exceeds the datasheet's {most:.3g}"
                  for name, most in DATASHEET.items() if name != "launch" and run["ceilings"][name] > 1.03 * most]
    spent = sum(sampled(row) for row in run.get("rows", []))
    if spent > run["seconds"]:
        found.append(f"the samples alone add up to {spent:.0f} s, the run took {run['seconds']:.0f} s")
    if run.get("conformance", {}).get("failed"):
        found.append(f"{len(run['conformance']['failed'])} conformance cases failed on this device")
    return found


def sampled(row: Mapping[str, Any]) -> float:
    """At least so many seconds were needed for a row's samples: each is a mean over one pass of all its sets."""
    samples: list[float] = [us for one in row["implementations"].values() for us in one.get("samples_us", [])]
    return sum(samples) * 1e-6 * int(row["sets"])


def text(found: Audit) -> str:
    lines = [line(row) for row in found.rows]
    return "\n".join([*lines, *(f"file: {one}" for one in found.complaints)] or ["no rows"])


def line(row: Row) -> str:
    share = f"{row.of_floor:4.0%} of the floor" if row.of_floor is not None else "ours not timed"
    parts = [f"{name} {shown(one)}" for name, one in row.ratios.items()]
    parts += [f"{name} failed: {why}" for name, why in row.failed.items()]
    parts += [f"! {note}" for note in row.notes]
    return f"{row.id:50} {row.us.get(OURS, float('nan')):10.1f} µs  {share}  " + "; ".join(parts)


def shown(one: Ratio) -> str:
    """1.32× [1.30, 1.35], and in words where there is no difference, or we lose."""
    word = " tie" if one.tie else " slower" if one.median < 1 else ""
    return f"{one.median:.2f}× [{one.low:.2f}, {one.high:.2f}]{word}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="audit", description="recompute every number of GPU results from samples")
    parser.add_argument("files", nargs="*", type=Path, help="default: every committed one")
    files = parser.parse_args(arguments).files or record.committed()
    if not files:
        print("audit: no GPU result is committed; benchmarks/gpu.py writes one on a machine with a GPU")
        return 0
    wrong = False
    for file in files:
        found = audit(record.read(file))
        print(f"{file}\n{text(found)}")
        wrong = wrong or bool(found.complaints) or any("floor" in note for row in found.rows for note in row.notes)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
