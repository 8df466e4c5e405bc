"""Every equation agrees with an implementation nobody here wrote, and the comparison can fail."""

from collections import Counter
from fractions import Fraction

import pytest

from chainrule.conformance.witnesses import Witness, disagreement, table
from chainrule.reference import FUNCTIONS

SEEN: Counter[str] = Counter()


def name(row):
    SEEN[row.id] += 1
    return f"{row.id}-{SEEN[row.id]}"


@pytest.mark.parametrize("row", table(), ids=name)
def test_the_reference_agrees_with_its_witness(row):
    assert disagreement(row) is None


def test_every_function_has_a_witness():
    assert set(FUNCTIONS) == {row.id for row in table()}


FAULTS = {
    "act.sigmoid": lambda z: FUNCTIONS["act.tanh"](z),
    "bp.delta.out": lambda y, a: FUNCTIONS["alg.delta.out"](a, y),
    "alg.average": lambda Delta, Theta, lam, n: FUNCTIONS["alg.average"](Delta, Theta, 2 * lam, n),
    "loss.xent": FUNCTIONS["loss.xent.negated"],
    "loss.objective": FUNCTIONS["loss.objective.corrected"],
    "conv1d.valid": lambda theta, x: FUNCTIONS["conv1d.valid"](theta[::-1], x),
    "conv2d.valid": lambda I, K: FUNCTIONS["conv2d.valid"](I, [row[::-1] for row in K]),
    "pool.max": lambda x, *how: [[v + 1e-9 for v in row] for row in FUNCTIONS["pool.max"](x, *how)],
    "filter.box": lambda: [[Fraction(1, 10)] * 3] * 3,
    "stack.64": lambda n, m, D: (n - m, n - m, D),
}


@pytest.mark.parametrize("id", FAULTS)
def test_a_planted_fault_is_refused(id):
    refused = [disagreement(row, {id: FAULTS[id]}) for row in table() if row.id == id]
    assert any(sentence and sentence.startswith(f"{id}: entry") for sentence in refused)


def test_a_result_of_another_shape_is_refused():
    row = next(row for row in table() if row.id == "conv1d.valid")
    assert "the witness has" in disagreement(row, {"conv1d.valid": lambda theta, x: [1.0]})


def test_nan_for_a_number_is_refused():
    row = Witness("act.identity", (1.0,), lambda: 1.0)
    assert disagreement(row, {"act.identity": lambda z: float("nan")}) is not None
