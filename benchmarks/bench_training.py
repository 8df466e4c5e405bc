"""What our layer over torch costs on a CPU: Python around a launch, and the composite step beside torch's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.activations import kernels as act_kernels
from chainrule.triton_kernels.gate.offline import Target
from chainrule.triton_kernels.layers import kernels as linear
from chainrule.triton_kernels.runtime import launch

from . import steps
from .rounds import rounds
from .samples import Ratio, ratio

Step = Callable[[], Tensor]

ROUNDS = 125                # short ones, so that few of them meet another process


def seconds(run: Callable[[], Any], repeats: int) -> Callable[[], float]:
    """Processor seconds, so that no other process counts."""
    def sample() -> float:
        start = time.process_time()
        for _ in range(repeats):
            run()
        return (time.process_time() - start) / repeats
    return sample


def cost(ours: Callable[[], Any], plain: Callable[[], Any], repeats: int) -> tuple[float, Ratio, float]:
    """(how many times longer ours takes, the ratio of rounds it comes from, seconds of the plain one)."""
    for run in (ours, plain, ours, plain):
        run()
    timers = {"ours": seconds(ours, repeats), "plain": seconds(plain, repeats)}
    samples = rounds(timers, ROUNDS)
    found = ratio(samples["ours"], samples["ours again"], samples["plain"])
    return 1 / found.median, found, min(samples["plain"])


def does_nothing(x: Tensor, w: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """A launcher that launches nothing: memory for the result, and that is all."""
    out = x.new_empty((x.shape[0], w.shape[0]))
    return out, out


def nothing_averaged(delta: Tensor, a: Tensor, w: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(w), w.new_empty(w.shape[0])


class Bare(torch.autograd.Function):
    """The least that a differentiable layer around these launchers can be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        out, _ = does_nothing(x, w, b)
        ctx.save_for_backward(x, w, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor]:
        x, w, out = ctx.saved_tensors
        return None, *nothing_averaged(torch.empty_like(out), x, w)


@pytest.fixture
def kernels_of_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CPU tensors take the kernels' path, and every launcher of it does nothing."""
    monkeypatch.setattr(linear, "affine_keeping", does_nothing)
    monkeypatch.setattr(linear, "averaged", nothing_averaged)
    monkeypatch.setattr(act_kernels, "backward", lambda grad, *rest: torch.empty_like(grad))
    token = launch.simulation.set(Target("sm_90"))
    yield
    launch.simulation.reset(token)


def trained(layer: Callable[..., Tensor], *parameters: Tensor) -> Callable[[], None]:
    """Forward and backward through one layer."""
    upstream = torch.ones(8, 8)

    def run() -> None:
        torch.autograd.grad(layer(*parameters), parameters[1:], upstream)
    return run


def test_overhead_with_a_launcher_that_does_nothing(
    benchmark: Any, goal: Callable[..., None], kernels_of_nothing: None, one_thread: None
) -> None:
    x, w, b = torch.randn(8, 8), torch.randn(8, 8, requires_grad=True), torch.randn(8, requires_grad=True)
    ours, bare = trained(lambda *t: F.linear_act(*t), x, w, b), trained(Bare.apply, x, w, b)
    times, found, least = cost(ours, bare, 40)
    benchmark.extra_info |= {"bare_us": least * 1e6, "interval": [1 / found.high, 1 / found.low]}
    benchmark.pedantic(ours, rounds=200)
    goal("eager overhead with a launcher that does nothing, over a bare autograd.Function", times, 1.3, "×")


def plain_step(net: steps.Network) -> Callable[[Tensor, Tensor], Tensor]:
    return steps.eager(net)


def our_step(net: steps.Network) -> Callable[[Tensor, Tensor], Tensor]:
    """The same step with our network and loss in it."""
    def objective(weights: list[Tensor], biases: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(F.mlp(x, weights, biases, act="sigmoid"), y)
    return steps.eager(net, objective)


@pytest.mark.parametrize(("nodes", "batch"), [((784, 256, 128, 10), 128), ((1024, 1024, 1024, 10), 64)], ids=str)
def test_composite_step(
    benchmark: Any, goal: Callable[..., None], one_thread: None, nodes: tuple[int, ...], batch: int
) -> None:
    shape = steps.Mlp(nodes, batch)

    def run_of(make: Callable[[steps.Network], Callable[[Tensor, Tensor], Tensor]]) -> Callable[[], Tensor]:
        generator = torch.Generator().manual_seed(0)
        return partial(make(shape.network("cpu", generator)), *shape.data("cpu", generator))

    beside_torch(benchmark, goal, f"{nodes}, n = {batch}", run_of(our_step), run_of(plain_step))


def beside_torch(benchmark: Any, goal: Callable[..., None], what: str, ours: Step, plain: Step) -> None:
    times, found, least = cost(ours, plain, 1)
    benchmark.extra_info |= {"plain_ms": least * 1e3, "interval": [1 / found.high, 1 / found.low]}
    benchmark.pedantic(ours, rounds=5)
    goal(f"composite step {what}, {least * 1e3:.1f} ms, over torch's", times, 1.05, "×")


def twin(net: torch.nn.Module) -> torch.nn.Module:
    """torch's modules of one of the deck's networks, with the same parameters."""
    layers = (net.fc1, net.fc2, net.fc3)
    plain = torch.nn.Sequential(
        *(part for conv in (net.conv1, net.conv2) for part in (
            torch.nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size), torch.nn.ReLU(),
            torch.nn.MaxPool2d(2))),
        torch.nn.Flatten(),
        *[part for fc in layers for part in (torch.nn.Linear(fc.in_features, fc.out_features), torch.nn.ReLU())][:-1],
    )
    for own, given in zip(plain.parameters(), net.parameters(), strict=True):
        own.data.copy_(given.data)
    return plain


class PlainBlock(torch.nn.Module):
    """nn.ResidualBlock as one writes it in torch."""

    def __init__(self, block: nn.ResidualBlock) -> None:
        super().__init__()
        for name, part in block.named_children():
            plain = torch.nn.Conv2d(part.in_channels, part.out_channels, 3, padding=1, bias=False) if isinstance(
                part, torch.nn.Conv2d) else torch.nn.BatchNorm2d(part.num_features)
            plain.load_state_dict(part.state_dict())
            self.add_module(name, plain)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))) + x)


def residual() -> tuple[torch.nn.Module, torch.nn.Module]:
    """A block of batch norms and a layer on top; ours, and torch's."""
    block, last = nn.ResidualBlock(16), nn.Linear(16 * 16 * 16, 10)
    plain = torch.nn.Linear(last.in_features, last.out_features)
    plain.load_state_dict(last.state_dict())
    return (torch.nn.Sequential(block, torch.nn.Flatten(), last),
            torch.nn.Sequential(PlainBlock(block), torch.nn.Flatten(), plain))


def deck(kind: type[nn.Net]) -> tuple[torch.nn.Module, torch.nn.Module]:
    net = kind()
    return net, twin(net)


def trainer(
    net: torch.nn.Module, loss: Callable[[Tensor, Tensor], Tensor], optimizer: torch.optim.Optimizer, x: Tensor,
    y: Tensor,
) -> Step:
    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        found = loss(net(x), y)
        torch.autograd.backward(found)
        optimizer.step()
        return found.detach()
    return step


NETWORKS = {
    "Net": (partial(deck, nn.Net), (1, 32, 32), "SGD"), "LeNet": (partial(deck, nn.LeNet), (1, 32, 32), "SGD"),
    "residual block": (residual, (16, 16, 16), "AdamW"),
}


@pytest.mark.parametrize(("name", "batch"), [
    ("Net", 16), ("LeNet", 16), ("LeNet", 128), ("residual block", 16)], ids=str)
def test_composite_network(benchmark: Any, goal: Callable[..., None], one_thread: None, name: str, batch: int) -> None:
    """Network, loss and optimizer ours, beside all of torch's."""
    make, shape, rule = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(batch, *shape, generator=generator), torch.randint(0, 10, (batch,), generator=generator)
    own, plain = make()
    ours = trainer(own, F.cross_entropy, getattr(optim, rule)(own.parameters(), lr=steps.ETA), x, y)
    theirs = trainer(
        plain, torch.nn.functional.cross_entropy, getattr(torch.optim, rule)(plain.parameters(), lr=steps.ETA), x, y)
    beside_torch(benchmark, goal, f"{name}, {rule}, n = {batch}", ours, theirs)
