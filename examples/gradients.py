"""Why is ReLU better than sigmoid? The gradient's norm layer by layer, and what it does to training.

    python examples/gradients.py                 build/gradients.png and a table

Going back, bp.delta.rec multiplies by g′ in every layer. The sigmoid's is at most 1/4, so where weights keep lengths
(‖Θ‖ = 1) a layer leaves at most a quarter of the gradient: ‖∂ℒ/∂a(l)‖ ≤ ¼ ‖∂ℒ/∂a(l+1)‖. The slide “Common training
issues” (claim.training) says that gradients “can blow up or go to zero”, and names batch norm and ResNet. All four
networks begin with filters of one kind: orthogonal in the middle of 3 × 3, zero around; times √2 under a ReLU, which
passes half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from common import columns, console, picture_file, pictures, progress, refuse
from fashion import FOLDER, Images
from torch import Tensor
from training import batches, images

from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim

NAME, CHANNELS, BATCH = "gradients", 16, 64
ETA, LATE = 0.02, 50


def layers(act: str) -> Callable[[int], list[torch.nn.Module]]:
    return lambda depth: [nn.ConvActPool(CHANNELS, CHANNELS, 3, act, pool=False, padding=1) for _ in range(depth)]


def blocks(norm: bool) -> Callable[[int], list[torch.nn.Module]]:
    return lambda depth: [nn.ResidualBlock(CHANNELS, norm=norm) for _ in range(depth // 2)]


NETWORKS = {"sigmoid": layers("sigmoid"), "ReLU": layers("relu"), "residual": blocks(False),
            "residual, batch norm": blocks(True)}


class Deep(torch.nn.Module):
    """A convolution of stride 4, `depth` layers of 16 channels on 8 × 8, the mean over all places, one full layer."""

    def __init__(self, kind: str, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 3, stride=4, padding=1)
        self.middle = torch.nn.ModuleList(NETWORKS[kind](depth))
        self.last = nn.Linear(CHANNELS, 10)
        gain = 1.0 if kind == "sigmoid" else 2**0.5
        for module in self.middle.modules():
            if isinstance(module, torch.nn.Conv2d):
                keeping_lengths(module, gain)

    def outputs(self, x: Tensor) -> list[Tensor]:
        """a of the first layer and of every one in the middle, then the last z."""
        a = [self.first(x)]
        for layer in self.middle:
            a.append(layer(a[-1]))
        return [*a, self.last(a[-1].mean((2, 3)))]


@torch.no_grad()
def keeping_lengths(conv: torch.nn.Conv2d, gain: float) -> None:
    """Every place's channels turned, nothing of its neighbours: ‖Θ x‖ = gain ‖x‖."""
    conv.weight.zero_()
    torch.nn.init.orthogonal_(conv.weight[:, :, 1, 1], gain)
    if conv.bias is not None:
        conv.bias.zero_()


class Shown(NamedTuple):
    """(layer, ‖∂ℒ/∂a‖ there over that behind the last) from the input on, and the loss of every step."""

    norms: list[tuple[int, float]]
    losses: list[float]


def norms(network: Deep, x: Tensor, y: Tensor, depth: int) -> list[tuple[int, float]]:
    *a, z = network.outputs(x)
    found = [float(d.norm()) for d in torch.autograd.grad(F.cross_entropy(z, y), a)]
    apart = depth // (len(a) - 1)
    return [(l * apart, one / found[-1]) for l, one in enumerate(found)]


def shown(kind: str, depth: int, steps: int, data: Images, seed: int, tick: Callable[[], None] = lambda: None) -> Shown:
    torch.manual_seed(seed)
    network, order = Deep(kind, depth), torch.Generator().manual_seed(seed)
    first = next(batches(data, 4 * BATCH, order))
    before = norms(network, *first, depth)
    optimizer = optim.SGD(network.parameters(), lr=ETA, momentum=0.9)
    losses = []
    for (x, y), _ in zip(endless(data, order), range(steps)):
        loss = F.cross_entropy(network.outputs(x)[-1], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        tick()
    return Shown(before, losses)


def endless(data: Images, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from batches(data, BATCH, order)


def main(
    depth: Annotated[int, typer.Option(min=2, help="layers, an even number: a residual block has two")] = 20,
    steps: Annotated[int, typer.Option(min=1, help="of training")] = 300,
    seed: Annotated[int, typer.Option(help="of the first weights and the order of the images")] = 0,
    data: Annotated[Path, typer.Option(help="the folder with Fashion-MNIST's four files")] = FOLDER,
    out: Annotated[Path, typer.Option(help="where the picture goes")] = Path("build/gradients.png"),
) -> None:
    """Draw the gradient's norm by layer, and the training loss, of four deep networks."""
    if depth % 2:
        refuse(NAME, f"--depth {depth}: a residual block has two layers; give an even number")
    if (picture := pictures("gradient_picture")) is not None:
        out = picture_file(NAME, out)
    torch.set_num_threads(1)        # sums keep one order everywhere
    found = images(NAME, data)
    table = columns("network", "per layer", f"{depth} layers", "first loss", "last loss", words=1)
    seen = {}
    for kind in NETWORKS:
        with progress(f"{kind:20}") as bar:
            task = bar.add_task("", total=steps)
            one = seen[kind] = shown(kind, depth, steps, found, seed, lambda: bar.advance(task))            # noqa: B023
        whole, late = one.norms[0][1], one.losses[-LATE:]
        table.add_row(kind, f"{whole ** (1 / depth):.3f}", f"{whole:.2g}", f"{one.losses[0]:.2f}",
                      f"{sum(late) / len(late):.2f}")
    console.print(f"what of ‖∂ℒ/∂a‖ is left before training, per layer and in all; loss of the last {LATE} steps\n")
    console.print(table)
    if picture is not None:
        picture.draw(seen, depth, ETA, found.name, out)
        console.print(f"[dim]picture: {out}[/]")


if __name__ == "__main__":
    typer.run(main)
