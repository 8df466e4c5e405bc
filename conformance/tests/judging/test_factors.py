"""Every argument varies: each op declares factors, and its cases have every pair of their levels."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from chainrule.conformance.backend import Backend
from chainrule.conformance.judging.cases import case_of, cases_of
from chainrule.conformance.judging.factors import FACTORS, Factors, base, brief, design, pairs, rows, uncovered
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.judging.recipes import FAMILIES

OPTIONAL = ("b",)            # given, or None: there is no third
ONE_NUMBER = (("arch.shared.layer", "b"),)


def test_every_op_declares_its_factors():
    assert set(FACTORS) == set(FAMILIES) == set(OPERATIONS)


@pytest.mark.parametrize("op", list(FACTORS))
def test_every_pair_of_levels_is_covered(op):
    assert uncovered(op) == []
    assert len(design(op)) > 40
    for name, levels in FACTORS[op].all.items():
        assert len(levels) >= (2 if name in OPTIONAL else 3), name
    for k in brief(op):                      # a second dtype has every level once
        assert rows(op)[k] is not None
    held = {name: {repr(rows(op)[k][name]) for k in brief(op)} for name in FACTORS[op].all}
    assert held == {name: {repr(level) for level in levels} for name, levels in FACTORS[op].all.items()}


@pytest.mark.parametrize("op", list(FACTORS))
def test_every_argument_and_every_size_takes_three_values(op):
    """Of what the cases hand to a function: an array's axes, a number, a place of an array."""
    shapes: dict[str, set] = defaultdict(set)
    numbers: dict[str, set] = defaultdict(set)
    for case in cases_of(op, ("fp32",)):
        if case.row is None:
            continue
        for name, value in case.arguments().items():
            if isinstance(value, np.ndarray):
                shapes[name].add(value.shape)
            else:
                numbers[name].add(repr(value))
    for name, found in shapes.items():
        for axis in range(min(len(shape) for shape in found)):
            sizes = {shape[axis] for shape in found}
            assert len(sizes) >= 3 or (op, name) in ONE_NUMBER, f"{op}: axis {axis} of {name} is {sizes} only"
    for name, found in numbers.items():
        if name not in shapes and found != {"True"}:                # a truth value that is False where it is not given
            assert len(found) >= 3, f"{op}: {name} is {found} only"


def test_a_design_without_a_row_is_noticed():
    op = "opt.adam"
    every = range(len(design(op)))
    assert uncovered(op, every) == []
    assert any(uncovered(op, [k for k in every if k != left_out]) for left_out in range(1, 4))
    assert len(uncovered(op, [])) == len(pairs(op))


def test_designs_json_is_what_allpairspy_gives():
    """A sample of the ops; `make full` looks at all of them."""
    for op in ("act.elu", "net.layer.affine", "loss.mean", "pool.max"):
        assert base.found(op) == design(op), f"{op}: python -m chainrule.conformance.judging.factors writes it again"


@pytest.mark.slow
def test_designs_json_is_what_allpairspy_gives_for_every_op():
    assert base.written() == base.DESIGNS.read_text(encoding="utf-8")


def test_rules_leave_nothing_out_that_may_meet(monkeypatch):
    """Three factors of which two must not both be 2: the pair is ruled out, and all the others are found."""
    three = Factors({"a": (1, 2, 3), "b": (1, 2, 3), "c": (1, 2, None)}, lambda s, at: {},
                    (lambda at: at.a + at.b != 4 or at.c == 1, lambda at: (at.a, at.b) != (3, 3)))
    monkeypatch.setitem(FACTORS, "of three", three)
    assert uncovered("of three", []) != []
    assert not pairs("of three") - base.covered(base.found("of three"))
    assert all(three.legal(three.levels_of(row)) for row in base.found("of three"))


def layer(gamma_of, y_of=lambda y, x: y.to(x.dtype)):
    """Layer norms of somebody else, judged where γ and β are float32 beside 16 bits."""
    theirs = Backend("theirs")

    @theirs.op("norm.layer")
    def norm(x, gamma, beta, eps):
        y = torch.nn.functional.layer_norm(x.double(), x.shape[1:], gamma_of(gamma, x).double(), beta.double(), eps)
        return y_of(y, x)
    mixed = [case for case in cases_of("norm.layer") if case.kinds]
    assert {(case.dtype, *case.kinds.items()) for case in mixed} == {
        (dtype, ("gamma", "fp32"), ("beta", "fp32")) for dtype in ("fp16", "bf16")}
    return Counter(judge(case, theirs, "host").state for case in mixed)


def refusing(gamma, x):
    if gamma.dtype != x.dtype:
        raise RuntimeError("expected one dtype")
    return gamma


def test_parameters_may_be_of_another_dtype():
    assert set(layer(lambda gamma, x: gamma)) == {"pass"}
    assert set(layer(lambda gamma, x: gamma, lambda y, x: y.float())) == {"pass"}           # as torch promotes
    assert set(layer(refusing)) == {"unsupported"}
    assert layer(lambda gamma, x: gamma.to(x.dtype))["fail"] > 5
    assert layer(lambda gamma, x: gamma.view(x.dtype)[:x.shape[1]])["fail"] > 10           # bytes read as another's


def test_an_id_that_names_levels_is_that_case():
    case = next(c for c in cases_of("loss.softmax", ("fp32",)) if c.row == 5)
    again = case_of(case.id)
    for name, value in case.arguments().items():
        assert np.array_equal(value, again.arguments()[name])
    assert case_of(case.id.replace("levels-", "levels-9")) is None
    assert case_of("loss.softmax/T1/17x10/normal/fp32") is None
