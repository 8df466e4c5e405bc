"""Where an op runs, and how a kernel is started.

A CUDA tensor, or a CPU tensor while a simulator is active, goes to the Triton kernel; any other CPU tensor takes the
ATen composite of the same equation, or in training code torch's own function of it (`by_torch`). Importing this module
touches no driver and needs no Triton.

Run-time scalars (p, n, λ, η) are passed as Python numbers, and a kernel's first lines cast them to float32: eager
launches pass float32 anyway, Inductor float64, and so both round once and alike.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.compiler import is_exporting

from .checks import PLAIN as PLAIN
from .configs import Row, triton
from .resolved import argument

log = logging.getLogger("chainrule")

#: Set by a simulator for as long as it is active; it may carry `target`, the architecture that it stands for.
simulation: ContextVar[Any | None] = ContextVar("chainrule_simulation", default=None)

#: Set by the ahead-of-time gate: called with (kernel, grid, args, meta) in place of the launch.
recording: ContextVar[Callable[..., None] | None] = ContextVar("chainrule_recording", default=None)

#: Has the compiler an assembler that must be told how many registers there are? (`Row.full`)
TOLD = triton() != (3, 7) and torch.version.hip is None

_EXACT: tuple[torch.dtype, ...] = (torch.float32, torch.float64)


def simulating() -> bool:
    """Is a simulator active? A tracer asks once, while it traces: it cannot follow a context."""
    return simulation.get() is not None


simulating._dynamo_marked_constant = True  # type: ignore[attr-defined]


def runs_kernel(t: Any) -> bool:
    """Does an op on this tensor run the kernel? Fake and subclassed CPU tensors never do, and those of `meta` only
    where launches are written down and not run."""
    if type(t) not in PLAIN:
        return isinstance(t, torch.Tensor) and t.is_cuda
    return t.is_cuda or (simulating() and (t.is_cpu or recording.get() is not None))


def by_torch(t: Any) -> bool:
    """Does torch compute this op, and differentiate it too? Where there is no kernel, in float32 and float64, its own
    functions are the same equations, recorded in the fewest calls. (16-bit numbers go through the composites, which
    round once; a program that is exported keeps our ops, since it may be loaded elsewhere, except for ONNX.)"""
    if runs_kernel(t) or not isinstance(t, torch.Tensor) or t.dtype not in _EXACT:
        return False
    return not is_exporting() or for_onnx()


def for_onnx() -> bool:
    """Is a program exported to ONNX, which has none of our ops?"""
    return is_exporting() and torch.onnx.is_in_onnx_export()


for_onnx._dynamo_marked_constant = True  # type: ignore[attr-defined]


@contextlib.contextmanager
def composites() -> Iterator[None]:
    """CPU tensors go through our composites and nodes in every dtype, as where a kernel is missing: for tests, in one
    thread."""
    global _EXACT
    before, _EXACT = _EXACT, ()
    try:
        yield
    finally:
        _EXACT = before


def traced(t: torch.Tensor) -> bool:
    """Does this tensor stand in for one while a graph is recorded? It has sizes and strides, but no address."""
    return isinstance(t, (FakeTensor, FunctionalTensor))


def number(n: Any) -> Any:
    """n as a float, unless it is a size that a tracer leaves open: a kernel rounds either to float32, once."""
    return n if isinstance(n, (torch.SymInt, torch.SymFloat)) else float(n)


def current_arch(device: torch.device | int | None = None) -> str:
    """`sm_90` and the like: of the simulator's target, else of the CUDA device, else `default`."""
    simulator = simulation.get()
    if simulator is not None:
        return str(getattr(simulator, "target", "sm_90"))
    if not torch.cuda.is_available():
        return "default"
    index = None if device is None else torch.device(device).index
    return _arch_of(torch.cuda.current_device() if index is None else index)


@functools.cache
def _arch_of(index: int) -> str:
    major, minor = torch.cuda.get_device_capability(index)
    return f"sm_{major}{minor}"


def launch(kernel: Any, grid: tuple[int, ...], *args: Any, row: Row, **meta: Any) -> None:
    """Start `kernel` on the device its tensors live on, with every compiler option that matters passed; while a graph
    is recorded, enter it there instead."""
    options = {"num_warps": row.warps, "num_stages": row.stages, "enable_fp_fusion": True}
    if row.full and TOLD:
        options["maxnreg"] = min(255, 2048 // row.warps)
    record = recording.get()
    if record is not None:
        record(kernel, grid, args, {**meta, **options})
        return
    args = tuple(map(argument, args))
    lead = next(a for a in args if isinstance(a, torch.Tensor))
    if traced(lead):
        from . import written  # needs Triton, as whoever brings a kernel has

        written.enter(kernel, grid, args, meta, row)
        return
    device = lead.device
    if device.type != "cuda":
        kernel[grid](*args, **meta, **options)
        return
    with torch.cuda.device(device):         # Triton launches on the current device, whatever the tensors say
        kernel[grid](*args, **meta, **options)


def asked(precision: str | None) -> str | None:
    """How float32 operands are to enter a matrix product: `ieee`, `tf32`, or None, as torch's switch stands then."""
    if precision not in (None, "ieee", "tf32"):
        raise ValueError(f"precision {precision!r} is unknown; choose 'ieee' or 'tf32'")
    return precision


def math_mode(precision: str | None = None) -> str:
    """`ieee` or `tf32`, decided when a kernel starts or enters a graph; torch compiles again if its switch moves."""
    return asked(precision) or ("ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32")


def strict() -> bool:
    """Does CHAINRULE_STRICT=1 forbid that anything stands in for a kernel?"""
    return os.environ.get("CHAINRULE_STRICT") == "1"


class NoFallback(RuntimeError, AttributeError):
    """CHAINRULE_STRICT=1 forbids it. (To whoever asks for a name that has no kernel, the name is not there.)"""


def fall_back(reason: str, instead: str = "the ATen composite runs", kind: str = "") -> None:
    """Say once per reason, or per kind of reason, what stands in for a kernel; with CHAINRULE_STRICT=1 refuse
    instead."""
    if strict():
        raise NoFallback(f"{reason} (CHAINRULE_STRICT=1 allows no fallback)")
    if (kind or reason, instead) not in _said:
        _said.add((kind or reason, instead))
        log.warning("%s; %s instead", reason, instead)


_said: set[tuple[str, str]] = set()
