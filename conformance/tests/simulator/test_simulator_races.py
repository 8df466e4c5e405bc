"""Races between programs and between lanes: every kind planted and caught; the honest twin passes in any order."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.simulator import KernelFault, simulate


@triton.jit
def all_programs_store_one(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    p = tl.program_id(0)
    i = tl.arange(0, B)
    tl.store(y + (0 if BUG else p) * B + i, tl.load(x + i) + p)


@triton.jit
def neighbour_of_output(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y + i, tl.load(x + i, mask=i < n), mask=i < n)
    other = (i + B) % n if BUG else i
    tl.store(x + i, tl.load(y + other, mask=i < n), mask=i < n)


@triton.jit
def shifted_in_place(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    v = tl.load(x + i + (B if BUG else 0), mask=i + B < n, other=0.0)
    tl.store(x + i, v, mask=i < n)


@triton.jit
def sum_not_atomic(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.load(x + tl.program_id(0) * B + i)
    if BUG:
        tl.store(y + i, tl.load(y + i) + v)
    else:
        tl.atomic_add(y + i, v)


@triton.jit
def read_beside_atomics(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    tl.atomic_add(y, 1.0)
    if BUG:
        tl.store(x + tl.program_id(0), tl.load(y))


@triton.jit
def one_atomic_one_plain(x, y, n, B: tl.constexpr, KIND: tl.constexpr, BUG: tl.constexpr):
    p = tl.program_id(0)
    i = tl.arange(0, B) + (0 if BUG else p * B)
    if (p == 0) == (KIND != "store, atomic"):
        tl.atomic_add(y + i, tl.load(x + i))
    elif KIND == "atomic, load":
        tl.store(x + p * B + tl.arange(0, B), tl.load(y + i))
    else:
        tl.store(y + i, tl.load(x + i))


@triton.jit
def last_reader_stores(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    p = tl.program_id(0)
    i = tl.arange(0, B)
    v = tl.load((x if BUG else x + p * B) + i)
    if p == tl.num_programs(0) - 1:
        tl.store((x if BUG else x + p * B) + i, v + 1)


@triton.jit
def last_one_sums(x, y, count, n, B: tl.constexpr, BUG: tl.constexpr):
    p = tl.program_id(0)
    i = tl.arange(0, B)
    tl.store(x + p * B + i, tl.zeros((B,), tl.float32) + p)
    if BUG:
        done = tl.load(count) + p + 1
    else:
        done = tl.atomic_add(count, 1) + 1
    if done == tl.num_programs(0):
        total = tl.zeros((B,), tl.float32)
        for q in range(tl.num_programs(0)):
            total += tl.load(x + q * B + i)
        tl.store(y + i, total)


@triton.jit
def lanes_collide(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.load(x + i)
    tl.store(y + i // 2, v if BUG else tl.load(x + i // 2))


def vectors(n=40, m=None):
    return torch.arange(float(n)), torch.zeros(m or n), n


@triton.jit
def overlapping_stores(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    at = tl.program_id(0) * (B // 2 if BUG else B) + i
    tl.store(y + at, tl.load(x + at))


@triton.jit
def overlapping_loads(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    """Each element is read by two programs in one load, the later of which stores it."""
    i = tl.arange(0, B)
    at = tl.program_id(0) * (B // 2) + i
    v = tl.load(x + at)
    tl.store((x if BUG else y) + at, v + 1, mask=i < B // 2)


BUGS = {
    "stores overlap": (overlapping_stores, (3,), lambda: (*vectors(96), 32), "write race"),
    "loads overlap": (overlapping_loads, (3,), lambda: (*vectors(96), 32), "read/write race"),
    "write race": (all_programs_store_one, (3,), lambda: (*vectors(32, 96), 32), "write race"),
    "read what another wrote": (neighbour_of_output, (2,), lambda: (*vectors(64), 32), "read/write race"),
    "overwrite what another reads": (shifted_in_place, (2,), lambda: (*vectors(64), 32), "read/write race"),
    "sum without atomics": (sum_not_atomic, (3,), lambda: (torch.ones(96), torch.zeros(32), 96, 32),
                            "read/write race"),
    "plain read beside atomics": (read_beside_atomics, (2,), lambda: (torch.zeros(2), torch.zeros(1), 1, 1),
                                  "read/write race"),
    "load beside vector atomics": (one_atomic_one_plain, (2,), lambda: (*vectors(64), 32, "atomic, load"),
                                   "read/write race"),
    "store beside vector atomics": (one_atomic_one_plain, (2,), lambda: (*vectors(64), 32, "atomic, store"),
                                    "read/write race"),
    "atomics upon a store": (one_atomic_one_plain, (2,), lambda: (*vectors(64), 32, "store, atomic"),
                             "read/write race"),
    "many read, one of them stores": (last_reader_stores, (3,), lambda: (*vectors(96), 32), "read/write race"),
    "last program without a semaphore": (
        last_one_sums, (4,), lambda: (torch.zeros(64), torch.zeros(16), torch.zeros(1).int(), 4, 16),
        "read/write race"),
    "lanes collide": (lanes_collide, (1,), lambda: (*vectors(32), 32), "lane collision"),
}


def run(name, bug, **options):
    kernel, grid, arguments, _ = BUGS[name]
    with simulate(**options) as sim:
        kernel[grid](*arguments(), BUG=bug)
    return sim


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_is_caught(name):
    kernel, _, _, check = BUGS[name]
    with pytest.raises(KernelFault) as caught:
        run(name, bug=True)
    assert caught.value.check == check
    assert caught.value.kernel == kernel.fn.__name__
    assert str(caught.value).startswith(f"{kernel.fn.__name__}, program (")


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", BUGS)
def test_honest_twin_passes(name, order):
    assert run(name, bug=False, order=order).launches == 1


def test_unchecked_simulation_lets_races_pass():
    for name in BUGS:
        assert run(name, bug=True, check=False).launches == 1
