"""Convolution layers and their gradients, as problems. Ours have images and filters as NHWC, in which all are fastest;
torch's get NCHW, as most code has it, unless a peer is in `channels_last`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from chainrule.triton_kernels import OPS
from chainrule.triton_kernels import functional as ours_functional

from .floors import Floor
from .problems import LAM, TORCH_ACT, UNITS, Call, Input, Prepare, Problem, Tensors, plain

_SOURCES = ("images", "activations", "runtime/configs.py")


def last(tensors: Tensors) -> Tensors:
    """Images and filters as NHWC."""
    order = torch.channels_last
    return {name: t.contiguous(memory_format=order) if t.dim() == 4 else t for name, t in tensors.items()}


def prepared(function: Any, **how: Any) -> Prepare:
    """Ours, on tensors in their best order, which is made once."""
    def prepare(tensors: Tensors) -> Call:
        images = last(tensors)
        return lambda: (function(**images, **how),)
    return prepare


class Sizes:
    """B images of side × side pixels and C channels; filters of taps × taps, padded by half of that."""

    def __init__(self, B: int, C: int, side: int, filters: int, taps: int, stride: int, dtype: torch.dtype) -> None:
        self.padding, self.stride, self.taps = taps // 2, stride, taps
        out = (side + 2 * self.padding - taps) // stride + 1
        self.x, self.w, self.y = (B, C, side, side), (filters, C, taps, taps), (B, filters, out, out)
        self.pixels, self.terms, self.dtype = B * out**2, C * taps**2, dtype

    def table(self, name: str) -> str:
        """Whose rows may be tuned."""
        boxed = self.x[1] % 8 == self.w[0] % 8 == 0 and self.dtype.itemsize == 2
        return f"{name}.boxes" if boxed else name

    def floor(self, *shapes: tuple[int, ...]) -> Floor:
        """Every product once, every tensor of these shapes once."""
        moved = sum(torch.Size(shape).numel() for shape in shapes) * self.dtype.itemsize
        return Floor(2.0 * self.pixels * self.w[0] * self.terms, moved, UNITS[self.dtype])

    def gradient(self, d: Tensor, x: Tensor, w: Tensor, wanted: int) -> Tensor:
        """torch's gradient for x (0) or for the filters (1)."""
        mask = [k == wanted for k in range(3)]
        s, p = [self.stride] * 2, [self.padding] * 2
        found: Tensor = torch.ops.aten.convolution_backward(d, x, w, None, s, p, [1, 1], False, [0, 0], 1, mask)[wanted]
        return found


def convolution(
    B: int, C: int, side: int, filters: int, act: str = "relu", taps: int = 3, stride: int = 1, pool: bool = False,
    dtype: torch.dtype = torch.bfloat16,
) -> Problem:
    """conv2d.layer, with `pool` the 2 × 2 maximum of it."""
    size = Sizes(B, C, side, filters, taps, stride, dtype)
    how = {"stride": stride, "padding": size.padding}
    b = (filters,)
    inputs = {"x": Input(size.x, dtype), "w": Input(size.w, dtype, size.terms**-0.5), "b": Input(b, dtype)}

    def eager(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        a = TORCH_ACT[act](F.conv2d(x, w, b, **how))
        return F.max_pool2d(a, 2) if pool else a

    def pooled(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return ours_functional.conv2d_act(x, w, b, act, **how, pool=True)

    halved = size.y[2] // 2
    y = (B, filters, halved, halved) if pool else size.y
    ours = prepared(pooled) if pool else prepared(OPS["conv2d.layer"], **how, act=act)
    table = size.table("conv2d.layer.pool" if pool else "conv2d.layer")
    return Problem(f"conv2d.layer{', pooled' * pool}", inputs, ours, plain(eager), size.floor(size.x, size.w, b, y),
                   _SOURCES, size.terms, table=table, rounded=dtype)


def into_x(
    B: int, C: int, side: int, filters: int, taps: int = 3, stride: int = 1, dtype: torch.dtype = torch.bfloat16
) -> Problem:
    """conv2d.layer.grad_x times relu′ of the layer before: the delta recursion through a convolution."""
    size = Sizes(B, C, side, filters, taps, stride, dtype)
    terms = filters * taps**2
    inputs = {"d": Input(size.y, dtype), "w": Input(size.w, dtype, terms**-0.5), "z": Input(size.x, dtype)}
    ours = prepared(OPS["conv2d.layer.grad_x"], H=side, W=side, stride=stride, padding=size.padding, act="relu")
    eager = lambda d, w, z: size.gradient(d, z, w, 0) * (z > 0)
    return Problem("conv2d.layer.grad_x", inputs, ours, plain(eager), size.floor(size.x, size.x, size.w, size.y),
                   _SOURCES, terms, table=size.table("conv2d.layer"), rounded=dtype)


def into_w(
    B: int, C: int, side: int, filters: int, taps: int = 3, stride: int = 1, dtype: torch.dtype = torch.bfloat16
) -> Problem:
    """conv2d.layer.grad_w: the deck's D, averaged and regularised."""
    size = Sizes(B, C, side, filters, taps, stride, dtype)
    inputs = {"d": Input(size.y, dtype), "x": Input(size.x, dtype), "w": Input(size.w, dtype)}
    ours = prepared(OPS["conv2d.layer.grad_w"], M=taps, N=taps, stride=stride, padding=size.padding, lam=LAM, n=B)
    eager = lambda d, x, w: size.gradient(d, x, w, 1) / B + LAM * w
    return Problem("conv2d.layer.grad_w", inputs, ours, plain(eager), size.floor(size.x, size.w, size.w, size.y),
                   _SOURCES, size.pixels,
                   table=size.table("conv2d.layer.grad_w"), rounded=dtype)


def pooling(B: int, C: int, side: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """pool.max of 2 × 2; torch writes eight bytes for each place, ours one, and both are asked for."""
    inputs = {"x": Input((B, C, side, side), dtype)}
    ours = prepared(lambda x: OPS["pool.max"](x)[0])
    eager = lambda x: F.max_pool2d(x, 2, return_indices=True)[0]
    elements, windows = B * C * side**2, B * C * (side // 2) ** 2
    return Problem("pool.max", inputs, ours, plain(eager),
                   Floor(0, dtype.itemsize * (elements + windows) + windows, UNITS[dtype]), _SOURCES,
                   table="pool", rounded=dtype)


def signal(m: int, n: int, dtype: torch.dtype = torch.float32) -> Problem:
    """conv1d.valid: one filter of m taps over n samples."""
    inputs = {"theta": Input((m,), dtype, m**-0.5), "x": Input((n,), dtype)}
    eager = lambda theta, x: F.conv1d(x[None, None], theta[None, None])[0, 0]
    return Problem("conv1d.valid", inputs, plain(OPS["conv1d.valid"]), plain(eager),
                   Floor(2 * m * (n - m + 1), dtype.itemsize * (2 * n + 1), UNITS[dtype]),
                   ("signals", "runtime/configs.py"), m, table="conv1d", rounded=dtype)
