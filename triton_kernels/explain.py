"""explain(fn, *args): which kernels would run, with which configuration, or why a composite would.

Nothing is computed and no GPU is needed: the call is made on tensors without memory, and its launches are noted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from .runtime import launch


@attrs.frozen
class Launch:
    """One launch: its kernel, its grid, and what it was configured with."""

    kernel: str
    grid: tuple[int, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.kernel}  grid {' × '.join(map(str, self.grid))}  {options}"


@attrs.frozen
class Explanation:
    """What a call would do on a target; print it."""

    target: str
    launches: tuple[Launch, ...]
    reason: str = ""

    def __str__(self) -> str:
        count = len(self.launches)
        lines = [f"{self.target}: " + (self.reason or f"{count} launch{'es' if count != 1 else ''}")]
        return "\n".join([*lines, *(f"  {one}" for one in self.launches)])


@attrs.frozen
class _Stand:
    """Takes a simulator's place, so that tensors without memory take the kernels' path."""

    target: str


def explain(fn: Callable[..., Any], *args: Any, target: str | None = None, **kwargs: Any) -> Explanation:
    """What `fn(*args, **kwargs)` would launch on `target` ("sm_90", …; without one, on this machine).

    fn is a function of `functional`, an op, or a module, whose parameters and buffers count as arguments and stay as
    they are. Gradients are not followed; explain a backward op by its own function.
    """
    name = getattr(fn, "__name__", type(fn).__name__)
    held = {**dict(fn.named_parameters()), **dict(fn.named_buffers())} if isinstance(fn, torch.nn.Module) else {}
    tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
    if not tensors:
        raise ValueError(f"explain: {name} was given no tensor; pass its arguments after it")
    if target is not None and not re.fullmatch(r"sm_\d+", target):
        raise ValueError(f"explain: target {target!r} is unknown; give one as 'sm_90'")
    if target is None and not any(t.is_cuda for t in tensors):
        return Explanation("cpu", (), "no kernel runs on a CPU; name a target ('sm_90') for one")
    arch = target or launch.current_arch(next(t.device for t in tensors if t.is_cuda))
    if any(t.dtype == torch.float64 for t in (*tensors, *held.values())):
        return Explanation(arch, (), "no kernel computes in float64: the ATen composites would run")
    noted: list[Launch] = []

    def note(kernel: Any, grid: tuple[int, ...], _: Any, meta: dict[str, Any]) -> None:
        noted.append(Launch(kernel.__name__, grid, {k: getattr(v, "__name__", v) for k, v in meta.items()}))

    given, named = tuple(map(_weightless, args)), {k: _weightless(v) for k, v in kwargs.items()}
    tokens = launch.simulation.set(_Stand(arch)), launch.recording.set(note)
    try:
        with torch.no_grad():
            if isinstance(fn, torch.nn.Module):
                torch.func.functional_call(fn, {key: _weightless(t) for key, t in held.items()}, given, named)
            else:
                fn(*given, **named)
    finally:
        launch.simulation.reset(tokens[0])
        launch.recording.reset(tokens[1])
    nothing = f"nothing in {name} is a kernel of ours: torch would run it"
    return Explanation(arch, tuple(noted), "" if noted else nothing)


def _weightless(value: Any) -> Any:
    """Shape, strides and dtype without memory, in lists too; a counter keeps its value, which its module may read."""
    if isinstance(value, (list, tuple)):
        return type(value)(_weightless(one) for one in value)
    if not isinstance(value, Tensor):
        return value
    if not value.dim() and not value.is_floating_point():
        return value.detach().clone()
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
