"""torch's own training tools around our modules and optimizers: schedules, autocast with a scaler, checkpointing,
graphs kept and gradients accumulated, pickles, deterministic mode."""

from __future__ import annotations

import contextlib
import copy
import io

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.runtime.launch import composites

PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": lambda: simulate(check=False)}


def place(mode):
    return PLACES[mode]()


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(library=nn):
    """The same layers and the same numbers of either library; smooth, since rounding decides at a kink."""
    torch.manual_seed(0)
    return torch.nn.Sequential(library.Conv2d(1, 3, 3), library.BatchNorm2d(3), library.Sigmoid(), torch.nn.Flatten(),
                               library.Linear(48, 8), library.Tanh(), library.Linear(8, 4))


def batch(step, dtype=torch.float32):
    return data(12, 1, 6, 6, seed=step).to(dtype), torch.arange(12) % 4


def everything(net):
    buffers = [b for b in net.buffers() if b.is_floating_point()]
    return torch.cat([t.detach().double().flatten() for t in (*net.parameters(), *buffers)])


def no_further(own, plain, exact):
    """From the float64 run, twice as far as torch at the most, and a rounding of the whole."""
    unit = torch.finfo(torch.float32).eps * exact.norm()
    assert (own - exact).norm() <= 2 * (plain - exact).norm() + unit


def one_cycle(optimizer):
    return lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8)           # moves momentum and betas too


def in_turn(optimizer):
    warm = lr_scheduler.LinearLR(optimizer, 0.25, total_iters=3)
    return lr_scheduler.SequentialLR(optimizer, [warm, lr_scheduler.CosineAnnealingLR(optimizer, 5)], [3])


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("schedule", [one_cycle, in_turn])
@pytest.mark.parametrize("make", ["SGD", "Adam"])
def test_a_schedule_of_torch_moves_every_number_of_a_step(make, schedule, mode):
    """Eight steps along a fixed sequence of gradients."""
    how = {"lr": 0.1, "momentum": 0.9} if make == "SGD" else {"lr": 0.1}
    results, rates = [], []
    for library, dtype in ((optim, torch.float32), (torch.optim, torch.float32), (torch.optim, torch.float64)):
        theta = torch.nn.Parameter(data(40).to(dtype))
        optimizer = getattr(library, make)([theta], **how)
        steps, seen = schedule(optimizer), []
        with place(mode if library is optim else "torch"):
            for step in range(8):
                theta.grad = data(40, seed=step + 1).to(dtype)
                seen.append({k: optimizer.param_groups[0][k] for k in ("lr", "momentum", "betas")
                             if k in optimizer.param_groups[0]})
                optimizer.step()
                steps.step()
        results.append(theta.detach().double())
        rates.append(seen)
    no_further(*results)
    assert rates[0] == rates[1]
    assert len({str(one) for one in rates[0]}) > 4


def test_a_plateau_lowers_the_rate_and_an_average_follows():
    theta = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(theta.weight)
    average = AveragedModel(theta)
    optimizer = optim.SGD(theta.parameters(), lr=1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    seen = []
    for step in range(3):
        theta.weight.grad = torch.ones(1, 2)
        optimizer.step()
        plateau.step(1.0)                               # never better: halved from the second step on
        seen.append(theta.weight[0, 0].item())
        if step != 1:
            average.update_parameters(theta)
    assert seen == [-1.0, -2.0, -2.5]
    assert average.module.weight.tolist() == [[-1.75, -1.75]]


def scaled_steps(library, dtype, mode="torch", skipped=3):
    """Eight steps under autocast with a scaler, one of them with an infinite loss; `dtype` None: without either."""
    net = network(library)
    net = net if dtype else net.double()
    ours = library is nn
    optimizer = (optim if ours else torch.optim).SGD(net.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=dtype is not None)
    loss = F.cross_entropy if ours else torch.nn.functional.cross_entropy
    for step in range(8):
        x, y = batch(step, torch.float32 if dtype else torch.float64)
        optimizer.zero_grad()
        with place(mode), torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            value = loss(net(x), y) * (float("inf") if step == skipped and dtype else 1.0)
            scaler.scale(value).backward()
            if dtype or step != skipped:
                scaler.step(optimizer)
                scaler.update()
    assert not dtype or scaler.get_scale() == 2.0**9
    return everything(net)


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_loop_under_autocast_with_a_scaler(dtype, mode):
    no_further(scaled_steps(nn, dtype, mode), scaled_steps(torch.nn, dtype), scaled_steps(torch.nn, None))


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_block_has_the_same_gradients(reentrant, mode):
    """Bit for bit; its forward pass runs twice, so that its running statistics move twice, as torch's do."""
    torch.manual_seed(0)
    block = nn.ResidualBlock(2, 4, 2)
    x = data(3, 2, 6, 6).requires_grad_()
    found = []
    for again in (False, True):
        own = copy.deepcopy(block)
        with place(mode):
            y = checkpoint(own, x, use_reentrant=reentrant) if again else own(x)
            y.sin().sum().backward()
        found.append([x.grad, *(p.grad for p in own.parameters())])
        x.grad = None
        assert int(own.norm1.num_batches_tracked) == 1 + again
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


KEPT = {"MLP": (lambda: nn.MLP([5, 4, 3], "tanh"), (6, 5)), "block": (lambda: nn.ResidualBlock(2, 3), (2, 2, 5, 5)),
        "pooled": (lambda: nn.ConvActPool(2, 3, 3), (2, 2, 6, 6))}


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", KEPT)
def test_a_graph_can_be_kept_and_gradients_accumulate(name, mode):
    make, shape = KEPT[name]
    torch.manual_seed(0)
    net, x = make(), data(*shape).requires_grad_()
    with place(mode):
        y = net(x).square().mean()
        y.backward(retain_graph=True)
        once = [t.grad.clone() for t in (x, *net.parameters())]
        y.backward()
    for t, first in zip((x, *net.parameters()), once, strict=True):
        assert torch.equal(t.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def reloaded(optimizer):
    """The whole training state through a file."""
    file = io.BytesIO()
    torch.save((optimizer.param_groups[0]["params"], optimizer), file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("make", [optim.SGD, optim.Adagrad, optim.Adam, optim.AdamW, optim.LAMB])
def test_a_pickled_optimizer_goes_on(make, mode):
    theta = [torch.nn.Parameter(data(5, 3)), torch.nn.Parameter(data(3))]
    optimizer = make(theta, lr=0.1, **({"momentum": 0.9} if make is optim.SGD else {}))

    def step(theta, optimizer, seed):
        for p in theta:
            p.grad = data(*p.shape, seed=seed)
        with place(mode):
            optimizer.step()

    step(theta, optimizer, 1)
    other_theta, other = reloaded(optimizer)
    for seed in (2, 3):
        step(theta, optimizer, seed)
        step(other_theta, other, seed)
    for p, q in zip(theta, other_theta, strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("mode", PLACES)
def test_deterministic_mode_changes_nothing(mode):
    """There torch fills new memory with NaN and refuses what may vary."""
    results = []
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        try:
            net = network()
            optimizer = optim.Adam(optim.param_groups(net, 0.1))
            with place(mode):
                for step in range(2):
                    x, y = batch(step)
                    optimizer.zero_grad()
                    F.cross_entropy(net(x), y).backward()
                    optimizer.step()
        finally:
            torch.use_deterministic_algorithms(False)
        results.append(everything(net))
    assert torch.isfinite(results[0]).all()
    assert torch.equal(*results)
