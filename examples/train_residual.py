"""A small residual network learns Fashion-MNIST in two epochs, with batch norm and without, all else being equal.

    python examples/train_residual.py            both networks, curves, confusion, checkpoints

A convolution of stride 2, three residual blocks of 16, 32 and 64 channels (net.residual.block), the mean over all
places, one full layer. Nesterov's momentum, λ on weights only, torch's one-cycle schedule. The slide “Common training
issues” (claim.training) says that batch norm helps; `examples/gradients.py` shows what it helps against.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import typer
from fashion import FOLDER, Images
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from training import Run, Tick, fit, images, report, steps, watched

from chainrule.triton_kernels import nn, optim

NAME, BATCH = "train_residual", 64
ETA, LAM = 0.1, 5e-4
CHANNELS = (16, 16, 32, 64)
LABELS = {True: "batch norm", False: "no batch norm"}


class ResNet(torch.nn.Module):
    """net.residual.block thrice, each but the first halving the image."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS[0], 3, stride=2, padding=1)
        self.blocks = torch.nn.Sequential(
            *(nn.ResidualBlock(c, out, 1 if i == 0 else 2, norm) for i, (c, out) in enumerate(pairwise(CHANNELS))))
        self.last = nn.Linear(CHANNELS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.last(self.blocks(self.first(x)).mean((2, 3)))
        return z


def train(norm: bool, data: Images, epochs: int, seed: int, tick: Tick = lambda: None) -> Run:
    """The same seed gives the same numbers, bit for bit."""
    torch.manual_seed(seed)
    network = ResNet(norm)
    optimizer = optim.SGD(optim.param_groups(network, LAM), lr=ETA, momentum=0.9, nesterov=True)
    schedule = OneCycleLR(optimizer, ETA, total_steps=steps(data, BATCH, epochs), pct_start=0.2)
    return fit(network, optimizer, schedule, data, BATCH, epochs, seed, tick)


def main(
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    seed: Annotated[int, typer.Option(help="of the first weights and the order of the images")] = 0,
    data: Annotated[Path, typer.Option(help="the folder with Fashion-MNIST's four files")] = FOLDER,
    out: Annotated[Path, typer.Option(help="where pictures and checkpoints go")] = Path("build/residual"),
) -> None:
    """Train a small residual network on Fashion-MNIST, with batch norm and without."""
    torch.set_num_threads(1)        # sums keep one order everywhere
    found = images(NAME, data)
    runs = {("residual", name): watched(f"{name:13}", steps(found, BATCH, epochs),
                                        lambda tick, norm=norm: train(norm, found, epochs, seed, tick))
            for norm, name in LABELS.items()}
    report(runs, {"batch-norm": ("residual", LABELS[True])}, found, out, "network", "norm")


if __name__ == "__main__":
    typer.run(main)
