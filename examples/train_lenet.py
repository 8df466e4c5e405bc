"""The deck's Net and LeNet learn Fashion-MNIST; convolution, pooling, layers and loss are this library's.

    python examples/train_lenet.py               both networks, ours and the deck's own learning rate, pictures
    python examples/train_lenet.py --simulate    30 steps of LeNet through the Triton kernels, every op judged

Net's slide calls self.num_flat_features(x), which it never defines: it is the product of all sizes but the batch's,
16 · 6 · 6 = 576, and `flatten(1)` needs no such number. The slide's images have 32 × 32 pixels; these get zeros around.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from fashion import FOLDER, HOW, Images, digits, fashion
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch import Tensor, nn

from chainrule.triton_kernels import functional as F

BATCH = 64
console = Console(highlight=False)


class Which(StrEnum):
    """Net has filters of 3 × 3, as on its slide; LeNet has 5 × 5."""

    net = "net"
    lenet = "lenet"
    both = "both"


class Net(nn.Module):
    """conv – pool – conv – pool – three full layers: 81,194 parameters as Net, 61,706 as LeNet."""

    def __init__(self, which: Which) -> None:
        super().__init__()
        m, flat = (3, 16 * 6 * 6) if which is Which.net else (5, 16 * 5 * 5)
        self.conv1, self.conv2 = nn.Conv2d(1, 6, m), nn.Conv2d(6, 16, m)
        self.fc1, self.fc2, self.fc3 = nn.Linear(flat, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.conv2d_act(x, conv.weight, conv.bias, "relu", pool=True)        # max_pool2d(relu(conv(x)), 2)
        full = (self.fc1, self.fc2, self.fc3)
        return F.mlp(x.flatten(1), [layer.weight for layer in full], [layer.bias for layer in full], "relu")


class Rate(StrEnum):
    """How a step is taken: momentum with a rate that rises and falls, or the slide's plain SGD with lr = 0.01."""

    ours = "momentum, one cycle"
    deck = "the deck's lr = 0.01"


class Run(NamedTuple):
    """One training: the loss of every step, the test accuracy of every epoch, the answers at the end."""

    network: Net
    losses: list[float]
    accuracies: list[float]
    answers: Tensor
    seconds: float


def train(
    which: Which, rate: Rate, data: Images, epochs: int, seed: int, tick: Callable[[], None] = lambda: None
) -> Run:
    """The same seed gives the same numbers, bit for bit."""
    start, order = time.perf_counter(), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network, losses, accuracies = Net(which), list[float](), list[float]()
    steps = epochs * -(-len(data.x) // BATCH)
    optimizer, schedule = stepping(network, rate, steps)
    for _ in range(epochs):
        for x, y in batches(data, order):
            loss = F.cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            tick()
        accuracies.append(float((answers(network, data.x_test) == data.y_test).float().mean()))
    return Run(network, losses, accuracies, answers(network, data.x_test), time.perf_counter() - start)


def stepping(network: Net, rate: Rate, steps: int) -> tuple[Any, Any]:
    if rate is Rate.deck:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.08, momentum=0.9, nesterov=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.08, total_steps=steps, pct_start=0.2)


def batches(data: Images, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    for chosen in torch.randperm(len(data.x), generator=order).split(BATCH):
        yield data.x[chosen], data.y[chosen]


@torch.no_grad()
def answers(network: Net, x: Tensor) -> Tensor:
    return torch.cat([network(part).argmax(1) for part in x.split(1000)])


def main(
    which: Annotated[Which, typer.Option("--net")] = Which.both,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    seed: Annotated[int, typer.Option()] = 0,
    simulate: Annotated[bool, typer.Option("--simulate", help="30 steps through the kernels, every op judged")] = False,
    data: Annotated[Path, typer.Option(help="the folder with Fashion-MNIST's four files")] = FOLDER,
    out: Annotated[Path, typer.Option(help="where pictures and checkpoints go")] = Path("build/lenet"),
) -> None:
    """Train the deck's Net and LeNet on Fashion-MNIST."""
    torch.set_num_threads(1)        # layers this small gain nothing from more, and sums keep one order everywhere
    found = fashion(data)
    if found is None:
        console.print(f"no Fashion-MNIST in {data}: {HOW}\nthe digits of scikit-learn instead", soft_wrap=True)
        found = digits()
    if simulate:
        from lenet_simulated import simulated

        raise typer.Exit(simulated(found, console))
    runs = trained([Which.net, Which.lenet] if which is Which.both else [which], found, epochs, seed)
    out.mkdir(parents=True, exist_ok=True)
    for (one, rate), run in runs.items():
        if rate is Rate.ours:
            torch.save(run.network.state_dict(), out / f"{one}.pt")
    console.print(table(runs))
    pictures(runs, found, out)


def trained(nets: list[Which], data: Images, epochs: int, seed: int) -> dict[tuple[Which, Rate], Run]:
    runs = {}
    steps = epochs * -(-len(data.x) // BATCH)
    for one in nets:
        for rate in Rate:
            with progress(f"{one.value:6} {rate.value}") as bar:
                task = bar.add_task("", total=steps)
                run = runs[one, rate] = train(one, rate, data, epochs, seed, lambda: bar.advance(task))      # noqa: B023
            if not console.is_terminal:
                console.print(f"{one.value:6} {rate.value}: accuracy {run.accuracies[-1]:.4f}, {run.seconds:.0f} s")
    return runs


def progress(label: str) -> Progress:
    """A bar, on a terminal only."""
    return Progress(TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console,
                    transient=True, disable=not console.is_terminal)


def table(runs: dict[tuple[Which, Rate], Run]) -> Table:
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(("network", "steps", "parameters", "test accuracy by epoch", "seconds")):
        result.add_column(name, justify="left" if i in (0, 1, 3) else "right", no_wrap=True)
    for (which, rate), run in runs.items():
        parameters = sum(p.numel() for p in run.network.parameters())
        result.add_row(which.value, rate.value, f"{parameters:,}", " ".join(f"{a:.4f}" for a in run.accuracies),
                       f"{run.seconds:.0f}")
    return result


def pictures(runs: dict[tuple[Which, Rate], Run], data: Images, out: Path) -> None:
    try:
        from lenet_pictures import confusion, curves
    except ModuleNotFoundError as missing:
        console.print(f"no picture: {missing.name} is not installed; pip install matplotlib")
        return
    curves({f"{which.value}, {rate.value}": (run.losses, run.accuracies) for (which, rate), run in runs.items()},
           data.name, out / "curves.png")
    for (which, rate), run in runs.items():
        if rate is Rate.ours:
            title = f"{which.value} on {data.name}"
            confusion(run.answers, data.y_test, data.classes, title, out / f"confusion-{which}.png")
    console.print(f"[dim]pictures and checkpoints: {out}[/]")


if __name__ == "__main__":
    typer.run(main)
