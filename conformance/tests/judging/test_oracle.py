"""The oracle's short cuts say what the reference says, bit for bit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from chainrule.conformance.judging.numbers.bounded import FLOAT32, FLOAT64, Bounded
from chainrule.conformance.judging.operations import evaluate, literal
from chainrule.conformance.judging.oracle import _sharp, digits, sharpened, truth
from chainrule.reference import normalization, pooling

RNG = np.random.default_rng(16)
LIFTS = [partial(lambda ar, x: Bounded(np.asarray(x, dtype=np.float64), ar), ar) for ar in (FLOAT32, FLOAT64)]


def agree(found, lines):
    """An op's array, and the reference's list of numbers, one for each place along its last axis."""
    for k, line in enumerate(lines):
        assert np.array_equal(found.v[..., k], line.v)
        assert np.array_equal(found.error[..., k], line.error)


@pytest.mark.parametrize("lift", LIFTS)
def test_rows_are_normalised_at_once_as_the_reference_walks_them(lift):
    x, gamma, beta = RNG.normal(3, 2, (4, 7)), RNG.normal(size=7), RNG.normal(size=7)
    lanes = [[lift(v) for v in one] for one in (x.T, gamma, beta)]
    agree(evaluate("norm.layer", lift, literal, {"x": x, "gamma": gamma, "beta": beta, "eps": 0.25})["y"],
          normalization.layer_norm(*lanes, 0.25))
    turned = {"x": x.T, "gamma": gamma[:4], "beta": beta[:4], "eps": 0.25}                   # 7 examples of 4 channels
    y = evaluate("norm.batch", lift, literal, turned)["y"]
    agree(y.T, normalization.batch_norm(lanes[0], lift(gamma[:4]), lift(beta[:4]), 0.25))


@pytest.mark.parametrize("lift", LIFTS)
def test_the_largest_of_a_window_is_chosen_among_plain_numbers(lift):
    x = RNG.integers(-2, 3, (1, 2, 5, 6)).astype(float)
    x[0, 0, 1, 1] = np.nan
    y = evaluate("pool.max", lift, literal, {"x": x, "k": 2, "stride": 1})["y"]
    for channel, found in zip(x[0], y.v[0]):
        right = pooling.maxpool([[lift(v) for v in row] for row in channel], 2, 1)
        assert np.array_equal(found, [[one.v for one in row] for row in right], equal_nan=True)
    assert not y.error.any()


def test_one_large_number_costs_its_neighbours_no_digits(monkeypatch):
    z = {"z": np.array([0.5, 700.0, -3e38, 1.0, -700.0]), "y": np.array([0.25, 0.0, 1.0, 1.0, 0.5])}
    quick, spent = truth("loss.xent.logits", z, {"loss": np.full(5, np.inf), "delta": np.full(5, np.inf)}), []
    whole = _sharp("loss.xent.logits", z, quick)
    monkeypatch.setattr("chainrule.conformance.judging.oracle._sharp", lambda op, arguments, quick: (
        spent.append((digits(arguments), arguments["z"].tolist())), _sharp(op, arguments, quick))[1])
    parts = sharpened("loss.xent.logits", z, quick)
    assert spent == [(42, [0.5, 1.0]), (1440, [700.0, -700.0]), (4040, [-3e38])]
    for name, one in whole.items():
        assert np.array_equal(one.value, parts[name].value)
        assert np.array_equal(one.radius, parts[name].radius)
