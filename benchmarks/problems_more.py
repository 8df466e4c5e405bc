"""Convolution layers and optimizers, as problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from chainrule.triton_kernels import OPS, optim

from .floors import Floor, elementwise
from .problems import TORCH_ACT, UNITS, Call, Input, Problem, Tensors, plain

ETA, DECAY, BETAS, EPS = 1e-3, 1e-2, (0.9, 0.999), 1e-6
_CONVOLUTION = ("conv_layer.py", "act.py", "configs.py")


def last(tensors: Tensors) -> Tensors:
    """Images and filters as NHWC, in which convolutions are fastest, ours and torch's."""
    order = torch.channels_last
    return {name: t.contiguous(memory_format=order) if t.dim() == 4 else t for name, t in tensors.items()}


def convolution(
    B: int, C: int, side: int, filters: int, act: str = "relu", taps: int = 3, dtype: torch.dtype = torch.bfloat16
) -> Problem:
    """conv2d.layer, padded so that the image keeps its size."""
    inputs = {"x": Input((B, C, side, side), dtype), "w": Input((filters, C, taps, taps), dtype, (C * taps**2) ** -0.5),
              "b": Input((filters,), dtype)}
    padding, terms = taps // 2, C * taps**2

    def eager(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return TORCH_ACT[act](torch.nn.functional.conv2d(x, w, b, padding=padding))

    def ours(t: Tensors) -> Call:
        images = last(t)
        return lambda: (OPS["conv2d.layer"](**images, padding=padding, act=act),)

    pixels = B * side**2
    moved = dtype.itemsize * (pixels * C + filters * (terms + 1) + pixels * filters)
    return Problem("conv2d.layer", inputs, ours, plain(eager), Floor(2 * pixels * filters * terms, moved, UNITS[dtype]),
                   _CONVOLUTION, terms, rounded=dtype)


OPTIMIZERS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "adamw": (optim.AdamW, torch.optim.AdamW), "lamb": (optim.LAMB, None)}


def optimizer(rule: str, elements: int) -> Problem:
    """One step on a large float32 tensor; the gradient stays where it is, so a graph can hold the step."""
    inputs = {"theta": Input((elements,), torch.float32), "D": Input((elements,), torch.float32, 0.1)}
    ours_class, torch_class = OPTIMIZERS[rule]
    how = {"lr": ETA, "weight_decay": DECAY, "betas": BETAS, "eps": EPS}

    def stepping(make: Callable[..., Any], **more: Any) -> Callable[[Tensors], Call]:
        def prepare(t: Tensors) -> Call:
            theta = t["theta"]
            theta.grad = t["D"]
            one = make([theta], **how, **more)

            def call() -> tuple[Tensor, ...]:
                one.step()
                return (theta,)
            return call
        return prepare

    def formula(theta: Tensor, D: Tensor) -> Tensor:
        """The first step, from moments of zero: m̂ = D and v̂ = D²."""
        u = D / (D.abs() + EPS) + DECAY * theta
        return theta - ETA * (theta.norm() / u.norm() if rule == "lamb" else 1.0) * u

    eager = plain(formula) if torch_class is None else stepping(torch_class, fused=True, capturable=True)
    return Problem(f"opt.{rule}", inputs, stepping(ours_class), eager, elementwise(elements, 4, 3, 4),
                   ("optimizers.py", "chunks.py", "optim.py"), exactly=plain(formula), rounded=torch.float32,
                   resident=True)
