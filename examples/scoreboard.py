"""Libraries that people use, judged by one suite: `make scoreboard`.

    python examples/scoreboard.py                      judge every row whose packages are there
    python examples/scoreboard.py --only onnx          some rows
    python examples/scoreboard.py --readme             write the README's table of what was found last

A row is a backend of examples/backends in float32, at every level of every factor. `unsupported` is what it has no
function for; a convention that it does not declare fails, and the report names the reading that it fits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from chainrule import in_readme, write_whole

ROOT = Path(__file__).resolve().parents[1]
BUILD, FOUND, README = ROOT / "build/scoreboard", ROOT / "examples/scoreboard.json", ROOT / "README.md"
BEGIN, END = "<!-- scoreboard: written by `python examples/scoreboard.py --readme` -->", "<!-- end of scoreboard -->"
PACKAGES, THIRD, OLDER = BUILD / "packages", ROOT / "build/third-party", BUILD / "onnx-1.22.0"
REFUSED = "/T3/refuses-"         # what a library takes beside what the deck defines is its own affair
#: name, backend, the packages whose version is told, and where they lie beside the environment
ROWS: tuple[tuple[str, str, tuple[str, ...], tuple[Path, ...]], ...] = (
    ("chainrule, kernels", "triton", ("triton",), ()),
    ("chainrule, CPU", "torch", ("torch",), ()),
    ("torch, composed by hand", "torch_native:backend", ("torch",), ()),
    ("torch, its own losses", "torch_native:library", ("torch",), ()),
    ("NumPy", "numpy_backend:backend", ("numpy",), ()),
    ("SciPy", "scipy_backend:backend", ("scipy",), ()),
    ("JAX", "jax_backend:backend", ("jax",), ()),
    ("tinygrad", "tinygrad_backend:backend", ("tinygrad",), ()),
    ("scikit-learn", "sklearn_backend:backend", ("scikit-learn",), ()),
    ("ONNX reference", "onnx_nodes:reference", ("onnx",), (PACKAGES,)),
    ("ONNX reference, older", "onnx_nodes:reference", ("onnx",), (OLDER, PACKAGES)),
    ("onnxruntime", "onnx_nodes:runtime", ("onnxruntime",), (PACKAGES,)),
    ("optax", "optax_backend:backend", ("optax",), (PACKAGES,)),
    ("pytorch-optimizer", "pytorch_optimizer_backend:backend", ("pytorch-optimizer",), (PACKAGES,)),
    ("Liger", "liger_backend:backend", ("liger-kernel",), (THIRD,)))


def versions(packages: tuple[str, ...], paths: tuple[Path, ...]) -> dict[str, str]:
    """The version of each package, the first that is found on the way Python looks for it."""
    found: dict[str, str] = {}
    for one in distributions(path=[*map(str, paths), *sys.path]):
        name = one.metadata["Name"].lower().replace("_", "-")
        if name in packages:
            found.setdefault(name, one.version)
    return found


def judged(name: str, target: str, paths: tuple[Path, ...]) -> Path:
    """The result file of a row: a run of its own, with its packages before the environment's."""
    out = BUILD / "runs" / name.replace(", ", "-").replace(" ", "-") / "results.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    before = [str(ROOT / "examples/backends"), *map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "chainrule", "conform", target, "--dtype", "fp32", "--levels", "-n", "1", "--json",
               str(out)]
    out.unlink(missing_ok=True)
    done = subprocess.run(command, cwd=BUILD, env={**os.environ, "PYTHONPATH": os.pathsep.join(before)}, check=False,
                          stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{name}: `chainrule conform {target}` ended with {done.returncode}")
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
    return {"mode": records[0]["mode"], "ops": len(ops), "conforming": len(ops - set(failed)),
            "cases": states, "failed": failed}


def table(found: dict[str, Any]) -> list[str]:
    lines = ["| library | version | ops judged | of them conform | cases passed | failed | what fails |",
             "|---|---|---:|---:|---:|---:|---|"]
    for name, row in found.items():
        version = ", ".join(row["versions"].values()) + (" (simulated)" if row["mode"] == "simulated" else "")
        fails = ", ".join(f"`{op}` ({'reading: ' + one['reading'] if one['reading'] else one['cases']})"
                          for op, one in row["failed"].items())
        cells = (name, version, row["ops"], row["conforming"], row["cases"]["pass"], row["cases"]["fail"], fails)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def committed() -> dict[str, Any]:
    """What earlier runs have found."""
    return dict(json.loads(FOUND.read_text(encoding="utf-8"))) if FOUND.exists() else {}


def block(found: dict[str, Any]) -> str:
    return "\n".join([BEGIN, *table(found), END])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows with this word")
    parser.add_argument("--readme", action="store_true", help="judge nothing, write the README's table")
    given = parser.parse_args()
    found = committed()
    BUILD.mkdir(parents=True, exist_ok=True)
    for name, target, packages, paths in () if given.readme else ROWS:
        if given.only.lower() not in name.lower():
            continue
        known = versions(packages, paths)
        if not known or not all(path.is_dir() for path in paths):
            print(f"{name}: {', '.join(packages)} is not there; `make scoreboard` brings it")
            continue
        row = {"versions": known, **told(judged(name, target, paths))}
        print(f"{name}: {row['cases']}", flush=True)
        found = {**committed(), name: row}
        write_whole(FOUND, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    results = sorted((BUILD / "runs").glob("*/results.jsonl"))
    if len(results) > 1:
        subprocess.run([sys.executable, "-m", "chainrule.conformance.report", *map(str, results), "-o",
                        str(BUILD / "index.html")], check=True)
    if found:
        write_whole(README, in_readme(README.read_text(encoding="utf-8"), BEGIN, END, block(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
