"""torch.nn.functional's name and contract for the K-class loss; `functional` has it too."""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.instead import or_torch
from ..runtime.launch import by_torch
from ..runtime.nodes import applied, recorded
from ..runtime.refusals import WrongValue
from . import checks as loss_checks
from .nodes import ClassLoss


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
    loss_checks.reduction("cross_entropy", reduction, size_average, reduce)
    shape = getattr(target, "shape", ())
    if weight is None and label_smoothing == 0 and loss_checks.are_classes(input, target):
        (input,) = casting.losses(input)
    else:
        input, target, weight = _examples(input, target, weight, label_smoothing)
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


def _examples(
    input: Tensor, target: Tensor, weight: Tensor | None, smoothing: float
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One example, or the positions of many, as the rows of a matrix."""
    checks.floating("cross_entropy", input=input)
    checks.tensors("cross_entropy", target=target)
    if input.dim() != 2 and input.dim() == target.dim() + 1:
        if input.dim() == 1:
            input, target = input[None], target[None]
        elif input.shape[:1] + input.shape[2:] != target.shape:
            raise WrongValue(f"cross_entropy: input has shape {tuple(input.shape)}, target has {tuple(target.shape)}; "
                             "expected (B, K, …) and (B, …)")
        else:
            input, target = input.movedim(1, -1).reshape(-1, input.shape[1]), target.reshape(-1)
    input, target, weight = casting.losses(input, target, weight)
    loss_checks.weighted_classes("cross_entropy", input, target, weight, smoothing)
    if weight is not None and weight.requires_grad and torch.is_grad_enabled():
        raise WrongValue("cross_entropy: weight requires a gradient, and no kernel has it")
    return input, target, weight
