"""Other people's wrong kernels, written from the table of factors alone: the cases must show them."""

from __future__ import annotations

import random

import pytest
import strangers_elements  # noqa: F401  (they register themselves)
import strangers_steps  # noqa: F401
import strangers_sums  # noqa: F401
from strangers import STRANGERS, killed

from chainrule.conformance.judging.operations import OPERATIONS

SAMPLE = 14
CHEAP = ("act.", "opt.", "loss.mean", "loss.square", "arch.")


def test_there_are_strangers_of_every_op():
    assert len({str(one) for one in STRANGERS}) == len(STRANGERS) >= 150
    assert {one.op for one in STRANGERS} >= set(OPERATIONS)


@pytest.mark.parametrize("one", random.Random(12).sample([s for s in STRANGERS if s.op.startswith(CHEAP)], SAMPLE),
                         ids=str)
def test_a_sample_of_them_is_caught(one):
    assert killed(one)


@pytest.mark.slow
def test_of_all_of_them_at_most_two_in_a_hundred_survive():
    survivors = [str(one) for one in STRANGERS if not killed(one)]
    print("\n".join(survivors))
    assert len(survivors) <= 0.02 * len(STRANGERS), "\n".join(survivors)
