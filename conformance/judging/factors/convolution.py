"""What varies in the printed convolutions: the signal, the filter, and the numbers."""

from __future__ import annotations

from collections.abc import Callable

from ..recipes import Arguments, Source
from .base import Levels, Make, Rule, factors
from .regimes import values

LENGTHS = (43, 1, 2, 15, 16, 17, 64, 65, 128, 129, 1025)
FILTERS = (5, 1, 2, 3, 4, 15, 16, 17, 33)
CENTRED = (5, 1, 3, 7, 15, 17, 33)
KINDS = ("normal", "small", "positive", "wide", "cancelling", "ties", "zero")
Shapes = Callable[[Levels], tuple[int, ...]]


def _pair(first: str, second: str, one: Shapes, two: Shapes,
          more: Callable[[Levels], Arguments] = lambda at: {}) -> Make:
    """Two arrays of which the first is of the regime and the second is plain."""
    def make(s: Source, at: Levels) -> Arguments:
        return {first: values(s, one(at), at.data), second: s.normal(two(at)), **more(at)}
    return make


def signal(at: Levels) -> tuple[int, ...]:
    return (at.n,)


def taps(at: Levels) -> tuple[int, ...]:
    return (at.m,)


def out(at: Levels) -> tuple[int, ...]:
    return (at.n - at.m + 1,)


def image(at: Levels) -> tuple[int, ...]:
    return (at.H, at.W)


def window(at: Levels) -> tuple[int, ...]:
    return (at.M, at.N)


def left(at: Levels) -> tuple[int, ...]:
    return (at.H - at.M + 1, at.W - at.N + 1)


_FITS: tuple[Rule, ...] = (lambda at: at.m <= at.n, lambda at: at.n * at.m <= 18_000)
_LINE = {"n": LENGTHS, "m": FILTERS, "data": KINDS}
factors("conv1d.valid", levels=_LINE, rules=_FITS)(_pair("x", "theta", signal, taps))
factors("conv1d.valid.grad_x", levels=_LINE, rules=_FITS)(_pair("d", "theta", out, taps))
factors("conv1d.valid.grad_theta", levels=_LINE, rules=_FITS)(_pair("x", "d", signal, out))
_LINE = {"n": LENGTHS, "m": CENTRED, "data": KINDS}
factors("conv1d.centred", levels=_LINE, rules=_FITS[1:])(_pair("a", "theta", signal, taps))
factors("conv1d.centred.grad_a", levels=_LINE, rules=_FITS[1:])(_pair("d", "theta", signal, taps))
factors("conv1d.centred.grad_theta", levels=_LINE, rules=_FITS[1:])(
    _pair("a", "d", signal, signal, lambda at: {"m": at.m}))

_INSIDE: tuple[Rule, ...] = (lambda at: at.M <= at.H, lambda at: at.N <= at.W,
                             lambda at: at.H * at.W * at.M * at.N <= 8_500)
_PLANE = {"H": (9, 1, 2, 7, 17, 65), "W": (14, 1, 2, 7, 16, 33, 129), "M": (2, 1, 3, 5, 7), "N": (3, 1, 2, 4, 6),
          "data": KINDS}
factors("conv2d.valid", levels=_PLANE, rules=_INSIDE)(_pair("I", "K", image, window))
factors("conv2d.valid.grad_I", levels=_PLANE, rules=_INSIDE)(_pair("d", "K", left, window))
factors("conv2d.valid.grad_K", levels=_PLANE, rules=_INSIDE)(_pair("I", "d", image, left))
