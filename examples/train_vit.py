"""A small vision transformer learns Fashion-MNIST: patches, attention, layer norm and optimizer are this library's.

    python examples/train_vit.py                 five epochs, curves, confusion, what the class token looks at
    python examples/train_vit.py --resume        goes on after the last whole epoch, to the same numbers, bit for bit

16 patches of 7 × 7 pixels and a class token, three blocks of four heads. Each training image is mirrored every other
time (slide “Real networks”: augmentation), digits are not. AdamW with λ on weights only; its rate rises for an epoch's
fifth and falls as a cosine.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated, Any

import torch
import typer
from common import console, pictures, refuse
from fashion import CLOTHES, FOLDER, Images
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from training import Run, Tick, answers, batches, images, report, steps, watched

from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim

NAME, BATCH = "train_vit", 32
SIDE, PATCH, EDGE = 28, 7, 2                 # images come with EDGE zeros around them
ETA, LAM, WARM = 2e-3, 0.05, 0.2             # of an epoch
WIDTH, HEADS, HIDDEN, BLOCKS = 64, 4, 128, 3


def network(classes: int) -> nn.VisionTransformer:
    return nn.VisionTransformer(SIDE, PATCH, BLOCKS, HEADS, WIDTH, HIDDEN, num_classes=classes, in_channels=1)


def turned(x: Tensor, draw: torch.Generator) -> Tensor:
    """Each image, mirrored every other time."""
    return torch.where(torch.rand(len(x), 1, 1, 1, generator=draw) < 0.5, x.flip(3), x)


def cropped(x: Tensor) -> Tensor:
    return x[:, :, EDGE:-EDGE, EDGE:-EDGE]


class Training:
    """All that a training is after some whole epochs; `state` is what a file keeps of it."""

    def __init__(self, data: Images, epochs: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.data = data._replace(x=cropped(data.x), x_test=cropped(data.x_test))
        self.network = network(len(data.classes))
        self.optimizer = optim.AdamW(optim.param_groups(self.network, LAM), lr=ETA)
        warm, whole = max(1, int(WARM * steps(data, BATCH, 1))), steps(data, BATCH, epochs)
        self.schedule = LambdaLR(self.optimizer, lambda step: min(
            (step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * min(max(step - warm, 0) / max(whole - warm, 1), 1))))
        self.draw = torch.Generator().manual_seed(seed)
        self.losses, self.accuracies, self.seconds = list[float](), list[float](), 0.0
        self.made = {"seed": seed, "epochs": epochs, "data": data.name}

    def epoch(self, tick: Tick = lambda: None) -> None:
        start, mirrored = time.perf_counter(), self.data.classes == CLOTHES
        for x, y in batches(self.data, BATCH, self.draw):
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.network(turned(x, self.draw) if mirrored else x), y)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            self.losses.append(loss.item())
            tick()
        self.accuracies.append(float((self.said() == self.data.y_test).float().mean()))
        self.seconds += time.perf_counter() - start

    def said(self) -> Tensor:
        return answers(self.network, self.data.x_test)

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(), "draw": self.draw.get_state(), "losses": self.losses,
                "accuracies": self.accuracies, "seconds": self.seconds, "made": self.made}

    def load(self, state: dict[str, Any]) -> None:
        if state["made"] != self.made:
            raise ValueError(f"it was made with {state['made']}, not with {self.made}; give it the same options")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.draw.set_state(state["draw"])
        self.losses, self.accuracies = list(state["losses"]), list(state["accuracies"])
        self.seconds = state["seconds"]


def train(training: Training, until: int, file: Path | None, tick: Tick = lambda: None) -> Run:
    """Epoch after epoch; after each the file is written anew, whole or not at all."""
    while len(training.accuracies) < until:
        training.epoch(tick)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(training.state(), file.with_suffix(".partial"))
            file.with_suffix(".partial").replace(file)
    return Run(training.network, training.losses, training.accuracies, training.said(), training.seconds)


@torch.no_grad()
def attention(network: nn.VisionTransformer, x: Tensor) -> Tensor:
    """P of the class token over the patches in the last block, (B, heads, rows, columns). The kernels keep no P."""
    z = network.embedding(x)
    *before, last = network.layers
    for layer in before:
        z = layer(z)
    own = last.self_attn
    qkv = F.linear(last.norm1(z), own.in_proj_weight, own.in_proj_bias)
    q, k, _ = qkv.view(*z.shape[:2], 3, own.num_heads, own.head_dim).permute(2, 0, 3, 1, 4)
    P = F.softmax(q[:, :, 0:1] @ k.transpose(2, 3) / math.sqrt(own.head_dim), dim=3)
    rows, columns = (n // PATCH for n in x.shape[2:])
    return P[:, :, 0, 1:].unflatten(2, (rows, columns))


def main(
    epochs: Annotated[int | None, typer.Option(min=1, help="5, and 40 on the few digits")] = None,
    seed: Annotated[int, typer.Option(help="of the first weights, the order of the images, which are mirrored")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on where OUT/last.pt ends")] = False,
    threads: Annotated[int, typer.Option(min=1, help="more are slower here, and sums differ in their last digits")] = 1,
    data: Annotated[Path, typer.Option(help="the folder with Fashion-MNIST's four files")] = FOLDER,
    out: Annotated[Path, typer.Option(help="where pictures and checkpoints go")] = Path("build/vit"),
) -> None:
    """Train a small vision transformer on Fashion-MNIST."""
    torch.set_num_threads(threads)
    found, file = images(NAME, data), out / "last.pt"
    epochs = (5 if found.classes == CLOTHES else 40) if epochs is None else epochs
    training = Training(found, epochs, seed)
    if resume:
        try:
            training.load(torch.load(file, weights_only=True))
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, UnpicklingError) as fault:
            refuse(NAME, f"--resume: {file}: {str(fault).splitlines()[0]}")
        console.print(f"after {len(training.accuracies)} of {epochs} epochs")
    run = watched("vision transformer", steps(found, BATCH, epochs - len(training.accuracies)),
                  lambda tick: train(training, epochs, file, tick))
    name = "vision transformer", "AdamW"
    report({name: run}, {"vit": name}, found, out, "network", "steps")
    if (draw := pictures("image_pictures")) is not None:
        first = [int((found.y_test == k).nonzero()[0]) for k in range(len(found.classes))]
        x = cropped(found.x_test[first])
        draw.looks(x[:, 0], attention(training.network, x), found.classes,
                   f"what the class token looks at, by head: {found.name}, the first test image of each class",
                   out / "attention.png")


if __name__ == "__main__":
    typer.run(main)
