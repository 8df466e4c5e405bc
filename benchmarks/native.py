"""The conformance suite on the GPU: in small shards, so that what a deadline cuts off is little; and under NVIDIA's
compute-sanitizer, on one small case of each op."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .record import ROOT

SHARD = 48                  # cases


def command(cases: Sequence[str], json_file: Path) -> list[str]:
    return [sys.executable, "-m", "chainrule.cli", "conform", "triton", "--native", "--json", str(json_file),
            *(f"--case={one}" for one in cases)]


def shards(cases: Sequence[str], size: int = SHARD) -> list[list[str]]:
    """Neighbours stay together: they compile the same kernels."""
    return [list(cases[i : i + size]) for i in range(0, len(cases), size)]


def conformance(left: Callable[[], float], workers: int) -> dict[str, Any]:
    """Every case, natively; each shard is a process of its own."""
    from chainrule.conformance.selection import select

    ids = [case.id for case in select("triton", mode="native", levels=True).cases]
    found: list[dict[str, Any]] = []
    cut: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        def one(number: int, part: list[str]) -> None:
            file = Path(folder) / f"{number}.jsonl"
            why = finished(command(part, file), left())
            records = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
            found.extend(r for r in records if r["record"] == "case")
            if not records:
                cut.append(f"{part[0]} … {part[-1]}: {why}")

        for future in [pool.submit(one, *pair) for pair in enumerate(shards(ids))]:
            future.result()
    states = Counter(record["state"] for record in found)
    return {
        "cases": len(ids), "judged": len(found), **states, "cut": cut,
        "failed": [{"case": r["case"], "reason": r["reason"], "repro": r["repro"]}
                   for r in found if r["state"] == "fail"],
        "fractions": {r["case"]: r["fraction"] for r in found if r["state"] == "pass"},
    }


def finished(arguments: list[str], seconds: float, **environment: str) -> str:
    """How a command ended: its last line, or that it was stopped at the deadline."""
    if seconds <= 1:
        return "no time was left"
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT,
                              env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment})
    except subprocess.TimeoutExpired:
        return f"stopped after {seconds:.0f} s"
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    return f"exit {done.returncode}: {lines[-1][:200]}"


def sanitized(left: Callable[[], float]) -> dict[str, Any]:
    """One small exact case of each op under compute-sanitizer, once per tool: {tool: how it ended}."""
    from chainrule.conformance.selection import select

    if shutil.which("compute-sanitizer") is None:
        return {"why": "compute-sanitizer is not installed"}
    chosen = select("triton", quick=True, mode="native").cases
    cases = [case.id for case in chosen if case.tier == "T0" and case.dtype == "fp32"]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
        def one(job: tuple[str, int, list[str]]) -> str:
            tool, number, part = job
            run = command(part, Path(folder) / f"{tool}{number}.jsonl")
            wrapped = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "99", *run]
            return finished(wrapped, left(), PYTORCH_NO_CUDA_MEMORY_CACHING="1")

        jobs = [(tool, i, part) for tool in ("memcheck", "racecheck") for i, part in enumerate(shards(cases, 8))]
        ended = list(zip(jobs, pool.map(one, jobs)))
    runs = [{"tool": tool, "cases": part, "ended": how} for (tool, _, part), how in ended]
    return {"cases": len(cases), "runs": runs}
