"""What several tests need."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def deck_path(request: pytest.FixtureRequest) -> Path:
    """The deck named by --deck FILE; without it the test is not judged."""
    path = request.config.getoption("--deck", default=None)
    if path is None:
        pytest.skip("not judged: no deck at hand; name it with --deck FILE")
    return Path(path)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A module of examples/ by its name, on one thread, as the examples train."""
    if not EXAMPLES.is_dir():
        pytest.skip("not judged: the examples are in the repository, not in the wheel")
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(EXAMPLES)
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield importlib.import_module
    torch.set_num_threads(before)


@pytest.fixture
def typed(example: Callable[[str], Any]) -> Callable[..., Any]:
    """What `python examples/NAME.py ARGUMENTS` does, in this process."""
    import typer
    from typer.testing import CliRunner

    def run(name: str, *arguments: Any) -> Any:
        app = typer.Typer()
        app.command()(example(name).main)
        return CliRunner().invoke(app, [str(one) for one in arguments])

    return run
