"""What a kernel may not do beside computing: write to its inputs or past them, leave gaps, let torch work.

Inputs lie between bands of NaN and are compared bit by bit afterwards. While the op runs, everything it allocates is
filled with a NaN of its own first; an output element that still holds it was never written.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

import torch
from attrs import define, field
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

BITS = {torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float64: torch.int64}
POISON = {torch.float32: 0x7FC1BEEF, torch.float16: 0x7EAB, torch.bfloat16: 0x7FAB, torch.float64: 0x7FF8DEADBEEF0001}
NORESERVE = 0x4000           # Linux: memory is promised, and found when it is touched
FAR = 2**31                  # elements from the first on, where offsets of 32 bits end
BAND = 64                    # elements of NaN before and after an input; keeps 16-byte alignment


class HygieneFault(AssertionError):
    """A kernel that did something besides its computation."""


def poisoned(t: Tensor) -> Tensor:
    """Fill with the dtype's poison."""
    whole = t.untyped_storage()
    if t.dtype in BITS and t.numel() and whole.nbytes() < FAR:
        torch.tensor([], dtype=BITS[t.dtype], device=t.device).set_(whole).fill_(POISON[t.dtype])
    return t


def unwritten(t: Tensor) -> int:
    """How many elements still hold the poison."""
    if t.dtype not in BITS:
        return 0
    return int((t.contiguous().view(BITS[t.dtype]) == POISON[t.dtype]).sum())


ALLOCATES = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
VIEWS = {"view", "_unsafe_view", "as_strided", "t", "transpose", "expand", "slice", "select", "detach", "alias",
         "unsqueeze", "squeeze", "permute", "_reshape_alias", "split", "unbind", "diagonal", "lift_fresh",
         "_local_scalar_dense"}


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Poison what is allocated; with `kernels_only`, refuse that torch computes anything."""

    def __init__(self, kernels_only: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels_only = kernels_only

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not by torch itself, which would import its compiler first: seconds of a process that compiles nothing."""
        return False

    def __enter__(self) -> Any:
        if "torch._dynamo" in sys.modules and not hasattr(Allocations.__torch_dispatch__, "_torchdynamo_disable"):
            Allocations.__torch_dispatch__ = torch._dynamo.disable(  # type: ignore[method-assign, no-untyped-call]
                Allocations.__torch_dispatch__)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        result = func(*args, **(kwargs or {}))
        if name in ALLOCATES:
            return poisoned(result)
        if self.kernels_only and name not in VIEWS:
            raise HygieneFault(f"torch's {name} computed part of a kernel's result; only allocation and views may")
        return result


@define
class Input:
    """One input tensor between its bands, and a copy of all its bytes."""

    name: str
    tensor: Tensor
    buffer: Tensor
    before: Tensor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.before = self.buffer.clone(memory_format=torch.contiguous_format)

    @property
    def span(self) -> tuple[int, int]:
        """From which address to which its memory reaches."""
        lo = self.buffer.data_ptr()
        return lo, lo + self.buffer.numel() * self.buffer.element_size()

    def check(self) -> None:
        if self.buffer is self.tensor:                   # without bands
            if not torch.equal(self.tensor.nan_to_num(), self.before.nan_to_num()):
                raise HygieneFault(f"the input {self.name} was overwritten")
            return
        if self.buffer.view(torch.uint8).equal(self.before.view(torch.uint8)):
            return
        whole = torch.zeros_like(self.buffer, dtype=torch.bool)
        whole.as_strided(self.tensor.shape, self.tensor.stride(), self.tensor.storage_offset()).fill_(True)
        size = self.buffer.element_size()
        changed = (self.buffer.view(torch.uint8) != self.before.view(torch.uint8)).view(-1, size).any(1)
        if (changed & whole).any():
            raise HygieneFault(f"the input {self.name} was overwritten ({int((changed & whole).sum())} elements)")
        raise HygieneFault(f"memory beside the input {self.name} was overwritten ({int(changed.sum())} elements)")


#: Layouts of images whose channels run fastest, and how many channels more the memory has: whole 16 bytes, or not.
MORE = {"channels-last": 3, "channels-last-16": 8}


def placed(name: str, value: Tensor, layout: str) -> Input:
    """The tensor in memory as the layout says, between bands of NaN (of the largest integer, for integers)."""
    if layout.startswith("far-"):
        return _far(name, value, int(layout[4:]))
    truth = value.dtype == torch.bool
    fill = float("nan") if value.is_floating_point() else True if truth else torch.iinfo(value.dtype).max
    offset = BAND + (1 if layout in ("offset", "channels-last") else 0)
    expanded = layout == "expanded" and value.dim() > 1
    stored = value[:1] if expanded else value
    shape = list(stored.shape)
    order = list(reversed(range(len(shape)))) if layout != "transposed" else list(range(len(shape)))
    images = layout in MORE and len(shape) == 4
    stride, run = [0] * len(shape), 2 if layout == "strided" else 1
    for axis in (1, 3, 2, 0) if images else order:
        stride[axis] = run
        run *= shape[axis] + (MORE[layout] if images and axis == 1 else 0)
    buffer = torch.full((2 * BAND + max(run, 2) + 1,), fill, dtype=value.dtype, device=value.device)
    view = buffer.as_strided(shape, stride, offset)
    view.copy_(stored)
    return Input(name, view.expand(value.shape) if expanded else view, buffer)


def _far(name: str, value: Tensor, axis: int) -> Input:
    """With a step along one axis so long that its last place is beyond 2³¹ elements; untouched, it has no memory."""
    shape, count = list(value.shape), value.shape[axis] if value.dim() > axis else 0
    if count < 3 or value.device.type != "cpu":
        return placed(name, value, "contiguous")
    stride, run = [0] * len(shape), 1
    for k in (k for k in reversed(range(len(shape))) if k != axis):
        stride[k] = run
        run *= shape[k]
    stride[axis] = -(-FAR // (count - 1))
    pages = mmap.mmap(-1, (stride[axis] * (count - 1) + run) * value.element_size(),
                      flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
    far = torch.frombuffer(pages, dtype=value.dtype).as_strided(shape, stride)
    far.copy_(value)
    return Input(name, far, far)
