"""Training steps of image networks, as problems: our modules and optimizer against torch's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chainrule.triton_kernels import functional, optim
from chainrule.triton_kernels import nn as kernels

from . import lenet
from .floors import Floor
from .problems import UNITS, Call, Input, Prepare, Problem, Tensors
from .problems_images import last
from .steps import ETA, LAM, MU

SIDE, CLASSES = 32, 10
_SOURCES = ("images", "layers", "losses", "updates", "activations", "blocks", "runtime/configs.py")


class Net(nn.Module):
    """The deck's network, and LeNet, as torch's users write them; parameters are named as ours."""

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, taps), nn.Conv2d(6, 16, taps)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * after(taps) ** 2, 120), nn.Linear(120, 84), nn.Linear(84, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        x = torch.flatten(x, 1)
        logits: Tensor = self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
        return logits


class Block(nn.Module):
    """A residual block with batch norm; parameters are named as ours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + x)


def after(taps: int) -> int:
    """The side of an image behind two convolutions with pooling."""
    return ((SIDE - taps + 1) // 2 - taps + 1) // 2


def spelled(name: str) -> str:
    return name.replace(".", "_")


def parameters(net: nn.Module, dtype: torch.dtype) -> dict[str, Input]:
    """Inputs of a problem, in sizes at which a network learns."""
    return {spelled(name): Input(tuple(p.shape), dtype, (p.numel() / p.shape[0]) ** -0.5 if p.dim() > 1 else 0.5)
            for name, p in net.named_parameters()}


def loaded(make: Callable[[], nn.Module], t: Tensors) -> nn.Module:
    """The network on the tensors' device, with these parameters, which it moves in place."""
    net = make().to(t["x"].device, t["x"].dtype)
    for name, p in net.named_parameters():
        p.data = t[spelled(name)]
    return net


Forward = Callable[[nn.Module, Tensors], Tensor]


def step(net: nn.Module, t: Tensors, optimizer: Any, run: Forward, still: bool) -> Call:
    """still: gradients keep their places, so that a graph may hold our optimizer's table of addresses."""
    first = next(net.parameters())

    def call() -> tuple[Tensor, Tensor]:
        optimizer.zero_grad(set_to_none=not still)
        with torch.enable_grad():
            result = run(net, t)
            torch.autograd.backward(result, t.get("d"))
        optimizer.step()
        return result.detach(), first.detach()
    return call


def ours(make: Callable[[], nn.Module], run: Forward, t: Tensors) -> Call:
    t = last(t)
    net = loaded(make, t)
    return step(net, t, optim.SGD(optim.param_groups(net, LAM), lr=ETA, momentum=MU), run, True)


def theirs(
    make: Callable[[], nn.Module], run: Forward, t: Tensors, wrap: Callable[[Any], Any] = lambda net: net
) -> Call:
    t = last(t)
    net = loaded(make, t)
    groups: list[dict[str, Any]] = [{"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": LAM},
                                    {"params": [p for p in net.parameters() if p.dim() == 1]}]
    optimizer = torch.optim.SGD(groups, lr=ETA, momentum=MU, fused=True)
    return step(wrap(net), t, optimizer, run, False)


def compiled(make: Callable[[], nn.Module], run: Forward, mode: str) -> Prepare:
    return partial(theirs, make, run, wrap=partial(torch.compile, mode=mode, dynamic=False))


def images(taps: int, B: int, dtype: torch.dtype = torch.float32) -> Problem:
    """Net has 3 × 3 filters, LeNet 5 × 5: the mean loss before the step, and the first filters after it."""
    make = kernels.Net if taps == 3 else kernels.LeNet
    own: Forward = lambda net, t: functional.cross_entropy(net(t["x"]), t["y"])
    plain: Forward = lambda net, t: F.cross_entropy(net(t["x"]), t["y"])
    inputs = {"x": Input((B, 1, SIDE, SIDE), dtype), "y": Input((B,), classes=CLASSES), **parameters(make(), dtype)}
    nodes = (16 * after(taps) ** 2, 120, 84, CLASSES)
    parts = lenet.floor(B, dtype.itemsize, SIDE, taps, (0, 0), nodes, states=1)
    floor = Floor(sum(p.flops for p in parts), sum(p.bytes for p in parts), UNITS[dtype])
    twin = partial(Net, taps)
    return Problem("step, images", inputs, partial(ours, make, own), partial(theirs, twin, plain), floor, _SOURCES,
                   B * SIDE**2, rounded=dtype, compiles=partial(compiled, twin, plain), resident=True)


def residual(B: int, C: int, side: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """From a given gradient of its output; the image needs none."""
    make, twin = partial(kernels.ResidualBlock, C), partial(Block, C)
    run: Forward = lambda net, t: net(t["x"])
    shape = (B, C, side, side)
    inputs = {"x": Input(shape, dtype), "d": Input(shape, dtype, 1 / B), **parameters(twin(), dtype)}
    # maps read and written: two convolutions, a norm, a norm with the sum; back two norms, one ∂x, two D
    maps, weights = 2 * 2 + 2 + 3 + 2 * 4 + 2 + 2 * 2, 9 * C * C
    moved = dtype.itemsize * (maps * B * C * side**2 + 2 * (3 + 4) * weights)
    return Problem("step, residual block", inputs, partial(ours, make, run), partial(theirs, twin, run),
                   Floor(5 * 2 * B * side**2 * C * weights / C, moved, UNITS[dtype]), (*_SOURCES, "norms"),
                   B * side**2, rounded=dtype, compiles=partial(compiled, twin, run), resident=True)
