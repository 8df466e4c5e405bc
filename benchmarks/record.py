"""The result file: one JSON a run, written whole after every job, so that a run that is cut short has what it had."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from chainrule import write_whole

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "triton_kernels"
RESULTS = Path(__file__).resolve().parent / "results"
SCHEMA = 1


def sources(folder: Path = KERNELS) -> dict[str, str]:
    """sha256 of every kernel file, by name: what a measurement speaks of."""
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob("*.py")) if "gate" not in file.parts}


def within(place: str, files: dict[str, str]) -> dict[str, str]:
    """What `sources` says of one file, or of every file of a chapter."""
    return {name: digest for name, digest in files.items() if name == place or name.startswith(f"{place}/")}


def digest(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def write(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(finite(record), indent=1, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


def read(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text())
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ValueError(f"{path}: not a result file of schema {SCHEMA}; benchmarks/gpu.py writes them")
    return record


def committed(folder: Path = RESULTS) -> list[Path]:
    """The result files of GPU runs; the counts and the gate's facts lie beside them."""
    return sorted(folder.glob("gpu-*.json"))
