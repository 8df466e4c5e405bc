"""Our kernels as torch itself starts them on a GPU: compiled, on other streams, on another device; against plain
launches, bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .schedule import first_line

#: A training step: makes its tensors on a device, and gives (what to call, its parameters).
Step = Callable[[torch.device], tuple[Callable[[], Tensor], list[Tensor]]]


def mlp(device: torch.device) -> tuple[Callable[[], Tensor], list[Tensor]]:
    from chainrule.triton_kernels import functional as F
    from chainrule.triton_kernels import nn

    torch.manual_seed(0)
    net = nn.MLP((784, 300, 10), act="elu").to(device)
    x, target = torch.randn(256, 784).to(device), torch.randint(10, (256,)).to(device)
    return lambda: F.cross_entropy(net(x), target), list(net.parameters())


def lenet(device: torch.device) -> tuple[Callable[[], Tensor], list[Tensor]]:
    from chainrule.triton_kernels import functional as F
    from chainrule.triton_kernels import nn

    torch.manual_seed(0)
    net = nn.Net().to(device)
    x, target = torch.randn(64, 1, 32, 32).to(device), torch.randint(10, (64,)).to(device)
    return lambda: F.cross_entropy(net(x), target), list(net.parameters())


def half(device: torch.device) -> tuple[Callable[[], Tensor], list[Tensor]]:
    step, parameters = mlp(device)

    def under_autocast() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return step()

    return under_autocast, parameters


def block(device: torch.device) -> tuple[Callable[[], Tensor], list[Tensor]]:
    from chainrule.triton_kernels import functional as F
    from chainrule.triton_kernels import nn

    torch.manual_seed(0)
    one = nn.ResidualBlock(16, 16).to(device)
    x = torch.randn(8, 16, 14, 14).to(device, memory_format=torch.channels_last)
    target = torch.zeros_like(x)
    return lambda: F.mse_loss(one(x), target), list(one.parameters())


STEPS: dict[str, Step] = {"MLP": mlp, "Net": lenet, "MLP in bf16": half, "ResidualBlock": block}


def gradients(step: Callable[[], Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
    loss = step()
    return [loss.detach(), *torch.autograd.grad(loss, list(parameters))]


def difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> str:
    """`same bits`, or the largest difference relative to its tensor."""
    if all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(found, wanted)):
        return "same bits"
    apart = max(float((a.cpu().double() - b.cpu().double()).norm() / b.cpu().double().norm().clamp_min(1e-300))
                for a, b in zip(found, wanted))
    return f"{apart:.1e} apart"


def compiled(make: Step, device: torch.device, backend: str = "inductor") -> str:
    """One graph of the step, loss and gradients."""
    step, parameters = make(device)
    wanted = gradients(step, parameters)
    torch._dynamo.reset()
    return difference(gradients(torch.compile(step, fullgraph=True, backend=backend), parameters), wanted)


def on_two_streams(make: Step, device: torch.device, rounds: int = 20) -> str:
    """The step in turns on two side streams that run beside each other; every round's results."""
    step, parameters = make(device)
    wanted = gradients(step, parameters)
    here = torch.cuda.current_stream(device)
    streams = [torch.cuda.Stream(device) for _ in range(2)]
    found: list[list[Tensor]] = []
    for stream in streams:
        stream.wait_stream(here)
    for _ in range(rounds):
        for stream in streams:
            with torch.cuda.stream(stream):
                found.append(gradients(step, parameters))
    torch.cuda.synchronize(device)
    worst = {difference(one, wanted) for one in found} - {"same bits"}
    return max(worst, default="same bits")


def elsewhere(make: Step) -> str:
    """The step on the second GPU while the first is current."""
    if torch.cuda.device_count() < 2:
        return "one GPU"
    wanted = gradients(*make(torch.device("cuda", 0)))
    with torch.cuda.device(0):
        return difference(gradients(*make(torch.device("cuda", 1))), wanted)


def checks(left: Callable[[], float]) -> dict[str, Any]:
    """{step: {how it was started: `same bits`, how far apart, or what failed}}, as far as time reaches."""
    device, found = torch.device("cuda", torch.cuda.current_device()), {}
    for name, make in STEPS.items():
        ways = {"compiled": lambda make=make: compiled(make, device),
                "two streams": lambda make=make: on_two_streams(make, device),
                "second GPU": lambda make=make: elsewhere(make)}
        found[name] = {way: tried(run) if left() > 0 else "no time was left" for way, run in ways.items()}
    return found


def tried(run: Callable[[], str]) -> str:
    try:
        return run()
    except Exception as error:          # one way's failure is a finding
        return f"failed: {type(error).__name__}: {first_line(error)}"
