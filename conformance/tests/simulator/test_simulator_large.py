"""Tensors as large as a GPU's memory: the sanitizer costs what a kernel touches, and offsets that wrap are found."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.simulator import KernelFault, simulate, tables
from chainrule.conformance.simulator.memory import elements

GB = 1 << 30


@triton.jit
def copy_rows(x, y, width, first, WIDE: tl.constexpr, N: tl.constexpr):
    row = first + tl.program_id(0)
    if WIDE:
        row = row.to(tl.int64)
    i = tl.arange(0, N)
    tl.store(y + tl.program_id(0) * N + i, tl.load(x + row * width + i))


@triton.jit
def mark(x, at, N: tl.constexpr):
    tl.store(x + tl.load(at + tl.program_id(0)) + tl.arange(0, N), 7)


@triton.jit
def both_mark(x, at, N: tl.constexpr):
    tl.store(x + tl.load(at) + tl.arange(0, N), 7)


def grown(run):
    """How far this process's greatest memory grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def untouched(size):
    """Bytes that nobody has written: they take no memory."""
    return torch.from_numpy(tables.zeros(size, np.uint8))


def test_an_offset_that_wraps_is_found():
    rows, width = 70_000, 40_000                          # 2.8 · 10⁹ elements
    x, y = untouched(rows * width), torch.zeros(2, 64, dtype=torch.uint8)
    x[60_000 * width] = 9

    def wraps():
        with pytest.raises(KernelFault, match="does not fit int32") as caught, simulate():
            copy_rows[(2,)](x, y, width, 60_000, False, 64)
        assert caught.value.check == "integer overflow"
        with pytest.raises(KernelFault, match="before its first") as caught, simulate(overflow=False):
            copy_rows[(2,)](x, y, width, 60_000, False, 64)
        assert caught.value.check == "out of bounds"

    assert grown(wraps) < GB
    with simulate() as sim:
        copy_rows[(2,)](x, y, width, 60_000, True, 64)
    assert y[0, 0] == 9
    assert sim.bytes_read == sim.bytes_written == 128


def test_a_view_of_four_thousand_million_elements():
    x = untouched(2**32 + 4096)[:2**32]
    at = torch.tensor([5, 2**31 + 3, 2**32 - 16])

    def touches():
        with simulate() as sim:
            mark[(3,)](x, at, 16)
            assert sim.bytes_written == 48
            with pytest.raises(KernelFault, match="1 past its last"):
                mark[(1,)](x, torch.tensor([2**32 - 15]), 16)
            with pytest.raises(KernelFault, match="write race"):
                both_mark[(2,)](x, at[1:], 16)
            assert sim.stored(x[2**32 - 40:]).tolist() == [False] * 24 + [True] * 16

    assert grown(touches) < GB
    assert x[2**31 + 3:2**31 + 19].tolist() == [7] * 16


def test_every_second_column_of_a_large_matrix():
    x = untouched(2**31).view(2**21, 1024)[:, ::2]
    with simulate(), pytest.raises(KernelFault, match="between its elements"):
        mark[(1,)](x, torch.tensor([2**30]), 16)
    assert not x[2**20].any()


@pytest.mark.parametrize("seed", range(30))
def test_places_are_computed_as_they_are_laid_out(seed, monkeypatch):
    random = np.random.default_rng(seed)
    base = torch.zeros(tuple(random.integers(1, 6, 4)))
    steps = tuple(slice(int(random.integers(0, n)), None, int(random.integers(1, 3))) for n in base.shape)
    view = base[steps].permute(*random.permutation(4).tolist())
    if seed % 3 == 0:
        view = view[:1].expand(3, *view.shape[1:])
    listed = elements(tuple(view.shape), view.stride())
    elements.cache_clear()
    monkeypatch.setattr(tables, "LARGE", 0)
    computed = elements(tuple(view.shape), view.stride())
    elements.cache_clear()
    if listed is None:
        assert computed is None
    else:
        assert (computed[np.arange(len(listed), dtype=np.uint64)] == listed).all()
