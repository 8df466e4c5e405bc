"""A run never says more than it did: what is refused, interrupted, killed or too late is said, and by the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from typer.testing import CliRunner

from chainrule.cli import app
from chainrule.conformance.command import alone_in
from chainrule.conformance.selection import once

HEAD = "import os, sys, time, torch\nfrom chainrule.conformance import Backend\nbackend = Backend('theirs')\n"
RELU = "@backend.op('act.relu')\ndef relu(z):\n    {}\n    return torch.where(z <= 0, torch.zeros_like(z), z)\n"


@pytest.fixture
def conform(tmp_path):
    """`chainrule conform` in a folder with a module theirs.py: exit code, text, records."""
    def start(body, *arguments, popen=False, **more):
        (tmp_path / "theirs.py").write_text(HEAD + body)
        command = [sys.executable, "-m", "chainrule.cli", "conform", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": tmp_path, **more}
        if popen:
            # as at a terminal: a job in the background of a shell is started deaf to Ctrl-C
            heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
            return subprocess.Popen(command, preexec_fn=heard, **pipes)
        return subprocess.run(command, timeout=1200, **pipes)
    start.folder = tmp_path
    return start


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """The same in this process."""
    def run(body, *arguments):
        (tmp_path / "theirs.py").write_text(HEAD + body)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "theirs", raising=False)
        once.cache_clear()
        return CliRunner().invoke(app, ["conform", *arguments], env={"COLUMNS": "120"})
    run.folder = tmp_path
    return run


def records(folder):
    return [json.loads(line) for line in (folder / "build/conformance/results.jsonl").read_text().splitlines()]


USAGE = [
    ("import sys\nsys.exit(0)\n", ["theirs:backend"], "theirs ends the program where it is imported (SystemExit: 0)"),
    ("def relu(z:\n", ["theirs:backend"], "theirs.py, line 4: "),
    ("1 / 0\n", ["theirs:backend"], "importing theirs raised ZeroDivisionError: division by zero"),
    ("", ["theirs:backend", "-k", "act and ("], "-k 'act and ('"),
    ("", ["theirs:backend", "-k", "act.relu", "-k", "fp32"], "-k '(act.relu) or (fp32)' for cases that match one of"),
    ("", ["theirs:backend", "-n", "-3"], "-n -3: a number of processes is 0 (this one) or more"),
    ("", ["theirs:backend", "--timeout", "0"], "--timeout 0: a time is more than 0 seconds"),
    ("pi = 3.14\n", ["--op", "act.elu=theirs:pi"], "theirs:pi is a float, not a function"),
    ("backend.op('act.elu')(3)\n", ["theirs:backend"], "act.elu: an int is no function"),
    ("", ["theirs:backend", "--json", "theirs.py/out.jsonl"], "results cannot be written there (its folder is a file)"),
    ("", ["theirs:backend", "--json", "."], "results cannot be written there (it is a folder)"),
]


@pytest.mark.parametrize(("body", "arguments", "says"), USAGE, ids=lambda one: str(one)[:40])
def test_what_cannot_be_run_is_one_sentence_and_exit_2(inside, body, arguments, says):
    done = inside(body, *arguments)
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (inside.folder / "build" / "conformance" / "results.jsonl").exists()


DYING, LIVING = "act.relu/T1/129/normal/fp32", "act.relu/T1/1/normal/fp32"


def test_a_function_that_dies_fails_its_case_and_the_others_go_on(conform):
    alone = "torch.empty(1)\n    assert 'torch._dynamo' not in sys.modules      # which takes seconds to import\n    "
    done = conform(RELU.format(f"{alone}if z.numel() == 129: os._exit(0)"), "theirs:backend",
                   "--case", DYING, "--case", LIVING)
    assert done.returncode == 1, done.stdout
    states = {r["case"]: (r["state"], r["reason"]) for r in records(conform.folder) if r["record"] == "case"}
    assert states == {DYING: ("fail", "the process died while it was judged"), LIVING: ("pass", "")}
    assert f"FAIL {DYING}" in done.stdout
    assert records(conform.folder)[-1]["total"] == records(conform.folder)[0]["planned"] == 2
    assert {one.name for one in conform.folder.iterdir()} <= {"build", "theirs.py", "__pycache__"}


def test_a_function_that_does_not_answer_fails_its_case(conform):
    done = conform(RELU.format("if z.numel() == 129: time.sleep(999)"), "theirs:backend", "--timeout", "40",
                   "--case", LIVING, "--case", DYING)
    assert done.returncode == 1, done.stdout
    assert "no answer within 40 s" in done.stdout
    states = {r["case"]: r["state"] for r in records(conform.folder) if r["record"] == "case"}
    assert states == {DYING: "fail", LIVING: "pass"}


@pytest.mark.parametrize("apart", [["-n", "0"], []])
def test_an_interrupted_run_says_so_everywhere(conform, apart):
    mark = conform.folder / "running"
    run = conform(RELU.format("open('running', 'w').close(); time.sleep(0.5)"), "theirs:backend", "-k", "act.relu/",
                  "--dtype", "fp32", *apart, popen=True, start_new_session=True)
    for _ in range(3000):
        if mark.exists():
            break
        time.sleep(0.2)
    time.sleep(1.5)
    os.killpg(run.pid, signal.SIGINT)
    text = run.communicate(timeout=1200)[0]
    assert run.returncode == 130, text
    assert "interrupted · " in text
    assert "conforms" not in text
    first, *_, summary = records(conform.folder)
    assert (summary["ended"], summary["exit"]) == ("interrupted", 130)
    assert summary["total"] < first["planned"]


def test_an_interrupt_that_comes_through_an_exec_has_its_exit_code(conform):
    """Python remembers that it came, whoever catches it, and `python -m` would end by the signal."""
    done = conform(RELU.format("exec('raise KeyboardInterrupt')"), "theirs:backend", "-n", "0", "-k", "act.relu/T0")
    assert done.returncode == 130, done.stdout
    assert "interrupted · " in done.stdout


def test_a_closed_pipe_ends_quietly(conform):
    (conform.folder / "theirs.py").write_text(HEAD + RELU.format("pass"))
    done = subprocess.run(f"{sys.executable} -m chainrule.cli conform theirs:backend -n 0 -k act.relu/T0 | head -1",
                          shell=True, cwd=conform.folder, capture_output=True, text=True, timeout=1200)
    assert "Traceback" not in done.stderr
    assert "INTERNALERROR" not in done.stderr


@pytest.mark.parametrize("command", [
    "chainrule.reference", "chainrule.cli --help"])
def test_every_program_ends_quietly_where_nobody_reads(command, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", *command.split()], stdout=writer, stderr=subprocess.PIPE, text=True,
                          cwd=tmp_path, timeout=1200)
    os.close(writer)
    assert done.stderr == ""


def test_two_runs_do_not_write_to_one_folder(inside):
    with alone_in(inside.folder / "build/conformance/results.jsonl"):
        done = inside(RELU.format("pass"), "theirs:backend", "-k", "act.relu/T0", "-n", "0")
    assert done.exit_code == 2
    assert "another run is writing to" in done.output


def test_a_later_run_says_that_it_replaces_the_file_and_leaves_nothing_else(inside):
    for again in (False, True):
        done = inside(RELU.format("print('at work')"), "theirs:backend", "-k", "act.relu/T0", "-n", "0")
        assert done.exit_code == 0, done.output
        assert ("results.jsonl of an earlier run was replaced" in done.output) == again
    assert records(inside.folder)[0]["planned"] == records(inside.folder)[-1]["total"] == 9
    assert {one.name for one in inside.folder.iterdir()} <= {"build", "theirs.py", "__pycache__"}
    assert {one.name for one in (inside.folder / "build/conformance").iterdir()} == {
        "results.jsonl", "junit.xml", "index.html"}


def test_what_is_not_implemented_is_unsupported_and_satisfies_no_refusal(inside):
    done = inside("@backend.op('act.elu')\ndef elu(z, alpha=1.0):\n"
                   "    if z.dim() > 1: raise NotImplementedError('one axis only')\n"
                   "    return torch.nn.functional.elu(z.double(), alpha).to(z.dtype)\n"
                   "@backend.op('opt.sgd')\ndef sgd(theta, D, eta):\n    raise NotImplementedError('later')\n",
                   "theirs:backend", "-k", "act.elu/ or opt.sgd/", "--dtype", "fp32", "-n", "0")
    assert done.exit_code == 0, done.output
    found = [r for r in records(inside.folder) if r["record"] == "case"]
    assert {r["reason"] for r in found if r["state"] == "unsupported"} == {
        "NotImplementedError: one axis only", "NotImplementedError: later"}
    assert {r["state"] for r in found if "refuses" in r["case"]} == {"unsupported"}
    assert {r["state"] for r in found if r["id"] == "act.elu"} == {"pass", "unsupported"}
