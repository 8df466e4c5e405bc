"""The K-class loss as one autograd node: weights, smoothed labels, examples left out, and how it is averaged.

Kept for backward: δ, computed in the forward pass, and for a mean what it was divided by.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ..layers import composite
from ..layers.nodes import applied, aside, once, recorded, room
from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.instead import or_torch
from ..runtime.launch import by_torch
from ..runtime.refusals import WrongValue
from . import composite as composite_losses

NAME = "loss.softmax.weighted"


def kernels_for(t: Tensor) -> Any:
    found = room("losses.kernels", NAME, t)
    return composite_losses if found is composite else found


class ClassLoss(Function):
    """(the loss, δ, what a mean was divided by); only the first has a gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float, reduction: str, link: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        kernels = kernels_for(z)
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
        kernels = kernels_for(delta)
        if not ctx.needs_input_grad[0]:
            dz = None
        elif ctx.reduction == "mean":
            dz = kernels.shared(delta, grad, total)
        else:
            dz = kernels.scaled(delta, grad if ctx.reduction == "sum" else grad[:, None], 1)
        return dz, None, None, None, None, None, None


@or_torch(torch.nn.functional.cross_entropy)
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:
    """loss.softmax.weighted, and loss.mean of it: input (B, K), target (B,) int64, weight (K,) or None.

    As in torch, input may be one example (K,) with target (), or (B, K, …) with target (B, …), whose positions are
    examples: of these only channels_last is read as it lies, anything else is copied. A target equal to ignore_index
    counts for nothing; any other outside 0 … K − 1 gives NaN, or where torch computes an error. `mean` divides by the
    weights of the targets that count, NaN where none does; `sum` adds up; `none` gives one loss a target. Where torch
    computes, the gradient at the target, softmax(z)_y − 1, has its dtype's absolute accuracy; kernels keep its digits.
    """
    checks.reduction("cross_entropy", reduction, size_average, reduce)
    checks.floating("cross_entropy", input=input)
    checks.tensors("cross_entropy", target=target)
    shape = target.shape
    if input.dim() != 2 and input.dim() == target.dim() + 1:
        input, target = _examples(input, target)
    input, target, weight = casting.losses(input, target, weight)
    checks.weighted_classes("cross_entropy", input, target, weight, label_smoothing)
    if weight is not None and weight.requires_grad and torch.is_grad_enabled():
        raise WrongValue("cross_entropy: weight requires a gradient, and no kernel has it")
    if by_torch(input):
        loss = torch.nn.functional.cross_entropy(
            input, target, weight, ignore_index=int(ignore_index), reduction=reduction,
            label_smoothing=float(label_smoothing))
    else:
        # nothing of z, so that z need not be kept, and yet of it: where a second derivative would come from
        link = input.narrow(0, 0, 0).clone() if recorded(input) else None
        how = int(ignore_index), float(label_smoothing), reduction, link
        loss = applied(ClassLoss, input, target, weight, *how)[0]
    return loss if reduction != "none" else loss.view(shape)


def _examples(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """One example, or the positions of many, as the rows of a matrix."""
    if input.dim() == 1:
        return input[None], target[None]
    if input.shape[:1] + input.shape[2:] != target.shape:
        raise WrongValue(f"cross_entropy: input has shape {tuple(input.shape)}, target has {tuple(target.shape)}; "
                         "expected (B, K, …) and (B, …)")
    return input.movedim(1, -1).reshape(-1, input.shape[1]), target.reshape(-1)
