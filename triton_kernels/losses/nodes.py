"""The losses as autograd nodes: per entry, and of K classes with weights, smoothed labels, examples left out."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import mse_loss

from ..runtime.launch import by_torch
from ..runtime.library import opens, room
from ..runtime.nodes import applied, aside, once
from .ops import CLASSES


class Loss(Function):
    """A loss per entry, its mean or its sum; its delta, computed in the same pass, waits for the backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(identity: str, input: Tensor, target: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
        loss, delta = room("losses.kernels", identity, input).loss(identity, input, target)
        return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss, delta

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.identity, input, _, reduction = inputs
        ctx.n = input.numel() if reduction == "mean" else 1
        aside(ctx, output[1])
        ctx.save_for_backward(output[1], input)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        delta, input = ctx.saved_tensors
        scaled = room("losses.kernels", ctx.identity, delta).scaled
        to_input = scaled(delta, grad, ctx.n) if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[2]:
            return None, to_input, None, None
        # ∂L/∂y is −δ of the square loss, and −z of the cross entropy
        return None, to_input, scaled(delta if ctx.identity == "loss.square" else input, -grad, ctx.n), None


def loss(identity: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """`mean`, `sum` or `none` of a loss per entry."""
    if identity == "loss.square" and by_torch(input):       # torch's loss from logits cancels where g(z) is near y
        return mse_loss(input, target, reduction=reduction)
    result: Tensor = applied(Loss, identity, input, target, reduction)[0]
    return result


class ClassLoss(Function):
    """(the loss, δ, what a mean was divided by); only the first has a gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float, reduction: str, link: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        kernels = room("losses.kernels", CLASSES, z)
        if reduction == "mean" and opens(z):        # traced, a batch of any size is one graph: no launch of small ones
            found: tuple[Tensor, Tensor, Tensor] = kernels.weighted_mean(z, y, w, ignored, smoothing)
            return found
        loss, delta, mass = kernels.weighted(z, y, w, ignored, smoothing)
        if reduction == "mean":
            mean, total = kernels.averaged(loss, mass)
            return mean, delta, total
        return loss.sum() if reduction == "sum" else loss, delta, mass

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        *_, ctx.reduction, link = inputs
        aside(ctx, *output[1:])
        ctx.save_for_backward(*output[1:], link)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        delta, total, _link = ctx.saved_tensors
        kernels = room("losses.kernels", CLASSES, delta)
        if not ctx.needs_input_grad[0]:
            dz = None
        elif ctx.reduction == "mean":
            dz = kernels.shared(delta, grad, total)
        else:
            dz = kernels.scaled(delta, grad if ctx.reduction == "sum" else grad[:, None], 1)
        return dz, None, None, None, None, None, None
