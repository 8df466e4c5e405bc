"""Other people's backends: ten lines are enough, nothing judged is not a pass, and who is wrong is told what is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from chainrule.conformance import Backend
from chainrule.conformance.backend import load
from chainrule.conformance.judging.cases import cases
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL, PASS
from chainrule.triton_kernels.ops import COMPOSITES

BACKENDS = Path(__file__).resolve().parents[3] / "examples" / "backends"
pytestmark = pytest.mark.skipif(not BACKENDS.is_dir(), reason="the examples are in the repository, not in the wheel")


class Run:
    """`chainrule conform` in the examples' folder: its exit code, text and records."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        file = folder / "results.jsonl"
        command = [sys.executable, "-W", "error", "-m", "chainrule.cli", "conform", "-n", "0", *arguments,
                   "--json", str(file)]
        done = subprocess.run(command, cwd=BACKENDS, capture_output=True, text=True)
        self.code, self.text, self.errors = done.returncode, done.stdout, done.stderr
        self.records = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def states(self, op: str) -> set[str]:
        return {r["state"] for r in self.records if r["record"] == "case" and r["id"] == op}


def one(op: str, case: str):
    """A case of an op by its tier and name."""
    return next(c for c in cases((op,), ("fp32",)) if c.id == f"{op}/{case}/fp32")


def test_a_complete_numpy_backend_has_ten_lines_and_conforms(tmp_path):
    assert len((BACKENDS / "numpy_backend.py").read_text().splitlines()) <= 10
    run = Run(tmp_path, "numpy_backend:backend", "--dtype", "fp32")
    assert run.code == 0, run.text + run.errors
    assert re.search(r"conforms · 3 of \d+ ops supported", run.text)
    for op in ("act.elu", "opt.sgd", "conv2d.valid"):
        assert run.states(op) == {"pass"}
    assert run.states("conv1d.valid") == {"unsupported"}


def test_a_backend_that_supports_nothing_has_shown_nothing(tmp_path):
    run = Run(tmp_path, "nothing:backend", "--quick", "--dtype", "fp32")
    assert run.code == 3, run.text + run.errors
    assert re.search(r"nothing was judged · 0 of \d+ ops supported", run.text)
    summary = run.records[-1]
    assert summary["unsupported"] == summary["total"] == len(run.records) - 2 > 0


def test_composites_posing_as_kernels_are_caught_on_every_op(tmp_path):
    run = Run(tmp_path, "posing:backend", "--quick", "--dtype", "fp32")
    assert run.code == 1
    assert "torch's sigmoid computed part of a kernel's result" in run.text
    states = {r["id"]: r["state"] for r in run.records if r["record"] == "case"}
    assert set(states.values()) == {"fail", "unsupported"}
    assert {id for id, state in states.items() if state == "fail"} >= set(COMPOSITES)


def test_a_pose_that_goes_around_torch_is_caught_by_what_no_kernel_stored():
    posing = Backend("posing", device="cuda", kernels=True)

    @posing.op("act.relu")
    def relu(z):
        out = torch.empty_like(z)
        out.numpy()[...] = np.maximum(z.numpy(), 0)
        return out

    verdict = judge(one("act.relu", "T0/3x43/exact"), posing, "simulated")
    assert verdict.state == FAIL
    assert "129 of 129 elements of a were never written by a kernel" in verdict.report()


TRAPS = {
    "jax_backend": ["act.elu.prime/T3/trap-vanished-tail"],
    "tinygrad_backend": ["act.elu.prime/T3/trap-discarded-branch-overflow", "act.elu.prime/T3/trap-kink",
                         "act.elu/T3/trap-exp-minus-one-cancels"],
    "torch_native": ["loss.xent.logits/T3/trap-composed-by-hand"],
}
SEEN = {
    "trap-vanished-tail": ("y + α rounds to 0", "jax-ml/jax#39795"),
    "trap-discarded-branch-overflow": ("0 times infinity is NaN", "tinygrad/tinygrad#17852"),
    "trap-kink": ("the derivative is 1", "tinygrad/tinygrad#17852"),
    "trap-exp-minus-one-cancels": ("exactly 0 in float32", "jax-ml/jax#1207"),
    "trap-composed-by-hand": ("g(z) rounds to 1", "pytorch/pytorch#103316"),
}
HEALTHY = {                                   # traps of the same slide that the library does not fall into
    "jax_backend": ["act.elu.prime/T3/trap-discarded-branch-overflow", "act.elu.prime/T3/trap-kink",
                    "loss.xent.logits/T3/trap-composed-by-hand"],
    "tinygrad_backend": ["act.elu.prime/T3/trap-vanished-tail", "loss.xent.logits/T3/trap-composed-by-hand"],
    "torch_native": ["act.elu.prime/T3/trap-discarded-branch-overflow", "act.elu.prime/T3/trap-vanished-tail"],
}


@pytest.mark.parametrize("name", list(TRAPS))
def test_public_bugs_are_found_and_explained(name, tmp_path):
    pytest.importorskip({"jax_backend": "jax", "tinygrad_backend": "tinygrad"}.get(name, "torch"))
    chosen = [f"--case={case}/fp32" for case in TRAPS[name] + HEALTHY[name]]
    run = Run(tmp_path, f"{name}:backend", *chosen)
    assert run.code == 1, run.text + run.errors
    state = {r["case"]: r["state"] for r in run.records if r["record"] == "case"}
    assert state == {**{f"{case}/fp32": "fail" for case in TRAPS[name]},
                     **{f"{case}/fp32": "pass" for case in HEALTHY[name]}}
    failures = {text.split("   ")[0]: text for text in run.text.split("FAIL ")[1:]}
    for case in TRAPS[name]:
        why, seen = SEEN[case.split("/")[-1]]
        assert why in failures[f"{case}/fp32"]
        assert seen in failures[f"{case}/fp32"]


def test_a_trap_that_is_a_convention_names_the_reading(monkeypatch):
    """σ′ from an output that has rounded to 1: wrong unless it is declared."""
    monkeypatch.syspath_prepend(BACKENDS)
    declared, silent = load("torch_native:backend"), Backend("silent", dtypes=["fp32"])
    silent.ops = declared.ops
    case = one("act.sigmoid.prime", "T3/trap-one-minus-one")
    assert judge(case, declared, "host").state == PASS
    verdict = judge(case, silent, "host")
    assert (verdict.state, verdict.reading) == (FAIL, "from its output")
    assert "g rounded to 1" in verdict.report()


def test_the_library_loss_does_not_fall_into_the_trap_of_the_composed_one(monkeypatch):
    monkeypatch.syspath_prepend(BACKENDS)
    for trap in ("composed-by-hand", "composed-by-hand-other-label"):
        verdicts = [judge(one("loss.xent.logits", f"T3/trap-{trap}"), load(f"torch_native:{which}"), "host").state
                    for which in ("backend", "library")]
        assert verdicts == [FAIL, PASS]


def test_functions_that_round_once_conform_in_torch_itself(monkeypatch):
    monkeypatch.syspath_prepend(BACKENDS)
    backend = load("torch_native:backend")
    for op in ("act.elu", "act.elu.prime", "net.layer.affine", "loss.square", "conv1d.valid", "conv2d.valid"):
        wrong = [v.report() for c in cases((op,), ("fp32",)) if (v := judge(c, backend, "host")).state == FAIL]
        assert not wrong, wrong[0]


def sgd(theta, D, eta):
    return theta - eta * D


def raising(theta, D, eta):
    raise RuntimeError("no kernel image is available for execution on the device")


def overwriting(theta, D, eta):
    theta -= eta * D
    return theta.clone()


WRONG = {
    "raises": (raising, "RuntimeError: no kernel image is available"),
    "shape": (lambda theta, D, eta: sgd(theta, D, eta)[:-1], "theta has shape (2, 43), not (3, 43)"),
    "dtype": (lambda theta, D, eta: sgd(theta, D, eta).double(), "theta is float64, not float32"),
    "nan": (lambda theta, D, eta: sgd(theta, D, eta) * float("nan"), "actual     nan"),
    "count": (lambda theta, D, eta: (sgd(theta, D, eta), D), "2 outputs came back, not 1 (theta)"),
    "name": (lambda theta, D, eta: {"new": sgd(theta, D, eta)}, "the result has no theta"),
    "nothing": (lambda theta, D, eta: None, "theta is a NoneType, not a tensor"),
    "input": (overwriting, "the input theta was overwritten"),
    "unwritten": (lambda theta, D, eta: torch.empty_like(theta), "129 of 129 elements of theta were never written"),
    "random": (lambda theta, D, eta: sgd(theta, D, eta) + torch.rand(()) * 1e-9, "differs between two runs"),
    "keyword": (lambda theta, D, lr: sgd(theta, D, lr), "unexpected keyword argument 'eta'"),
}


@pytest.mark.parametrize("fault", list(WRONG))
def test_a_wrong_backend_is_told_what_is_wrong(fault):
    function, says = WRONG[fault]
    backend = Backend("wrong")
    backend.op("opt.sgd")(function)
    case = one("opt.sgd", "T1/3x43/small" if fault == "random" else "T1/3x43/normal")
    verdict = judge(case, backend, "host")
    text = verdict.report()
    assert verdict.state == FAIL
    assert text.startswith(f"FAIL {case.id}   wrong, host")
    assert says in text
    assert f"--case {case.id}" in text
    assert len(text.splitlines()) <= 12


def test_illegal_arguments_must_be_refused_in_words():
    for function, says in ((lambda theta, D, eta: theta, "illegal arguments were accepted"),
                           (lambda theta, D, eta: (_ for _ in ()).throw(ValueError()), "empty ValueError")):
        backend = Backend("wrong")
        backend.op("opt.sgd")(function)
        verdict = judge(one("opt.sgd", "T3/refuses-sizes"), backend, "host")
        assert verdict.state == FAIL
        assert says in verdict.report()


def test_the_honest_function_of_these_tests_conforms():
    backend = Backend("right")
    backend.op("opt.sgd")(sgd)
    for case in cases(("opt.sgd",), ("fp32",)):
        assert judge(case, backend, "host").state == PASS, case.id


def test_torch_composites_conform_as_a_backend_of_their_own():
    backend = Backend("torch")
    for op in ("bp.delta.rec", "alg.average", "loss.softmax"):
        backend.op(op)(COMPOSITES[op])
        for case in cases((op,), ("fp32",), quick=True):
            assert judge(case, backend, "host").state == PASS, case.id
