"""A driver for a GPU that is not here: enough of one that `JITFunction.warmup` specialises and compiles as it would."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import attrs
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from ..runtime import launch

#: Shared memory that one block may have.
SHARED = {"sm_80": 166_912, "sm_89": 101_376, "sm_90": 232_448, "sm_100": 232_448, "sm_120": 101_376, "gfx942": 65_536}


def target_of(arch: str) -> GPUTarget:
    if arch.startswith("gfx"):
        return GPUTarget("hip", arch, 64)
    return GPUTarget("cuda", int(arch.removeprefix("sm_")), 32)


class OfflineDriver:
    def __init__(self, target: GPUTarget) -> None:
        self.target = target

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> str:
        return f"offline:{self.target.arch}"

    def get_current_stream(self, device: Any = None) -> int:
        return 0

    def is_active(self) -> bool:
        return True

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def launcher_cls(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{self.target.arch} is only compiled for; nothing can be launched on it")


@contextmanager
def offline(arch: str) -> Iterator[None]:
    """Compile for `arch`, whatever GPU is or is not here."""
    previous = driver._active
    driver.set_active(OfflineDriver(target_of(arch)))
    try:
        yield
    finally:
        driver._active = previous


@attrs.frozen
class Target:
    """Stands in for a simulator: ops on tensors without memory take the kernel's path and this target's rows."""

    target: str


def compiled(call: Callable[[], Any], arch: str, said: dict[str, str] | None = None) -> list[tuple[str, Any]]:
    """(kernel name, compiled kernel) of every launch that `call` makes. `said` receives, by the kernel's hash, what the
    assembler says to a kernel that Triton has not in its cache."""
    launches: list[tuple[Any, ...]] = []
    amd = arch.startswith("gfx")

    def note(kernel: Any, grid: Any, args: Any, meta: dict[str, Any]) -> None:
        launches.append((kernel, grid, args, {k: v for k, v in meta.items() if not (amd and k == "maxnreg")}))

    tokens = launch.simulation.set(Target(arch)), launch.recording.set(note)
    try:
        call()
    finally:
        launch.simulation.reset(tokens[0])
        launch.recording.reset(tokens[1])
    heard = None if amd else said
    with offline(arch):
        return [(kernel.fn.__name__, _warmed(kernel, grid, args, meta, heard)) for kernel, grid, args, meta in launches]


def _warmed(kernel: Any, grid: Any, args: Any, meta: dict[str, Any], said: dict[str, str] | None) -> Any:
    if said is None:
        return kernel.warmup(*args, grid=grid, **meta)
    words = io.StringIO()
    with triton.knobs.nvidia.scope(), redirect_stdout(words):
        triton.knobs.nvidia.dump_ptxas_log = True
        found = kernel.warmup(*args, grid=grid, **meta, ptx_options="--warn-on-spills")
    said[found.hash] = said.get(found.hash) or words.getvalue()
    return found
