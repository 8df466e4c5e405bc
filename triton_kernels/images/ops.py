"""Convolution layers and pooling as torch.library ops, for traced code and for transforms of torch.func: forward,
backward, and the rule between them.

They open up like the ops of `library`, and as there stay closed (`…_boxes`) where kernels that move boxes may take
them; sizes travel as whole numbers, which are those of the arguments of `functional`.
"""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.compiler import is_compiling
from torch.library import custom_op, triton_op

from ..activations import saved
from ..layers.nodes import once
from ..runtime.layout import like
from ..runtime.library import act_backward, in_boxes, keep_caches_apart, one_by_one
from . import checks as image_checks
from . import nodes as image_autograd
from .checks import Sides
from .composite import in_image

_NAMES = ("stride", "padding", "dilation", "groups", "act", "p", "pool", "math")


def _sizes(x: Tensor, w: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> image_checks.Layer:
    s, r, e = _closed(stride, padding, dilation)
    return image_checks.layer("conv2d", tuple(x.shape), tuple(w.shape), s, r, e, int(groups))


def _closed(*sides: Any) -> list[image_checks.Pair]:
    """(vertical, horizontal) of each as plain numbers; told to leave sizes open, a tracer leaves these open too."""
    return [(int(vertical), int(horizontal)) for vertical, horizontal in sides]


def _in_boxes(table: str, x: Tensor, sizes: image_checks.Layer) -> bool:
    """Would kernels that move boxes take this layer, once there are addresses?"""
    aligned = sizes.groups == 1 and sizes.channels % 8 == 0 and sizes.filters % 8 == 0
    return in_boxes(table, x) and aligned and x.stride(1) == 1


def convolution(
    x: Tensor, w: Tensor, b: Tensor | None, stride: list[int], padding: list[int], dilation: list[int], groups: int,
    act: str, p: float, pool: bool, math: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, places of the maxima, z); what there is not comes back empty."""
    sizes = _sizes(x, w, stride, padding, dilation, groups)
    if _in_boxes("conv2d.layer.pool" if pool else "conv2d.layer", x, sizes):
        how = (stride, padding, dilation, groups, act, p, pool, math)
        whole: tuple[Tensor, Tensor, Tensor] = torch.ops.chainrule.convolution_boxes(x, w, b, *how)
        return whole
    if pool:
        return image_autograd.ConvolutionPooled.forward(x, w, b, sizes, act, p, math, True)
    y, z = image_autograd.Convolution.forward(x, w, b, sizes, act, p, math, True)
    return y, x.new_empty(0, dtype=torch.uint8), z


def _convolution_shapes(
    x: Tensor, w: Tensor, b: Any, stride: Any, padding: Any, dilation: Any, groups: int, act: str, p: float,
    pool: bool, math: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    sizes = _sizes(x, w, stride, padding, dilation, groups)
    y = like(image_checks.halved("conv2d_act", sizes) if pool else sizes.y_shape, x)
    index = torch.empty_like(y, dtype=torch.uint8) if pool else x.new_empty(0, dtype=torch.uint8)
    return y, index, torch.empty_like(y) if saved.shown(act, x.dtype, p, pool) == "z" else x.new_empty(0)


def convolution_backward(
    grad: Tensor, x: Tensor, w: Tensor, index: Tensor, kept: Tensor | None, biased: bool, wants: list[bool],
    stride: list[int], padding: list[int], dilation: list[int], groups: int, act: str, p: float, pool: bool,
    math: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(∂x, ∂w, ∂b); what nobody wants comes back empty."""
    sizes, form = _sizes(x, w, stride, padding, dilation, groups), saved.shown(act, x.dtype, p, pool)
    if _in_boxes("conv2d.layer", x, sizes):
        how = (stride, padding, dilation, groups, act, p, pool, math)
        closed: tuple[Tensor, Tensor, Tensor] = torch.ops.chainrule.convolution_backward_boxes(
            grad, x, w, index, kept, biased, wants, *how)
        return closed
    if pool:
        back = image_autograd.room("images.pool", "pool.max.grad_x", grad)
        whole = image_checks.pool("pool.max.grad_x", sizes.y_shape, 2, 2, 0)
        prime = back.derivative(act, "a" if form == "nothing" else form)
        d = back.pooled_backward(grad, index, whole, kept, prime, p)
    else:
        d = grad if kept is None else act_backward(grad, kept, act, form, p)
    ctx = SimpleNamespace(needs_input_grad=wants)
    dx, dw, db = image_autograd.gradients(ctx, d, x, w, sizes, biased, math)
    return _or_empty(x, dx), _or_empty(w, dw), _or_empty(w, db)


def _backward_shapes(
    grad: Tensor, x: Tensor, w: Tensor, index: Tensor, kept: Any, biased: bool, wants: list[bool], *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    dx = like(tuple(x.shape), grad) if wants[0] else x.new_empty(0)
    dw = like(tuple(w.shape), x) if wants[1] else w.new_empty(0)
    return dx, dw, w.new_empty(w.shape[0]) if wants[2] and biased else w.new_empty(0)


def _or_empty(model: Tensor, t: Tensor | None) -> Tensor:
    return model.new_empty(0) if t is None else t


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, w, b, *ctx.how = inputs
    y, index, z = output
    form = saved.shown(ctx.how[4], x.dtype, ctx.how[5], ctx.how[6])
    ctx.biased = b is not None
    ctx.mark_non_differentiable(index, z)
    ctx.save_for_backward(x, w, index, y if form == "a" else z if form == "z" else None)


def _backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Any, ...]:
    x, w, index, kept = ctx.saved_tensors
    wants = list(ctx.needs_input_grad[:3])
    found = torch.ops.chainrule.convolution_backward(grad, x, w, index, kept, ctx.biased, wants, *ctx.how)
    asked = (wants[0], wants[1], wants[2] and ctx.biased)
    return (*(t if wanted else None for t, wanted in zip(found, asked)), *[None] * len(_NAMES))


def max_pool(
    x: Tensor, k: list[int], stride: list[int], padding: list[int]
) -> tuple[Tensor, Tensor]:
    return image_autograd.MaxPool.forward(x, _pool(x, k, stride, padding))


def _pool(x: Tensor, k: Any, stride: Any, padding: Any) -> image_checks.Pool:
    window, s, r = _closed(k, stride, padding)
    return image_checks.pooling("max_pool2d", x, window, s, r)


def _pool_of(x_shape: list[int], k: Any, stride: Any, padding: Any) -> image_checks.Pool:
    window, s, r = _closed(k, stride, padding)
    return image_checks.pool("pool.max", tuple(x_shape), window, s, r)


def _pool_shapes(x: Tensor, k: Any, stride: Any, padding: Any) -> tuple[Tensor, Tensor]:
    y = like(_pool(x, k, stride, padding).y_shape, x)
    return y, torch.empty_like(y, dtype=torch.uint8)


def max_pool_backward(
    grad: Tensor, index: Tensor, x_shape: list[int], k: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    back = image_autograd.room("images.pool", "pool.max.grad_x", grad)
    sizes = _pool_of(x_shape, k, stride, padding)
    result: Tensor = back.pooled_backward(grad, index, sizes, None, None, 0.0)
    return result


def _pool_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, *ctx.how = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.shape = list(x.shape)
    ctx.save_for_backward(output[1])


def _pool_backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    (index,) = ctx.saved_tensors
    return torch.ops.chainrule.max_pool_backward(grad, index, ctx.shape, *ctx.how), None, None, None


def max_pool_places(
    index: Tensor, x_shape: list[int], k: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    """Places in windows as places in the image, as torch counts them."""
    return in_image(index, _pool_of(x_shape, k, stride, padding))


class _Convolution(Function):
    """The op inside a transform of torch.func, which sees no rule that an op has been given."""

    generate_vmap_rule = True
    setup_context = staticmethod(_setup)
    backward = staticmethod(once(_backward))

    @staticmethod
    def forward(*args: Any) -> Any:
        return torch.ops.chainrule.convolution(*args)


class _MaxPool(Function):
    generate_vmap_rule = True
    setup_context = staticmethod(_pool_setup)
    backward = staticmethod(once(_pool_backward))

    @staticmethod
    def forward(*args: Any) -> Any:
        return torch.ops.chainrule.max_pool(*args)


#: name: (what runs, its shapes)
OPS: dict[str, tuple[Any, Any]] = {
    "convolution": (convolution, _convolution_shapes),
    "convolution_backward": (convolution_backward, _backward_shapes),
    "max_pool": (max_pool, _pool_shapes),
    "max_pool_backward": (max_pool_backward, lambda grad, index, shape, *how: like(tuple(shape), index, grad.dtype)),
    "max_pool_places": (max_pool_places, lambda index, *how: torch.empty_like(index, dtype=torch.int64)),
}


@cache
def registered() -> SimpleNamespace:
    """The ops by name; the first call registers them."""
    found: dict[str, Any] = {
        name: triton_op(f"chainrule::{name}", function, mutates_args=()) for name, (function, _) in OPS.items()}
    for name, (_, shapes) in OPS.items():
        found[name].register_fake(shapes)
        found[name].register_vmap(partial(one_by_one, found[name]))
    for name in ("convolution", "convolution_backward"):
        found[f"{name}_boxes"] = custom_op(f"chainrule::{name}_boxes", OPS[name][0], mutates_args=())
        found[f"{name}_boxes"].register_fake(OPS[name][1])
    found["convolution"].register_autograd(_backward, setup_context=_setup)
    found["max_pool"].register_autograd(_pool_backward, setup_context=_pool_setup)
    keep_caches_apart()
    return SimpleNamespace(**found)


def ready() -> bool:
    """Registers while a function is traced; see `library.ready`."""
    registered()
    return True


ready._dynamo_marked_constant = True  # type: ignore[attr-defined]


def traced_convolution(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sides, padding: Sides, dilation: Sides, groups: int, act: str,
    p: float, math: str | None, pool: bool = False,
) -> Tensor:
    """Sizes are checked by the op itself: a tracer cannot follow how they are kept."""
    ready()
    call: Any = torch.ops.chainrule.convolution if is_compiling() else _Convolution.apply
    y: Tensor = call(x, w, b, _both(stride), _both(padding), _both(dilation), groups, act, p, pool, math)[0]
    return y


def traced_max_pool(
    x: Tensor, k: Sides, stride: Sides | None, padding: Sides, indices: bool
) -> Tensor | tuple[Tensor, Tensor]:
    ready()
    how = _both(k), _both(k if stride is None else stride), _both(padding)
    call: Any = torch.ops.chainrule.max_pool if is_compiling() else _MaxPool.apply
    y, index = call(x, *how)
    return (y, torch.ops.chainrule.max_pool_places(index, list(x.shape), *how)) if indices else y


def _both(sides: Sides) -> list[int]:
    return list(image_checks.pair("image", "sides", sides, 0))
