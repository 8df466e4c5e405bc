"""Other people's kernels run unmodified and are right: of packages in build/third-party, and of checkouts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES, CHECKOUTS = Path("build/third-party"), Path("build/scoreboard")
TUTORIALS = CHECKOUTS / "tutorials"


@pytest.mark.slow
@pytest.mark.parametrize(("library", "folder", "needs", "least"), [
    ("liger", PACKAGES, "liger_kernel", 13), ("flag_gems", PACKAGES, "flag_gems", 15),
    ("attorch", CHECKOUTS / "attorch", "attorch", 10), ("tutorials", TUTORIALS, "08-grouped-gemm.py", 4),
    ("differentiated", TUTORIALS, "06-fused-attention.py", 2)])
def test_their_kernels_run_unmodified_and_are_right(library, folder, needs, least):
    if not (folder / needs).exists():
        pytest.skip(f"{folder / needs} is absent; `make {PACKAGES} {CHECKOUTS}/attorch` brings it, "
                    f"`make full TUTORIALS=FOLDER` takes the tutorials of a checkout")
    script = Path(__file__).with_name("third_party.py")
    done = subprocess.run([sys.executable, str(script), str(folder), library], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) >= least, done.stderr[-500:]
    assert [line for line in lines if not (line["right"] and line["launches"])] == []
