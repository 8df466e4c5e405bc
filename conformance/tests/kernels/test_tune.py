"""Tuning is explicit: it measures when asked, and its tables count only while they are in use."""

from __future__ import annotations

import json

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS, tune
from chainrule.triton_kernels.runtime import configs

OP, SHAPE = "net.layer.affine", (24, 40)


def call(shape, dtype):
    return OPS[OP](torch.ones(shape[0], 9, dtype=dtype), torch.ones(shape[1], 9, dtype=dtype))


def clock_that_prefers(wanted):
    """A row's time is known from what the launcher would choose."""
    def clock(run):
        run()
        return 1.0 if configs.choose(OP, SHAPE, torch.float32, "sm_90") == wanted else 2.0
    return clock


@pytest.fixture(autouse=True)
def hopper():
    with simulate(target="sm_90"):
        yield


def test_the_fastest_row_is_found_and_used_only_inside():
    shipped = configs.choose(OP, SHAPE, torch.float32, "sm_90")
    other = next(row for row in configs.rows(OP, "sm_90", torch.float32) if row != shipped)
    table = tune.tune(OP, [SHAPE], call, torch.float32, clock_that_prefers(other))
    assert table == {(OP, SHAPE, "float32"): other}
    assert configs.choose(OP, SHAPE, torch.float32, "sm_90") == shipped
    with tune.using(table):
        assert configs.choose(OP, SHAPE, torch.float32, "sm_90") == other
        assert configs.choose(OP, (24, 41), torch.float32, "sm_90") == configs.choose(OP, (24, 41), torch.float32)
        assert configs.choose(OP, SHAPE, torch.float16, "sm_90") != other
    assert configs.choose(OP, SHAPE, torch.float32, "sm_90") == shipped


def test_a_row_that_cannot_run_is_a_finding():
    first, *_ = configs.rows(OP, "sm_90", torch.float32)

    def clock(run):
        if configs.choose(OP, SHAPE, torch.float32, "sm_90") == first:
            raise MemoryError("too much shared memory")
        return 1.0
    ranked = tune.timings(OP, lambda: None, torch.float32, clock)
    assert ranked[-1] == tune.Timing(first, failed="MemoryError: too much shared memory")
    assert len(ranked) == len(configs.rows(OP, "sm_90", torch.float32))


def test_no_row_at_all_is_an_error():
    def clock(run):
        raise MemoryError("no")
    with pytest.raises(ValueError, match=r"no row of net\.layer\.affine runs at \(24, 40\): MemoryError: no"):
        tune.tune(OP, [SHAPE], call, torch.float32, clock)
    with pytest.raises(ValueError, match=r"it has none for torch\.float32"):
        tune.tune("bp.delta.boxes", [(24, 40, 8)], call, torch.float32, clock)


def test_without_a_gpu_a_clock_is_needed():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert all("there is no GPU to measure on" in one.failed for one in tune.timings(OP, lambda: None, torch.float32))


def test_tables_are_saved_and_belong_to_their_architecture(tmp_path):
    row = configs.rows("bp.delta.boxes", "sm_90")[0]
    table = {("bp.delta.boxes", (24, 40, 8), "bfloat16"): row}
    tune.save(table, tmp_path / "rows.json")
    assert tune.load(tmp_path / "rows.json") == table
    other = json.loads((tmp_path / "rows.json").read_text()) | {"arch": "sm_80"}
    (tmp_path / "rows.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="measured on sm_80, this is sm_90; tune again here"):
        tune.load(tmp_path / "rows.json")
