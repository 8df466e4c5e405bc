"""Convolutions with a norm and a ReLU behind them as one node: what comes out, what is kept, where it is not taken."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels import patch
from chainrule.triton_kernels.explain import explain
from chainrule.triton_kernels.images import join
from chainrule.triton_kernels.nn import networks
from chainrule.triton_kernels.normed import nodes


def network(channels=8, out=None, stride=1):
    torch.manual_seed(0)
    block = ours.ResidualBlock(channels, out, stride)
    with torch.no_grad():
        for norm in (block.norm1, block.norm2):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    return block


def image(*shape, dtype=torch.float32, last=False):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    return x.to(memory_format=torch.channels_last) if last else x


def results(block, x):
    """y, every gradient, every buffer."""
    x = x.clone().requires_grad_()
    y = block(x)
    grads = torch.autograd.grad(y, [x, *block.parameters()], image(*y.shape, dtype=y.dtype))
    return [y.detach(), *grads, *(b.clone() for b in block.buffers())]


def by_parts(block, x):
    with pytest.MonkeyPatch.context() as patch, simulate(check=False) as sim:
        patch.setattr(networks, "together", lambda *_: None)
        return results(block, x), sim.launches


CASES = {
    "plain": ((8,), (2, 8, 5, 4), torch.float32, False), "wider": ((8, 20, 2), (2, 8, 5, 4), torch.float32, False),
    "bf16": ((16,), (2, 16, 4, 3), torch.bfloat16, False),
    "fp16, NHWC": ((16, 18, 2), (2, 16, 5, 4), torch.float16, True),
}


QUICK = {("plain", False), ("wider", True), ("bf16", False), ("fp16, NHWC", True)}


@pytest.mark.parametrize(("name", "parts"), [
    pytest.param(name, parts, marks=[] if (name, parts) in QUICK else pytest.mark.slow)
    for name in CASES for parts in (False, True)])
def test_no_number_is_worse_than_by_its_parts(name, parts, monkeypatch):
    """Twice the distance from the float64 run that the parts have; in parts: every sum is of more than one share."""
    how, shape, dtype, last = CASES[name]
    if parts:
        monkeypatch.setattr(nodes, "LIMIT", 0)
        monkeypatch.setattr(join, "FEWEST", 1)
        shape = (12 // how[0] + 5, *shape[1:])
    block, x = network(*how).to(dtype), image(*shape, dtype=dtype, last=last)
    exact = results(copy.deepcopy(block).double(), x.double())
    other, before = by_parts(copy.deepcopy(block), x)
    with simulate() as sim:
        found = results(block, x)
    assert before - sim.launches >= (6 if parts else 11)
    for a, b, c in zip(found, other, exact, strict=True):
        assert (a.dtype, a.stride()) == (b.dtype, b.stride())
        unit = torch.finfo(dtype).eps * c.double().abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + 3 * unit


def test_twice_is_bit_for_bit_the_same():
    block = network(8, 12, 2)
    with simulate(check=False):
        first, second = (results(copy.deepcopy(block), image(3, 8, 5, 6)) for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_each_z_is_kept_and_nothing_else_as_large():
    kept, block, x = {}, network(16), image(2, 16, 8, 8)

    def pack(t):
        kept[t.untyped_storage().data_ptr()] = t.numel()
        return t

    with simulate(check=False), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = block(x)
    assert sorted(size for place, size in kept.items() if place != x.data_ptr())[-4:] == [
        x.numel(), x.numel(), 16 * 16 * 9, 16 * 16 * 9]
    assert y.data_ptr() not in kept


def names(block, x, **how):
    return {one.kernel for one in explain(block, x, target="sm_90", **how).launches}


NOT_TAKEN = {
    "evaluation": lambda block: block.eval(),
    "a hook": lambda block: block.norm1.register_forward_hook(lambda *_: None),
    "an intercept": lambda block: setattr(block.conv1, "bias", torch.nn.Parameter(torch.zeros(8))),
    "no scale": lambda block: setattr(block, "norm1", ours.BatchNorm2d(8, affine=False)),
    "another module": lambda block: setattr(block, "norm1", torch.nn.BatchNorm2d(8)),
    "another padding": lambda block: setattr(block.conv2, "padding_mode", "reflect"),
}


@pytest.mark.parametrize("why", NOT_TAKEN)
def test_where_somebody_could_tell_the_parts_are_called(why):
    block = network()
    assert {"forward_kernel", "ended_kernel"} == names(block, image(2, 8, 5, 4))
    NOT_TAKEN[why](block)
    assert "ended_kernel" not in names(block, image(2, 8, 5, 4))


def test_where_boxes_move_they_still_do():
    """A norm is made on the way by nobody who moves boxes."""
    x, block = image(2, 16, 8, 8, dtype=torch.bfloat16, last=True), network(16).to(torch.bfloat16)
    block = block.to(memory_format=torch.channels_last)
    assert "correlate_boxes_kernel" in names(block, x)
    assert {"forward_kernel", "ended_kernel"} == {one.kernel for one in explain(block, x, target="sm_80").launches}


def test_few_channels_leave_blocks_empty():
    assert "ended_kernel" not in names(network(4), image(2, 4, 5, 4))


@pytest.mark.parametrize("why", ["autocast", "the mean of all batches"])
def test_the_parts_are_called_under(why):
    block = network()
    if why != "autocast":
        block.norm2.momentum = None
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"), simulate(check=False) as sim:
        block(image(2, 8, 5, 4))
    assert "ended_kernel" not in sim.kernels


@pytest.mark.parametrize("tracks", [True, False])
def test_only_what_is_asked_for_is_computed(tracks):
    """No gradient of x, none of the filters below; statistics that are not tracked stay."""
    block = network()
    block.norm1.track_running_stats = tracks
    block.conv1.weight.requires_grad_(False)
    twin, x, before = copy.deepcopy(block), image(2, 8, 5, 4), block.norm1.running_mean.clone()
    with simulate() as sim:
        block(x).square().sum().backward()
    assert sim.kernels["backward_kernel"].launches == 1
    assert torch.equal(block.norm1.running_mean, before) != tracks
    assert int(block.norm1.num_batches_tracked) == int(tracks)
    assert block.conv1.weight.grad is None
    twin(x).square().sum().backward()
    for own, other in zip(block.parameters(), twin.parameters()):
        if own.grad is not None:
            assert (own.grad - other.grad).abs().max() <= 1e-5 * other.grad.abs().max()


def sequence(*channels):
    parts = [(torch.nn.Conv2d(i, o, 3, bias=False, padding=1), torch.nn.BatchNorm2d(o), torch.nn.ReLU(i == 8))
             for i, o in pairwise(channels)]
    torch.manual_seed(0)
    return torch.nn.Sequential(*(one for part in parts for one in part), torch.nn.MaxPool2d(2))


def test_a_sequence_that_runs_its_modules_lets_them_go_together():
    """Three of them, the first of too few channels: it is called by itself."""
    twin, x = sequence(3, 8, 12, 10), image(2, 3, 4, 4)
    own = copy.deepcopy(twin)
    patch.patch(own)
    with simulate() as sim:
        found = results(own, x)
    assert sim.kernels["ended_kernel"].launches == sim.kernels["filters_kernel"].launches == 1
    exact, other = results(copy.deepcopy(twin).double(), x.double()), results(twin, x)
    for a, b, c in zip(found, other, exact, strict=True):
        unit = torch.finfo(torch.float32).eps * c.double().abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + 3 * unit


def test_in_a_sequence_a_hook_on_an_activation_sees_it_called():
    own, seen = sequence(8, 12), []
    patch.patch(own)
    own[2].register_forward_hook(lambda *_: seen.append(1))
    with simulate(check=False) as sim:
        own(image(2, 8, 4, 4))
    assert seen
    assert "ended_kernel" not in sim.kernels


def test_running_statistics_anywhere_in_memory_move():
    block, twin = network(), network()
    block.norm1.running_mean = torch.zeros(8, 2)[:, 0]
    version = block.norm2.running_var._version
    with simulate(check=False):
        for one in (block, twin):
            one(image(2, 8, 5, 4))
    assert twin.norm1.running_mean.any()
    assert torch.equal(block.norm1.running_mean, twin.norm1.running_mean)
    assert block.norm2.running_var._version > version


def test_a_second_derivative_is_refused():
    x = image(2, 8, 5, 4).requires_grad_()
    with simulate(check=False):
        (dx,) = torch.autograd.grad(network()(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        dx.sum().backward()
