"""How much faster the simulator is than Triton's interpreter, which has no sanitizer and no bf16: the same launches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

TIMES = 8.0                     # the goal


@pytest.fixture(scope="module")
def times() -> dict[str, dict[str, list[float]]]:
    """Processor seconds of each launch, in processes of their own: the interpreter leaves Triton changed."""
    found = {}
    for name, set_ in (("interpreter", {"TRITON_INTERPRET": "1"}), ("simulator", {})):
        environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | set_ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-m", "benchmarks.interpreted"], env=environment, capture_output=True,
                              text=True, check=True)
        found[name] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("subject", ["product 512 x 512 x 512", "softmax 1024 x 781", "layer norm 512 x 2000"])
def test_against_the_interpreter(
    times: dict[str, dict[str, list[float]]], goal: Callable[..., None], subject: str
) -> None:
    theirs, ours = (min(times[who][subject]) for who in ("interpreter", "simulator"))
    goal(f"simulator {theirs / ours:.1f}x as fast as the interpreter: {subject}", ours / theirs, 1 / TIMES, "")
    assert theirs / ours >= TIMES
