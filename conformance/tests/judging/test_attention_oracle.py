"""Heads taken whole are the reference's own, walked row by row: exactly on exact data, within its radius on real."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.conformance.judging.bounds import bound, declared
from chainrule.conformance.judging.operations import OPERATIONS, attention
from chainrule.conformance.judging.oracle import exact_truth, truth
from chainrule.conformance.judging.recipes import FAMILIES, source

OPS = ("attn.head", *(f"attn.head.grad_{letter}" for letter in "QKV"))
SIZE = (2, 2, 3, 4, 6, 5)


def arguments(op, kind):
    return FAMILIES[op].recipe(source(f"{op}/{kind}", "fp32"), SIZE, kind)


def anything(op):
    """A bound that float64 is certain of."""
    return {name: np.asarray(np.inf) for name in OPERATIONS[op].outputs}


@pytest.mark.parametrize("kind", ["exact", "exact-all", "exact-causal"])
@pytest.mark.parametrize("op", OPS)
def test_exactly(op, kind, monkeypatch):
    given = arguments(op, kind)
    (walked,) = exact_truth(op, given).values()
    monkeypatch.setattr(attention, "WALKED", 0)
    (whole,) = exact_truth(op, given).values()
    assert walked.value.any()
    assert np.array_equal(walked.value, whole.value)


@pytest.mark.parametrize("kind", ["normal", "keep", "masked", "causal-keep"])
@pytest.mark.parametrize("op", OPS)
def test_within_the_radius(op, kind, monkeypatch):
    given = arguments(op, kind)
    (walked,) = truth(op, given, anything(op)).values()
    monkeypatch.setattr(attention, "WALKED", 0)
    (whole,) = truth(op, given, anything(op)).values()
    assert (np.abs(walked.value - whole.value) <= walked.radius + whole.radius).all()


def test_what_sixteen_bits_round_between_the_products_is_in_the_bound():
    """P, B and o in bfloat16 cost more than float32 does, and fp32 keeps its bound."""
    given = arguments("attn.head.grad_K", "normal")
    of = {dtype: bound("attn.head.grad_K", given, dtype, declared({}, dtype))["dK"].accumulation
          for dtype in ("fp32", "bf16")}
    assert (of["bf16"] > 2**8 * of["fp32"]).all()


def test_a_row_without_keys_is_zero():
    given = arguments("attn.head", "masked")
    assert not given["keep"][-1].any()
    (found,) = truth("attn.head", given, anything("attn.head")).values()
    assert not found.value[-1].any()
    assert found.value[0].any()
