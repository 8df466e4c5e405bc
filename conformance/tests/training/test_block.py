"""A pre-norm block as one node: what it keeps, that it computes what its parts do, when it stands back."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.attention import recalled, recalled_composite
from chainrule.triton_kernels.layers import kernels as layers
from chainrule.triton_kernels.norms import layer as norms
from chainrule.triton_kernels.ops import OPS

B, S, D, H = 2, 17, 12, 3


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def block(**how):
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(D, H, 4 * D, **{
        "dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True, **how})


def kept(run, *there):
    """Bytes of what autograd keeps beside these tensors, each storage once, and what comes out."""
    seen, known = {}, {t.untyped_storage().data_ptr() for t in there}

    def pack(t):
        if t.untyped_storage().data_ptr() not in known:
            seen[t.untyped_storage().data_ptr()] = t.untyped_storage()
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        y = run()
    return sum(storage.nbytes() for storage in seen.values()), y


def test_it_keeps_less_than_ten_times_its_input():
    layer, x = block(), data(B, S, D).requires_grad_()
    with simulate(check=False) as sim:
        size, y = kept(lambda: layer(x), x, *layer.parameters())
        y.sum().backward()
    statistics, logarithms = 4 * B * S * 4, B * H * S * 4
    assert size == 9 * x.nbytes + statistics + logarithms
    assert sim.kernels["recalled_kernel"].launches == 3
    assert sim.launches == 20


def test_a_part_that_somebody_watches_is_called():
    """Hooks, dropout, a mask without a kernel, autocast: then the parts run one by one."""
    layers_, x = {name: block() for name in ("norm1", "self_attn", "linear1", "linear2", "dropout2")}, data(B, S, D)
    seen = []
    with simulate(check=False) as sim:
        for name, layer in layers_.items():
            getattr(layer, name).register_forward_hook(lambda *_, name=name: seen.append(name))
            layer(x).sum().backward()
        with torch.autocast("cpu", torch.bfloat16):
            block()(x).sum().backward()
        block()(x, torch.ones(S, S, dtype=torch.bool).triu(1)).sum().backward()
        block(dropout=0.5)(x).sum().backward()
        block(norm_first=False)(x).sum().backward()
    assert seen == list(layers_)
    assert "recalled_kernel" not in sim.kernels


def test_in_evaluation_dropout_does_not_matter():
    layer = block(dropout=0.5).eval()
    with simulate(check=False) as sim:
        layer(data(B, S, D)).sum().backward()
    assert sim.kernels["recalled_kernel"].launches == 3


def test_without_gradients_nothing_is_kept():
    layer = block()
    with simulate(check=False), torch.no_grad():
        size, y = kept(lambda: layer(data(B, S, D)))
    assert size == 0
    assert not y.requires_grad


@pytest.mark.parametrize("frozen", ["norm1.weight", "self_attn.in_proj_weight", "linear2.bias", "x"])
def test_what_is_frozen_gets_none(frozen):
    layer, other, x = block(), block(), data(B, S, D)
    for p, q in zip(layer.named_parameters(), other.parameters()):
        p[1].requires_grad_(p[0] != frozen)
        q.requires_grad_(p[0] != frozen)
    inputs = [x.clone().requires_grad_(frozen != "x") for _ in range(2)]
    with simulate(check=False):
        layer(inputs[0]).sin().sum().backward()
        other.norm1.register_forward_hook(lambda *_: None)
        other(inputs[1]).sin().sum().backward()
    for (name, p), q in zip(layer.named_parameters(), other.parameters()):
        assert (p.grad is None) == (q.grad is None) == (name == frozen)
        if p.grad is not None:
            assert (p.grad - q.grad).norm() <= 2**-18 * q.grad.norm()
    assert (inputs[0].grad is None) == (frozen == "x")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("rows", [1, 37, 150])
def test_what_is_made_again_is_what_was_written(rows, dtype):
    """The average over inputs that a layer norm wrote, over the same made again, and over g(z): bit for bit."""
    delta, x = (data(rows, n, seed=n).to(dtype) for n in (19, 21))
    gamma, beta, w = data(21, seed=1).to(dtype), data(21, seed=2).to(dtype), torch.empty(19, 21, dtype=dtype)
    with simulate():
        y, mean, rstd, _ = norms.forward(x, gamma, beta, 1e-5)
        for how, act, written in (((mean, rstd, gamma, beta), "identity", y),
                                  ((None,) * 4, "gelu", OPS["act.gelu"](x))):
            found = recalled.averaged(delta, x, act, 0.0, *how)
            wanted = layers.averaged(delta, written, w, 0.0, 1.0, True)
            assert all(map(torch.equal, found, wanted))
            other = recalled_composite.averaged(delta, x, act, 0.0, *how)
            for a, b in zip(found, other):
                assert (a.double() - b.double()).norm() <= 4 * torch.finfo(dtype).eps * b.double().norm()
