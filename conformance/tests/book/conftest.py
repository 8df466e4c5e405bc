"""The book, built once, also where several processes run the tests."""

import fcntl
import os

import pytest

pytest.importorskip("matplotlib")

from chainrule.book.build import build


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, done = shared / "book", shared / "book.done"
    with (shared / "book.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build(out)
            done.touch()
    return out
