"""Libraries that people use, judged by one suite: `make scoreboard`.

    python examples/scoreboard.py                      judge every row whose packages are there
    python examples/scoreboard.py --only jax,onnx      some rows
    python examples/scoreboard.py --again              rows that an earlier run has finished, too
    python examples/scoreboard.py --readme             write the README's table of what was found last

A row is a backend of examples/backends in one dtype, at every level of every factor. `unsupported` is what it has no
function for; conventions of the library are readings that the backend declares, and why the rest fails stands in
verdicts.toml, by hand: none may lack there, and none be too many. Rows of a checkout are judged where one lies in
build/scoreboard, under the name of its repository. A row is finished that the suite as it is has judged to its end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections import Counter
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

from chainrule import in_readme, write_whole

ROOT = Path(__file__).resolve().parents[1]
BUILD, FOUND, README = ROOT / "build/scoreboard", ROOT / "examples/scoreboard.json", ROOT / "README.md"
BEGIN, END = "<!-- scoreboard: written by `python examples/scoreboard.py --readme` -->", "<!-- end of scoreboard -->"
PACKAGES, THIRD, OLDER = BUILD / "packages", ROOT / "build/third-party", BUILD / "onnx-1.22.0"
TRITON = ROOT / "build/triton-3.6.0"       # the newest that FlagGems knows: it launches wrongly with a later one
VERDICTS = ROOT / "examples/verdicts.toml"
JUDGES = ("conformance/judging", "conformance/simulator", "conformance/field", "reference", "spec")
REFUSED = "/T3/refuses-"         # what a library takes beside what the deck defines is its own affair


class Row(NamedTuple):
    """A library: its backend, the packages whose version is told, and where they lie beside the environment."""

    name: str
    backend: str
    packages: tuple[str, ...]
    paths: tuple[Path, ...] = ()
    dtype: str = "fp32"


ROWS = (
    Row("torch, composed by hand", "torch_native:backend", ("torch",)),
    Row("torch, its own losses", "torch_native:library", ("torch",)),
    Row("torch.compile", "compiled_backend:backend", ("torch",)),
    Row("NumPy", "numpy_backend:backend", ("numpy",)),
    Row("SciPy", "scipy_backend:backend", ("scipy",)),
    Row("scikit-learn", "sklearn_backend:backend", ("scikit-learn",)),
    Row("JAX", "jax_backend:backend", ("jax",)),
    Row("optax", "optax_backend:backend", ("optax",), (PACKAGES,)),
    Row("Keras", "keras_backend:backend", ("keras",), (PACKAGES,)),
    Row("tinygrad", "tinygrad_backend:backend", ("tinygrad",)),
    Row("ONNX reference", "onnx_nodes:reference", ("onnx",), (PACKAGES,)),
    Row("ONNX reference, older", "onnx_nodes:reference", ("onnx",), (OLDER, PACKAGES)),
    Row("onnxruntime", "onnx_nodes:runtime", ("onnxruntime",), (PACKAGES,)),
    Row("pytorch-optimizer", "pytorch_optimizer_backend:backend", ("pytorch-optimizer",), (PACKAGES,)),
    Row("Liger", "liger_backend:backend", ("liger-kernel",), (THIRD,)),
    Row("FlagGems", "flaggems_backend:backend", ("flag-gems", "triton"), (THIRD, TRITON)),
    Row("attorch", "attorch_backend:backend", (), (BUILD / "attorch",)),
    Row("Triton's tutorials", "tutorials_backend:backend", (), (BUILD / "tutorials",), "fp16"))
ORDER = {row.name: place for place, row in enumerate(ROWS)}


def versions(row: Row) -> dict[str, str]:
    """The version of each package, the first that is found on the way Python looks for it; of a checkout its commit."""
    found: dict[str, str] = {}
    for one in distributions(path=[*map(str, row.paths), *sys.path]):
        name = one.metadata["Name"].lower().replace("_", "-")
        if name in row.packages:
            found.setdefault(name, one.version)
    return found if row.packages else {folder.name: commit(folder) for folder in row.paths if folder.is_dir()}


def commit(folder: Path) -> str:
    """What a checkout is: its commit, or of a folder of files alone what git calls the last of them."""
    if (folder / ".git").exists():
        return subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, check=True, capture_output=True,
                              text=True).stdout.strip()
    last = max(folder.glob("[0-9]*.py")).read_bytes()
    return "blob " + hashlib.sha1(b"blob %d\0" % len(last) + last, usedforsecurity=False).hexdigest()[:7]


@cache
def suite() -> str:
    """What judges: a digest of the suite's sources, the simulator's and the formulas'."""
    files = [path for folder in JUDGES for path in sorted((ROOT / folder).rglob("*"))]
    every = b"".join(hashlib.sha1(path.read_bytes(), usedforsecurity=False).digest()
                     for path in files if path.suffix in (".py", ".toml"))
    return hashlib.sha1(every, usedforsecurity=False).hexdigest()[:7]


def state(row: Row) -> str:
    """What a result depends on: the suite, the backends and the versions."""
    backends = b"".join(path.read_bytes() for path in sorted((ROOT / "examples/backends").glob("*.py"))
                        if path.stem in (row.backend.split(":")[0], "theirs", "torch_native"))
    return f"{suite()} {hashlib.sha1(backends, usedforsecurity=False).hexdigest()} {versions(row)}"


def finished(row: Row, out: Path) -> bool:
    """Has an earlier run of the same state come to its end?"""
    return out.exists() and marked(out).get("state") == state(row)


def marked(out: Path) -> dict[str, Any]:
    """What was written beside a result when its run had come to its end: of which state, and how long it took."""
    mark = out.with_name("state.json")
    return json.loads(mark.read_text(encoding="utf-8")) if mark.exists() else {}


def judged(row: Row, again: bool) -> Path:
    """The result file of a row: a run of its own, with its packages before the environment's."""
    out = BUILD / "runs" / row.name.replace(", ", "-").replace(" ", "-") / "results.jsonl"
    if finished(row, out) and not again:
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    before = [str(ROOT / "examples/backends"), *map(str, row.paths), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "chainrule", "conform", row.backend, "--dtype", row.dtype, "--levels", "-n", "1",
               "--timeout", "600", "--json", str(out)]                 # a busy machine is no defect of theirs
    for old in (out, out.with_name("state.json")):
        old.unlink(missing_ok=True)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=BUILD, env={**os.environ, "PYTHONPATH": os.pathsep.join(before)}, check=False,
                          stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{row.name}: `chainrule conform {row.backend}` ended with {done.returncode}")
    took = {"state": state(row), "seconds": round(time.perf_counter() - start)}
    write_whole(out.with_name("state.json"), json.dumps(took))
    return out


def told(path: Path) -> dict[str, Any]:
    """What a result file says: cases and ops by state, and of each op that fails one case, the shortest."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    cases = [one for one in records if one["record"] == "case" and REFUSED not in one["case"]]
    failed: dict[str, dict[str, Any]] = {}
    for one in sorted((one for one in cases if one["state"] == "fail"), key=lambda one: len(one["case"])):
        worst = one["worst"] or {}
        failed.setdefault(one["id"], {"case": one["case"], "reason": one["reason"], "reading": one["reading"],
                                      "expected": worst.get("expected"), "actual": worst.get("actual"), "cases": 0})
        failed[one["id"]]["cases"] += 1
    count = Counter(one["state"] for one in cases)
    states = {state: count[state] for state in ("pass", "fail", "not_judged", "unsupported")}
    ops = {one["id"] for one in cases if one["state"] in ("pass", "fail")}
    readings = {op: name for op, name in records[0]["readings"].items() if op in ops}
    return {"mode": records[0]["mode"], "ops": len(ops), "conforming": len(ops - set(failed)), "readings": readings,
            "cases": states, "failed": failed}


def verdicts() -> dict[str, dict[str, str]]:
    """Why an op of a row fails, in words."""
    return tomllib.loads(VERDICTS.read_text(encoding="utf-8"))


def grouped(readings: dict[str, str]) -> str:
    """Readings by their name, each with its ops."""
    by_name = {name: ", ".join(f"`{op}`" for op, one in readings.items() if one == name)
               for name in dict.fromkeys(readings.values())}
    return "; ".join(f"{name}: {ops}" for name, ops in by_name.items())


def table(found: dict[str, Any]) -> list[str]:
    lines = ["| library | version | ops judged | of them conform | by readings of its own | cases passed | failed | "
             "what fails, in how many cases |", "|---|---|---:|---:|---|---:|---:|---|"]
    why = verdicts()
    for name, row in sorted(found.items(), key=lambda one: ORDER[one[0]]):
        version = ", ".join(row["versions"].values()) + (" (simulated)" if row["mode"] == "simulated" else "")
        version += "" if row["dtype"] == "fp32" else f" ({row['dtype']})"
        fails = "; ".join(f"`{op}` {one['cases']}: {why.get(name, {}).get(op, 'not explained')}"
                          for op, one in row["failed"].items())
        cells = (name, version, row["ops"], row["conforming"], grouped(row["readings"]), row["cases"]["pass"],
                 row["cases"]["fail"], fails)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def committed() -> dict[str, Any]:
    """What earlier runs have found."""
    return dict(json.loads(FOUND.read_text(encoding="utf-8"))) if FOUND.exists() else {}


def block(found: dict[str, Any]) -> str:
    suites = Counter(row["suite"] for row in found.values())
    told = ("All rows are judged by one suite" if len(suites) == 1 else
            "Judged are " + ", ".join(f"{n} rows by suite {name}" for name, n in suites.items()))
    seconds = sum(row["seconds"] for row in found.values())
    return "\n".join([BEGIN, *table(found), "", f"{told}, in {seconds / 60:.0f} minutes together.", END])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows with one of these words, commas between")
    parser.add_argument("--readme", action="store_true", help="judge nothing, write the README's table")
    parser.add_argument("--again", action="store_true", help="judge again what an earlier run has finished")
    given = parser.parse_args()
    found = committed()
    BUILD.mkdir(parents=True, exist_ok=True)
    for row in () if given.readme else ROWS:
        if not any(word.strip() in row.name.lower() for word in given.only.lower().split(",")):
            continue
        known = versions(row)
        if not known or not all(path.is_dir() for path in row.paths):
            print(f"{row.name}: {', '.join(row.packages) or row.paths[0]} is not there; " +
                  ("`make scoreboard` brings it" if row.packages else "a checkout there is judged, too"))
            continue
        out = judged(row, given.again)
        one = {"versions": known, "suite": suite(), "dtype": row.dtype, "seconds": marked(out)["seconds"], **told(out)}
        print(f"{row.name}: {one['cases']} in {one['seconds']} s", flush=True)
        found = {**committed(), row.name: one}
        write_whole(FOUND, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    results = sorted((BUILD / "runs").glob("*/results.jsonl"))
    if len(results) > 1 and not given.only:
        subprocess.run([sys.executable, "-m", "chainrule.conformance.report", *map(str, results), "-o",
                        str(BUILD / "index.html")], check=True)
    if found:
        write_whole(README, in_readme(README.read_text(encoding="utf-8"), BEGIN, END, block(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
