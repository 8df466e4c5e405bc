"""The book, built once."""

import pytest

pytest.importorskip("matplotlib")

from chainrule.book.build import build


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    out = tmp_path_factory.mktemp("book")
    build(out)
    return out
