"""torch.nn.functional's names and contracts for images; `functional` has them too."""

from __future__ import annotations

from typing import Any, Literal, overload

from torch import Tensor

from ..layers.nodes import as_ops
from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.launch import asked
from . import checks as image_checks
from . import nodes as image_autograd
from . import ops as image_library
from .checks import Sides


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sides = 1, padding: Sides | str = 0,
    dilation: Sides = 1, groups: int = 1, *, precision: str | None = None,
) -> Tensor:
    """conv2d.layer   b + x ∗ w, the filter not flipped: input (B, C·groups, H, W), weight (F, C, M, N), bias (F,)."""
    input, weight, bias = casting.products(input, weight, bias)
    padding = image_checks.in_numbers("conv2d", padding, weight, dilation)
    if as_ops(input):
        how = (stride, padding, dilation, groups, "identity", 0.0, asked(precision))
        return image_library.traced_convolution(input, weight, bias, *how)
    sizes = image_checks.forward(input, weight, bias, stride, padding, dilation, groups, "conv2d")
    return image_autograd.convolution(input, weight, bias, sizes, "identity", 0.0, asked(precision))


def conv2d_act(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "relu", stride: Sides = 1,
    padding: Sides | str = 0, dilation: Sides = 1, groups: int = 1, *, pool: bool = False,
    precision: str | None = None, **parameter: float,
) -> Tensor:
    """conv2d.layer   g(b + x ∗ w) in one pass; with `pool` the 2 × 2 maximum of it, and no kernel stores the whole.

    act is sigmoid, tanh, relu, leaky (slope=0.1), elu (alpha=1) or identity. On a CPU torch keeps the unpooled map.
    """
    p = checks.activation("conv2d_act", act, **parameter)
    if pool and act == "elu" and p < 0:
        raise ValueError(f"conv2d_act: elu with alpha = {p} falls where z < 0, so its maxima are not those of z; "
                         "pool it by max_pool2d")
    input, weight, bias = casting.products(input, weight, bias)
    padding = image_checks.in_numbers("conv2d_act", padding, weight, dilation)
    if as_ops(input):
        how = (stride, padding, dilation, groups, act, p, asked(precision))
        return image_library.traced_convolution(input, weight, bias, *how, pool)
    sizes = image_checks.forward(input, weight, bias, stride, padding, dilation, groups, "conv2d_act")
    if pool:
        image_checks.halved("conv2d_act", sizes)
    return image_autograd.convolution(input, weight, bias, sizes, act, p, asked(precision), pool)


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0, dilation: int | tuple[int] = 1, groups: int = 1, *,
    precision: str | None = None,
) -> Tensor:
    """conv2d.layer with one row: input (B, C·groups, L), weight (F, C, m), bias (F,) or None."""
    checks.floating("conv1d", input=input, weight=weight, bias=bias)
    checks.rank("conv1d", 3, input=input, weight=weight)
    s, e = _single(stride), _single(dilation)
    p: Sides | str = padding if isinstance(padding, str) else (0, _single(padding))
    y = conv2d(input.unsqueeze(2), weight.unsqueeze(2), bias, (1, s), p, (1, e), groups, precision=precision)
    return y.squeeze(2)


def _single(side: int | tuple[int]) -> int:
    return side if isinstance(side, int) else side[0]


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
def max_pool2d(
    input: Tensor, kernel_size: Sides, stride: Sides | None = None, padding: Sides = 0, dilation: Sides = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:
    """pool.max   the largest of each window; with `return_indices` also its row-major place in the image, int64."""
    if dilation not in (1, (1, 1), [1, 1]):
        raise ValueError(f"max_pool2d: dilation = {dilation} has no kernel; use torch.nn.functional.max_pool2d")
    if not ceil_mode and as_ops(input):
        return image_library.traced_max_pool(input, kernel_size, stride, padding, return_indices)
    sizes = image_checks.pooling("max_pool2d", input, kernel_size, stride, padding, ceil_mode)
    return image_autograd.max_pool(input, sizes, return_indices)
