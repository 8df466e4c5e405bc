"""Goals: figures with a limit, shown at the end of `make bench` and written to build/bench-goals.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

GOALS = pytest.StashKey[list[dict[str, Any]]]()


@pytest.fixture
def goal(request: pytest.FixtureRequest) -> Callable[[str, float, float, str], None]:
    """goal(what, figure, at_most, unit): reported, never a failure; the machine may be busy."""
    found = request.config.stash.setdefault(GOALS, [])

    def add(what: str, figure: float, at_most: float, unit: str) -> None:
        found.append({"what": what, "figure": figure, "at_most": at_most, "unit": unit, "met": figure <= at_most})
    return add


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So that two halves of a ratio do not fight for processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(GOALS, [])
    if not found:
        return
    terminalreporter.section("goals")
    for one in found:
        word = "met   " if one["met"] else "MISSED"
        terminalreporter.write_line(
            f"{word}  {one['figure']:8.3g} {one['unit']:2} of at most {one['at_most']:.3g}  {one['what']}")
    file = Path("build") / "bench-goals.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n")
