"""Where an op runs: a room is a module of kernels, and the composites of the same functions.

An autograd node asks `library.room` for one: the kernels; the composites where these have to stand in; and while a
graph is recorded or a transform of torch.func is active, the same functions as torch.library ops.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .launch import fall_back, runs_kernel

PACKAGE = __package__.rpartition(".")[0]


@dataclass(frozen=True)
class Room:
    """`ids` are the composites of the equations whose kernels the module has; `traced` the functions that are ops."""

    module: str
    composite: Any
    ids: dict[str, Callable[..., Any]]
    traced: SimpleNamespace


#: By the module of kernels: what the chapters have declared.
ROOMS: dict[str, Room] = {}


def eager_room(module: str, name: str, t: Tensor) -> Any:
    """The kernels of a module, or the composites where these have to stand in for the op `name`."""
    return entered(module, name, has_kernel(name, t))


def has_kernel(name: str, t: Tensor) -> bool:
    """Does a kernel compute the op `name` on t?"""
    if not runs_kernel(t):
        return False
    if t.dtype is torch.float64:
        fall_back(f"{name}: no kernel computes in float64")
        return False
    return True


def entered(module: str, name: str, by_kernels: bool) -> Any:
    """The kernels of a module, if they are wanted and Triton is there; else the composites."""
    if by_kernels:
        try:
            return kernels(module, name)
        except RuntimeError as missing:
            fall_back(str(missing).split(";")[0])
    return ROOMS[module].composite


@cache
def kernels(module: str, asked_by: str) -> Any:
    """A module of kernels, or one sentence saying why there is none."""
    try:
        return importlib.import_module(f".{module}", PACKAGE)
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] != "triton":
            raise
        raise RuntimeError(
            f"{asked_by}: Triton is not installed, so this tensor has no kernel; install triton, or move the "
            "tensor to the CPU, where the ATen composite runs"
        ) from None
