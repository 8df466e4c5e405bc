"""λ multiplies weights and no intercept, whatever the intercepts are called and however they are kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from chainrule.triton_kernels import optim
from chainrule.triton_kernels.patch import patch


class Dense(nn.Module):
    """Somebody's own layer, in other letters."""

    def __init__(self):
        super().__init__()
        self.W, self.b = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.zeros(4))


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))


class Gated(nn.Module):
    """A vector that goes with no matrix, and one number."""

    def __init__(self):
        super().__init__()
        self.inner, self.gamma, self.tau = nn.Linear(3, 4), nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(()))


class Positions(nn.Module):
    """A table that is called a bias, and is none."""

    def __init__(self):
        super().__init__()
        self.relative_bias_table = nn.Parameter(torch.zeros(9, 2))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(5, 3), nn.Linear(3, 5)
        self.out.weight = self.words.weight


def with_bias_parametrized():
    layer = nn.Linear(3, 4)
    parametrize.register_parametrization(layer, "bias", nn.Identity())
    return nn.Sequential(layer)


def pruned():
    layer = nn.Conv2d(2, 4, 3)
    prune.l1_unstructured(layer, "bias", 1)
    prune.random_unstructured(layer, "weight", 2)
    return layer


def patched():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 1))
    patch(model)
    return model


#: name: (the model, the names of what is decayed)
MODELS = {
    "one input": (lambda: nn.Linear(1, 4), {"weight"}),
    "one output": (lambda: nn.Linear(4, 1), {"weight"}),
    "a depthwise filter": (lambda: nn.Conv1d(3, 3, 1, groups=3), {"weight"}),
    "a transposed convolution": (lambda: nn.ConvTranspose2d(2, 3, 2), {"weight"}),
    "bilinear": (lambda: nn.Bilinear(2, 3, 4), {"weight"}),
    "an embedding of one number": (lambda: nn.Embedding(7, 1), {"weight"}),
    "LSTM, projected, both ways": (
        lambda: nn.LSTM(2, 3, proj_size=2, bidirectional=True),
        {f"weight_{kind}_l0{way}" for kind in ("ih", "hh", "hr") for way in ("", "_reverse")}),
    "a cell": (lambda: nn.GRUCell(2, 3), {"weight_ih", "weight_hh"}),
    "attention": (lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3, vdim=5),
                  {"q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"}),
    "norms": (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.LayerNorm((2, 4)), nn.InstanceNorm1d(4, affine=True)),
              set()),
    "somebody's norm": (RMSNorm, set()),
    "somebody's layer": (Dense, {"W"}),
    "a gate": (Gated, {"inner.weight", "gamma", "tau"}),
    "a table": (Positions, {"relative_bias_table"}),
    "tied": (Tied, {"words.weight"}),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(3, 4)),
                    {"parametrizations.weight.original0", "parametrizations.weight.original1"}),
    "a parametrized bias": (with_bias_parametrized, {"0.weight"}),
    "pruned": (pruned, {"weight_orig"}),
    "lazy": (lambda: nn.LazyLinear(3), {"weight"}),
    "patched": (patched, {"0.weight", "4.weight"}),
}


@pytest.mark.parametrize("how", ["as made", "copied"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_what_is_decayed(name, how):
    make, wanted = MODELS[name]
    model = make()
    if how == "copied" and name not in ("lazy", "pruned"):          # torch copies neither
        model = copy.deepcopy(model)
    names = {p: name for name, p in model.named_parameters()}
    groups = optim.param_groups(model, 0.25)
    assert {names[p] for group in groups for p in group["params"] if group["weight_decay"]} == wanted
    everything = [p for group in groups for p in group["params"]]
    assert len(everything) == len(set(everything))
    assert set(everything) == set(model.parameters())


def test_an_optimizer_decays_by_it():
    """One step without a gradient's share: weights shrink by η λ, intercepts stay."""
    model = nn.LSTM(2, 3)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optim.SGD(optim.param_groups(model, 0.25), lr=0.5).step()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name] * (1 - 0.125 if "weight" in name else 1)), name
