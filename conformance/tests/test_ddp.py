"""Data-parallel training: on dyadic data one step on shards is the step on the whole batch, bit for bit."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.distributed import share

EXAMPLES = 8


def dyadic(*shape, seed):
    return torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(seed)).float()


def network():
    net = nn.MLP([4, 6, 2], "relu")
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(dyadic(*p.shape, seed=i) / 2)
    return net


def batch():
    return dyadic(EXAMPLES, 4, seed=10), dyadic(EXAMPLES, 2, seed=11)


def train(net, x, y, weight, steps=1, kernels=False):
    """Steps of SGD on the mean square loss with λ = 1/4 for the weights; the optimizer."""
    optimizer = optim.SGD(optim.param_groups(net, 0.25), lr=2.0**-5)
    with simulate(check=False) if kernels else contextlib.nullcontext():
        for _ in range(steps):
            optimizer.zero_grad()
            (F.mse_loss(net(x), y) * weight).backward()
            optimizer.step()
    return optimizer


def whole(kernels):
    net = network()
    train(net, *batch(), 1.0, kernels=kernels)
    return [p.detach() for p in net.parameters()]


def linear(ranks=None):
    """A single layer keeps its mantissas for three steps."""
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        for i, p in enumerate(layer.parameters()):
            p.copy_(dyadic(*p.shape, seed=i))
    return layer


def mine(rank, world):
    """This rank's examples: unequal where the batch does not divide."""
    return [t.tensor_split(world)[rank] for t in batch()]


def worker(rank, world, port):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        x, y = mine(rank, world)
        weight = share(len(x))
        assert (weight == 1) == (EXAMPLES % world == 0)
        for kernels in (False, True):
            net = DistributedDataParallel(network())
            train(net, x, y, weight, kernels=kernels)
            for p, wanted in zip(net.parameters(), whole(kernels), strict=True):
                assert torch.equal(p, wanted), f"rank {rank} of {world}, kernels {kernels}"
        single, alone = DistributedDataParallel(linear()), linear()
        train(single, x, y, weight, steps=3)
        train(alone, *batch(), 1.0, steps=3)
        for p, wanted in zip(single.parameters(), alone.parameters(), strict=True):
            assert torch.equal(p, wanted)
        sharded(rank, world, x, y, weight)
        with pytest.raises(ValueError, match="no rank has an example"):
            share(0)
    finally:
        dist.destroy_process_group()


def sharded(rank, world, x, y, weight):
    """FSDP2: each rank steps its own part of every parameter."""
    net = network()
    fully_shard(net, mesh=init_device_mesh("cpu", (world,)))
    optimizer = train(net, x, y, weight)
    for p, wanted in zip(net.parameters(), whole(False), strict=True):
        assert torch.equal(p.full_tensor(), wanted), f"FSDP, rank {rank} of {world}"
    adam = optim.Adam(net.parameters())
    (F.mse_loss(net(x), y) * weight).backward()
    adam.step()
    assert all(type(state["exp_avg"]) is type(p) for p, state in adam.state.items())
    with pytest.raises(TypeError, match="sharded parameter"):
        optim.LAMB(net.parameters()).step()
    assert optimizer.state_dict()["param_groups"][0]["weight_decay"] == 0.25


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_one_step_on_shards_is_the_step_on_the_whole_batch(world):
    torch.multiprocessing.spawn(worker, args=(world, free_port()), nprocs=world)


@pytest.mark.slow
def test_the_example_learns():
    example = Path(__file__).resolve().parents[2] / "examples" / "train_ddp.py"
    if not example.exists():
        pytest.skip("not judged: the examples are not installed")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         str(free_port()), str(example), "--epochs", "3", "--batch", "97"],
        capture_output=True, text=True, env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.splitlines()[-1].split()[2]) >= 0.85
