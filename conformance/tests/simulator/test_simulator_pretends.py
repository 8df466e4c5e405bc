"""`simulate(pretend_cuda=...)`: what libraries ask of a GPU is answered inside, and nothing of it is left outside."""

from __future__ import annotations

import math

import pytest
import torch
import triton
import triton.language as tl
from triton.runtime import driver

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F


@triton.jit
def scale(x, y, n, by, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(y + i, tl.load(x + i, mask=i < n) * by, mask=i < n)


def as_libraries_do():
    """What is asked at import, before a launch and around it, by libraries of kernels; and a launch."""
    device = triton.runtime.driver.active.get_active_torch_device()
    major, _ = torch.cuda.get_device_capability()
    properties = driver.active.utils.get_device_properties(device.index)
    x = torch.arange(10.0, device="cuda")
    y = torch.empty_like(x)
    assert x.is_cuda
    assert not x.is_cpu
    assert x.device == y.device == device == torch.device("cuda:0")
    assert x.device.type == "cuda"
    assert x.get_device() == torch.cuda.current_device() == 0
    with torch.cuda.device(x.device), torch.cuda.stream(torch.cuda.Stream()):
        kernel = scale.warmup(x, y, 10, 2.0, N=16, grid=(1,))
        kernel._init_handles()
        programs = min(properties["multiprocessor_count"], triton.cdiv(10, 16))
        scale[(programs,)](x, y, x.numel(), 2.0, N=16)
    torch.cuda.synchronize()
    return x, y, major


def test_a_library_finds_what_it_asks_for():
    assert torch.cuda.is_available() is False
    with simulate(pretend_cuda="sm_80") as sim:
        assert torch.cuda.is_available()
        x, y, major = as_libraries_do()
        assert major == 8
        assert sim.target == "sm_80"
        assert driver.active.get_current_target().arch == 80
        assert torch.cuda.get_device_properties(0).multi_processor_count == 108
        assert sim.stored(y).all()
    assert torch.equal(y, 2 * x)
    assert y.device.type == "cpu"


def test_tensors_are_made_moved_and_differentiated_there():
    with simulate(pretend_cuda="sm_90"):
        a = torch.zeros(2, device=torch.device("cuda", 0))
        b = torch.ones(2).cuda() + torch.ones(2).to("cuda:0") + torch.ones(2).to(a.device, torch.float32)
        back = b.cpu()
        back.add_(1)
        assert b.tolist() == [3, 3]                                 # what is moved is a copy
        layer = torch.nn.Linear(2, 2, device="cuda")
        layer(a.requires_grad_()).sum().backward()
        assert a.grad.device.type == "cuda"
        torch.manual_seed(3)
        drawn = torch.rand(3, device="cuda")
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))


def test_nothing_is_timed():
    calls = []
    with simulate(pretend_cuda="sm_90"):
        assert math.isnan(triton.testing.do_bench(lambda: calls.append(1)))
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        end.record()
        assert math.isnan(start.elapsed_time(end))
    assert calls == [1]


def test_our_own_functions_run_there_too():
    x, w = torch.randn(3, 4), torch.randn(5, 4)
    with simulate(pretend_cuda="sm_90") as sim:
        y = F.linear(x.cuda(), w.cuda())
        assert sim.launches == 1
    assert torch.equal(y.round(decimals=3), torch.nn.functional.linear(x, w).round(decimals=3))


def test_nothing_of_it_is_left():
    before = [dict(vars(torch.cuda)), dict(vars(triton.testing)), driver._active, torch.version.cuda]

    def stops():
        as_libraries_do()
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), simulate(pretend_cuda="sm_120"):
        stops()
    assert [dict(vars(torch.cuda)), dict(vars(triton.testing)), driver._active, torch.version.cuda] == before
    assert torch.zeros(1).device.type == "cpu"
    with pytest.raises(ValueError, match="known devices are"), simulate(pretend_cuda="sm_1"):
        pass
