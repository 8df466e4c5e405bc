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
