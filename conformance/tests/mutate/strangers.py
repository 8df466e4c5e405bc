"""Other people's kernels, each wrong in one thing: written from the table of factors alone, never from the cases.

A stranger is a plain torch function of an op with a slip of the kind that kernels have: it forgets an argument, or
types it in; it is right for square windows only, up to the end of a tile, near zero, for contiguous tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import frozen

from chainrule.conformance import Backend
from chainrule.conformance.backend import load
from chainrule.conformance.judging.cases import cases_of
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL

Function = Callable[..., Any]
RIGHT = load("torch").ops


@frozen
class Stranger:
    """A wrong function of an op, and what is wrong with it."""

    op: str
    name: str
    run: Function
    dtypes: tuple[str, ...] = ("fp32",)

    def __str__(self) -> str:
        return f"{self.op}: {self.name}"


STRANGERS: list[Stranger] = []


def stranger(op: str, name: str, run: Function, dtypes: tuple[str, ...] = ("fp32",)) -> None:
    """A wrong function, called with the op's arguments by name."""
    STRANGERS.append(Stranger(op, name, run, dtypes))


def given(op: str, name: str, change: Callable[..., dict[str, Any]], dtypes: tuple[str, ...] = ("fp32",)) -> None:
    """The right function of other arguments: `change` gets them by name and gives those that it changes."""
    stranger(op, name, lambda **a: RIGHT[op](**{**a, **change(**a)}), dtypes)


def made(op: str, name: str, change: Callable[..., Any], dtypes: tuple[str, ...] = ("fp32",)) -> None:
    """The right function, and its result spoiled: `change` gets the outputs as a list, and the arguments by name."""
    def run(**a: Any) -> Any:
        found = RIGHT[op](**a)
        return change(list(found) if isinstance(found, tuple | list) else [found], **a)

    stranger(op, name, run, dtypes)


def killed(one: Stranger) -> str:
    """The first case that shows a wrong number; empty if none does."""
    backend = Backend("stranger", dtypes=one.dtypes)
    backend.op(one.op)(one.run)
    for case in cases_of(one.op, one.dtypes, one.dtypes[0]):
        if case.refused or case.convention:
            continue
        verdict = judge(case, backend, "host", explained=False)
        if verdict.state == FAIL and (verdict.worst is not None or "written" in verdict.reason):
            return case.id
    return ""


def pair(sides: Any) -> tuple[int, int]:
    return sides if isinstance(sides, tuple) else (sides, sides)


def beyond(t: torch.Tensor, n: int, axis: int = -1, to: float = 0.0) -> torch.Tensor:
    """What lies beyond n along an axis is not written."""
    t = t.clone()
    t.narrow(axis, min(n, t.shape[axis]), max(t.shape[axis] - n, 0)).fill_(to)
    return t


def ragged(t: torch.Tensor, block: int, axis: int = -1) -> torch.Tensor:
    """Whole blocks only, where there is one."""
    n = t.shape[axis]
    return beyond(t, n // block * block, axis) if n > block else t.clone()


def flat(t: torch.Tensor, n: int) -> torch.Tensor:
    return beyond(t.flatten(), n).view(t.shape)


def as_contiguous(t: torch.Tensor) -> torch.Tensor:
    """A tensor read as if it lay without gaps, as a kernel does that does not ask for strides."""
    size = t.untyped_storage().nbytes() // t.element_size() - t.storage_offset()
    stride = torch.empty(t.shape, device="meta").stride()
    return t.as_strided(t.shape, stride) if t.numel() <= size else t


def narrow(t: torch.Tensor) -> torch.Tensor:
    """Rounded to bf16 on its way."""
    return t.bfloat16().to(t.dtype)
