"""What a failure is said to look like: the planted fault, near the top; nothing where nothing was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chainrule.conformance import Backend
from chainrule.conformance.judging.bounds import declared
from chainrule.conformance.judging.cases import cases_of
from chainrule.conformance.judging.comparing import judged
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.judging.verdict import FAIL
from chainrule.conformance.mutate.diagnose import NAMED, looks_like
from chainrule.conformance.mutate.faults import FAULTS, every
from chainrule.conformance.mutate.planted import backend_with

TOGETHER = 3                 # faults of one op that are told apart on how many of its cases


def plain(op, number):
    """Some T1 cases of an op in fp32: what most kernels fail first."""
    found = [c for c in cases_of(op, ("fp32",)) if c.tier == "T1" and c.row is None]
    return found[:number]


def names(text):
    return [one for one in text.split(" or: ") if one]


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_planted_faults_are_named_and_most_of_them_first(half):
    """Every fault on the first case that shows it: right first in 4 of 5, among the first three in 19 of 20."""
    first = among = count = 0
    missed = []
    for fault in every()[half::2]:
        backend = backend_with(fault)
        for case in plain(fault.op, TOGETHER):
            verdict = judge(case, backend, "host")
            if verdict.state == FAIL and verdict.worst is not None:
                count += 1
                first += names(verdict.looks_like)[:1] == [fault.name]
                among += fault.name in names(verdict.looks_like)[:NAMED]
                if fault.name not in names(verdict.looks_like):
                    missed.append(f"{fault} on {case}: {verdict.looks_like}")
                break
    print(f"{count} planted faults: {first / count:.1%} right first, {among / count:.1%} among the first {NAMED}")
    assert count >= 200
    assert first >= 0.8 * count, "\n".join(missed)
    assert among >= 0.95 * count, "\n".join(missed)


def test_errors_that_nobody_planted_are_called_nothing():
    """Some elements off by one to three bounds, at random: no fault does that."""
    rng = np.random.default_rng(20)
    said, count = [], 0
    for op in FAULTS:
        for case in plain(op, 4):
            arguments = case.arguments()
            bounds, truths = judged(op, arguments, "fp32", declared({}, "fp32"))
            actual = {name: one.value.copy() for name, one in truths.items()}
            for name in OPERATIONS[op].outputs:
                limit = np.broadcast_to(bounds[name].total, actual[name].shape)
                where = (rng.random(limit.shape) < 0.3) & np.isfinite(limit)
                actual[name] = actual[name] + np.where(where, limit * rng.uniform(1.001, 3, limit.shape)
                                                       * rng.choice([-1, 1], limit.shape), 0.0)
            count += 1
            said += [f"{case}: {one}" for one in looks_like(op, arguments, actual, bounds, truths)[:1]]
    print(f"{count} errors that nobody planted: nothing said of {1 - len(said) / count:.1%}")
    assert count >= 200
    assert len(said) <= 0.05 * count, "\n".join(said)


@pytest.mark.parametrize("garbage", [12345.0, float("inf"), float("nan"), 0.0])
def test_garbage_looks_like_nothing(garbage):
    """A fault whose formula gives ∞ or NaN explains nothing but ∞ or NaN."""
    backend = Backend("garbage")
    backend.op("alg.average")(lambda delta, a, w, lam, n: (torch.full_like(w, garbage), torch.full_like(w[:, 0], 7.5)))
    for case in [c for c in cases_of("alg.average", ("fp32",)) if "1x1x1" in c.id]:
        assert judge(case, backend, "host").looks_like == ""


def test_one_unit_in_the_last_place_is_not_an_unwritten_element():
    backend = Backend("a little off")

    @backend.op("act.tanh")
    def tanh(z):
        a = torch.tanh(z.double()).to(z.dtype).flatten()
        a[len(a) // 2:len(a) // 2 + 1] *= 1 + 2.0**-6
        return a.view(z.shape)

    failed = [v for c in cases_of("act.tanh", ("bf16",)) if (v := judge(c, backend, "host")).state == FAIL]
    assert failed
    assert {v.looks_like for v in failed} == {""}
