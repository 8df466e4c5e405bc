"""The losses' options: torch's contract for weights, smoothing, examples left out and reductions, by both routes."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import torch
import torch.nn.functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.runtime import configs
from chainrule.triton_kernels.runtime.launch import composites


@contextlib.contextmanager
def two_passes():
    one, other = configs.Row(1, 1, warps=1), configs.Row(1, 16, warps=1)
    with configs.pinned("loss.softmax", one), configs.pinned("loss.softmax.long", other), simulate():
        yield


WHERE = {"torch": contextlib.nullcontext, "composite": composites, "rows": simulate, "two passes": two_passes}
OURS = ("composite", "rows", "two passes")
REDUCTIONS = ("mean", "sum", "none")


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(loss, z, *rest, **how):
    """The loss and the gradient of a fixed combination of its entries."""
    z = z.clone().requires_grad_()
    found = loss(z, *rest, **how)
    weights = torch.arange(1.0, found.numel() + 1, dtype=z.dtype).reshape(found.shape)
    return found.detach(), *torch.autograd.grad((found * weights).sum(), z)


def no_further(ours, plain, exact):
    """From the float64 run: twice torch's own distance, and a few roundings of the largest number."""
    for a, b, c in zip(ours, plain, exact, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        unit = torch.finfo(a.dtype).eps * c.abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + 4 * unit


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_as_torch(where, smoothing, weighted):
    for K, (ignored, reduction) in itertools.product((1, 19), zip((-100, 0, -100), REDUCTIONS)):
        z, y, w = 3 * data(9, K), torch.arange(9) * 5 % K, data(K, seed=1).abs() + 0.25 if weighted else None
        y[3] = y[7] = ignored
        if bool((y == ignored).all()):
            continue
        how = {"ignore_index": ignored, "reduction": reduction, "label_smoothing": smoothing}
        with WHERE[where]():
            ours = run(F.cross_entropy, z, y, w, **how)
        exact = run(T.cross_entropy, z.double(), y, w if w is None else w.double(), **how)
        no_further(ours, run(T.cross_entropy, z, y, w, **how), exact)
        assert not ours[1][3].any()
        assert not ours[1][7].any()


@pytest.mark.parametrize("where", OURS)
def test_without_options_the_printed_loss_to_the_bit(where):
    """The same δ and losses as loss.softmax has, exactly; the mean is over the targets that count."""
    from chainrule.triton_kernels import OPS

    z, y = 3 * data(8, 21), torch.arange(8) * 3 % 21
    with WHERE[where]():
        loss, delta = OPS["loss.softmax"](z, y)
        own = OPS["loss.softmax.weighted"](z, y)
        assert torch.equal(own[0], loss)
        assert torch.equal(own[1], delta)
        assert own[2].tolist() == [1.0] * 8
        y[2] = -100
        assert torch.equal(F.cross_entropy(z, y, reduction="none"), loss.masked_fill(y == -100, 0))
        _, gradient = run(F.cross_entropy, z, y)
    assert torch.equal(gradient, (delta.masked_fill((y == -100)[:, None], 0) * (torch.ones(()) / 7)))


@pytest.mark.parametrize("where", WHERE)
def test_nothing_counts(where):
    """As torch: the mean is NaN, the sum 0, and no gradient is anything but 0."""
    z, y = data(3, 5), torch.full((3,), -100)
    with WHERE[where]():
        found = {reduction: run(F.cross_entropy, z, y, reduction=reduction) for reduction in REDUCTIONS}
    assert found["mean"][0].isnan()
    assert found["sum"][0] == 0
    assert found["none"][0].tolist() == [0.0] * 3
    for _, gradient in found.values():
        assert torch.equal(gradient, torch.zeros(3, 5))


@pytest.mark.parametrize("where", OURS)
def test_another_target_out_of_range_is_nan_there_and_in_the_mean(where):
    z, y = data(4, 5), torch.tensor([0, 5, -100, -1])
    with WHERE[where]():
        each, gradient = run(F.cross_entropy, z, y, reduction="none", label_smoothing=0.25)
        assert F.cross_entropy(z, y).isnan()
    with pytest.raises(IndexError, match="out of bounds"):              # on a CPU torch can say it
        F.cross_entropy(z, y)
    assert each.isnan().tolist() == gradient.isnan().all(1).tolist() == [False, True, False, True]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits"])
def test_reductions_of_the_entrywise_losses(name, reduction, where):
    z, y = 3 * data(5, 7), torch.rand(5, 7, generator=torch.Generator().manual_seed(1))
    with WHERE[where]():
        ours = run(getattr(F, name), z, y, reduction=reduction)
        to_target = run(lambda t, s: getattr(F, name)(s, t, reduction=reduction), y, z)
    theirs = getattr(T, name)
    exact, plain = (run(theirs, *(t.to(d) for t in (z, y)), reduction=reduction) for d in (torch.float64, None))
    no_further(ours, plain, exact)
    by_target = [run(lambda t, s: theirs(s, t, reduction=reduction), *(t.to(d) for t in (y, z)))
                 for d in (None, torch.float64)]
    no_further(to_target, *by_target)


def test_a_mean_of_more_losses_than_one_program_sums():
    n = 3 * configs.rows("loss.mean")[0].BM + 5
    loss, mass = data(n).abs(), (torch.arange(n) % 3 != 1).float()
    from chainrule.triton_kernels import OPS

    with simulate() as sim:
        mean = OPS["loss.mean"](loss, mass)
        assert sim.launches == 2
        again = OPS["loss.mean"](loss, mass)
    assert torch.equal(mean, again)
    exact = loss.double().sum() / mass.double().sum()
    assert abs(mean.double() - exact) <= torch.finfo(torch.float32).eps * exact


def test_the_options_cost_nothing_where_they_are_not_used():
    """The mean loss with δ, and δ times a number: two launches, a third for the mean where no program holds the
    batch. z is read once."""
    options = {"weight": torch.ones(32), "label_smoothing": 0.25, "ignore_index": 3}
    for how, n in (({}, 64), (options, 64), ({}, 65)):
        z, y = data(n, 32).requires_grad_(), torch.arange(n) % 32
        with simulate() as sim:
            loss = F.cross_entropy(z, y, **how)
            assert sim.launches == 1 + (n > 64)
            forward = sim.bytes_read, sim.bytes_written
            loss.backward()
            assert sim.launches == 2 + (n > 64)
        image = 4 * n * 32
        small = 3 * n * 8 + len(how) * 32 * 8 * 64
        assert image <= forward[0] <= image + small
        assert image <= forward[1] <= image + small


@pytest.mark.parametrize("where", ["torch", "composite", "rows"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5,), (2, 5, 3), (2, 5, 3, 2)])
def test_one_example_and_images_of_them_as_torch(shape, reduction, where):
    z = 3 * data(*shape)
    y = torch.arange(z.numel() // 5).reshape(shape[:1] + shape[2:] if len(shape) > 1 else ()) % 5
    z = z if z.dim() < 4 else z.contiguous(memory_format=torch.channels_last)
    how = {"reduction": reduction, "label_smoothing": 0.25, "ignore_index": 4}
    with WHERE[where]():
        ours = run(F.cross_entropy, z, y, **how)
    no_further(ours, run(T.cross_entropy, z, y, **how), run(T.cross_entropy, z.double(), y, **how))


@pytest.mark.parametrize("where", ["torch", "composite", "rows"])
def test_modules_pass_their_options_on(where):
    z, y, w = data(6, 4), torch.tensor([0, 3, 2, 2, 1, 0]), torch.tensor([0.5, 1.0, 2.0, 4.0])
    with WHERE[where]():
        for reduction in REDUCTIONS:
            module = nn.CrossEntropyLoss(w, ignore_index=2, reduction=reduction, label_smoothing=0.25)
            assert torch.equal(module(z, y), F.cross_entropy(z, y, w, None, 2, None, reduction, 0.25))
            assert torch.equal(nn.MSELoss(reduction=reduction)(z, 2 * z), F.mse_loss(z, 2 * z, reduction=reduction))
            module = nn.BCEWithLogitsLoss(reduction=reduction)
            assert torch.equal(module(z, z.sigmoid()), F.binary_cross_entropy_with_logits(
                z, z.sigmoid(), reduction=reduction))
