"""Kernels as people write them: how they got hold of a function, what they are handed, and what a launch returns."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from triton.language import exp2, load, maximum, where
from triton.language import sum as total_of
from triton.language.extra import libdevice as generic
from triton.language.extra.cuda import libdevice as of_cuda
from triton.language.extra.cuda.libdevice import cbrt
from triton.language.extra.libdevice import log1p
from triton.language.math import rsqrt

from chainrule.conformance.simulator import KernelFault, simulate

SOFTNESS = tl.constexpr(2)


def close(got, want):
    """The float64 value rounded, or a float32 next to it: library functions are rounded once, whoever computes them."""
    want = want.float()
    down, up = (torch.nextafter(want, torch.full_like(want, s * torch.inf)) for s in (-1, 1))
    return bool(((got == want) | (got == down) | (got == up)).all())


def run(kernel, *more, n=8, **meta):
    x, y = torch.arange(1.0, n + 1), torch.zeros(n)
    with simulate() as sim:
        kernel[(1,)](x, y, *more, N=n, **meta)
    assert sim.launches == 1
    return x.double(), y


@triton.jit
def by_name(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = load(x + i)
    tl.store(y + i, exp2(rsqrt(maximum(v, 2.0))) + where(v > 3, 1.0, 0.0) + total_of(v, axis=0))


@triton.jit
def library_by_name(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, cbrt(log1p(tl.load(x + i))))


@triton.jit
def library_by_module(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, of_cuda.log1p(tl.load(x + i)) + generic.tanh(tl.zeros((N,), tl.float32)))


def test_functions_of_the_language_by_any_name():
    x, y = run(by_name)
    assert close(y, torch.exp2(x.clamp(min=2).rsqrt().float().double()).float() + (x > 3) + 36)
    x, y = run(library_by_name)
    assert close(y, torch.log1p(x).float().double() ** (1 / 3))
    x, y = run(library_by_module)
    assert close(y, torch.log1p(x))


@triton.jit
def passed(x, y, F: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, F(tl.load(x + i)))


@triton.jit
def cubed(v):
    return v * v * v


def test_functions_as_arguments():
    for function, wanted in ((tl.sqrt, torch.sqrt), (of_cuda.log1p, torch.log1p), (cubed, lambda x: x**3)):
        x, y = run(passed, F=function)
        assert close(y, wanted(x))


def test_functions_from_a_closure():
    root, power = tl.sqrt, cubed

    @triton.jit
    def closes_over(x, y, N: tl.constexpr):
        i = tl.arange(0, N)
        tl.store(y + i, power(root(tl.load(x + i))))

    x, y = run(closes_over)
    assert close(y, x.float().sqrt() ** 3)


@triton.jit
def as_methods(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(y + i, v.to(tl.float16).abs().to(tl.float32) + v.sum(0) + v.max(axis=0) + v.reshape((N,)))


@triton.jit
def python_names(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    first, _ = v.reshape((N // 2, 2)).split()
    tl.store(y + i, min(max(v, 3.0), 6.0) + len((1, 2)))
    tl.store(y, min(tl.sum(first, 0), N))


def test_methods_and_pythons_own_names():
    x, y = run(as_methods)
    assert torch.equal(y, (2 * x + 36 + 8).float())
    x, y = run(python_names)
    assert y.tolist() == [8.0, *(x.clamp(3, 6) + 2).tolist()[1:]]


@triton.jit
def lowest(dtype: tl.constexpr):
    return float("-inf") if dtype.value.is_floating() else -(2**31)


@triton.jit
def values(x, y, SHIFT: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N.value)
    peak = tl.full((N,), lowest(x.dtype.element_ty), x.dtype.element_ty)
    tl.store(y + i, tl.maximum(peak, tl.load(x + i)) + SHIFT.value * SOFTNESS.value)


@triton.jit
def loop_variable(x, y, N: tl.constexpr):
    for i in range(0, N, 2):
        wide = i.to(tl.int64)
        tl.store(y + wide, (i % 4 == 0).to(tl.float32) - i // 2)
    for i in tl.static_range(1, N, 2):
        tl.store(y + i, i)


def test_values_known_at_compile_time_and_loop_variables():
    x, y = run(values, SHIFT=3)
    assert torch.equal(y, (x + 6).float())
    _, y = run(loop_variable)
    assert y.tolist() == [1, 1, -1, 3, -1, 5, -3, 7]


class Strided:
    """What libraries pass in a tensor's place: an address and a number format."""

    def __init__(self, tensor):
        self.held, self.dtype = tensor, tensor.dtype

    def data_ptr(self):
        return self.held.data_ptr()


@triton.jit
def doubles(x, y, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(y + i, 2 * tl.load(x + i, mask=i < n), mask=i < n)


def test_arguments_that_are_no_tensors_are_as_long_as_what_they_point_to():
    x, y = torch.arange(10.0), torch.zeros(10)
    with simulate() as sim:
        doubles[(2,)](Strided(x[2:8]), Strided(y), 6, 4)
        assert sim.stored(y).tolist() == [True] * 6 + [False] * 4
        assert y.tolist() == [4, 6, 8, 10, 12, 14, 0, 0, 0, 0]
        with pytest.raises(KernelFault, match="out-of-bounds load"):
            doubles[(3,)](Strided(x), Strided(y), 11, 4)


@triton.jit
def grouped(xs, ys, sizes, G: tl.constexpr, N: tl.constexpr):
    g = tl.program_id(0)
    x = tl.load(xs + g).to(tl.pointer_type(tl.float16))
    y = tl.load(ys + g).to(tl.pointer_type(tl.float16))
    i = tl.arange(0, N)
    n = tl.load(sizes + g)
    tl.store(y + i, tl.load(x + i, mask=i < n) + g, mask=i < n)


def test_tables_of_addresses_reach_tensors_and_no_further():
    xs = [torch.arange(n).half() for n in (3, 7, 5)]
    ys = [torch.zeros(n).half() for n in (3, 7, 5)]
    table = [torch.tensor([t.data_ptr() for t in ts]) for ts in (xs, ys)]
    sizes = torch.tensor([3, 7, 5])
    with simulate() as sim:
        grouped[(3,)](*table, sizes, 3, 8)
        assert all(torch.equal(y, x + g) for g, (x, y) in enumerate(zip(xs, ys)))
        assert all(sim.stored(y).all() for y in ys)
        sizes[2] = 6
        with pytest.raises(KernelFault, match=r"the tensor at 0x[0-9a-f]+ \(float16, shape \(5,\)\)"):
            grouped[(3,)](*table, sizes, 3, 8)


@triton.autotune([triton.Config({"N": 4}), triton.Config({"N": 16})], key=["n"],
                 prune_configs_by={"early_config_prune": lambda configs, args, **_: configs[1:]})
@triton.jit
def pruned(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.load(x + i, mask=i < n), mask=i < n)


class TheirTuner(triton.runtime.Autotuner):
    """As libraries have them: a tuner of their own on top of Triton's."""

    def run(self, *args, **kwargs):
        timings = {config: self._bench(*args, config=config, **kwargs) for config in self.configs}
        self.chosen = min(timings, key=timings.get)
        return self.fn.run(*args, **kwargs, **self.chosen.all_kwargs())


def test_tuners_take_their_first_choice_and_forget_it():
    tuner = TheirTuner(doubles, doubles.arg_names, [triton.Config({"N": n}) for n in (8, 16)], ["n"], None, None)
    x, y = torch.arange(13.0), torch.zeros(13)
    before = [dict(vars(t)) for t in (pruned, tuner)]
    with simulate() as sim:
        pruned[(1,)](x, y, 13)
        assert torch.equal(x, y)
        assert pruned.best_config.kwargs == {"N": 16}
        tuner[(2,)](x, y, 13)
        assert torch.equal(2 * x, y)
        assert sim.launches == 2
    for now, was in zip(map(vars, (pruned, tuner)), before):
        assert {k for k in now.keys() | was.keys() if now.get(k, was) != was.get(k, was)} == set()


def test_a_launch_returns_what_it_launched():
    x, y = torch.arange(4.0), torch.zeros(4)
    with simulate():
        handle = doubles[(1,)](x, y, 4, N=4, num_warps=2)
    assert handle.metadata.num_warps == 2
    assert "doubles" in handle.asm["ttir"]


def test_what_was_compiled_ahead_can_be_started():
    x, y = torch.arange(6.0), torch.zeros(6)
    with simulate() as sim:
        ahead = doubles.warmup(x, y, 6, N=4, grid=(1,), num_warps=1)
        ahead[(2, 1, 1)](x, y, 6)
        assert torch.equal(y, 2 * x)
        ahead[(1,)](y, x, 3, 4)
        assert x.tolist() == [0, 4, 8, 3, 4, 5]
    assert sim.launches == 2
