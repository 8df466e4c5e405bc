"""The GPU as we find it: what it is, and how fast it copies, multiplies and starts kernels. Nothing of it is set."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from .samples import median
from .timing import between

PACKAGES = ("torch", "triton", "numpy", "sympy", "timm", "liger-kernel", "flag-gems")


def fingerprint() -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name, "capability": list(torch.cuda.get_device_capability()),
        "memory": properties.total_memory, "processors": properties.multi_processor_count,
        "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),      # type: ignore[no-untyped-call]
        "python": platform.python_version(), "cores": os.cpu_count(), "packages": dict(packages()),
        "nvidia_smi": ask("nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,clocks.max.mem,power.limit,"
                          "temperature.gpu", "--format=csv,noheader"),
    }


def packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def ask(tool: str, *arguments: str) -> str:
    if shutil.which(tool) is None:
        return f"{tool} is not installed"
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip() or done.stderr.strip()[:200]


def ceilings() -> dict[str, Any]:
    """Bytes and operations a second, and seconds a launch; with the samples they are medians of."""
    found: dict[str, list[float]] = {"copy": copies(), "launch": launches()}
    for name, dtype, size in (("bf16", torch.bfloat16, 8192), ("fp16", torch.float16, 8192)):
        found[name] = products(dtype, size)
    for name, precision in (("tf32", "high"), ("fp32", "highest")):
        with matmul_precision(precision):
            found[name] = products(torch.float32, 4096)
    return {name: median(values) for name, values in found.items()} | {"samples": found}


@contextmanager
def matmul_precision(wanted: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(wanted)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def copies(size: int = 2**31) -> list[float]:
    """A large copy; each byte is read and written."""
    source = torch.empty(size, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    return rates(lambda: target.copy_(source), 2.0 * size)


def products(dtype: torch.dtype, n: int) -> list[float]:
    """On random numbers: zeros can run faster than any data will."""
    a, b = (torch.randn(n, n, device="cuda").to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return rates(lambda: torch.mm(a, b, out=out), 2.0 * n**3)


def rates(run: Callable[[], Any], work: float, samples: int = 10) -> list[float]:
    for _ in range(3):
        run()
    return [work / (between(run) * 1e-6) for _ in range(samples)]


def launches(kernels: int = 500) -> list[float]:
    """Seconds a kernel in a graph of very small ones."""
    x = torch.ones(1, device="cuda")
    x.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(kernels):
            x.add_(1)
    graph.replay()
    return [between(graph.replay) * 1e-6 / kernels for _ in range(10)]


class Clocks:
    """The SM clock and the power drawn, where NVML can be asked."""

    def __init__(self) -> None:
        self.nvml: Any = None
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            self.nvml, self.handle = nvml, nvml.nvmlDeviceGetHandleByIndex(0)
        except Exception as refused:        # absent, or not allowed: then nothing is sampled, and the file says so
            self.why = f"{type(refused).__name__}: {refused}"

    def sample(self) -> dict[str, float] | None:
        if self.nvml is None:
            return None
        clock = self.nvml.nvmlDeviceGetClockInfo(self.handle, self.nvml.NVML_CLOCK_SM)
        return {"sm_mhz": float(clock), "watts": self.nvml.nvmlDeviceGetPowerUsage(self.handle) / 1e3}
