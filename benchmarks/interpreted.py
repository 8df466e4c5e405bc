"""Three launches in the simulator, or in Triton's interpreter where TRITON_INTERPRET=1 is set beforehand:
`python -m benchmarks.interpreted` prints the processor seconds of each as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
import triton
import triton.language as tl

from chainrule.conformance.simulator import simulate

ROUNDS = 2


@triton.jit
def product(a, b, c, N: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    m, n = tl.program_id(0) * BM + tl.arange(0, BM)[:, None], tl.program_id(1) * BN + tl.arange(0, BN)[None, :]
    total = tl.zeros((BM, BN), tl.float32)
    for first in range(0, N, BK):
        k = first + tl.arange(0, BK)
        x = tl.load(a + m * N + k[None, :], mask=(m < N) & (k[None, :] < N), other=0.0)
        y = tl.load(b + k[:, None] * N + n, mask=(k[:, None] < N) & (n < N), other=0.0)
        total = tl.dot(x, y, total, input_precision="ieee")
    tl.store(c + m * N + n, total, mask=(m < N) & (n < N))


@triton.jit
def softmax(x, y, N, BLOCK: tl.constexpr):
    row, j = tl.program_id(0).to(tl.int64) * N, tl.arange(0, BLOCK)
    z = tl.load(x + row + j, mask=j < N, other=-float("inf"))
    e = tl.exp(z - tl.max(z, 0))
    tl.store(y + row + j, e / tl.sum(e, 0), mask=j < N)


@triton.jit
def layer_norm(x, y, gamma, beta, N, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * N
    total = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, N, BLOCK):
        j = first + tl.arange(0, BLOCK)
        total += tl.load(x + row + j, mask=j < N, other=0.0)
    mu = tl.sum(total, 0) / N
    total = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, N, BLOCK):
        j = first + tl.arange(0, BLOCK)
        d = tl.where(j < N, tl.load(x + row + j, mask=j < N, other=0.0) - mu, 0.0)
        total += d * d
    scale = 1 / tl.sqrt(tl.sum(total, 0) / N + eps)
    for first in range(0, N, BLOCK):
        j = first + tl.arange(0, BLOCK)
        d = tl.load(x + row + j, mask=j < N, other=0.0) - mu
        g, b = tl.load(gamma + j, mask=j < N, other=0.0), tl.load(beta + j, mask=j < N, other=0.0)
        tl.store(y + row + j, d * scale * g + b, mask=j < N)


def subjects() -> Iterator[tuple[str, Callable[[], Any]]]:
    torch.manual_seed(0)
    a, b, c = torch.randn(512, 512), torch.randn(512, 512), torch.empty(512, 512)
    yield "product 512 x 512 x 512", lambda: product[(8, 8)](a, b, c, 512, 64, 64, 32)
    x, y = torch.randn(1024, 781), torch.empty(1024, 781)
    yield "softmax 1024 x 781", lambda: softmax[(1024,)](x, y, 781, 1024)
    u, v, g, d = torch.randn(512, 2000), torch.empty(512, 2000), torch.randn(2000), torch.randn(2000)
    yield "layer norm 512 x 2000", lambda: layer_norm[(512,)](u, v, g, d, 2000, 1e-5, 1024)


def seconds(launch: Callable[[], Any]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        launch()
        found.append(time.process_time() - start)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    with nullcontext() if os.environ.get("TRITON_INTERPRET") == "1" else simulate():
        print(json.dumps({name: seconds(launch) for name, launch in subjects()}))
