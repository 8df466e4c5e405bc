"""What a training step launches and moves: the counting itself, the floor by hand, and the committed table."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are in the repository, not in the wheel")
TINY = (6, 5, 4, 3)


@pytest.fixture(scope="module")
def of():
    """A module of the benchmarks, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield lambda name: importlib.import_module(f"benchmarks.{name}")


def test_an_operator_reads_its_arguments_and_writes_its_results(of):
    x, w, b = torch.randn(4, 3), torch.randn(5, 3), torch.randn(5)
    with of("operators").Operators() as seen:
        torch.nn.functional.linear(x, w, b).relu_()
    assert dict(seen.calls) == {"aten.addmm": 1, "aten.relu_": 1}
    assert seen.bytes_read == 4 * (4 * 3 + 5 * 3 + 5 + 4 * 5)
    assert seen.bytes_written == 4 * (4 * 5 + 4 * 5)


def test_views_and_allocations_are_free_and_repeats_count_once(of):
    x = torch.randn(4, 3)
    with of("operators").Operators() as seen:
        x.t().view(3, 4)[1:].detach()
        torch.empty_like(x)
        wide = x[:1].expand(7, 3)
        assert seen.launches == 0
        wide.clone()
    assert (seen.bytes_read, seen.bytes_written) == (4 * 3, 4 * 21)


def test_what_an_operator_ignores_is_not_read(of):
    x = torch.randn(4, 3)
    with of("operators").Operators() as seen:
        x.zero_()
        x.copy_(torch.ones(3))
    assert seen.bytes_read == 4 * 3
    assert seen.bytes_written == 4 * (12 + 3 + 12)


def test_the_floor_by_hand(of):
    """3L launches; every tensor once a launch, D never."""
    counts, steps = of("counts"), of("steps")
    B, forward, delta, update = 2, 0, 0, 0
    for i, o in ((6, 5), (5, 4), (4, 3)):
        forward += B * i + o * i + o + B * o
        delta += (B * o + o * i + 2 * B * i + i) if i != 6 else 0
        update += B * o + B * i + 2 * (o * i + o)
    loss = 2 * B * 3 * 4 + B * (4 + 8)
    assert counts.floor(steps.Mlp(TINY, B)) == (9, 4 * (forward + delta + update) + loss)
    more = counts.floor(steps.Mlp(TINY, B, rule="momentum"))[1] - counts.floor(steps.Mlp(TINY, B))[1]
    assert more == 4 * 2 * sum(o * i + o for i, o in ((6, 5), (5, 4), (4, 3)))


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_our_step_is_torchs_step(of, rule):
    """Otherwise the two columns would speak of different work."""
    steps = of("steps")
    shape = steps.Mlp(TINY, 8, torch.float64, rule)
    ours, theirs = (shape.network("cpu", torch.Generator().manual_seed(3)) for _ in range(2))
    data = shape.data("cpu", torch.Generator().manual_seed(4))
    eager = steps.eager(theirs)
    for _ in range(3):
        loss = steps.by_ops(ours, *data).mean()
        assert float(loss - eager(*data).double()) == pytest.approx(0, abs=1e-12)
    for mine, his in zip(ours.parameters, theirs.parameters):
        torch.testing.assert_close(mine, his.detach(), rtol=1e-12, atol=1e-12)


def test_committed_counts_are_todays(of):
    counts = of("counts")
    committed = json.loads((ROOT / "benchmarks/results/counts.json").read_text())
    today = [counts.counted(step) for step in counts.every()]
    assert committed == today, "python -m benchmarks.counts --json benchmarks/results/counts.json brings it up to date"
    for entry in today:
        ours, eager, floor = entry["ours"], entry["eager"], entry["floor"]
        assert floor["launches"] <= ours["launches"] < eager["launches"], entry["step"]
        moved, theirs = (one["bytes_read"] + one["bytes_written"] for one in (ours, eager))
        assert floor["bytes"] <= moved < theirs, entry["step"]
