"""Data-parallel training of an MLP on the handwritten digits of scikit-learn.

    torchrun --nproc-per-node 2 examples/train_ddp.py          # gloo on CPUs, nccl where there are GPUs

Every rank takes its share of each batch; with `share` the average over ranks is the deck's D over the whole batch,
also for the last, smaller one. λ regularises weights only.
"""

from __future__ import annotations

import argparse
import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel

from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.distributed import share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=100, help="examples of all ranks together")
    parser.add_argument("--lam", type=float, default=1e-3)
    options = parser.parse_args()

    on_gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    rank, ranks = dist.get_rank(), dist.get_world_size()

    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    learn, test = order[:1500], order[1500:]

    torch.manual_seed(0)
    net = DistributedDataParallel(nn.MLP([64, 128, 10], "relu").to(device))
    optimizer = optim.Adam(optim.param_groups(net, options.lam), lr=3e-3)
    for epoch in range(options.epochs):
        shuffled = learn[torch.randperm(len(learn), generator=torch.Generator().manual_seed(epoch))]
        for batch in shuffled.split(options.batch):
            mine = batch.tensor_split(ranks)[rank]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[mine].to(device)), y[mine].to(device)) * share(len(mine), device=device)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = (net.module(x[test].to(device)).argmax(1) == y[test].to(device)).float().mean().item()
        if rank == 0:
            print(f"epoch {epoch + 1}: {right:.3f} of {len(test)} test digits right")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
