"""The suite is worth what it catches: every planted fault is caught, and most are named."""

from __future__ import annotations

import functools

import pytest

from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.mutate.faults import FAULTS, every
from chainrule.conformance.mutate.planted import hunt

find = functools.cache(hunt)


def test_every_op_has_faults():
    assert set(FAULTS) == set(OPERATIONS)
    assert len(every()) >= 60


@pytest.mark.parametrize("fault", every(), ids=str)
def test_caught(fault):
    assert find(fault).caught, f"{fault} passes every case"


@pytest.mark.parametrize("fault", [f for f in every() if f.structural], ids=str)
def test_exact_data_alone_catch_structural_faults(fault):
    found = hunt(fault, tiers=("T0",))
    assert found.caught, f"{fault} passes T0"


def test_most_are_named():
    found = [find(fault) for fault in every()]
    missed = [f"{one.fault} was taken for {one.looks_like or 'nothing known'} on {one.case}"
              for one in found if not one.named]
    assert len(missed) <= 0.2 * len(found), "\n".join(missed)
