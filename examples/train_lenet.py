"""The deck's Net and LeNet learn Fashion-MNIST; convolution, pooling, layers, loss and optimizer are this library's.

    python examples/train_lenet.py               both networks, ours and the deck's own learning rate, pictures
    python examples/train_lenet.py --simulate    30 steps of LeNet through the Triton kernels, every op judged

Net's slide calls self.num_flat_features(x), which it never defines: it is the product of all sizes but the batch's,
16 · 6 · 6 = 576, and `flatten(1)` needs no such number. The slide's images have 32 × 32 pixels; these get zeros around.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from common import console, needed
from fashion import FOLDER, Images
from torch.optim.lr_scheduler import ConstantLR, OneCycleLR
from training import Run, Tick, fit, images, report, steps, watched

from chainrule.triton_kernels import nn, optim

NAME, BATCH = "train_lenet", 64


class Which(StrEnum):
    """Net has filters of 3 × 3, as on its slide: 81,194 parameters; LeNet has 5 × 5: 61,706."""

    net = "net"
    lenet = "lenet"
    both = "both"


NETWORKS = {Which.net: nn.Net, Which.lenet: nn.LeNet}


FEW = 10_000            # images, with which three epochs teach nothing


class Rate(StrEnum):
    """How a step is taken: momentum with a rate that rises and falls, or the slide's plain SGD with lr = 0.01."""

    ours = "momentum, one cycle"
    deck = "the deck's lr = 0.01"


def train(which: Which, rate: Rate, data: Images, epochs: int, seed: int, tick: Tick = lambda: None) -> Run:
    """The same seed gives the same numbers, bit for bit."""
    torch.manual_seed(seed)
    network = NETWORKS[which]()
    optimizer, schedule = stepping(network, rate, steps(data, BATCH, epochs))
    return fit(network, optimizer, schedule, data, BATCH, epochs, seed, tick)


def stepping(network: nn.Net, rate: Rate, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    if rate is Rate.deck:
        optimizer = optim.SGD(network.parameters(), lr=0.01)
        return optimizer, ConstantLR(optimizer, 1.0)
    optimizer = optim.SGD(network.parameters(), lr=0.08, momentum=0.9, nesterov=True)
    return optimizer, OneCycleLR(optimizer, 0.08, total_steps=steps, pct_start=0.2)


def main(
    which: Annotated[Which, typer.Option("--net", help="which network")] = Which.both,
    epochs: Annotated[int | None, typer.Option(min=1, help="3, and 20 on the few digits")] = None,
    seed: Annotated[int, typer.Option(help="of the first weights and the order of the images")] = 0,
    simulate: Annotated[bool, typer.Option("--simulate", help="30 steps through the kernels, every op judged")] = False,
    data: Annotated[Path, typer.Option(help="the folder with Fashion-MNIST's four files")] = FOLDER,
    out: Annotated[Path, typer.Option(help="where pictures and checkpoints go")] = Path("build/lenet"),
) -> None:
    """Train the deck's Net and LeNet on Fashion-MNIST."""
    torch.set_num_threads(1)        # layers this small gain nothing from more, and sums keep one order everywhere
    found = images(NAME, data)
    if simulate:
        needed(NAME, "chainrule.conformance.training.chains", '"chainrule[conformance]"')
        from lenet_simulated import simulated

        raise typer.Exit(simulated(found, console))
    if epochs is None:
        epochs = 3 if len(found.y) > FEW else 20
    runs = {}
    for one in NETWORKS if which is Which.both else [which]:
        for rate in Rate:
            runs[one.value, rate.value] = watched(
                f"{one.value:6} {rate.value}", steps(found, BATCH, epochs),
                lambda tick: train(one, rate, found, epochs, seed, tick))                                   # noqa: B023
    kept = {name: (name, rate) for name, rate in runs if rate == Rate.ours}
    report(runs, kept, found, out, "network", "steps")


if __name__ == "__main__":
    typer.run(main)
