"""torch.nn.functional's names and contracts for images; `functional` has them too."""

from __future__ import annotations

from typing import Any, Literal, overload

import torch
from torch import Tensor

from ..activations.checks import activation, anyhow
from ..activations.table import ACTIVATIONS
from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.instead import dropping, or_torch
from ..runtime.launch import asked
from ..runtime.precision import autocast_somewhere
from ..runtime.refusals import WrongType, WrongValue
from . import checks as image_checks
from . import nodes as image_autograd
from .checks import Sides


@or_torch(dropping(torch.nn.functional.conv2d, "precision"))
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sides = 1, padding: Sides | str = 0,
    dilation: Sides = 1, groups: int = 1, *, precision: str | None = None,
) -> Tensor:
    """conv2d.layer   b + x ∗ w, the filter not flipped: input (B, C·groups, H, W), weight (F, C, M, N), bias (F,)."""
    if autocast_somewhere():
        input, weight, bias = casting.products(input, weight, bias)
    return _layer("conv2d", input, weight, bias, stride, padding, dilation, groups, "identity", 0.0, False, precision)


def _in_parts(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "relu", stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, *, pool: bool = False, precision: str | None = None, **parameter: float,
) -> Tensor:
    """conv2d_act by torch's functions."""
    a = anyhow(torch.nn.functional.conv2d(input, weight, bias, stride, padding, dilation, groups), act, **parameter)
    return torch.nn.functional.max_pool2d(a, 2) if pool else a


@or_torch(_in_parts)
def conv2d_act(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "relu", stride: Sides = 1,
    padding: Sides | str = 0, dilation: Sides = 1, groups: int = 1, *, pool: bool = False,
    precision: str | None = None, **parameter: float,
) -> Tensor:
    """conv2d.layer   g(b + x ∗ w) in one pass; with `pool` the 2 × 2 maximum of it, and no kernel stores the whole.

    act is sigmoid, tanh, relu, leaky (slope=0.1), elu (alpha=1) or identity. On a CPU torch keeps the unpooled map.
    """
    p, g = activation("conv2d_act", act, **parameter), ACTIVATIONS[act]
    if g.heavy:
        raise WrongValue(f"conv2d_act: {act} behind a convolution has no kernel")
    if pool and not g.rises(p):
        own = f" with {g.parameter} = {p}" if g.parameter else ""
        raise WrongValue(f"conv2d_act: {act}{own} falls somewhere, so its maxima are not those of z")
    if autocast_somewhere():
        input, weight, bias = casting.products(input, weight, bias)
    return _layer("conv2d_act", input, weight, bias, stride, padding, dilation, groups, act, p, pool, precision)


def _layer(
    name: str, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sides, padding: Sides | str,
    dilation: Sides, groups: int, act: str, p: float, pool: bool, precision: str | None,
) -> Tensor:
    if isinstance(padding, str):
        image_checks.tensors(input, weight, bias, name)
        padding = image_checks.in_numbers(name, padding, weight, dilation)
    sizes = image_checks.forward(input, weight, bias, stride, padding, dilation, groups, name, pool)
    math = None if precision is None else asked(precision)
    return image_autograd.convolution(input, weight, bias, sizes, act, p, math, pool)


@or_torch(dropping(torch.nn.functional.conv1d, "precision"))
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0, dilation: int | tuple[int] = 1, groups: int = 1, *,
    precision: str | None = None,
) -> Tensor:
    """conv2d.layer with one row: input (B, C·groups, L), weight (F, C, m), bias (F,) or None."""
    input, weight, bias = casting.products(input, weight, bias)
    checks.floating("conv1d", input=input, weight=weight, bias=bias)
    checks.rank("conv1d", 3, input=input, weight=weight)
    s, e = _single("conv1d", "stride", stride), _single("conv1d", "dilation", dilation)
    p: Sides | str = padding if isinstance(padding, str) else (0, _single("conv1d", "padding", padding))
    y = _layer("conv1d", input.unsqueeze(2), weight.unsqueeze(2), bias, (1, s), p, (1, e), groups, "identity", 0.0,
               False, precision)
    return y.squeeze(2)


def _single(name: str, label: str, side: int | tuple[int]) -> int:
    both = image_checks.pair(name, label, side, 0)
    if both[0] != both[1]:
        raise WrongType(f"{name}: {label} = {side}; expected one whole number")
    return both[0]


@overload
def max_pool2d(
    input: Tensor, kernel_size: Sides, stride: Sides | None = ..., padding: Sides = ..., dilation: Sides = ...,
    ceil_mode: bool = ..., return_indices: Literal[False] = ...,
) -> Tensor: ...
@overload
def max_pool2d(
    input: Tensor, kernel_size: Sides, stride: Sides | None = ..., padding: Sides = ..., dilation: Sides = ...,
    ceil_mode: bool = ..., *, return_indices: bool,
) -> Any: ...
@or_torch(torch.nn.functional.max_pool2d)
def max_pool2d(
    input: Tensor, kernel_size: Sides, stride: Sides | None = None, padding: Sides = 0, dilation: Sides = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:
    """pool.max   the largest of each window; with `return_indices` also its row-major place in the image, int64."""
    checks.floating("max_pool2d", input=input)
    checks.rank("max_pool2d", 4, input=input)
    return _pooled("max_pool2d", input, kernel_size, stride or None, padding, dilation, ceil_mode, return_indices)


def _pooled(
    name: str, input: Tensor, kernel_size: Sides, stride: Sides | None, padding: Sides, dilation: Sides,
    ceil_mode: bool, return_indices: bool,
) -> Any:
    if image_checks.pair(name, "dilation", dilation, 1) != (1, 1):
        raise WrongValue(f"{name}: dilation = {dilation} has no kernel")
    sizes = image_checks.pooling(name, input, kernel_size, stride, padding, ceil_mode)
    return image_autograd.max_pool(input, sizes, return_indices)


@or_torch(torch.nn.functional.max_pool1d)
def max_pool1d(
    input: Tensor, kernel_size: int | tuple[int], stride: int | tuple[int] | None = None, padding: int | tuple[int] = 0,
    dilation: int | tuple[int] = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Any:
    """pool.max with one row: input (B, C, L); with `return_indices` also the place in the signal, int64."""
    checks.floating("max_pool1d", input=input)
    checks.rank("max_pool1d", 3, input=input)
    k, p, e = (_single("max_pool1d", *one) for one in (
        ("kernel_size", kernel_size), ("padding", padding), ("dilation", dilation)))
    s = _single("max_pool1d", "stride", stride) if stride else k
    found = _pooled("max_pool1d", input.unsqueeze(2), (1, k), (1, s), (0, p), (1, e), ceil_mode, return_indices)
    return tuple(t.squeeze(2) for t in found) if return_indices else found.squeeze(2)
