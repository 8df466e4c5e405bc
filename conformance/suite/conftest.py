"""Which cases, on which backend, where: from the command line to the parametrised test."""

from __future__ import annotations

import pytest

from chainrule.conformance import selection


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        chosen = selection.of(metafunc.config)
        metafunc.parametrize("case", chosen.cases, ids=str)


@pytest.fixture(scope="session")
def chosen(request: pytest.FixtureRequest) -> selection.Selection:
    return selection.of(request.config)
