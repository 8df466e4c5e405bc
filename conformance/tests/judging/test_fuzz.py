"""`conform --fuzz N --seed S`: cases between the levels, which replay by their ids anywhere."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from chainrule.cli import app
from chainrule.conformance.backend import Backend, BackendError, load
from chainrule.conformance.command import drawing
from chainrule.conformance.judging.cases import DTYPES, case_of, cases_of, fuzzed
from chainrule.conformance.judging.factors import FACTORS, Levels, read, word
from chainrule.conformance.judging.factors.base import between, is_size
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.shrinking import smallest
from chainrule.conformance.selection import select

ONE, OTHERS = "act.softmax", ("conv2d.layer", "opt.adam", "attn.head")


def test_a_seed_and_an_op_decide_its_cases():
    alone = [case.id for case in islice(fuzzed((ONE,), DTYPES, 3), 6)]
    among = [case.id for case in islice(fuzzed((OTHERS[0], ONE, OTHERS[1]), DTYPES, 3), 18)]
    assert [id for id in among if id.startswith(f"{ONE}/")] == alone
    assert alone != [case.id for case in islice(fuzzed((ONE,), DTYPES, 4), 6)]
    assert len(set(alone)) == 6


@pytest.mark.parametrize("op", list(FACTORS))
def test_every_op_has_random_cases_and_an_id_is_all_they_need(op):
    for case in islice(fuzzed((op,), DTYPES, 11), 4):
        again = case_of(case.id)
        assert again is not None
        assert again.layout == case.layout
        for name, value in case.arguments().items():
            np.testing.assert_array_equal(again.arguments()[name], value)


def test_a_draw_is_other_data_at_the_same_levels():
    first, second = (case_of(f"{ONE}/T1/levels-0_23_00{draw}/fp32") for draw in ("", ".5"))
    assert first.arguments()["z"].shape == second.arguments()["z"].shape == (17, 23)
    assert not np.array_equal(first.arguments()["z"], second.arguments()["z"])


@pytest.mark.parametrize("text", [
    "0_23_0", "0_23_0000", "0_0_00", "0_5000_00", "_9_zz_0", "0_23_00.x", "0-23-00", "", "0__00"])
def test_words_that_name_no_levels(text):
    assert case_of(f"{ONE}/T1/levels-{text}/fp32") is None


def test_sizes_between_levels():
    assert list(between((5, 1, 3, 9))) == [1, 3, 5, 7, 9]
    assert list(between((8, 24, 16))) == [8, 16, 24]
    assert list(between((4, 1, 6))) == [1, 2, 3, 4, 5, 6]
    assert is_size((10, 1, 16))
    assert not any(map(is_size, ((1, 2, 3), (1.0, 17), (-100, 17), (True, 17), ((1,), (17,)), (0, 17))))


def test_a_kernel_that_is_wrong_between_the_levels_passes_all_cases_and_no_fuzz():
    """Rows of 18 to 63 numbers: no level lies there."""
    backend = Backend("between", dtypes=["fp32"])

    @backend.op(ONE)
    def softmax(z):
        return torch.softmax(z.float(), 1).to(z.dtype) * (1.5 if 18 <= z.shape[1] < 64 else 1)

    rows = [case for case in cases_of(ONE, ("fp32",)) if case.row is not None]
    assert {judge(case, backend, "host").state for case in rows} == {"pass"}
    verdicts = {case: judge(case, backend, "host") for case in islice(fuzzed((ONE,), ("fp32",), 0), 60)}
    failed = [case for case, verdict in verdicts.items() if verdict.state == "fail"]
    assert 3 <= len(failed) < 30      # the others are of other sizes
    small = smallest(failed[0], backend, "host")
    assert small.startswith("numbers ")
    assert 18 <= case_of(small.split("--case ")[1]).arguments()["z"].shape[1] < 64


def test_what_is_chosen_restricts_what_is_drawn():
    chosen = select("torch", fuzz=12, seed=5, keyword="conv2d and bf16").cases
    assert len(chosen) == 12
    assert all(case.op.startswith("conv2d") and case.dtype == "bf16" for case in chosen)
    assert {case.op for case in select("torch", fuzz=9, ops=()).cases} <= set(load("torch").ops)
    assert select("torch", fuzz=3, keyword="nosuchword").cases == ()


@pytest.mark.parametrize(("given", "sentence"), [
    ({"fuzz": None, "seed": 3}, "--seed 3: it is --fuzz that draws"),
    ({"fuzz": 0, "seed": None}, "--fuzz 0 --seed 0: a number of cases is 1 or more"),
    ({"fuzz": 5, "seed": -1}, "a seed 0 or more"),
    ({"fuzz": 5, "seed": 1, "--quick": True}, "leave out --quick"),
    ({"fuzz": 5, "seed": 1, "--case": True}, "leave out --case"),
])
def test_what_cannot_be_drawn_is_refused(given, sentence):
    with pytest.raises(BackendError, match=sentence):
        drawing(**given)


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["conform", "torch", "-n", "0", "--fuzz", "5", "--seed", "9", "-k", "act"])
    assert run.exit_code == 0, run.output
    assert "5 cases: 5 passed" in run.output
    listed = CliRunner().invoke(app, ["conform", "torch", "--fuzz", "5", "--seed", "9", "-k", "act", "--list"])
    assert [line.count("/") for line in listed.output.split()] == [3] * 5
    assert CliRunner().invoke(app, ["conform", "torch", "--seed", "9"]).exit_code == 2


def test_small_sizes_are_drawn_as_often_as_large_ones():
    sizes = [case.arguments()["z"].shape[1] for case in islice(fuzzed((ONE,), ("fp32",), 1), 400)]
    assert 1 in sizes
    assert max(sizes) > 2049
    assert 80 < sum(n < 64 for n in sizes) < 320


def test_words_and_levels_are_each_others_inverse():
    for op in OTHERS:
        for case in islice(fuzzed((op,), DTYPES, 2), 20):
            digits = case.id.split("/")[2].removeprefix("levels-").partition(".")[0]
            assert word(op, read(op, digits)) == digits
            assert isinstance(read(op, digits), Levels)
