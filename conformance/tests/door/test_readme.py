"""The README's numbers are the product's, and its programs run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chainrule import conformance
from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.mutate.faults import every
from chainrule.conformance.mutate.kernels import EDITS
from chainrule.conformance.selection import select

README = Path(conformance.__file__).resolve().parent.parent / "README.md"


@pytest.fixture(scope="module")
def text():
    if not README.exists():
        pytest.skip("installed without its README")
    return README.read_text(encoding="utf-8")


def test_ops_and_cases_are_counted(text):
    count = len(select("triton", levels=True).cases)
    assert f"{len(OPERATIONS)} of {len(OPERATIONS)} ops supported · {count} cases: {count} passed" in text


def test_faults_are_counted(text):
    assert f"{len(every())} wrong formulas and {len(EDITS)} wrong kernels" in text


def test_the_scoreboard_is_what_was_found(text):
    place = README.parent / "examples/scoreboard.py"
    if not place.exists():
        pytest.skip("the examples are in the repository")
    space = {"__name__": "scoreboard", "__file__": str(place)}
    exec(compile(place.read_text(encoding="utf-8"), place, "exec"), space)
    found = space["committed"]()
    assert space["block"](found) in text
    assert len(found) >= 10
    assert set(found) <= {name for name, *_ in space["ROWS"]}
    assert {name: set(row["failed"]) for name, row in found.items() if row["failed"]} == {
        name: set(why) for name, why in space["verdicts"]().items()}, "verdicts.toml says why each op of a row fails"
    assert len({row["suite"] for row in found.values()}) == 1, "`make scoreboard` judges all rows by one suite"
    for row in found.values():
        assert row["cases"]["fail"] == sum(one["cases"] for one in row["failed"].values())
        assert row["conforming"] == row["ops"] - len(row["failed"])


def test_the_python_of_the_readme_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) >= 2
    for program in programs:
        exec(compile(program, "README.md", "exec"), {"__name__": "readme"})


def test_every_file_it_names_exists(text):
    for name in re.findall(r"\]\(([^)#:]+)\)|`([a-z_]+/[\w/.]+\.(?:py|json|toml|md))`", text):
        path = README.parent / (name[0] or name[1])
        assert path.exists() or name[1].startswith("build/"), path
