"""Where a launch lands: on its tensors' device, with that device's rows, whichever is current."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from chainrule.triton_kernels.runtime import launch
from chainrule.triton_kernels.runtime.configs import Row


class Elsewhere(torch.Tensor):
    """A tensor that says it is on the second GPU."""

    device = property(lambda self: torch.device("cuda", 1))


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs, the first current; what is current when."""
    current = [torch.device("cuda", 0)]

    @contextmanager
    def device(there):
        current.append(there)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[-1].index)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: ((9, 0), (8, 0))[index])
    launch._arch_of.cache_clear()
    yield current
    launch._arch_of.cache_clear()


class Kernel:
    """Notes the current device when it starts."""

    def __init__(self, current):
        self.current, self.started = current, []

    def __getitem__(self, grid):
        return lambda *args, **options: self.started.append((grid, self.current[-1], options["num_warps"]))


def test_a_kernel_starts_on_the_device_of_its_tensors(gpus):
    kernel = Kernel(gpus)
    launch.launch(kernel, (3,), 2.0, torch.empty(2).as_subclass(Elsewhere), row=Row(16, warps=8))
    assert kernel.started == [((3,), torch.device("cuda", 1), 8)]
    assert gpus == [torch.device("cuda", 0)]


@pytest.mark.parametrize(("told", "full", "warps", "given"), [
    (True, True, 4, 255), (True, True, 16, 128), (False, True, 4, None), (True, False, 4, None)])
def test_an_assembler_is_told_how_many_registers_there_are(told, full, warps, given, monkeypatch):
    monkeypatch.setattr(launch, "TOLD", told)
    noted = []
    token = launch.recording.set(lambda kernel, grid, args, meta: noted.append(meta.get("maxnreg")))
    try:
        launch.launch(None, (1,), torch.empty(2), row=Row(16, warps=warps, full=full))
    finally:
        launch.recording.reset(token)
    assert noted == [given]


def test_rows_are_those_of_the_tensors_device(gpus):
    assert launch.current_arch() == "sm_90"
    assert launch.current_arch(torch.device("cuda", 1)) == "sm_80"
    assert launch.current_arch(torch.device("cuda")) == "sm_90"
    with torch.cuda.device(torch.device("cuda", 1)):
        assert launch.current_arch(torch.device("cuda")) == launch.current_arch() == "sm_80"
