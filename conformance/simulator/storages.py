"""Whose memory an address lies in: for arguments that are no tensors, and for tables of addresses.

A table of pointers (grouped products, optimizers over many tensors) holds bare numbers. A GPU believes them; here they
are looked up among the tensors that this process holds, so that what is reached through them has an end.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import torch
from torch._subclasses.fake_tensor import FakeTensor


def tensor_at(address: int, dtype: torch.dtype | None = None) -> torch.Tensor | None:
    """The live CPU tensor that an address points into: one that starts there before others, of this dtype before
    others, the larger before the smaller."""
    found = [t for t in _live() if _covers(t, address)]
    if not found:
        return None
    return max(found, key=lambda t: (t.data_ptr() == address, t.dtype == dtype, t.numel()))


def _live() -> Iterator[torch.Tensor]:
    for one in gc.get_objects():
        # the class, not isinstance: that would ask a proxy for its own
        if issubclass(type(one), FakeTensor):
            continue                               # it stands in for one while a graph is recorded
        if issubclass(type(one), torch.Tensor) and one.layout == torch.strided and one.device.type == "cpu":
            yield one


def _covers(t: torch.Tensor, address: int) -> bool:
    try:
        start = t.data_ptr()
    except RuntimeError:                       # it has no memory: fake, functional, or being traced
        return False
    if not t.numel() or not start <= address:
        return False
    return address < start + (sum((n - 1) * s for n, s in zip(t.shape, t.stride())) + 1) * t.element_size()
