"""Operations on whole blocks: logic, shapes, reductions and scans with functions of one's own."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .. import internals
from ..fault import KernelFault
from .registry import feature, integers, refused, same


@triton.jit
def merge(m1, s1, n1, m2, s2, n2):
    n = n1 + n2
    d = m2 - m1
    return m1 + d * (n2 / n), s1 + s2 + d * d * (n1 * n2 / n), n


@triton.jit
def moments(x, y, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, N))
    m, s, n = tl.reduce((v, tl.zeros_like(v), tl.full((N,), 1.0, tl.float32)), 0, merge)
    tl.store(y, m)
    tl.store(y + 1, s)
    tl.store(y + 2, n)


@triton.jit
def segment(a, fa, b, fb):
    return tl.where(fb > 0, b, a + b), tl.maximum(fa, fb)


@triton.jit
def scans(x, f, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    r, _ = tl.associative_scan((v, tl.load(f + i)), 0, segment)
    tl.store(y + i, r)
    tl.store(y + N + i, tl.cumsum(v, 0))
    tl.store(y + 2 * N + i, tl.cumsum(v, 0, reverse=True))


@triton.jit
def reduced(x, y, M: tl.constexpr, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :])
    i = tl.arange(0, M)
    tl.store(y + i, tl.argmax(v, 1))
    tl.store(y + M + i, tl.argmin(v, 1))
    tl.store(y + 2 * M + i, tl.xor_sum(v.to(tl.int32), 1))
    tl.store(y + 3 * M + i, tl.sum(v, 1, keep_dims=True).reshape(M).to(tl.int32))
    tl.store(y + 4 * M + i, tl.sum(v).to(tl.int32))
    tl.store(y + 5 * M + i, tl.max(tl.sort(v), 1).to(tl.int32))


@triton.jit
def shapes(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    pairs = tl.reshape(v, (N // 2, 2))
    left, right = tl.split(pairs)
    tl.store(y + i, tl.interleave(left, right))
    tl.store(y + N + i, tl.reshape(tl.trans(tl.permute(pairs, (1, 0))), (N,)))
    tl.store(y + 2 * N + i, tl.flip(v, 0))
    tl.store(y + 3 * N + i, tl.gather(v, N - 1 - i, 0))
    tl.store(y + 4 * N + i, tl.reshape(tl.join(left, right), (N,)))


@triton.jit
def logic(x, y, B: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.load(x + i)
    tl.store(y + i, tl.where(v > 0 and v < 5, 1, 0))
    tl.store(y + B + i, tl.where(v < 0 or v > 5, 1, 0))
    tl.store(y + 2 * B + i, tl.where(not (v > 0), 1, 0))
    tl.store(y + 3 * B + i, tl.where((v > 0) + (v > 5), 1, 0))        # int1 wraps around: 1 + 1 = 0
    tl.store(y + 4 * B + i, tl.where((v > 0) * (v > 5), 1, 0))


@triton.jit
def largest(x, y, z, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, N))
    tl.store(y, tl.max(v, 0))
    tl.store(z, tl.argmax(v, 0))


@triton.jit
def ascending(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.sort(tl.load(x + i)))


@triton.jit
def running(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.cumsum(tl.load(x + i), 0))


@triton.jit
def counted(x, y, N: tl.constexpr, BINS: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(y + tl.arange(0, BINS), tl.histogram(v, BINS, mask=i < N - 2))
    tl.store(y + BINS, tl.sum(v > 0, 0))


@feature("tl.reduce with a function of one's own")
def _() -> None:
    x, y = integers(1024), torch.empty(3)
    moments[(1,)](x, y, 1024)
    mean, spread, n = y.tolist()
    exact = x.double()
    assert n == 1024
    assert round(mean * 1024) == exact.sum()
    assert round(spread) == round(float(((exact - exact.mean()) ** 2).sum()))


@feature("tl.associative_scan, tl.cumsum, reversed")
def _() -> None:
    x, f, y = integers(64), (torch.rand(64) < 0.1).int(), torch.empty(3, 64)
    scans[(1,)](x, f, y, 64)
    running, segments = 0.0, []
    for value, start in zip(x.tolist(), f.tolist()):
        running = value if start else running + value
        segments.append(running)
    same(y, torch.stack([torch.tensor(segments), x.cumsum(0), x.flip(0).cumsum(0).flip(0)]))


@feature("argmax, argmin, xor_sum, keep_dims, sum of all, sort")
def _() -> None:
    x, y = integers(8, 32), torch.empty(6, 8, dtype=torch.int32)
    reduced[(1,)](x, y, 8, 32)
    whole = x.int()
    odd = whole[:, 0].clone()
    for column in range(1, 32):
        odd ^= whole[:, column]
    largest = torch.tensor([(row == row.max()).nonzero()[0, 0] for row in x])
    smallest = torch.tensor([(row == row.min()).nonzero()[0, 0] for row in x])
    total = whole.sum().expand(8)
    same(y, torch.stack([largest, smallest, odd, whole.sum(1), total, whole.max(1).values]).int())


@feature("reshape, split, join, interleave, permute, trans, flip, gather")
def _() -> None:
    x, y = integers(16), torch.empty(5, 16)
    shapes[(1,)](x, y, 16)
    same(y, torch.stack([x, x, x.flip(0), x.flip(0), x]))


@feature("and, or, not on blocks; sums and products of int1")
def _() -> None:
    x, y = integers(16), torch.empty(5, 16)
    logic[(1,)](x, y, 16)
    same(y, torch.stack([(x > 0) & (x < 5), (x < 0) | (x > 5), x <= 0, (x > 0) ^ (x > 5), x > 5]).float())


@feature("tl.max and tl.argmax in bf16, fp16, fp32; an argmax that meets NaN is refused: lanes disagree")
def _() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        x = torch.tensor([-5.0, -1, -7, -1, -3, -9, -2, -8]).to(dtype)
        y, z = torch.empty(1, dtype=dtype), torch.empty(1, dtype=torch.int32)
        largest[(1,)](x, y, z, 8)
        assert (y.item(), z.item()) == (-1, 1)
        x[4] = torch.nan
        with refused(KernelFault, "reduce"):
            largest[(1,)](x, y, z, 8)


@feature("tl.sort compares: what meets NaN stays where it came first, twice")
def _() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for first in ([1.0, torch.nan], [torch.nan, 1.0]):
            x, y = torch.tensor(first).to(dtype), torch.empty(2, dtype=dtype)
            ascending[(1,)](x, y, 2)
            same(y, x[:1].expand(2))


@feature("tl.cumsum of bf16: float32 until Triton 3.8, bf16 since 3.9")
def _() -> None:
    x, y = torch.tensor([256.0, 1, 1, 1]).bfloat16(), torch.empty(4)
    running[(1,)](x, y, 4)
    whole = torch.tensor([256.0, 257, 258, 259])
    kept = torch.tensor([256.0, 256, 258, 258])          # by doubling: 256, 256 + 1, 256 + 2, (256 + 1) + 2
    same(y, kept if internals.RELEASE >= (3, 9) else whole)


@feature("tl.histogram with a mask; a value beyond its bins is refused; a sum of int1 is int32")
def _() -> None:
    x, y = torch.tensor([0, 3, 1, 3, 3, 0, 2, 1], dtype=torch.int32), torch.empty(5, dtype=torch.int32)
    counted[(1,)](x, y, 8, 4)
    same(y, torch.tensor([2, 1, 0, 3, 6], dtype=torch.int32))
    x[0] = 4
    with refused(KernelFault, "histogram"):
        counted[(1,)](x, y, 8, 4)
