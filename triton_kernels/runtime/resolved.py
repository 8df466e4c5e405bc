"""Tensors as kernels see them: an address, sizes and strides. What torch keeps beside these is settled here, once,
before anybody reads an address: the negative bit of a view, a tensor of zeros without memory, gaps in what is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling


def is_settled(t: Tensor) -> bool:
    """Does the memory hold the numbers? While a graph is traced there is none; it is asked when the graph runs."""
    return is_compiling() or not (t.is_neg() or t._is_zerotensor())


def resolved(t: Tensor) -> Tensor:
    """t, or other memory of the same strides that holds the numbers which t stands for."""
    if is_settled(t):
        return t
    span = 1 + sum((size - 1) * stride for size, stride in zip(t.shape, t.stride())) if t.numel() else 0
    stretch = t.new_zeros(span) if t._is_zerotensor() else t.detach().as_strided((span,), (1,)).resolve_neg()
    return stretch.as_strided(t.shape, t.stride())


def argument(given: Any) -> Any:
    """A kernel's argument, a tensor, several or a descriptor of one, resolved."""
    if isinstance(given, Tensor):
        return resolved(given)
    if type(given) is tuple and given and isinstance(given[0], Tensor):
        return tuple(map(resolved, given))
    base = getattr(given, "base", None)
    if not isinstance(base, Tensor) or is_settled(base):
        return given
    return dataclasses.replace(given, base=resolved(base))


@contextmanager
def written(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Places that a kernel may write, side by side: the tensors themselves, or copies that are put back at the end.

    Autograd learns of the writes, which as a kernel's it would not see.
    """
    places = tuple(t if t.is_contiguous() and is_settled(t) else torch.empty(
        t.shape, dtype=t.dtype, device=t.device).copy_(t) for t in tensors)
    yield places
    for t, place in zip(tensors, places):
        if place is t:
            torch.autograd.graph.increment_version(t)
        else:
            t.copy_(place)
