"""How much faster the simulator is than Triton's interpreter, which has no sanitizer and no bf16, and than an earlier
build of itself: the same launches, the same cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from . import earlier

TIMES = 8.0                     # the goal: as fast as the interpreter,
SHARE = 0.4                     # and the share of an earlier build's time that the suite takes
SUBJECTS = ("product 512 x 512 x 512", "softmax 1024 x 781", "layer norm 512 x 2000")


@pytest.fixture(scope="module")
def times() -> dict[str, dict[str, list[float]]]:
    """Processor seconds of each launch, in processes of their own: the interpreter leaves Triton changed."""
    found = {}
    before = earlier.environment()
    builds: dict[str, dict[str, str]] = {"interpreter": {"TRITON_INTERPRET": "1"}, "simulator": {}}
    if before is not None:
        builds["earlier"] = {"PYTHONPATH": before["PYTHONPATH"]}
    for name, set_ in builds.items():
        environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | set_ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-m", "benchmarks.interpreted"], env=environment, capture_output=True,
                              text=True, check=True)
        found[name] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("subject", SUBJECTS)
def test_against_the_interpreter(
    times: dict[str, dict[str, list[float]]], goal: Callable[..., None], subject: str
) -> None:
    theirs, ours = (min(times[who][subject]) for who in ("interpreter", "simulator"))
    goal(f"simulator {theirs / ours:.1f}x as fast as the interpreter: {subject}", ours / theirs, 1 / TIMES, "")
    assert theirs / ours >= TIMES


@pytest.mark.parametrize("subject", SUBJECTS)
def test_against_an_earlier_build(
    times: dict[str, dict[str, list[float]]], goal: Callable[..., None], subject: str
) -> None:
    if "earlier" not in times:
        pytest.skip(f"commit {earlier.COMMIT} is not in this clone")
    before, now = (min(times[who][subject]) for who in ("earlier", "simulator"))
    goal(f"simulator {before / now:.1f}x as fast as at {earlier.COMMIT}: {subject}", now / before, 1.0, "")
    assert now < before


def test_the_suite_against_an_earlier_build(goal: Callable[..., None], tmp_path: Path) -> None:
    """The cases that both builds have, with every core, from cold caches."""
    before = earlier.environment()
    if before is None:
        pytest.skip(f"commit {earlier.COMMIT} is not in this clone")
    builds = {"earlier": before, "now": dict(os.environ)}
    both = set(earlier.cases(builds["earlier"])) & set(earlier.cases(builds["now"]))
    chosen = [word for id in sorted(both) for word in ("--case", id)]
    seconds = {}
    for name, environment in builds.items():
        (tmp_path / name).mkdir()
        run = [sys.executable, "-m", "chainrule.cli", "conform", "-n", str(os.cpu_count()), *chosen, "--json",
               str(tmp_path / f"{name}.jsonl")]
        start = time.perf_counter()
        done = subprocess.run(run, env=environment | {"HOME": str(tmp_path / name)}, capture_output=True, text=True,
                              check=False)
        seconds[name] = time.perf_counter() - start
        assert done.returncode == 0, done.stdout[-2000:]
    share = seconds["now"] / seconds["earlier"]
    goal(f"{len(both)} cases in {seconds['now']:.0f} s, {seconds['earlier']:.0f} s at {earlier.COMMIT}", share, SHARE,
         "")
    assert share <= SHARE
