"""A pre-norm block as one node: what it keeps, that it computes what its parts do, when it stands back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.attention import recalled, recalled_composite
from chainrule.triton_kernels.layers import composite as layers_composite
from chainrule.triton_kernels.layers import kernels as layers
from chainrule.triton_kernels.norms import layer as norms
from chainrule.triton_kernels.ops import OPS
from chainrule.triton_kernels.runtime import configs

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
    assert sim.kernels["recalled_kernel"].launches == 4
    assert sim.launches == 16


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
    assert sim.kernels["recalled_kernel"].launches == 4


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


def made_again(rows, dtype):
    """δ, w, and (how an input is made again, its activation, what was written), of a layer norm and of g(z)."""
    delta, x, w = (data(*shape, seed=i).to(dtype) for i, shape in enumerate(((rows, 19), (rows, 21), (19, 21))))
    gamma, beta = data(21, seed=4).to(dtype), data(21, seed=5).to(dtype)
    y, mean, rstd, _ = norms.forward(x, gamma, beta, 1e-5)
    return delta, w, x, [((mean, rstd, gamma, beta), "identity", y), ((None,) * 4, "gelu", OPS["act.gelu"](x))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("rows", [1, 37, 150])
def test_what_is_made_again_is_what_was_written(rows, dtype):
    """Both gradients of a layer whose inputs were written, and of the same made again: bit for bit."""
    row = next(row for row in configs.rows("alg.average.recalled", "sm_90", dtype) if row.BN == 64)
    with simulate(), ExitStack() as same:
        delta, w, x, ways = made_again(rows, dtype)
        for table in ("alg.average", "alg.average.recalled", "bp.delta", "bp.delta.heavy"):
            same.enter_context(configs.pinned(table, row))
        for how, act, written in ways:
            found = recalled.gradients(delta, w, x, act, 0.0, *how)
            dx, _ = layers.delta_through(delta, w, x, act, "z", 0.0, "bp.delta.chain", None, False)
            wanted = dx, *layers.averaged(delta, written, w, 0.0, 1.0, True)
            assert all(map(torch.equal, found, wanted))
            assert all(map(torch.equal, found[1:], recalled.averaged(delta, x, act, 0.0, *how)))
            other = recalled_composite.gradients(delta, w, x, act, 0.0, *how)
            for a, b in zip(found, other, strict=True):
                assert (a.double() - b.double()).norm() <= 4 * torch.finfo(dtype).eps * b.double().norm()


@pytest.mark.parametrize("order", ["reverse", "random"])
def test_no_order_of_programs_tells(order):
    x = data(B, S, D)
    found = []
    for how in ("forward", order):
        layer = block()
        with simulate(order=how):
            layer(x).sin().sum().backward()
        found.append([p.grad for p in layer.parameters()])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize(("target", "launches", "boxes"), [("sm_90", 1, 1), ("sm_80", 1, 0)])
def test_where_a_gpu_moves_boxes_they_make_the_gradient_of_the_inputs(target, launches, boxes):
    delta, w, x = (torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(i)).half()
                   for i, shape in enumerate(((24, 40), (40, 72), (24, 72))))
    with simulate(target=target) as sim:
        found = recalled.gradients(delta, w, x, "identity", 0.0, *(None,) * 4)
    assert sim.kernels["recalled_kernel"].launches == launches
    assert sim.kernels["affine_boxes_kernel"].launches == boxes
    wanted = delta.float() @ w.float(), delta.float().t() @ x.float(), delta.float().sum(0)
    assert all(torch.equal(a.float(), b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(("target", "kernel"), [("sm_80", "affine_kernel"), ("sm_90", "affine_boxes_kernel")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_sum_around_a_layer_is_rounded_once(dtype, target, kernel):
    """1 + 3u/8 + 3u/8: rounded twice it would be 1."""
    u = torch.finfo(dtype).eps
    x, w, b = (torch.zeros(shape, dtype=dtype) for shape in ((8, 16), (24, 16), 24))
    x[:, :2], w[:, 0], w[:, 1] = 1, 1, 3 * u / 8
    added = torch.full((24, 8), 3 * u / 8, dtype=dtype).t()
    with simulate(target=target) as sim:
        found = layers.affine_added(x, w, b, added)
    assert set(sim.kernels) == {kernel}
    assert torch.equal(found, torch.full((8, 24), 1 + u, dtype=dtype))
    assert torch.equal(found, layers_composite.affine_added(x, w, b, added))
