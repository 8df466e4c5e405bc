"""Launches, bytes and stored elements, against numbers worked out by hand."""

from __future__ import annotations

import gc

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from chainrule.conformance.simulator import simulate


@triton.jit
def copy(x, y, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y + i, tl.load(x + i, mask=i < n).to(y.dtype.element_ty), mask=i < n)


@triton.jit
def copy_columns(x, y, sx, sy, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i * sy, tl.load(x + i * sx, mask=i < n), mask=i < n)


@triton.jit
def row_sums(x, y, N: tl.constexpr, B: tl.constexpr):
    total = tl.zeros((1,), tl.float32)
    for _ in range(3):                                     # reads every row three times
        total += tl.sum(tl.load(x + tl.program_id(0) * N + tl.arange(0, B)))
    tl.store(y + tl.program_id(0) + tl.arange(0, 1), total)


@triton.jit
def count(x, c, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.atomic_add(c, tl.sum((tl.load(x + i, mask=i < n, other=0.0) > 0).to(tl.int32)))


@triton.jit
def copy_both(x, halves_of_x, y, halves_of_y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.load(x + i))
    tl.store(halves_of_y + i // 2, tl.load(halves_of_x + i // 2))


@triton.jit
def copy_blocks(source, target, M, B: tl.constexpr):
    for i in range(tl.cdiv(M, B)):
        target.store([i * B, 0], source.load([i * B, 0]))


def test_bytes_of_a_copy():
    x, y = torch.rand(100), torch.empty(100, dtype=torch.bfloat16)
    with simulate() as sim:
        copy[(4,)](x, y, 100, 32)
        copy[(4,)](x, y, 100, 32)
    assert sim.launches == 2
    assert sim.bytes_read == 2 * 100 * 4
    assert sim.bytes_written == 2 * 100 * 2
    assert sim.bytes_requested == sim.bytes_read + sim.bytes_written


def test_unique_and_requested_bytes_differ():
    x, y = torch.rand(5, 16), torch.empty(5)
    with simulate() as sim:
        row_sums[(5,)](x, y, 16, 16)
    assert sim.bytes_read == 5 * 16 * 4
    assert sim.bytes_written == 5 * 4
    assert sim.bytes_requested == 3 * sim.bytes_read + sim.bytes_written


def test_per_kernel():
    x, y, c = torch.rand(64), torch.empty(64), torch.zeros(1, dtype=torch.int32)
    with simulate() as sim:
        copy[(2,)](x, y, 64, 32)
        count[(2,)](x, c, 64, 32)
        count[(2,)](x, c, 64, 32)
    assert {name: moved.launches for name, moved in sim.kernels.items()} == {"copy": 1, "count": 2}
    assert sim.kernels["count"].bytes_read == 2 * (64 * 4 + 4)         # an atomic reads and writes
    assert sim.kernels["count"].bytes_written == 2 * 4
    assert sim.kernels["copy"].bytes_requested == 2 * 64 * 4
    assert sim.bytes_read == sum(moved.bytes_read for moved in sim.kernels.values())


def test_two_views_of_one_tensor_count_once():
    x = torch.rand(32)
    with simulate() as sim:
        copy_columns[(1,)](x, x.view(2, 16)[1], 0, 1, 16, 16)          # reads x[0], writes the second half
    assert sim.bytes_read == 4
    assert sim.bytes_written == 64
    assert sim.stored(x).tolist() == [False] * 16 + [True] * 16


def test_views_of_different_element_sizes():
    x, y = torch.rand(8), torch.empty(8)
    with simulate() as sim:
        copy_both[(1,)](x, x.view(torch.int16), y, y.view(torch.int16), 8)
    assert sim.bytes_read == sim.bytes_written == 8 * 4                # each byte once, whichever view took it
    assert sim.bytes_requested == 2 * (8 * 4 + 8 * 2)
    assert sim.stored(y.view(torch.int16)).all()


def test_stored_elements():
    x, y = torch.rand(100), torch.empty(100)
    with simulate() as sim:
        assert not sim.stored(y).any()
        copy[(3,)](x, y, 100, 32)
        assert sim.stored(y).tolist() == [True] * 96 + [False] * 4
        assert not sim.stored(x).any()
        y[96:] = 0                                                     # torch is no kernel
        assert int(sim.stored(y).sum()) == 96
        assert sim.stored(y.view(10, 10)).shape == (10, 10)
        assert sim.stored(y[90:]).tolist() == [True] * 6 + [False] * 4
        copy[(4,)](x, y, 100, 32)
        assert sim.stored(y).all()


def test_stored_adds_up_over_launches():
    x, y = torch.rand(64), torch.empty(64)
    with simulate() as sim:
        copy[(1,)](x, y, 64, 32)
        copy[(1,)](x[32:], y[32:], 32, 32)
        assert sim.stored(y).all()
        copy[(2,)](x, torch.empty(64), 64, 32)
        assert sim.stored(y).all()


def test_rewriting_half_keeps_the_other_half():
    x, y = torch.rand(64), torch.empty(64)
    with simulate() as sim:
        copy[(2,)](x, y, 64, 32)
        copy[(1,)](x, y, 64, 32)
        assert sim.stored(y).all()


def test_stored_through_strides_dtypes_and_atomics():
    x, y, c = torch.rand(8), torch.zeros(8, 3), torch.zeros(2, dtype=torch.int32)
    with simulate() as sim:
        copy_columns[(1,)](x, y[:, 1], 1, 3, 8, 8)
        count[(1,)](x, c[1:], 8, 8)
        assert sim.stored(y).tolist() == [[False, True, False]] * 8
        assert sim.stored(y.t()[1]).all()
        assert sim.stored(y[:, 1].view(torch.int32)).all()
        assert sim.stored(c).tolist() == [False, True]


def test_a_new_tensor_in_old_memory_is_not_stored():
    x = torch.rand(1000)
    with simulate() as sim:
        for _ in range(200):
            y = torch.empty(1000)
            assert not sim.stored(y).any()
            copy[(1,)](x, y, 1000, 1024)
            assert sim.stored(y).all()
            del y
        gc.collect()
        assert len(sim._stored.bytes_of) < 100                        # and what is gone is forgotten


def test_descriptors_are_counted_and_stored():
    x, y = torch.rand(40, 16), torch.empty(40, 16)
    with simulate() as sim:
        copy_blocks[(1,)](TensorDescriptor.from_tensor(x, [16, 16]), TensorDescriptor.from_tensor(y, [16, 16]),
                          40, 16)
    assert sim.bytes_read == sim.bytes_written == 40 * 16 * 4
    assert sim.stored(y).all()


def test_unchecked_counts_are_the_same():
    def totals(check):
        x, y, c = torch.rand(64), torch.empty(64), torch.zeros(1, dtype=torch.int32)
        with simulate(check=check) as sim:
            copy[(2,)](x, y, 64, 32)
            count[(2,)](x, c, 64, 32)
        return sim.total, sim.stored(y).sum().item()

    assert totals(True) == totals(False)


def test_what_something_else_overwrote_is_no_longer_what_a_kernel_stored():
    from chainrule.triton_kernels import OPS

    with simulate() as sim:
        a = OPS["act.relu"](z=torch.ones(5))
        assert sim.stored(a).all()
        a.numpy()[2] = 7.0
        assert sim.stored(a).tolist() == [True, True, False, True, True]
