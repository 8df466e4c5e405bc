"""Data-parallel training of an MLP on the handwritten digits of scikit-learn.

    torchrun --nproc-per-node 2 examples/train_ddp.py              gloo on CPUs, nccl where there are GPUs
    torchrun --nproc-per-node 2 examples/train_ddp.py --shard      FSDP2: each rank keeps a part of every parameter

Every rank takes its share of each batch; with `share` the average over ranks is the deck's D over the whole batch,
also for the last, smaller one. λ regularises weights only.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import torch
import torch.distributed as dist
import typer
from common import console, needed, refuse
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.distributed import share

NAME, TRAINING = "train_ddp", 1500      # of 1,797 images; the others test


def main(
    epochs: Annotated[int, typer.Option(min=1)] = 5,
    batch: Annotated[int, typer.Option(min=1, help="examples of all ranks together")] = 100,
    lam: Annotated[float, typer.Option(min=0, help="λ, of weights only")] = 1e-3,
    shard: Annotated[bool, typer.Option("--shard", help="FSDP2 in place of DDP")] = False,
) -> None:
    """Train on several processes; run it under torchrun."""
    if "RANK" not in os.environ:
        refuse(NAME, "torchrun starts the processes: torchrun --nproc-per-node 2 examples/train_ddp.py")
    pixels, labels = needed(NAME, "sklearn.datasets", "scikit-learn").load_digits(return_X_y=True)
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        x, y = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
        train(x.to(device), y.to(device), epochs, batch, lam, shard)
    finally:
        dist.destroy_process_group()


def train(x: torch.Tensor, y: torch.Tensor, epochs: int, size: int, lam: float, shard: bool) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    learn, test = order[:TRAINING], order[TRAINING:]
    torch.manual_seed(0)
    plain = nn.MLP([64, 128, 10], "relu").to(x.device)
    net: Any = fully_shard(plain) if shard else DistributedDataParallel(plain)
    optimizer = optim.Adam(optim.param_groups(net, lam), lr=3e-3)
    for epoch in range(epochs):
        shuffled = learn[torch.randperm(len(learn), generator=torch.Generator().manual_seed(epoch))]
        for chosen in shuffled.split(size):
            mine = chosen.tensor_split(ranks)[rank]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[mine]), y[mine]) * share(len(mine), device=x.device)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = float((net(x[test]).argmax(1) == y[test]).float().mean())
        if rank == 0:
            console.print(f"epoch {epoch + 1}: {right:.3f} of {len(test)} test digits right")


if __name__ == "__main__":
    typer.run(main)
