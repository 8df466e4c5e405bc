"""The list of features, and how their results are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ..fault import KernelFault

FEATURES: dict[str, Callable[[], None]] = {}


class Unavailable(Exception):
    """This Triton does not have the feature at all, on a GPU either."""


def feature(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(check: Callable[[], None]) -> Callable[[], None]:
        assert name not in FEATURES
        assert name.isascii(), "pytest -k finds it by its words"
        FEATURES[name] = check
        return check
    return add


@contextmanager
def refused(kind: type[Exception], check: str = "") -> Iterator[None]:
    """What runs inside must be refused: no compiler would take it, or no GPU forgive it."""
    try:
        yield
    except kind as error:
        if check and getattr(error, "check", "") != check:
            raise AssertionError(f"refused as {getattr(error, 'check', '')!r}, not as {check!r}") from error
    else:
        raise AssertionError("it ran, and on a GPU it would not")


@contextmanager
def new(what: str) -> Iterator[None]:
    """What runs inside compiles with later releases only."""
    try:
        yield
    except KernelFault as fault:
        if fault.check != "compile":
            raise
        raise Unavailable(f"this Triton does not compile {what}") from fault


def same(got: torch.Tensor, want: torch.Tensor) -> None:
    """Bit for bit, but for the payload of a NaN."""
    assert got.dtype == want.dtype, f"{got.dtype}, not {want.dtype}"
    assert got.shape == want.shape, f"{got.shape}, not {want.shape}"
    raw = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[got.element_size()]
    differ = got.view(raw) != want.view(raw)
    if got.dtype.is_floating_point:
        differ &= ~(got.double().isnan() & want.double().isnan())
    if differ.any():
        i = int(differ.reshape(-1).nonzero()[0])
        raise AssertionError(f"{int(differ.sum())} of {differ.numel()} elements differ; element {i} is "
                             f"{got.reshape(-1)[i].item()!r}, not {want.reshape(-1)[i].item()!r}")


def nearest(got: torch.Tensor, want: torch.Tensor) -> None:
    """Each element is the exact value (given in float64) rounded, or a direct neighbour of that."""
    rounded = want.to(got.dtype)
    up = torch.nextafter(rounded, torch.full_like(rounded, torch.inf))
    down = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
    good = (got == rounded) | (got == up) | (got == down)
    if not good.all():
        i = int((~good).reshape(-1).nonzero()[0])
        raise AssertionError(
            f"element {i} is {got.reshape(-1)[i].item()!r}, far from {want.reshape(-1)[i].item()!r}")


def integers(*shape: int, low: int = -8, high: int = 9) -> torch.Tensor:
    """Small whole numbers as float32: every sum and product of a few is exact, in any order."""
    return torch.randint(low, high, shape).float()
