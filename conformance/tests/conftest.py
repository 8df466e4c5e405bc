"""What several tests need."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deck_path(request: pytest.FixtureRequest) -> Path:
    """The deck named by --deck FILE; without it the test is not judged."""
    path = request.config.getoption("--deck", default=None)
    if path is None:
        pytest.skip("not judged: no deck at hand; name it with --deck FILE")
    return Path(path)
