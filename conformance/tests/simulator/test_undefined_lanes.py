"""Lanes that a mask turns off and no `other` fills: a finding by file and line, where they reach a result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance import Backend, BackendError
from chainrule.conformance.command import conform
from chainrule.conformance.console import undefined
from chainrule.conformance.judging.cases import cases_of
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL, PASS
from chainrule.conformance.selection import select
from chainrule.conformance.simulator import simulate

HERE = Path(__file__)


@triton.jit
def mean(loss, mass, out, n, B: tl.constexpr, WHICH: tl.constexpr, SCALE: tl.constexpr):
    i = tl.arange(0, B)
    if WHICH == "loss":
        x = tl.load(loss + i, mask=i < n)                                       # feeds the sum
        w = tl.load(mass + i, mask=i < n, other=0.0)
    else:
        x = tl.load(loss + i, mask=i < n, other=0.0)
        w = tl.where(i < n, tl.load(mass + i, mask=i < n), 0.0)                 # is not used
    tl.store(out, SCALE * tl.sum(x.to(tl.float32), 0) / tl.sum(w.to(tl.float32), 0))


def backend(which, scale=1.0):
    one = Backend("theirs", device="cuda")

    @one.op("loss.mean")
    def run(loss, mass):
        out, lanes = loss.new_empty(()), triton.next_power_of_2(len(loss))
        mean[(1,)](loss.contiguous(), mass.contiguous(), out, len(loss), lanes, which, scale)
        return out

    return one


def line(text):
    lines = HERE.read_text().splitlines()
    return f"{HERE}:{next(k for k, one in enumerate(lines, 1) if text in one and 'tl.load' in one)}"


def a_case(n):
    """A case of so many losses."""
    return next(c for c in cases_of("loss.mean", ("fp32",)) if len(c.arguments()["loss"]) == n and c.tier == "T1")


@pytest.mark.parametrize(("undefined", "state", "lines"), [
    ("poison", FAIL, []), ("zero", PASS, []), ("report", PASS, ["# feeds the sum"])])
def test_lanes_that_reach_a_result(undefined, state, lines):
    verdict = judge(a_case(43), backend("loss"), "simulated", undefined=undefined)
    assert verdict.state == state, verdict.report()
    assert verdict.undefined == [line(one) for one in lines]
    assert (line("# feeds the sum") in verdict.report()) == (undefined == "report")
    assert verdict.record()["undefined"] == verdict.undefined


def test_lanes_that_reach_nothing_are_nobodys_business():
    with simulate() as sim:
        backend("mass").ops["loss.mean"](torch.ones(43), torch.ones(43))
    assert sim.open == {line("# is not used")}
    for which, n in (("mass", 43), ("loss", 64)):                              # no mask turns a lane off of 64
        verdict = judge(a_case(n), backend(which), "simulated", undefined="report")
        assert (verdict.state, verdict.undefined) == (PASS, [])


def test_what_is_wrong_besides_stays_wrong():
    verdict = judge(a_case(43), backend("loss", 2.0), "simulated", undefined="report")
    assert (verdict.state, verdict.undefined) == (FAIL, [line("# feeds the sum")])
    assert "of the bound" in verdict.report()
    verdict = judge(a_case(43), backend("mass", 2.0), "simulated", undefined="report")
    assert (verdict.state, verdict.undefined) == (FAIL, [])


THEIRS = '''
import torch, triton
import triton.language as tl
from chainrule.conformance import Backend

backend = Backend("theirs", device="cuda", dtypes=["fp32"])

@triton.jit
def mean(loss, mass, out, n, B: tl.constexpr):
    i = tl.arange(0, B)
    x = tl.load(loss + i, mask=i < n)
    tl.store(out, tl.sum(x, 0) / tl.sum(tl.load(mass + i, mask=i < n, other=0.0), 0))

@backend.op("loss.mean")
def run(loss, mass):
    out = loss.new_empty(())
    mean[(1,)](loss.contiguous(), mass.contiguous(), out, len(loss), triton.next_power_of_2(len(loss)))
    return out
'''


def test_what_a_run_says_of_them():
    records = [{"case": f"act.relu/{k}", "undefined": ["theirs.py:7"] if k < 3 else []} for k in (1, 2, 3)]
    title, one = undefined(records)
    assert "a masked load without `other` feeds a result" in title
    assert one == "  theirs.py:7   2 cases, first act.relu/1"
    assert undefined(records[2:]) == []


@pytest.mark.slow
def test_a_run_says_it(tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)
    command = [sys.executable, "-m", "chainrule.cli", "conform", "theirs:backend", "-n", "0", "-k", "loss.mean and T0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{tmp_path / 'theirs.py'}:11   " in done.stdout
    assert "a masked load without `other` feeds a result" in done.stdout


def test_the_choice_is_the_users_and_ours_are_held_to_poison():
    with pytest.raises(BackendError, match="--undefined nothing: undefined lanes are poison, zero, report"):
        conform("torch", undefined="nothing")
    assert select("torch", keyword="loss.mean").undefined == "poison"
    assert select("torch", keyword="loss.mean", undefined="zero").undefined == "zero"
    assert select(None, ops=("act.tanh=torch:tanh",), keyword="act.tanh").undefined == "report"
