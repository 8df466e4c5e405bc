"""Convolution layers and pooling as ops of training code: forward, backward, and the rule between them.

Sizes travel as whole numbers, which are those of the arguments of `functional`; what there is not comes back empty.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

from ..activations import saved
from ..runtime.library import Op, call, declare, node, ready, room
from ..runtime.rooms import eager_room
from . import checks, composite, nodes
from .checks import Layer, Pool, Sides


def _whole(*sides: Any) -> list[Any]:
    """(vertical, horizontal) of each as plain numbers; told to leave sizes open, a tracer leaves these open too."""
    return [(int(vertical), int(horizontal)) for vertical, horizontal in sides]


def _layer(x: Tensor, w: Tensor, stride: Any, padding: Any, dilation: Any, groups: int, *_: Any) -> Layer:
    s, r, e = _whole(stride, padding, dilation)
    return checks.layer("conv2d", tuple(x.shape), tuple(w.shape), s, r, e, int(groups))


def _pool(x_shape: Any, *how: Any) -> Pool:
    return checks.pool("pool.max", tuple(x_shape), *_whole(*how))


def _table(x: Tensor, w: Tensor, how: tuple[Any, ...], table: str) -> str | None:
    """Whose kernels may move boxes of this layer, once there are addresses."""
    sizes = _layer(x, w, *how)
    aligned = sizes.groups == 1 and sizes.channels % 8 == 0 and sizes.filters % 8 == 0 and x.stride(1) == 1
    return table if aligned else None


def convolution(
    x: Tensor, w: Tensor, b: Tensor | None, stride: list[int], padding: list[int], dilation: list[int], groups: int,
    act: str, p: float, pool: bool, math: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, places of the maxima, z)."""
    sizes = _layer(x, w, stride, padding, dilation, groups)
    if pool:
        return nodes.ConvolutionPooled.forward(x, w, b, sizes, act, p, math, True)
    y, z = nodes.Convolution.forward(x, w, b, sizes, act, p, math, True)
    return y, x.new_empty(0, dtype=torch.uint8), z


def _form(x: Tensor, act: str, p: float, pool: bool) -> str:
    return saved.pooled(act) if pool else saved.shown(act, x.dtype, p)


def convolution_backward(
    grad: Tensor, x: Tensor, w: Tensor, index: Tensor, kept: Tensor | None, biased: bool, wants: list[bool],
    stride: list[int], padding: list[int], dilation: list[int], groups: int, act: str, p: float, pool: bool,
    math: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(∂x, ∂w, ∂b) of those that are wanted."""
    sizes, form = _layer(x, w, stride, padding, dilation, groups), _form(x, act, p, pool)
    d = grad
    if pool:
        whole = checks.pool("pool.max.grad_x", sizes.y_shape, 2, 2, 0)
        d = eager_room("images.pool", "pool.max.grad_x", grad).pooled_backward(grad, index, whole, kept, act, form, p)
    elif kept is not None:
        d = eager_room("activations.kernels", f"act.{act}", grad).backward(grad, kept, act, form, p)
    found = nodes.gradients(SimpleNamespace(needs_input_grad=wants), d, x, w, sizes, biased, math)
    dx, dw, db = (model.new_empty(0) if t is None else t for t, model in zip(found, (x, w, w)))
    return dx, dw, db


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, w, b, *ctx.how = inputs
    y, index, z = output
    form = _form(x, *ctx.how[4:7])
    ctx.biased = b is not None
    ctx.mark_non_differentiable(index, z)
    ctx.save_for_backward(x, w, index, y if form == "a" else z if form == "z" else None)


def _backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Any, ...]:
    x, w, index, kept = ctx.saved_tensors
    wants = list(ctx.needs_input_grad[:3])
    found = call("convolution_backward", grad, x, w, index, kept, ctx.biased, wants, *ctx.how)
    asked = (wants[0], wants[1], wants[2] and ctx.biased)
    return (*(t if wanted else None for t, wanted in zip(found, asked)), *[None] * len(ctx.how))


def max_pool(x: Tensor, k: list[int], stride: list[int], padding: list[int]) -> tuple[Tensor, Tensor]:
    return nodes.MaxPool.forward(x, checks.pooling("max_pool2d", x, *_whole(k, stride, padding)))


def max_pool_backward(
    grad: Tensor, index: Tensor, x_shape: list[int], k: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    back, sizes = room("images.pool", "pool.max.grad_x", grad), _pool(x_shape, k, stride, padding)
    result: Tensor = back.pooled_backward(grad, index, sizes, None, "identity", "nothing", 0.0)
    return result


def _pool_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, *ctx.how = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.shape = list(x.shape)
    ctx.save_for_backward(output[1])


def _pool_backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    return call("max_pool_backward", grad, ctx.saved_tensors[0], ctx.shape, *ctx.how), None, None, None


def max_pool_places(
    index: Tensor, x_shape: list[int], k: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    """Places in windows as places in the image, as torch counts them."""
    return composite.in_image(index, _pool(x_shape, k, stride, padding))


declare(
    "images.ops", composite,
    Op("convolution", run=convolution, backward=_backward, setup=_setup,
       boxes=lambda x, w, b, *how: _table(x, w, how, "conv2d.layer.pool" if how[6] else "conv2d.layer")),
    Op("convolution_backward", run=convolution_backward,
       boxes=lambda grad, x, w, index, kept, biased, wants, *how: _table(x, w, how, "conv2d.layer")),
    Op("max_pool", run=max_pool, backward=_pool_backward, setup=_pool_setup),
    Op("max_pool_backward", run=max_pool_backward),
    Op("max_pool_places", run=max_pool_places),
)


def _applied(name: str, *args: Any) -> Any:
    """While traced the op; inside a transform of torch.func its node. Sizes are checked by the op itself: a tracer
    cannot follow how they are kept."""
    ready()
    return call(name, *args) if is_compiling() else node(name).apply(*args)     # type: ignore[no-untyped-call]


def traced_convolution(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sides, padding: Sides, dilation: Sides, *how: Any
) -> Tensor:
    """how: groups, act, p, with its pooling or not, math."""
    y: Tensor = _applied("convolution", x, w, b, _both(stride), _both(padding), _both(dilation), *how)[0]
    return y


def traced_max_pool(x: Tensor, k: Sides, stride: Sides | None, padding: Sides, indices: bool) -> Any:
    how = _both(k), _both(k if stride is None else stride), _both(padding)
    y, index = _applied("max_pool", x, *how)
    return (y, call("max_pool_places", index, list(x.shape), *how)) if indices else y


def _both(sides: Sides) -> list[int]:
    return list(checks.pair("image", "sides", sides, 0))
