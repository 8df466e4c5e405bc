"""Convolution layers, their gradients and pooling as ops of training code, and which kernels compute which equation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..runtime.library import Op, declare, named
from . import composite
from .checks import Layer


def _where(table: str) -> Callable[..., str | None]:
    """Kernels may move boxes of this layer, once there are addresses: images by channels, in whole groups of eight."""

    def boxes(image: Any, *args: Any) -> str | None:
        sizes = next(one for one in args if isinstance(one, Layer))
        whole = sizes.groups == 1 and sizes.channels % 8 == 0 and sizes.filters % 8 == 0
        return table if whole and image.stride(1) == 1 else None

    return boxes


def _products(*args: Any, **_: Any) -> int:
    sizes: Layer = named(Layer, next(one for one in args if isinstance(one, list)))
    return 2 * math.prod((*sizes.y_shape, sizes.channels, *sizes.taps))


def _room(kernels: str, *ids: str, ops: tuple[Op, ...]) -> None:
    declare(f"images.{kernels}", composite, *ops, ids={id: composite.OPS[id] for id in ids})


_room("layer", "conv2d.layer", "conv2d.layer.grad_x", ops=(
    Op("convolution", "keeping", "conv2d.layer", boxes=_where("conv2d.layer"), flops=_products),
    Op("convolution_backward", "delta_through", "conv2d.layer.grad_x", boxes=_where("conv2d.layer"),
       flops=_products)))
_room("filters", "conv2d.layer.grad_w", "conv2d.layer.grad_b", ops=(
    Op("convolution_averaged", "averaged", "conv2d.layer.grad_w", boxes=_where("conv2d.layer.grad_w"),
       flops=lambda *args, **_: _products(*args) if args[6] else 0),))
_room("pooled", "conv2d.layer.pool", ops=(
    Op("convolution_pooled", "pooled_keeping", "conv2d.layer.pool", boxes=_where("conv2d.layer.pool"),
       flops=_products),))
_room("pool", "pool.max", "pool.max.grad_x", ops=(
    Op("max_pool", "pooled", "pool.max"), Op("max_pool_backward", "pooled_backward", "pool.max.grad_x")))
_room("composite", ops=(Op("max_pool_places", "in_image", "pool.max"),))
