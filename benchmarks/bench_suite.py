"""How long the tools take: the suite, the derivations, the import, and the reference over each kind of number."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

from chainrule.conformance.judging.numbers.bounded import Arithmetic, Bounded
from chainrule.conformance.judging.numbers.lanes import lanes_of
from chainrule.conformance.proofs.certify_networks import certify_network
from chainrule.reference import FUNCTIONS
from chainrule.spec.dual import Dual

from .samples import median

LANES = 1000
IMPORT = """
import sys, time, torch
start = time.perf_counter()
import chainrule.triton_kernels
print(time.perf_counter() - start)
"""


def test_suite_quick(benchmark: Any, goal: Callable[..., None]) -> None:
    """`chainrule conform --quick`, from nothing to the verdict."""
    run = [sys.executable, "-m", "chainrule.cli", "conform", "--quick", "--json", "build/bench/results.jsonl"]
    done = benchmark.pedantic(subprocess.run, (run,), {"capture_output": True, "text": True}, rounds=1)
    assert done.returncode == 0, done.stdout[-2000:]
    benchmark.extra_info["verdict"] = next(line for line in done.stdout.splitlines() if "conforms" in line)
    goal("chainrule conform --quick", benchmark.stats.stats.median, 30.0, "s")


def test_derive(benchmark: Any) -> None:
    """Every derivation made again and proved: `chainrule derive --check`."""
    run = [sys.executable, "-m", "chainrule.cli", "derive", "--check"]
    done = benchmark.pedantic(subprocess.run, (run,), {"capture_output": True, "text": True}, rounds=1)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(("subject", "partials", "seconds"), [("torch.net", 81_194, 3.0), ("lenet", 61_706, 3.0)])
def test_certify(benchmark: Any, goal: Callable[..., None], subject: str, partials: int, seconds: float) -> None:
    """Every partial derivative of a whole network certified over the exact field."""
    found = benchmark.pedantic(certify_network, (subject,), rounds=3)
    assert found
    assert len(found.gradient) == partials
    goal(f"{subject}: {partials:,} partials certified", benchmark.stats.stats.median, seconds, "s")


def test_import(benchmark: Any, goal: Callable[..., None]) -> None:
    """What `import chainrule.triton_kernels` adds to `import torch`."""
    seconds = []

    def once() -> None:
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout))

    benchmark.pedantic(once, rounds=5)
    benchmark.extra_info["over_torch_s"] = seconds
    goal("import chainrule.triton_kernels over import torch", median(seconds), 0.3, "s")


def lanes(kind: Callable[[float], Any]) -> Callable[[float], Any]:
    make = lanes_of(kind)
    return lambda value: make(np.full(LANES, value))


#: Number type: how to make one, and how many numbers are in it.
NUMBERS: dict[str, tuple[Callable[[float], Any], int]] = {
    "float": (float, 1),
    "Fraction": (Fraction, 1),
    "mpf": (mpmath.mpf, 1),
    "field dual": (lambda v: Dual(int(v * 8), 1, v), 1),
    "symbol": (lambda v: sympy.Symbol("x") * v, 1),
    "float64 lanes": (lambda v: np.full(LANES, v), LANES),
    "Fraction lanes": (lanes(Fraction), LANES),
    "bounded lanes": (lambda v: Bounded(np.full(LANES, v), Arithmetic()), LANES),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_reference(benchmark: Any, kind: str) -> None:
    """Multiply-adds a second of conv1d.valid, m = 5, n = 60."""
    make, width = NUMBERS[kind]
    theta, x = [make(v / 8) for v in range(1, 6)], [make(v / 4) for v in range(60)]
    benchmark.group = "reference"
    benchmark.pedantic(FUNCTIONS["conv1d.valid"], (theta, x), rounds=5, warmup_rounds=1)
    benchmark.extra_info["multiply_adds_per_s"] = 5 * 56 * width / benchmark.stats.stats.median
