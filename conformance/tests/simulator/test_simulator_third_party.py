"""Liger's and FlagGems' kernels run unmodified and are right; the packages lie in build/third-party (`make full`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path("build/third-party")


@pytest.mark.slow
@pytest.mark.parametrize(("library", "package", "least"),
                         [("liger", "liger_kernel", 13), ("flag_gems", "flag_gems", 15)])
def test_their_kernels_run_unmodified_and_are_right(library, package, least):
    if not (FOLDER / package).exists():
        pytest.skip(f"{FOLDER}/{package} is absent; `make build/third-party` installs it")
    script = Path(__file__).with_name("third_party.py")
    done = subprocess.run([sys.executable, str(script), str(FOLDER), library], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) >= least, done.stderr[-500:]
    assert [line for line in lines if not (line["right"] and line["launches"])] == []
