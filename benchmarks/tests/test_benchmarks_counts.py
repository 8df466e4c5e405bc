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
    """2L + 2 launches; every tensor once an equation, D never."""
    counts, steps = of("counts"), of("steps")
    B, forward, delta, update = 2, 0, 0, 0
    for i, o in ((6, 5), (5, 4), (4, 3)):
        forward += B * i + o * i + o + B * o
        delta += (B * o + o * i + 2 * B * i + i) if i != 6 else 0
        update += B * o + B * i + 2 * (o * i + o)
    loss = 2 * B * 3 * 4 + B * (4 + 8)
    assert counts.floor(steps.Mlp(TINY, B)) == (8, 4 * (forward + delta + update) + loss)
    more = counts.floor(steps.Mlp(TINY, B, rule="momentum"))[1] - counts.floor(steps.Mlp(TINY, B))[1]
    assert more == 4 * 2 * sum(o * i + o for i, o in ((6, 5), (5, 4), (4, 3)))


def test_what_a_step_leaves_to_torch_counts_too(of):
    x = torch.randn(4, 3)
    count = of("counts").in_simulator(lambda: x.mul_(2))
    assert (count.launches, count.bytes_read, count.bytes_written) == (1, 48, 48)


@pytest.mark.parametrize("how", ["by_ops", "fused"])
@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_our_step_is_torchs_step(of, rule, how):
    """Otherwise the columns would speak of different work."""
    steps = of("steps")
    shape = steps.Mlp(TINY, 8, torch.float64, rule)
    ours, theirs = (shape.network("cpu", torch.Generator().manual_seed(3)) for _ in range(2))
    data = shape.data("cpu", torch.Generator().manual_seed(4))
    same_work(getattr(steps, how), ours, steps.eager(theirs), theirs, data)


def test_our_step_of_lenet_is_torchs_step(of):
    lenet, f64 = of("lenet"), torch.float64
    ours, theirs = (lenet.network(torch.Generator().manual_seed(3), f64) for _ in range(2))
    same_work(lenet.by_ops, ours, lenet.eager(theirs), theirs, lenet.data(3, torch.Generator().manual_seed(4), f64))


def same_work(step, ours, eager, theirs, data):
    for _ in range(3):
        assert float(step(ours, *data).mean() - eager(*data)) == pytest.approx(0, abs=1e-12)
    for mine, his in zip(ours.parameters, theirs.parameters):
        torch.testing.assert_close(mine, his.detach(), rtol=1e-11, atol=1e-12)


def test_the_kernels_step_is_the_composites_step(of):
    """What is counted in the simulator does the same work, too."""
    from chainrule.conformance.simulator import simulate

    steps = of("steps")
    shape = steps.Mlp(TINY, 8, rule="momentum")
    simulated, composite = (shape.network("cpu", torch.Generator().manual_seed(3)) for _ in range(2))
    data = shape.data("cpu", torch.Generator().manual_seed(4))
    for step in (steps.by_ops, steps.fused):
        with simulate(check=False) as sim:
            step(simulated, *data)
        step(composite, *data)
        assert sim.launches > 8
    for mine, his in zip(simulated.parameters, composite.parameters):
        torch.testing.assert_close(mine, his, rtol=1e-4, atol=1e-5)


def test_the_floor_of_lenet_by_hand(of):
    """Of the first layer: 28 × 28 to 6 maps of 28 × 28, pooled to 14 × 14, and no δ for the image."""
    first, back, D = of("lenet").floor(2)[:3]
    image, maps, pooled, parameters = 2 * 28**2, 2 * 6 * 28**2, 2 * 6 * 14**2, 6 * 25 + 6
    assert first.bytes == 4 * (image + parameters + pooled) + pooled
    assert first.flops == D.flops == 2 * maps * 25
    assert back.bytes == 4 * (2 * pooled + maps) + pooled
    assert D.bytes == 4 * (maps + image + 2 * parameters)
    assert len(of("lenet").floor(2)) == 17


def test_committed_counts_are_todays(of):
    counts = of("counts")
    committed = json.loads((ROOT / "benchmarks/results/counts.json").read_text())
    today = [counts.counted(step) for step in counts.every()]
    brings = "python -m benchmarks.counts --json benchmarks/results/counts.json brings it up to date"
    assert committed["steps"] == today, brings
    for entry in today:
        ours, eager, floor = entry["ours"], entry["eager"], entry["floor"]
        assert floor["launches"] <= ours["launches"] < eager["launches"], entry["step"]
        moved, theirs = (one["bytes_read"] + one["bytes_written"] for one in (ours, eager))
        assert floor["bytes"] <= moved < theirs, entry["step"]
    fused = [entry for entry in today if "fused" in entry["step"]]
    assert len(fused) == 2                          # sgd and momentum
    for entry in fused:
        assert entry["launches_over_floor"] <= 1.15, entry["step"]
        assert entry["bytes_over_floor"] <= 1.15, entry["step"]


def test_kept_is_what_autograd_packs_once_and_no_input(of):
    networks, x = of("networks"), torch.randn(4, 3, requires_grad=True)
    w = torch.randn(5, 3, requires_grad=True)
    kept = networks.Saved(x, w)
    with kept:
        torch.nn.functional.linear(x, w).relu().relu()
    assert kept.bytes == 2 * 4 * 4 * 5                  # each ReLU's own result


def test_the_peak_counts_what_lives_at_once(of):
    def run():
        first = torch.empty(1000)
        del first
        return torch.empty(500), torch.empty(250)

    assert of("networks").peak(run) == 4 * 1000


#: Goals that are not reached yet, by network.
MISSED: dict[str, set[str]] = {}


def test_committed_networks_are_todays_and_reach_their_goals(of):
    networks = of("networks")
    committed = json.loads((ROOT / "benchmarks/results/counts.json").read_text())
    for entry, network in zip(committed["networks"], networks.NETWORKS, strict=True):
        assert entry.pop("compiled") > 0
        assert ("liger" in entry) == network.liger, network.name
        entry.pop("liger", None)
        assert entry == networks.counted(network, others=False), network.name
        missed = {name for name, (figure, goal) in networks.reached(entry).items() if figure > goal}
        assert missed == MISSED.get(network.name, set()), network.name
        assert bool(missed) == bool(network.remains), network.name
    for entry, name in zip(committed["peaks"], networks.LINEAR, strict=True):
        assert entry["loss"] == name
        assert 1 < entry["peak_over_gradients"]["ours"] <= entry["goal"] < entry["peak_over_gradients"]["option"]
