"""Handwritten digits, learned by the deck's own algorithm: no autograd, every line an equation of the deck.

    python examples/train_digits.py               both heads, five splits, a table and a picture of the loss
    python examples/train_digits.py --simulate    one epoch through the Triton kernels, every op of every step judged

The network is 64-128-128-10 with the sigmoid everywhere. `op[id]` is the function of equation `id`: a Triton kernel for
CUDA tensors, the ATen composite for CPU tensors, or either of them judged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from common import columns, console, judgements, needed, pictures, progress, refuse
from torch import Tensor

from chainrule.triton_kernels import OPS

NAME = "train_digits"
NODES = (64, 128, 128, 10)      # n_1 … n_{L+1}: the pixels of an 8 × 8 image, two hidden layers, ten digits
ETA, LAM, BATCH = 1.0, 1e-4, 32
TRAINING = 1437                 # of 1,797 images; the other 360 test

Op = Mapping[str, Callable[..., Any]]
Network = list[tuple[Tensor, Tensor]]       # Θ^(l) as weights and intercepts
Run = tuple[list[float], list[float]]       # after every epoch: mean training loss, test accuracy


class Head(StrEnum):
    """What stands on the last z: ten sigmoids, each against the rest, or one softmax over ten classes."""

    sigmoid = "sigmoid"
    softmax = "softmax"
    both = "both"


LOSS = {Head.sigmoid: "loss.xent.logits", Head.softmax: "loss.softmax"}


def forward(op: Op, Theta: Network, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """All a^(l), and the last z: the losses take it before the head's g."""
    a = [x]                                                                           # net.input   a(1) = x
    for w, b in Theta[:-1]:
        a.append(op["net.layer.affine"](x=a[-1], w=w, b=b, act="sigmoid"))            # a(l+1) = g(Θ(l) a(l))
    w, b = Theta[-1]
    return a, op["net.layer.affine"](x=a[-1], w=w, b=b, act="identity")               # net.z   z = Θ(L) a(L)


def step(op: Op, Theta: Network, x: Tensor, y: Tensor, head: Head) -> tuple[Network, float]:
    """The slide “Backpropagation” over a minibatch of n instances, and one step down; the new Θ and the mean loss."""
    n, L = len(x), len(Theta)
    a, z = forward(op, Theta, x)
    loss, last = output(op, z, y, head)                                               # alg.delta.out   δ = a − y
    delta: list[Any] = [None] * L + [last]
    for l in range(L - 1, 0, -1):                                                     # alg.errors   {δ(L), …, δ(2)}
        delta[l], _ = op["bp.delta.rec"](delta=delta[l + 1], w=Theta[l][0], a=a[l])   # a (1 − a) Σ δ Θ
    new: Network = []
    for l, (w, b) in enumerate(Theta):                              # alg.average   D = Δ/n + λΘ, Δ/n for the intercept
        D, Db = op["alg.average"](delta=delta[l + 1], a=a[l], w=w, lam=LAM, n=n)      # with Δ = Σ a δ inside
        new.append((op["opt.sgd"](theta=w, D=D, eta=ETA), op["opt.sgd"](theta=b, D=Db, eta=ETA)))   # Θ ← Θ − ηD
    return new, float(loss.double().sum()) / n


def output(op: Op, z: Tensor, y: Tensor, head: Head) -> tuple[Tensor, Tensor]:
    """Loss and δ of the last layer; both losses are minus the printed expression, so that a step down learns."""
    return op[LOSS[head]](z=z, y=y if head is Head.softmax else onehot(y, z))


def onehot(y: Tensor, z: Tensor) -> Tensor:
    """net.onehot   1 in place k, 0 elsewhere, in z's dtype and on its device"""
    return (y[:, None] == torch.arange(NODES[-1], device=y.device)).to(z.dtype)


def initial(random: torch.Generator) -> Network:
    """Normal weights of spread 4/√n_l, because g′(0) = 1/4; intercepts 0."""
    return [(torch.randn(o, i, generator=random) * (4 / i**0.5), torch.zeros(o)) for i, o in pairwise(NODES)]


def batches(x: Tensor, y: Tensor, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: every instance once, in a new order; the last minibatch is what remains."""
    for chosen in torch.randperm(len(x), generator=random).split(BATCH):
        yield x[chosen], y[chosen]


def right(op: Op, Theta: Network, x: Tensor, y: Tensor) -> int:
    """How many images have the largest output at their digit."""
    return int((forward(op, Theta, x)[1].argmax(1) == y).sum())


class Split:
    """A seeded split of the 1,797 digits, and the generator of everything random about it."""

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self.random = torch.Generator().manual_seed(seed)
        datasets = needed(NAME, "sklearn.datasets", "scikit-learn")
        pixels, digits = datasets.load_digits(return_X_y=True)
        order = torch.randperm(len(digits), generator=self.random)
        x = torch.tensor(pixels / 16, dtype=torch.float32)[order].to(device)
        y = torch.tensor(digits, dtype=torch.int64)[order].to(device)
        self.x, self.y, self.x_test, self.y_test = x[:TRAINING], y[:TRAINING], x[TRAINING:], y[TRAINING:]


def train(head: Head, seed: int, epochs: int, device: str = "cpu", tick: Callable[[], None] = lambda: None) -> Run:
    """Mean training loss and test accuracy after every epoch."""
    split = Split(seed, device)
    Theta, losses, accuracies = [(w.to(device), b.to(device)) for w, b in initial(split.random)], [], []
    for _ in range(epochs):
        epoch = []
        for x, y in batches(split.x, split.y, split.random):
            Theta, loss = step(OPS, Theta, x, y, head)
            epoch.append(loss)
        losses.append(sum(epoch) / len(epoch))
        accuracies.append(right(OPS, Theta, split.x_test, split.y_test) / len(split.x_test))
        tick()
    return losses, accuracies


def main(
    head: Annotated[Head, typer.Option(help="what stands on the last layer")] = Head.both,
    epochs: Annotated[int, typer.Option(min=1)] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="how many seeded splits into training and test images")] = 5,
    simulate: Annotated[bool, typer.Option("--simulate", help="one epoch of the ten-class network through the "
                                           "kernels in the simulator, every op judged")] = False,
    device: Annotated[str, typer.Option(help="cpu runs the composites, cuda the kernels")] = "cpu",
    out: Annotated[Path, typer.Option(help="where the picture goes")] = Path("build/digits"),
) -> None:
    """Train the deck's network on the 1,797 handwritten digits that scikit-learn ships."""
    needed(NAME, "sklearn.datasets", "scikit-learn")
    if device.startswith("cuda") and not torch.cuda.is_available():
        refuse(NAME, f"--device {device}: torch sees no GPU on this machine; --simulate runs the kernels without one")
    if simulate:
        raise typer.Exit(simulated(Head.softmax if head is Head.both else head))
    table = columns("head", "loss", "splits", "final loss", "worst test", "mean test", "seconds")
    curves = {}
    for one in [Head.sigmoid, Head.softmax] if head is Head.both else [head]:
        start = time.perf_counter()
        curves[one.value] = runs = trained(one, epochs, seeds, device)
        final = [accuracies[-1] for _, accuracies in runs]
        table.add_row(one.value, LOSS[one], str(seeds), f"{sum(losses[-1] for losses, _ in runs) / seeds:.4f}",
                      f"{min(final):.4f}", f"[bold]{sum(final) / seeds:.4f}[/]", f"{time.perf_counter() - start:.1f}")
    console.print()
    console.print(table)
    picture(curves, out / "loss.png")


def trained(head: Head, epochs: int, seeds: int, device: str) -> list[Run]:
    """Every split in turn, with a bar on a terminal and a line per split elsewhere."""
    runs = []
    with progress(f"{head.value:8}") as bar:
        task = bar.add_task("", total=seeds * epochs)
        for seed in range(seeds):
            runs.append(train(head, seed, epochs, device, lambda: bar.advance(task)))
            text = f"split {seed}: accuracy {runs[-1][1][-1]:.4f}"
            bar.update(task, description=text)
            if not console.is_terminal:
                console.print(f"{head.value:8} {text}")
    return runs


def picture(curves: dict[str, list[Run]], path: Path) -> None:
    if (draw := pictures("loss_curve")) is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draw.draw(curves, path)
    console.print(f"[dim]picture: {path}[/]")


def simulated(head: Head) -> int:
    """One epoch on the kernels and one on the composites, from the same Θ; 1 if an op failed or the two disagree."""
    try:
        from chainrule.conformance.backend import load
        from chainrule.conformance.training.chains import ChainFault, Judged
    except ModuleNotFoundError as missing:
        refuse(NAME, f'{missing.name} is not installed; pip install "chainrule[conformance]"')
    judged = Judged(load("triton"), "simulated")
    split = Split(0)
    plain = kernels = initial(split.random)
    epoch = list(batches(split.x, split.y, split.random))
    try:
        with progress("judging") as bar:
            for x, y in bar.track(epoch):
                plain, _ = step(OPS, plain, x, y, head)
                kernels, _ = step(judged, kernels, x, y, head)
        hits = {"composite": right(OPS, plain, split.x_test, split.y_test),
                "kernels": right(judged, kernels, split.x_test, split.y_test)}
    except ChainFault as fault:
        console.print(f"[bold red]FAIL[/] {fault}")
        return 1
    console.print(f"{len(epoch)} steps, every op judged on the inputs it was given; 1 is the limit\n")
    console.print(judgements(judged))
    console.print("\n" + " · ".join(f"{name} {k} of {len(split.x_test)} right ({k / len(split.x_test):.4f})"
                                    for name, k in hits.items()))
    return 0 if abs(hits["composite"] - hits["kernels"]) <= 1 else 1


if __name__ == "__main__":
    typer.run(main)
