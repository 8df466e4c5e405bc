"""One planted bug per check of the sanitizer, each caught, and beside it the honest kernel, which passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from chainrule.conformance.simulator import KernelFault, simulate
from chainrule.conformance.simulator.pointers import store


@triton.jit
def load_one_too_many(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    v = tl.load(x + i, mask=i <= n if BUG else i < n)
    tl.store(y + i, v, mask=i < n)


@triton.jit
def store_without_mask(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    v = tl.load(x + i, mask=i < n)
    if BUG:
        tl.store(y + i, v)
    else:
        tl.store(y + i, v, mask=i < n)


@triton.jit
def before_the_first(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    v = tl.load(x + i - 1, mask=(i < n) & (i >= 0 if BUG else i >= 1))
    tl.store(y + i, v, mask=(i < n) & (i >= 1))


@triton.jit
def into_the_neighbour(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)                      # rows of one matrix: what lies behind x is y, and no stranger
    tl.store(y + i, tl.load(x + i + (n if BUG else 0), mask=i < n), mask=i < n)


@triton.jit
def neighbour_by_another_type(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    bits = tl.load(x.to(tl.pointer_type(tl.int32)) + i + (n if BUG else 0), mask=i < n)
    tl.store(y.to(tl.pointer_type(tl.int32)) + i, bits, mask=i < n)


@triton.jit
def offset_overflows(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    p = tl.program_id(0)
    row = p if BUG else p.to(tl.int64)
    i = row * n * 40_000_000 % 1 + tl.arange(0, B)
    tl.store(y + p * B + tl.arange(0, B), tl.load(x + i))


@triton.jit
def difference_overflows(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    low = -(tl.program_id(0) + 1) * 2_000_000_000
    tl.store(y + tl.arange(0, B), low - (n * 5_000_000 if BUG else n))


@triton.jit
def product_overflows(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    wide = tl.program_id(0).to(tl.int64) + 2_000_000_000
    tl.store(y + tl.arange(0, B), wide * wide * (n if BUG else 2))


@triton.jit
def asserts(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    v = tl.load(x + tl.arange(0, B))
    tl.device_assert(v < (0 if BUG else n), "not a class")


@triton.jit
def bits_as_float(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    a = tl.load(x + i[:, None] * B + i[None, :])
    acc = tl.dot(a, a, acc=tl.zeros((B, B), tl.float32 if BUG else tl.float64), input_precision="ieee",
                 out_dtype=tl.float32 if BUG else tl.float64)
    tl.store(y + i[:, None] * B + i[None, :], acc)


@triton.jit
def strided(x, y, step, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i * (1 if BUG else step), mask=i < n), mask=i < n)


def vectors(n=40, m=None):
    return torch.arange(float(n)), torch.zeros(m or n), n


BUGS = {
    "load past the end": (load_one_too_many, (2,), lambda: (*vectors(), 32), "out of bounds"),
    "store past the end": (store_without_mask, (2,), lambda: (*vectors(), 32), "out of bounds"),
    "load before the start": (before_the_first, (2,), lambda: (*vectors(), 32), "out of bounds"),
    "load from the neighbour": (into_the_neighbour, (1,), lambda: (*torch.rand(2, 16), 16, 16),
                                "out of bounds"),
    "the neighbour by another type": (
        neighbour_by_another_type, (1,), lambda: (*torch.rand(2, 16), 16, 16), "out of bounds"),
    "every second column": (strided, (1,), lambda: (torch.rand(8, 2)[:, 0], torch.zeros(8), 2, 8, 8),
                            "out of bounds"),
    "int32 overflow": (offset_overflows, (3,), lambda: (*vectors(96), 32), "integer overflow"),
    "int32 difference": (difference_overflows, (1,), lambda: (*vectors(40), 32), "integer overflow"),
    "int64 product": (product_overflows, (1,), lambda: (*vectors(40), 32), "integer overflow"),
    "device_assert": (asserts, (1,), lambda: (*vectors(32), 32), "device_assert"),
    "float64 into float32": (bits_as_float, (1,), lambda: (*torch.rand(2, 16, 16, dtype=torch.float64), 16, 16),
                       "compile"),
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
    where = "" if check == "compile" else ", program ("
    assert str(caught.value).startswith(f"{kernel.fn.__name__}{where}")


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", BUGS)
def test_honest_twin_passes(name, order):
    assert run(name, bug=False, order=order).launches == 1


def test_message_names_argument_lane_and_element():
    with pytest.raises(KernelFault) as caught:
        run("load past the end", bug=True)
    assert str(caught.value) == (
        "load_one_too_many, program (1, 0, 0): out-of-bounds load through x (float32, shape (40,)): "
        "1 of 9 lanes, first lane [8] at element offset 40, 1 past its last")
    assert caught.value.argument == "x"
    between = r"x \(float32, shape \(8,\), strides \(2,\)\).*offset 1, between its elements"
    with pytest.raises(KernelFault, match=between):
        run("every second column", bug=True)


@triton.jit
def sum_masked(x, y, n, B: tl.constexpr, BUG: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y, tl.sum(tl.load(x + i, mask=i < n) if BUG else tl.load(x + i, mask=i < n, other=0.0), 0))


def test_undefined_lanes_are_nan():
    for bug in (True, False):
        y = torch.zeros(1)
        with simulate():
            sum_masked[(1,)](torch.ones(40), y, 40, 64, bug)
        assert y.isnan().item() == bug
    with simulate(poison=False):
        sum_masked[(1,)](torch.ones(40), y, 40, 64, True)
    assert y.item() == 40


def test_unused_undefined_index_is_no_overflow():
    @triton.jit
    def gather(index, x, y, n, stride, B: tl.constexpr):
        i = tl.arange(0, B)
        row = tl.load(index + i, mask=i < n)
        tl.store(y + i, tl.load(x + row * stride, mask=i < n), mask=i < n)

    for dtype in (torch.int32, torch.int64):
        x, y = torch.rand(4, 100), torch.zeros(5)
        index = torch.tensor([3, 1, 0, 2, 3], dtype=dtype)
        with simulate():
            gather[(1,)](index, x, y, 5, 100, 8)
        assert torch.equal(y, x[index.long(), 0])


@triton.jit
def touch(x, B: tl.constexpr):
    tl.store(x + tl.arange(0, B), 1.0)


def test_store_of_another_format_is_refused():
    value = TensorHandle(np.zeros(4, np.float32), tl.float64)            # what a garbled accumulator would look like
    pointers = TensorHandle(np.zeros(4, np.uint64), tl.pointer_type(tl.float64))
    with pytest.raises(KernelFault, match="dtype mismatch: float32 values"):
        store(None, pointers, value, None)


def test_empty_tensors():
    empty = torch.zeros(0)
    with simulate() as sim:
        touch[(0,)](empty, 8)
        assert sim.launches == 0
        with pytest.raises(KernelFault, match="x has no elements"):
            touch[(1,)](empty, 8)
        assert sim.stored(empty).shape == (0,)


def test_grid_limits_and_unknown_options():
    x = torch.zeros(8)
    with simulate():
        with pytest.raises(KernelFault, match="grid axis y is 70000"):
            touch[(1, 70000)](x, 8)
        with pytest.raises(KeyError, match="num_wraps"):
            touch[(1,)](x, 8, num_wraps=4)
        with pytest.raises(TypeError, match="missing a required argument: 'B'"):
            touch[(1,)](x)
        touch[(1,)](x, 8, num_warps=4, num_stages=2)


def test_check_off_still_bounds():
    assert run("int32 overflow", bug=True, overflow=False).launches == 1
    with pytest.raises(KernelFault):
        run("int32 overflow", bug=True, check=False, overflow=True)
    with pytest.raises(KernelFault):
        run("load past the end", bug=True, check=False)
