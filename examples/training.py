"""Training on images, as the examples share it: the data, the loop, the bar, the table, the pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from common import columns, console, needed, pictures, progress, refuse
from fashion import HOW, Images, digits, fashion
from rich.table import Table
from torch import Tensor, nn

from chainrule.triton_kernels import functional as F

Tick = Callable[[], None]


class Run(NamedTuple):
    """One training: the loss of every step, the test accuracy of every epoch, the answers at the end."""

    network: nn.Module
    losses: list[float]
    accuracies: list[float]
    answers: Tensor
    seconds: float


def images(example: str, folder: Path) -> Images:
    """Fashion-MNIST, or the digits and a sentence how to get it."""
    try:
        found = fashion(folder)
    except ValueError as fault:
        refuse(example, str(fault))
    if found is not None:
        return found
    console.print(f"no Fashion-MNIST in {folder}: {HOW}\nthe digits of scikit-learn instead", soft_wrap=True)
    needed(example, "sklearn.datasets", "scikit-learn")
    return digits()


def batches(data: Images, size: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: every image once, in a new order; the last batch is what remains."""
    for chosen in torch.randperm(len(data.x), generator=order).split(size):
        yield data.x[chosen], data.y[chosen]


def steps(data: Images, size: int, epochs: int) -> int:
    return epochs * -(-len(data.x) // size)


def fit(
    network: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any, data: Images, size: int, epochs: int,
    seed: int, tick: Tick = lambda: None,
) -> Run:
    """The deck's training loop; the order of the images comes from the seed."""
    start, order = time.perf_counter(), torch.Generator().manual_seed(seed)
    losses, accuracies, said = list[float](), list[float](), data.y_test
    for _ in range(epochs):
        for x, y in batches(data, size, order):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            tick()
        said = answers(network, data.x_test)
        accuracies.append(float((said == data.y_test).float().mean()))
    return Run(network, losses, accuracies, said, time.perf_counter() - start)


@torch.no_grad()
def answers(network: nn.Module, x: Tensor) -> Tensor:
    """The class of each image, as a network in evaluation says."""
    before = network.training
    network.eval()
    said = torch.cat([network(part).argmax(1) for part in x.split(1000)])
    network.train(before)
    return said


def watched(label: str, steps: int, train: Callable[[Tick], Run]) -> Run:
    """One training under a bar; where there is no terminal, a line when it is done."""
    with progress(label) as bar:
        task = bar.add_task("", total=steps)
        run = train(lambda: bar.advance(task))
    if not console.is_terminal:
        console.print(f"{label}: accuracy {run.accuracies[-1]:.4f}, {run.seconds:.0f} s")
    return run


def table(runs: Mapping[tuple[str, str], Run], *names: str) -> Table:
    """`names` are the two words that tell the runs apart."""
    last = max(len(run.accuracies) for run in runs.values())
    every = -(-last // 4)                   # what a line has room for, the last epoch always among them
    result = columns(*names, "test accuracy by epoch" if every == 1 else f"every {every} epochs", "parameters",
                     "seconds", words=3)
    for words, run in runs.items():
        parameters = sum(p.numel() for p in run.network.parameters())
        shown = " ".join(f"{a:.4f}" for a in run.accuracies[::-every][::-1])
        result.add_row(*words, shown, f"{parameters:,}", f"{run.seconds:.0f}")
    return result


def report(
    runs: Mapping[tuple[str, str], Run], kept: Mapping[str, tuple[str, str]], data: Images, out: Path, *names: str
) -> None:
    """The table, the curves, and for each kept run (by the name of its files) a checkpoint and its confusion."""
    console.print(table(runs, *names))
    out.mkdir(parents=True, exist_ok=True)
    for file, key in kept.items():
        torch.save(runs[key].network.state_dict(), out / f"{file}.pt")
    if (draw := pictures("image_pictures")) is None:
        console.print(f"[dim]checkpoints: {out}[/]")
        return
    draw.curves({", ".join(words): (run.losses, run.accuracies) for words, run in runs.items()},
                f"{data.name}: {len(data.y):,} images to train with, {len(data.y_test):,} to test", out / "curves.png")
    for file, key in kept.items():
        draw.confusion(runs[key].answers, data.y_test, data.classes, f"{' '.join(key[:1])} on {data.name}",
                       out / f"confusion-{file}.png")
    console.print(f"[dim]pictures and checkpoints: {out}[/]")
