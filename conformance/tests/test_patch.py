"""patch and explain: what changes, what does not and why, the same results, and back."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels.explain import explain
from chainrule.triton_kernels.patch import patch


class Block(nn.Module):
    """A ResNet's basic block in plain torch."""

    def __init__(self, channels, out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.past = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if (
            stride != 1 or channels != out) else nn.Identity()

    def forward(self, x):
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(inner + self.past(x))


def resnet18(width=4):
    """Torchvision's layout: four stages of two blocks, with few channels so that a test takes a second."""
    stages = [nn.Sequential(Block(a, b, s), Block(b, b)) for a, b, s in (
        (width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 2))]
    stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
                         nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


def deck():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.LeakyReLU(0.25), nn.Linear(84, 10))


MODELS = {"resnet18": (resnet18, (2, 3, 32, 32)), "deck": (deck, (2, 1, 32, 32))}


def results(model, x):
    y = model(x)
    gradients = torch.autograd.grad(y.square().sum(), list(model.parameters()))
    return torch.cat([y.detach().double().flatten(), *(g.double().flatten() for g in gradients)])


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_results_and_back(name, fuse):
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model = make()
    x = torch.randn(shape)
    start = copy.deepcopy(model.state_dict())
    exact, plain = results(copy.deepcopy(model).double(), x.double()), results(copy.deepcopy(model), x)
    keys, text = list(model.state_dict()), repr(model)
    with patch(model, fuse=fuse) as report:
        assert list(model.state_dict()) == keys
        own = results(model, x)
        unit = torch.finfo(torch.float32).eps
        assert (own - exact).norm() <= 2 * (plain - exact).norm() + unit * exact.norm()
        assert report.changed
    model.load_state_dict(start)
    assert repr(model) == text
    assert torch.equal(results(model, x), plain)


def test_the_report_says_what_and_why():
    class Mine(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), Mine(4, 4), nn.Conv2d(1, 1, 3, padding_mode="circular"),
                          nn.BatchNorm2d(1), nn.ReLU(), nn.GELU())
    report = patch(model)
    found = {one.path: (one.now.__name__ if one.now else None, one.why) for one in report.changes}
    assert found == {
        "0": ("FusedLinear", "Linear → Tanh"), "1": ("PassedOn", "done by 0"),
        "2": (None, "a subclass: its forward may differ"),
        "3": (None, "padding=(0, 0), padding_mode='circular' has no kernel"),
        "4": ("FusedBatchNorm2d", "BatchNorm2d → ReLU"), "5": ("PassedOn", "done by 4")}
    assert str(report).splitlines()[0] == "4 of 6 modules changed"


def test_fused_convolution_takes_the_pooling_in():
    model = deck()
    report = patch(model)
    assert [one.now.__name__ for one in report.changes] == [
        "FusedConv2d", "PassedOn", "PassedOn"] * 2 + ["FusedLinear", "PassedOn"] * 2 + ["Linear"]
    with simulate(check=False) as sim:
        model(torch.randn(1, 1, 32, 32))
    assert sim.launches == 5


def test_only():
    model = deck()
    report = patch(model, only=["Linear"])
    assert {one.was.__name__ for one in report.changed} == {"Linear"}
    assert type(model[0]) is nn.Conv2d


def test_a_module_in_two_places_or_with_hooks_is_not_fused():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu)
    patch(model)
    assert type(model[0]) is ours.Linear
    assert type(relu) is ours.ReLU
    seen = []
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model[0].register_forward_hook(lambda module, args, y: seen.append(y))
    patch(model)
    y = model(torch.randn(2, 3))
    assert torch.equal(torch.relu(seen[0]), y)


def test_misuse():
    model = deck()
    report = patch(model)
    with pytest.raises(ValueError, match="patched already; undo that first"):
        patch(model)
    with pytest.raises(ValueError, match="only = Conv3d is unknown; there are Linear"):
        patch(model, only=["Conv3d"])
    model[0].__class__ = nn.Conv2d
    with pytest.raises(RuntimeError, match="0 has become a Conv2d since it was patched; undo that change first"):
        report.undo()
    assert type(model[3]).__name__ == "FusedConv2d"
    plain = nn.Sequential(nn.Linear(2, 2))
    once = patch(plain)
    with pytest.raises(ValueError, match="this model is patched already"):
        patch(plain)
    once.undo()
    with pytest.raises(RuntimeError, match="already undone"):
        once.undo()


def test_explain():
    x, w, b = torch.randn(300, 64).half(), torch.randn(128, 64).half(), torch.randn(128).half()
    said = explain(F.linear_act, x, w, b, "tanh", target="sm_90")
    assert len(said.launches) == 1
    assert "sm_90: 1 launches" in str(said)
    assert "num_warps" in str(said)
    assert "CPU tensors run the ATen composites" in str(explain(F.linear, x, w))
    assert "no kernel computes in float64" in str(explain(F.linear, x.double(), w.double(), target="sm_90"))
    three = explain(F.batch_norm, torch.randn(8, 4), None, None, training=True, target="sm_80")
    assert [one.kernel for one in three.launches] == ["statistics_kernel", "merge_kernel", "apply_kernel"]
    with pytest.raises(ValueError, match="explain: linear was given no tensor"):
        explain(F.linear)
