"""What a run has shown in one paragraph, as a badge, and beside the lines of code that failed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from chainrule.cli import app
from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.mutate import kernel_rates
from chainrule.conformance.report.annotations import noted
from chainrule.conformance.report.reading import Run, case_of
from chainrule.conformance.report.statement import badge, statement
from chainrule.spec.records import digest

OPS = len(OPERATIONS)
RATES = {"mutants": 50, "noticed": 49, "field": 40, "exact": 30, "structural": 45, "structural noticed exactly": 45}


@pytest.fixture(autouse=True)
def surveyed(monkeypatch):
    """A survey of kernels that the statements of this file do not know, but for one."""
    known = {"ops": {"opt.momentum": RATES}}
    monkeypatch.setattr(kernel_rates, "committed", lambda: known)


def record(op="act.elu", label="T1/3x43/normal", dtype="fp32", state="pass", **more):
    return {"record": "case", "case": f"{op}/{label}/{dtype}", "id": op, "tier": "T1", "dtype": dtype, "state": state,
            "fraction": 2.0 if state == "fail" else 0.5, "backend": "ours", "mode": "host", **more}


def run(*records, mode="host", **more):
    return Run(backend="ours", mode=mode, device="cpu", planned=len(records), versions={"chainrule": "9", "torch": "2"},
               cases=[case_of(one) for one in records], finished=True, exit=0, **more)


def test_it_says_what_was_judged_where_and_how():
    said = statement(run(record(), record(dtype="fp16", fraction=0.75), record("opt.sgd", state="unsupported"),
                         spec="0123456789abcdef", arithmetic={"fp32": "tf32"}))
    assert said == (f"ours conforms: 1 of the {OPS} ops of chainrule 9 (spec 01234567) judged. "
                    "2 of 2 judged cases passed, in fp32, fp16. Besides: 1 unsupported. "
                    "Worst share of the derived bound: 0.750 (act.elu, fp16). "
                    "Run on cpu; products of fp32 as tf32, as declared. With torch 2.")


def test_it_says_how_many_wrong_kernels_the_suite_notices():
    said = statement(run(record(), record("opt.momentum")))
    assert "Of 50 wrong kernels of these ops, tried elsewhere, the suite notices 98.0%. With" in said
    assert "wrong kernels" not in statement(run(record()))


def test_it_says_no_more_than_the_run():
    assert "of no device" in statement(run(record(), mode="simulated"))
    assert "does not conform" in statement(run(record(), record("opt.sgd", state="fail")))
    assert "Worst" not in statement(run(record(state="fail")))
    assert "passed, in fp32, fp8." in statement(run(record(dtype="fp8"), record()))         # of a newer release
    assert "nothing was judged: 0 of" in statement(run(record(state="unsupported")))
    cut = run(record())
    cut.planned = 7
    assert "conforms as far as it ran" in statement(cut)
    assert "6 planned and not run" in statement(cut)


@pytest.mark.parametrize(("states", "mode", "message", "color"), [
    (("pass",), "host", f"conforms · 1 of {OPS} ops", "brightgreen"),
    (("pass",), "simulated", f"conforms · 1 of {OPS} ops · simulated", "brightgreen"),
    (("pass", "fail"), "host", f"does not conform · 1 of {OPS} ops", "red"),
    (("unsupported",), "host", f"nothing was judged · 0 of {OPS} ops", "yellow"),
])
def test_a_badge(states, mode, message, color):
    assert json.loads(badge(run(*(record(label=f"T1/{k}", state=one) for k, one in enumerate(states)), mode=mode))) == {
        "schemaVersion": 1, "label": "chainrule", "message": message, "color": color}


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.py").write_text(
        "import torch\nfrom chainrule.conformance import Backend\nbackend = Backend('theirs', dtypes=['fp32'])\n"
        "@backend.op('act.relu')\ndef relu(z):\n    return -torch.relu(z)\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    told = CliRunner().invoke(app, ["conform", "-n", "0", "theirs:backend", "-k", "act.relu/T0", "--json", "r.jsonl"])
    [line] = [line for line in told.output.splitlines() if line.startswith("::error")]
    assert line.startswith("::error file=theirs.py,line=4,title=chainrule%3A act.relu fails ")
    assert "%0Alooks like: " in line
    assert line.endswith("/fp32")
    said = CliRunner().invoke(app, ["statement", "r.jsonl", "--badge", "badge.json"], env={"COLUMNS": "400"})
    assert said.exit_code == 0
    assert f"(spec {digest()[:8]})" in said.output
    assert json.loads((tmp_path / "badge.json").read_text())["color"] == "red"
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert "::error" not in CliRunner().invoke(
        app, ["conform", "-n", "0", "theirs:backend", "-k", "act.relu/T0", "--json", "r.jsonl"]).output


def test_what_is_no_run_and_where_no_badge_can_be(tmp_path):
    (tmp_path / "r.jsonl").write_text(json.dumps(record()) + "\n")
    for arguments, why in ((["missing.jsonl"], "is not a file"),
                           ([str(tmp_path / "r.jsonl"), "--badge", str(tmp_path / "no/b.json")], "cannot be written")):
        told = CliRunner().invoke(app, ["statement", *arguments])
        assert told.exit_code == 2
        assert why in told.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r.jsonl"]


def test_annotations_are_one_an_op_escaped_and_few():
    records = [record("act.elu", f"T1/{k}", state="fail", place="a, b:c.py:12 elu", reason="50 %\nof it", repro="again")
               for k in range(3)]
    assert list(noted(records)) == [
        "::error file=a%2C b%3Ac.py,line=12,title=chainrule%3A act.elu fails 3 cases::50 %25%0Aof it%0Aagain: again"]
    assert list(noted([record(state="fail")])) == [
        "::error title=chainrule%3A act.elu fails 1 case::again: act.elu/T1/3x43/normal/fp32"]
    assert len(list(noted([record(op, state="fail") for op in OPERATIONS]))) == 10
    assert list(noted([record()])) == []
