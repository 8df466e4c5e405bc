"""The autograd nodes on images: a convolution layer, the same with its pooling, and pooling alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import max_pool2d_with_indices

from ..activations import saved
from ..activations.nodes import activated, through
from ..runtime.launch import by_torch
from ..runtime.library import room
from ..runtime.nodes import applied, aside, once, recorded
from . import composite
from . import ops as _declared  # noqa: F401  the rooms that the nodes ask for
from .checks import Layer, Pool, pool


def gradients(
    ctx: Any, d: Tensor, x: Tensor, w: Tensor, sizes: Layer, biased: bool, math: str | None
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """∂x, ∂w and ∂b of what needs them."""
    wants_x, wants_w, wants_b = ctx.needs_input_grad[:3]
    dx = dw = db = None
    if wants_x:
        layer = room("images.layer", "conv2d.layer.grad_x", d)
        dx = layer.delta_through(d, w, sizes, None, "identity", 0.0, math)
    if wants_w or (wants_b and biased):
        filters = room("images.filters", "conv2d.layer.grad_w", d)
        dw, db = filters.averaged(d, x, None, sizes, 0.0, 1.0, wants_w, wants_b and biased, math)
    return dx, dw if wants_w else None, db if wants_b and biased else None


class Convolution(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, math: str | None, keep: bool
    ) -> tuple[Tensor, Tensor]:
        keep_z = keep and saved.shown(act, x.dtype, p) == "z"
        layer = room("images.layer", "conv2d.layer", x)
        a, z = layer.keeping(x, w, b, sizes, act, p, keep_z, math)
        return a, z if keep_z else a.new_empty(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, w, b, ctx.sizes, ctx.act, ctx.p, ctx.math, _ = inputs
        ctx.biased, ctx.form = b is not None, saved.shown(ctx.act, x.dtype, ctx.p)
        aside(ctx, output[1])
        ctx.save_for_backward(x, w, output[0] if ctx.form == "a" else output[1] if ctx.form == "z" else None)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, w, kept = ctx.saved_tensors
        d = through(grad, kept, ctx.act, ctx.form, ctx.p)
        return *gradients(ctx, d, x, w, ctx.sizes, ctx.biased, ctx.math), None, None, None, None, None


class ConvolutionPooled(Function):
    """The layer and its 2 × 2 pooling: in backward g′ is read at the maxima, and the unpooled a is never kept. The y
    that is handed out is not either, and so may be written over."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, math: str | None, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        form = saved.pooled(act) if keep else "nothing"
        pooled = room("images.pooled", "conv2d.layer", x)
        y, index, z = pooled.pooled_keeping(x, w, b, sizes, act, p, form == "z", math, keep, form == "side")
        return y, index, z if form == "z" else y.new_empty(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, w, b, ctx.sizes, ctx.act, ctx.p, ctx.math, _ = inputs
        _, index, z = output
        ctx.biased, ctx.form = b is not None, saved.pooled(ctx.act)
        aside(ctx, index, z)
        ctx.save_for_backward(x, w, index, z if ctx.form == "z" else None)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, w, index, kept = ctx.saved_tensors
        whole = pool("pool.max.grad_x", ctx.sizes.y_shape, 2, 2, 0)
        back = room("images.pool", "pool.max.grad_x", grad)
        d = back.pooled_backward(grad, index, whole, kept, ctx.act, ctx.form, ctx.p)
        return *gradients(ctx, d, x, w, ctx.sizes, ctx.biased, ctx.math), None, None, None, None, None


class MaxPool(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, sizes: Pool) -> tuple[Tensor, Tensor]:
        y, index = room("images.pool", "pool.max", x).pooled(x, sizes)
        return y, index

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _, ctx.sizes = inputs
        aside(ctx, output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        back = room("images.pool", "pool.max.grad_x", grad)
        return back.pooled_backward(grad, index, ctx.sizes, None, "identity", "nothing", 0.0), None


def convolution(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, math: str | None, pooled: bool = False
) -> Tensor:
    if by_torch(x) and x.numel():
        z = composite.affine(x, w, b, sizes)
        if not pooled:
            return composite.ordered(activated(z, act, p), x)
        if act == "sigmoid":            # g′ is read off its values, which behind the pooling may be written over
            a = torch.max_pool2d(torch.sigmoid(z), 2)
        else:                           # no g falls, so z is pooled
            z = torch.max_pool2d(z, 2)
            a = torch.threshold(z, 0.0, 0.0) if act == "relu" else activated(z, act, p)
        return composite.ordered(a, x)
    node = ConvolutionPooled if pooled else Convolution
    y: Tensor = applied(node, x, w, b, sizes, act, p, math, recorded(x, w, b))[0]
    return y


def max_pool(x: Tensor, sizes: Pool, indices: bool) -> Tensor | tuple[Tensor, Tensor]:
    """The maxima; with `indices` also their row-major places in the image."""
    if by_torch(x) and x.numel():
        window = sizes.window, sizes.stride, sizes.padding
        if not indices:
            return composite.ordered(torch.max_pool2d(x, *window), x)
        y, index = max_pool2d_with_indices(x, *window)
        return composite.ordered(y, x), composite.ordered(index, x)
    y, index = applied(MaxPool, x, sizes)
    return (y, room("images.composite", "pool.max", index).in_image(index, sizes)) if indices else y
