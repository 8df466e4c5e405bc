"""Two runs compared, and failures that are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule
from chainrule.conformance.backend import BackendError
from chainrule.conformance.report.difference import Unreadable, difference, result_of
from chainrule.conformance.selection import select

SRC = str(Path(chainrule.__file__).parents[1])


def case(id, state="pass", fraction=0.25, reason=""):
    op, tier, *_, dtype = id.split("/")
    return {"record": "case", "case": id, "id": op, "tier": tier, "dtype": dtype, "backend": "x", "mode": "host",
            "state": state, "fraction": fraction, "reason": reason}


def run(path, *cases):
    path.write_text("".join(json.dumps(one) + "\n" for one in cases))
    return result_of(path)


A, B, C = "act.elu/T1/3x43/normal/fp32", "act.elu/T1/3x43/small/fp32", "loss.square/T0/1/exact/fp16"


def compared(tmp_path, before, after):
    return difference(run(tmp_path / "a.jsonl", *before), run(tmp_path / "b.jsonl", *after))


def test_the_same_run_twice_loses_nothing(tmp_path):
    found = compared(tmp_path, [case(A), case(C)], [case(C), case(A)])
    assert found.status == 0
    assert list(found.lines()) == ["2 cases in both runs, 0 regressions, 0 improvements"]


@pytest.mark.parametrize(("after", "kind", "line"), [
    ([case(A)], "lost cases", f"{B} passed"),
    ([case(A), case(B, "fail", 3.0, "too far")], "new failures", f"{B}   too far"),
    ([case(A), case(B, "not_judged", None, "why")], "no longer judged", f"{B} not judged: why"),
    ([case(A), case(B, fraction=0.51)], "worst fraction doubled", "act.elu fp32: 0.25 of the bound, now 0.51"),
])
def test_what_is_lost_is_named(tmp_path, after, kind, line):
    found = compared(tmp_path, [case(A), case(B)], after)
    assert found.status == 1
    assert [k for k, lines in found.worse.items() if lines] == [kind]
    assert found.worse[kind] == [line]


def test_better_is_no_regression_and_a_case_that_failed_may_go(tmp_path):
    found = compared(tmp_path, [case(A, "fail", 9.0), case(B, "fail", 2.0), case(C, fraction=0.0)],
                     [case(A), case(C, fraction=0.0)])
    assert found.status == 0
    assert found.better == [f"{A} failed, now passed"]


def test_runs_without_a_common_case_say_nothing(tmp_path):
    assert compared(tmp_path, [case(A, "fail", 2.0)], [case(C)]).status == 3


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="is not a file"):
        result_of(tmp_path / "none.jsonl")
    (tmp_path / "other.jsonl").write_text("hello\n")
    with pytest.raises(Unreadable, match="holds no case"):
        result_of(tmp_path / "other.jsonl")


BACKEND = """
import torch
from chainrule.conformance import Backend
backend = Backend("theirs", dtypes=["fp32"])

@backend.op("act.relu")
def relu(z):
    return torch.clamp(z, min=0) * (2 if z.dim() == 2 else 1)
"""
FAILS, PASSES = "act.relu/T0/3x43/exact/fp32", "act.relu/T0/129/exact/fp32"


@pytest.fixture
def chainrule_in(tmp_path):
    (tmp_path / "theirs.py").write_text(BACKEND)

    def go(*arguments, xfail=""):
        (tmp_path / "known.toml").write_text(xfail)
        return subprocess.run([sys.executable, "-m", "chainrule", *arguments], cwd=tmp_path, capture_output=True,
                              text=True, env={**os.environ, "PYTHONPATH": SRC}, timeout=300)

    return go


def entry(case, reason="as is known"):
    return f'[[xfail]]\ncase = "{case}"\nreason = "{reason}"\n'


def test_a_known_failure_is_let_be_and_one_that_passes_is_not(chainrule_in):
    judged = ("conform", "theirs:backend", "-n", "0", "--case", FAILS, "--case", PASSES, "--xfail", "known.toml")
    let = chainrule_in(*judged, xfail=entry(FAILS))
    assert let.returncode == 0, let.stdout
    assert "1 passed, 0 failed, 0 unsupported, 1 not judged" in let.stdout
    gone = chainrule_in(*judged, xfail=entry(PASSES))
    assert gone.returncode == 1
    assert "passes, and is listed as a known failure (as is known): take it off" in gone.stdout
    assert "0 passed, 2 failed" in gone.stdout


@pytest.mark.parametrize(("xfail", "says"), [
    (entry("act.relu/T0/1/exact/fp31"), "no case 'act.relu/T0/1/exact/fp31'"),
    (entry(FAILS, ""), f"the entry {FAILS} needs a reason"),
    (entry(FAILS) * 2, "is listed twice"),
    ("xfail = 3", "write each failure as"),
    ("what", "known.toml: "),
])
def test_a_list_that_is_not_true_is_an_error(tmp_path, xfail, says):
    (tmp_path / "known.toml").write_text(xfail)
    with pytest.raises(BackendError) as refused:
        select("torch", replay=(PASSES,), xfail=str(tmp_path / "known.toml"))
    assert str(refused.value).startswith("--xfail ")
    assert says in str(refused.value)


def test_a_list_that_is_not_there_is_an_error():
    with pytest.raises(BackendError, match="No such file"):
        select("torch", replay=(PASSES,), xfail="nowhere.toml")
