"""The hunt for wrong references works: it kills, it counts, and it cannot pass by doing nothing."""

import pytest

from chainrule.conformance.mutate import reference_mutants as mutants
from chainrule.conformance.mutate.reference_equivalents import EQUIVALENT


def few(edit):
    return edit.module in ("activations", "losses")


def test_the_counts_add_up_and_all_are_killed():
    seen = []
    summary = mutants.run(progress=lambda done, total: seen.append(total), only=few)
    assert summary.passed
    assert summary.survived == ()
    assert summary.killed + len(summary.survived) + summary.equivalent + len(summary.error) == summary.total
    assert summary.total == len(seen) == seen[0] > 100


def test_an_empty_suite_kills_nothing():
    summary = mutants.run(checks=(), only=few)
    assert summary.score == 0
    assert not summary.passed


def test_zero_mutants_is_a_failure():
    summary = mutants.run(only=lambda edit: False)
    assert summary.total == 0
    assert not summary.passed


def test_a_broken_reference_is_not_hunted():
    def always(R):
        raise ValueError("always")

    with pytest.raises(AssertionError, match="the reference itself fails"):
        mutants.run(checks=(always,), only=few)


def test_a_survivor_is_named():
    summary = mutants.run(checks=(lambda R: None,), only=lambda edit: edit.function == "square")
    assert "losses.square: (y - yhat) * (y - yhat) → (y + yhat) * (y - yhat)" in summary.survived


@pytest.mark.slow
def test_no_mutant_of_the_whole_reference_survives():
    summary = mutants.run()
    assert summary.survived == ()
    assert summary.error == ()
    assert summary.equivalent == len(EQUIVALENT)
    assert summary.total > 1300
    assert summary.seconds < 120
