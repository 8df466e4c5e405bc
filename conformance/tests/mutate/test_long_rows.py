"""Kernels that are right until a row is longer than registers hold, or a lane sees nothing: which case tells."""

from __future__ import annotations

import pytest

from chainrule.conformance.backends.triton import backend as ours
from chainrule.conformance.judging.cases import FIELD, field_cases
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.mutate.kernels import Edit, backend_with

SOFTMAX = "activations.softmax"
TAIL = Edit(SOFTMAX, "act.softmax.prime", "the last numbers of a long row left out of the mean",
            "total += share * tl.load(", "total += (start + COLUMNS <= K) * share * tl.load(")
PART = Edit("signals.conv1d", "conv1d.valid", "every part sums the first taps",
            "j = part * PART + start + tl.arange(0, BK)", "j = start + tl.arange(0, BK)")
NOTHING = Edit(SOFTMAX, "act.softmax", "a lane that has seen nothing but −∞ is 0 times ∞",
               'tl.where(m == -float("inf"), -float("inf"), m - largest)',
               'tl.where(m == -float("inf"), float("inf"), m - largest)')


def told(edit, *words):
    """Which of our configurations' cases, in one dtype, tell."""
    cases = [c for c in ours.extra_of(edit.op, quick=False) if c.quick and c.dtype == "fp32"
             and all(word in c.id for word in words)]
    assert cases
    return {c.id for c in cases if judge(c, backend_with(edit), "simulated", explained=False).state == "fail"}


def test_only_the_field_sees_the_end_of_a_long_row():
    row = "row-1x4096x1w8s1-2x16391"
    assert told(TAIL, row) == {f"act.softmax.prime/{FIELD}/{row}/fp32"}
    assert all(judge(case, backend_with(TAIL), "simulated").passed for case in field_cases(TAIL.op, ("fp32",)))


def test_only_a_filter_longer_than_a_program_takes_shows_its_parts():
    long = told(PART, "x82")
    assert {id.split("/")[1] for id in long} == {FIELD, "T1"}
    assert told(PART) == long
    assert all(judge(case, backend_with(PART), "simulated").passed for case in field_cases(PART.op, ("fp32",)))


@pytest.mark.parametrize("tier", ["T1", FIELD])
def test_only_a_lane_of_nothing_shows_that_it_adds_nothing(tier):
    assert told(NOTHING, tier, "16391") == {f"act.softmax/{tier}/row-stripes-1x4096x1w8s1-2x16391/fp32"}
