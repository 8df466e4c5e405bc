"""`chainrule conform` as a user meets it: exit codes, counts that add up, the result file, the failure text."""

from __future__ import annotations

import json
import sys

import attrs
import jsonschema
import pytest
import torch
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

from chainrule import write_whole
from chainrule.cli import app
from chainrule.conformance import Backend, BackendError
from chainrule.conformance.backend import load
from chainrule.conformance.command import MANY, PLAIN, _processes
from chainrule.conformance.judging.cases import cases
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.judging.trouble import place_of
from chainrule.conformance.results import SCHEMA
from chainrule.conformance.selection import once, select


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of somebody else's kernels, importable from the working folder."""
    def write(text, name="theirs"):
        (tmp_path / f"{name}.py").write_text("import torch\nfrom chainrule.conformance import Backend\n" + text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
        once.cache_clear()
        return name
    return write


def conform(*arguments):
    return CliRunner().invoke(app, ["conform", "-n", "0", *arguments], env={"COLUMNS": "120"})


RIGHT = """
backend = Backend("theirs")
@backend.op("act.relu")
def relu(z):
    return torch.where(z <= 0, torch.zeros_like(z), z)
"""


def test_a_right_kernel_passes_and_the_file_validates(module, tmp_path):
    module(RIGHT)
    result = conform("theirs:backend", "-k", "act.relu/", "--json", "out.jsonl")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, json.loads(SCHEMA.read_text()))
    run, *judged, summary = lines
    assert run["record"] == "run"
    assert run["mode"] == "host"
    assert summary["total"] == len(judged) == sum(summary[s] for s in ("pass", "fail", "unsupported", "not_judged"))
    assert f"{summary['pass']} passed" in result.output
    assert result.output.splitlines()[-1] == f"report:  {tmp_path / 'out.html'}"
    assert "conforms" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_wrong_kernel_is_told_what_is_wrong(module):
    module(RIGHT.replace("torch.zeros_like(z), z)", "torch.zeros_like(z), -z)"))
    result = conform("theirs:backend", "-k", "act.relu/T0", "-x")
    assert result.exit_code == 1
    for part in ("FAIL act.relu/T0/", "slide “Nonlinear activation function”", "expected", "actual", "0x", "bound",
                 "looks like sign flipped", "chainrule conform theirs:backend --case act.relu/T0/"):
        assert part in result.output, part


def test_a_function_alone_can_be_judged(module):
    module("def relu(z):\n    return torch.relu(z)\n")
    result = conform("--op", "act.relu=theirs:relu", "--dtype", "fp32")
    assert result.exit_code == 0, result.output
    assert "1 of 1 ops supported" in result.output


@pytest.mark.parametrize("command", get_command(app).commands.values(), ids=lambda command: command.name)
def test_help_shows_every_word(command):
    """Square brackets would be read as markup, and vanish."""
    for words in (command.help, *(p.help for p in command.params if getattr(p, "help", None))):
        assert Text.from_markup(words).plain == words


def test_nothing_supported_is_exit_3(module):
    module('backend = Backend("nothing")\n')
    result = conform("theirs:backend", "--quick")
    assert result.exit_code == 3
    assert f"0 of {len(OPERATIONS)} ops supported" in result.output


def test_nothing_matched_is_exit_3():
    result = conform("torch", "-k", "softmx")
    assert result.exit_code == 3
    assert "nothing was judged" in result.output


@pytest.mark.parametrize(("arguments", "message"), [
    (["tortch"], "no backend 'tortch'; did you mean torch?"),
    (["nowhere.at.all:backend"], "cannot import nowhere.at.all"),
    (["chainrule.conformance.backends.torch:backen"], "has no 'backen'; did you mean backend?"),
    (["chainrule.conformance.judging.factors:FACTORS"], "is a dict, not a chainrule.conformance.Backend"),
    (["--op", "act.rleu=math:sqrt"], "no op 'act.rleu'; did you mean act.relu"),
    (["--op", "act.relu"], "write it as ID=module:function"),
    (["torch", "--dtype", "fp33"], "--dtype fp33: the dtypes are fp32, fp16, bf16"),
    (["torch", "--case", "act.relu/T0/3x34/exact/fp32"], "did you mean act.relu/T0/3x43/exact/fp32"),
])
def test_bad_usage_is_one_sentence_and_exit_2(arguments, message):
    once.cache_clear()
    result = conform(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_native_without_a_gpu_is_refused():
    assert "torch sees no GPU" in conform("--native").output


def test_a_backend_states_what_it_cannot():
    with pytest.raises(BackendError, match="device is 'cpu' or 'cuda'"):
        Backend("x", device="tpu")
    with pytest.raises(BackendError, match="arithmetic is 'ieee' or 'tf32', not fp8"):
        Backend("x", arithmetic={"fp32": "fp8"})


CASE = next(c for c in cases(("net.layer.affine",)) if c.tier == "T1" and c.dtype == "fp32")


@pytest.mark.parametrize(("function", "reason"), [
    (lambda x, w, b, act: 1 / 0, "ZeroDivisionError: division by zero"),
    (lambda x, w, b, act: (x @ w.T + b)[:-1], "a has shape (32, 17), not (33, 17)"),
    (lambda x, w, b, act: (x @ w.T + b).double(), "a is float64, not float32"),
    (lambda x, w, b, act: [1.0], "a is a float, not a tensor"),
    (lambda x, w, b, act: (x, w), "2 outputs came back, not 1 (a)"),
    (lambda x, w, b, act: x.mul_(0) @ w.T, "the input x was overwritten"),
    (lambda x, w, b, act: torch.empty(33, 17), "561 of 561 elements of a were never written"),
    (lambda x, w, b, act: x @ w.T + b + 1e-7 * torch.rand(33, 17), "a differs between two runs"),
])
def test_what_a_backend_does_wrong_is_named(function, reason):
    backend = Backend("theirs")
    backend.op("net.layer.affine")(function)
    verdict = judge(CASE, backend, "host")
    assert verdict.state == "fail"
    assert reason in verdict.reason
    assert verdict.reason in verdict.report()


@pytest.mark.parametrize(("function", "reason"), [
    (lambda theta, D, eta: None, "theta is a NoneType, not a numpy array"),
    (lambda theta, D, eta: theta.__isub__(eta * D), "the input theta was overwritten"),
    (lambda theta, D, eta: sys.exit("enough"), "SystemExit: enough"),
])
def test_a_numpy_backend_is_watched_too(function, reason):
    backend = Backend("theirs", array="numpy")
    backend.op("opt.sgd")(function)
    case = next(c for c in cases(("opt.sgd",)) if c.tier == "T1")
    assert reason in judge(case, backend, "host").report()


def test_nan_fails_with_its_place():
    backend = Backend("theirs")
    backend.op("net.layer.affine")(lambda x, w, b, act: torch.where(torch.arange(17) == 3, torch.nan, x @ w.T + b))
    verdict = judge(CASE, backend, "host")
    assert verdict.state == "fail"
    assert "a[0, 3]" in verdict.report()
    assert "nan" in verdict.report()
    assert verdict.record()["fraction"] is None


def test_memory_beside_an_input_is_guarded():
    def past_the_end(x, w, b, act):
        x.as_strided((1,), (1,), x.storage_offset() + x.numel()).fill_(0.0)
        return x @ w.T + b
    backend = Backend("theirs")
    backend.op("net.layer.affine")(past_the_end)
    assert "memory beside the input x was overwritten (1 elements)" in judge(CASE, backend, "host").reason


def test_illegal_arguments_that_are_accepted_fail():
    refused = next(c for c in cases(("alg.average",)) if c.id == "alg.average/T3/refuses-no-examples/fp32")
    backend = Backend("theirs")
    backend.op("alg.average")(lambda delta, a, w, lam, n: (w, w[:, 0]))
    verdict = judge(refused, backend, "host")
    assert verdict.state == "fail"
    assert "must be refused" in verdict.reason


def test_the_result_file_is_whole_or_absent(tmp_path, monkeypatch):
    from chainrule.conformance.results import Results

    results = Results("x", "host", 1, tmp_path / "out.jsonl")
    results.add({"record": "case", "state": "pass", "bad": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        results.write()
    assert not (tmp_path / "out.jsonl").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    file = tmp_path / "page"
    write_whole(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "half a letter: \ud800")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"page": "old"}


def test_every_case_has_its_own_id_and_exact_data_are_exact():
    every = list(cases())
    assert len({c.id for c in every}) == len(every)
    torch_backend = load("torch")
    states = {judge(c, torch_backend, "host").state for c in every if c.tier == "T0" and c.dtype == "bf16"}
    assert states == {"pass"}


@pytest.mark.parametrize(("count", "mode", "needed", "cores", "processes"), [
    (3 * MANY, "simulated", False, 2, 2), (3 * MANY, "simulated", False, 64, 4), (MANY - 1, "simulated", False, 2, 0),
    (PLAIN - 1, "host", False, 2, 0), (PLAIN, "host", False, 2, 2), (PLAIN - 1, "host", True, 2, 1),
    (3 * MANY, "native", False, 64, 0), (3 * MANY, "native", True, 64, 1),
    (3 * MANY, "host", False, 1, 0)])
def test_a_long_run_takes_the_cores_it_is_worth(monkeypatch, count, mode, needed, cores, processes):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    chosen = attrs.evolve(select("torch"), mode=mode, cases=tuple(cases(("act.relu",)))[:1] * count)
    assert _processes(chosen, needed=needed) == processes


@pytest.mark.parametrize(("name", "file"), [("triton", "softmax.py:"), ("torch", "softmax_composite.py:")])
def test_a_failure_names_the_file_of_what_failed(name, file):
    assert f"activations/{file}" in place_of(load(name).ops["act.softmax"])
