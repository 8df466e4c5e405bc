"""Training loops as people write them, every kernel judged where it runs; and kernels broken there, caught by name."""

from __future__ import annotations

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.conformance.training.chains import ChainFault
from chainrule.conformance.watched import watched
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.activations import kernels as act
from chainrule.triton_kernels.bands import kernels as band
from chainrule.triton_kernels.images import pooled as conv_pool
from chainrule.triton_kernels.layers import gradients
from chainrule.triton_kernels.normed import ends, filters
from chainrule.triton_kernels.normed import kernels as normed
from chainrule.triton_kernels.norms import kernels as norm


def residual():
    return torch.nn.Sequential(nn.ResidualBlock(3, 4, 2), nn.Flatten(), nn.Linear(36, 4))


def one_node():
    return torch.nn.Sequential(nn.ResidualBlock(8), nn.Flatten(), nn.Linear(48, 4))


def pooled():
    """z is kept for ELU, the side of 0 that it lies on for ReLU."""
    return torch.nn.Sequential(
        nn.ConvActPool(2, 4, 3, act="elu"), nn.ConvActPool(4, 3, 2), nn.Flatten(), nn.Linear(12, 4))


def neighbours():
    return torch.nn.Sequential(
        nn.LocallyConnected1d(12, 3, "tanh"), nn.SharedLinear(12, 5, "leaky"), nn.Linear(12, 4))


NETWORKS = {"residual": (residual, (3, 3, 6, 6)), "normed": (one_node, (2, 8, 3, 2)),
            "pooled": (pooled, (3, 2, 12, 12)), "local": (neighbours, (5, 12)),
            "mlp": (lambda: nn.MLP((6, 5, 4), act="tanh"), (4, 6))}
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.1),
    "adam": lambda p: optim.Adam(p, weight_decay=0.1), "adamw": optim.AdamW, "lamb": optim.LAMB,
}
CASES = [*((name, "momentum") for name in NETWORKS), *(("mlp", rule) for rule in OPTIMIZERS if rule != "momentum")]


def data(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loop(name, rule, steps=1, dtype=torch.float32):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    net = make().to(dtype)
    optimizer = OPTIMIZERS[rule](net.parameters())
    for step in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(data(*shape, seed=step).to(dtype)), torch.arange(shape[0]) % 4).backward()
        optimizer.step()
    return net


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "rule"), CASES)
def test_every_launch_of_a_loop_is_judged(name, rule, dtype):
    with simulate() as sim, watched() as judged:
        net = loop(name, rule, 3, dtype)
    assert judged.launches == sim.launches
    assert 0 < judged.fraction <= 1
    assert judged.calls[f"opt.{rule}"] == 3 * len(list(net.parameters()))
    if name != "residual":
        return
    with simulate() as sim, watched() as judged:
        net.eval()(data(*NETWORKS[name][1], seed=9).to(dtype))
    assert judged.launches == sim.launches
    assert {"norm.batch", "norm.batch.inference"} <= set(judged.calls)


def test_a_copy_for_strides_that_cannot_be_walked_is_judged_too():
    x = data(3, 2, 4, 6, seed=0)[..., ::2].requires_grad_()
    with simulate() as sim, watched() as judged:
        F.batch_norm(x[:, :, ::2], None, None, training=True).square().sum().backward()
    assert judged.launches == sim.launches
    assert judged.calls["norm.batch"] == 1


def off(output, part=None):
    """The same results, one of them wrong by a few units in the last place of the largest."""
    def wrong(original):
        def run(*args, **kwargs):
            found = original(*args, **kwargs)
            t = found if part is None else found[part]
            t += output(t)
            return found
        return run
    return wrong


def units(t):
    return 64 * torch.finfo(t.dtype).eps * t.abs().max()


def behind_a_norm(wrong):
    """Right where a convolution reads what is in memory."""
    return lambda original: lambda *given: (original if given[3] is None else wrong(original))(*given)


BROKEN = {
    "norm.mean": ("residual", norm, "running_statistics", off(units, 0)),
    "norm.variance": ("residual", norm, "running_statistics", off(units, 1)),
    "norm.batch": ("residual", norm, "applied", off(units)),
    "norm.batch.grad_gamma": ("residual", norm, "sums", off(units, 1)),
    "norm.batch.grad_beta": ("residual", norm, "sums", off(units, 2)),
    "norm.batch.grad_x": ("residual", norm, "backward", off(units, 0)),
    "conv2d.layer of a norm": ("normed", normed, "convolved", behind_a_norm(off(units, 0))),
    "act.relu.prime": ("normed", ends, "slopes", off(units, 0)),
    "norm.batch.grad_x through conv2d.layer.grad_x, act.relu.prime": (
        "normed", normed, "to_image", off(units, 0)),
    "norm.batch.grad_x through conv2d.layer.grad_w": ("normed", filters, "averaged", off(units, 0)),
    "conv2d.layer, pooled": ("pooled", conv_pool, "pooled_keeping", off(units, 0)),
    "conv2d.layer, pooled, at its place": (
        "pooled", conv_pool, "pooled_keeping", off(lambda t: (t + 1) % 4 - t, 1)),
    "conv2d.layer, pooled, z": ("pooled", conv_pool, "pooled_keeping", off(units, 2)),
    "arch.local.layer": ("local", band, "keeping", off(units, 0)),
    "act.leaky.prime": ("local", act, "backward", off(units)),
    "bp.delta.chain": ("mlp", gradients, "gradients", off(units, 0)),
    "alg.average": ("mlp", gradients, "gradients", off(units, 1)),
}


def test_a_place_that_names_the_wrong_side_is_caught(monkeypatch):
    wrong = off(lambda t: (t ^ 4) - t, 1)
    monkeypatch.setattr(conv_pool, "pooled_keeping", wrong(conv_pool.pooled_keeping))
    layer = nn.ConvActPool(2, 3, 3)
    with pytest.raises(ChainFault, match="the other side of 0"), simulate(check=False), watched():
        layer(data(2, 2, 6, 6, seed=0))


@pytest.mark.parametrize("id", BROKEN)
def test_a_kernel_broken_in_the_loop_is_named(id, monkeypatch):
    network, module, name, wrong = BROKEN[id]
    monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    with simulate(check=False), watched(), pytest.raises(ChainFault, match=rf"^{id}/chain/call \d+: .*times the bound"):
        loop(network, "sgd")


def test_running_statistics_are_judged_from_what_they_were(monkeypatch):
    right = norm.running_statistics
    monkeypatch.setattr(norm, "running_statistics", lambda x, eps, mu, var, rho: right(x, eps, mu, var, 0.5 * rho))
    with simulate(), watched(), pytest.raises(ChainFault, match=r"^norm\.batch\.running/chain/call 1: "):
        loop("residual", "sgd")


@pytest.mark.parametrize(("rule", "number"), [
    ("sgd", "lam"), ("momentum", "beta1"), ("adagrad", "slowing"), ("adamw", "lam"), ("lamb", "beta2")])
def test_a_number_read_wrongly_by_an_optimizer_is_caught(rule, number, monkeypatch):
    right = optim._Fused._numbers

    def wrong(self, device):
        column = optim.NUMBERS.index(number)
        numbers = right(self, device).clone()
        numbers[:, column] *= 0.75
        return numbers

    monkeypatch.setattr(optim._Fused, "_numbers", wrong)
    with simulate(), watched(), pytest.raises(ChainFault, match=rf"^opt\.{rule}/chain/call \d+: .*times the bound"):
        loop("mlp", rule, 2)


def test_where_nothing_is_judged_nobody_is_told_that_all_is_well():
    with pytest.raises(ChainFault, match=r"^nothing was judged"), watched():
        loop("mlp", "sgd")


def test_what_the_suite_cannot_judge_is_an_error():
    net = NETWORKS["mlp"][0]()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.5, dampening=0.25)
    net(data(4, 6, seed=0)).sum().backward()
    with pytest.raises(ChainFault, match=r"^opt\.momentum with dampening: the suite"), simulate(), watched():
        optimizer.step()


def wide_layer(x, w, b, act):
    z = torch.nn.functional.linear(x.double(), w.double(), None if b is None else b.double())
    return {"tanh": torch.tanh, "relu": torch.relu, "identity": torch.clone}[act](z).to(x.dtype)


def wide_adam(theta, D, m, v, t, eta, beta1, beta2, eps):
    wide = [one.double() for one in (theta, D, m, v)]
    theta_, D_, m_, v_ = wide
    m_, v_ = beta1 * m_ + (1 - beta1) * D_, beta2 * v_ + (1 - beta2) * D_ * D_
    theta_ = theta_ - eta * m_ / (1 - beta1**t) / ((v_ / (1 - beta2**t)).sqrt() + eps)
    return [new.to(old.dtype) for new, old in zip((theta_, m_, v_), (theta, m, v))]


THEIRS = {"net.layer.affine": wide_layer, "opt.adam": wide_adam}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_anybodys_functions_train_a_whole_model_and_are_judged_there(dtype):
    called = []

    def layer(x, w, b, act):
        called.append(act)
        return wide_layer(x, w, b, act)

    with watched("host", {**THEIRS, "net.layer.affine": layer}) as judged:
        net = loop("mlp", "adam", 3, dtype)
    assert called
    assert judged.calls["opt.adam"] == 3 * len(list(net.parameters()))
    assert set(judged.calls) == set(THEIRS)
    assert 0 < judged.fraction <= 1


def test_a_whole_backend_trains_a_convolutional_network():
    from chainrule.conformance.backend import load

    with watched("host", load("torch")) as judged:
        loop("residual", "momentum", 2)
    assert {"conv2d.layer", "conv2d.layer.grad_x", "net.layer.affine", "alg.average", "loss.softmax.weighted",
            "opt.momentum"} <= set(judged.calls)


@pytest.mark.parametrize(("id", "wrong"), [
    ("net.layer.affine", lambda x, w, b, act: wide_layer(x, w, None, act)),
    ("opt.adam", lambda t, **a: wide_adam(t=t + 1, **a)),
    ("alg.average", lambda delta, a, w, lam, n: (delta.T @ a, delta.sum(0) / n if n > 1 else 2 * delta.sum(0))),
])
def test_somebodys_wrong_function_is_named_where_it_runs(id, wrong):
    with watched("host", {**THEIRS, id: wrong}), pytest.raises(ChainFault, match=rf"^{id}/chain/call \d+: "):
        loop("mlp", "adam", 2)


def test_functions_that_no_model_asks_for_are_not_said_to_hold():
    with pytest.raises(ChainFault, match=r"^nothing was judged: the model asked for none of pool\.max"), \
            watched("host", {"pool.max": torch.nn.functional.max_pool2d}):
        loop("mlp", "sgd")
