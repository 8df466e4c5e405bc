"""The K-class loss behind a linear layer as one autograd node: the logits are never whole in memory.

loss.softmax.weighted of z = x wᵀ + b, some rows of x at a time: z, δ over it, δ w, and δᵀ x added to what the rows
before gave. So a fixed order of float32 sums, value and gradients in one pass, and beside the two gradients no more
than a fifth of them. Backward only multiplies these by what comes back, where they are. Asked a second time, or for a
loss a row, each with a gradient of its own, it goes through the rows again.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ..runtime.launch import by_torch, runs_kernel
from ..runtime.library import room
from ..runtime.nodes import applied, once
from .ops import CLASSES

SPARE, LEAST = 5, 16            # the logits may take 1/SPARE of the gradients; rows that a product takes at once
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


def rows_at_once(x: Tensor, w: Tensor, smoothing: float, asked: int | None) -> int:
    """As many as keep the logits, and what is made of them, in a fifth of the gradients' room."""
    if asked is not None:
        return min(asked, max(len(x), 1))
    copies = 1 if runs_kernel(x) and x.dtype != torch.float64 else 4 if smoothing else 2
    most = (x.numel() + w.numel()) // (SPARE * copies * max(len(w), 1))
    return max(LEAST, most // LEAST * LEAST)


def through(
    x: Tensor, w: Tensor, b: Tensor | None, y: Tensor, weight: Tensor | None,
    how: tuple[int, float, int | None], wants: tuple[bool, bool, bool], scale: Tensor | None = None,
) -> tuple[Tensor, Tensor, Gradients]:
    """(the loss of each row, its weight, ∂x, ∂w and ∂b of their sum, each row's times its scale)."""
    ignored, smoothing, asked = how
    layers, losses = room("layers.kernels", "net.layer.affine", x), room("losses.kernels", CLASSES, x)
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    loss, mass = x.new_empty(len(x), dtype=exact), x.new_empty(len(x), dtype=exact)
    step = rows_at_once(x, w, smoothing, asked)
    logits = x.new_empty((min(step, len(x)), len(w)))
    dx = torch.empty_like(x, memory_format=torch.contiguous_format) if wants[0] else None
    dw, db = (x.new_zeros(shape, dtype=exact) if wanted else None
              for shape, wanted in ((w.shape, wants[1]), (w.shape[:1], wants[2])))
    for first in range(0, len(x), step):
        some = slice(first, first + step)
        rows = x[some]
        z = logits[: len(rows)]
        layers.affine_into(rows, w, b, z, None)
        losses.overwrite(z, y[some], weight, ignored, smoothing, loss[some], mass[some])
        delta = z if scale is None else losses.scaled(z, scale[some, None], 1)
        if dx is not None:
            layers.affine_into(delta, w.t(), None, dx[some], None)
        if dw is not None:
            layers.accumulate(delta, rows, dw, db, None)
        elif db is not None:
            layers.accumulate(delta, rows[:, :0], delta.new_empty((len(w), 0), dtype=exact), db, None)
    return loss, mass, (dx, dw, db)


class LinearLoss(Function):
    """The mean, the sum, or each row's loss."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        x, w, b, y, weight, ctx.how, ctx.reduction = given
        ctx.save_for_backward(x, w, b, y, weight)
        at_once = ctx.reduction != "none"
        wants = tuple(n and at_once for n in ctx.needs_input_grad[:3])
        loss, mass, ctx.found = through(x, w, b, y, weight, ctx.how, wants)
        ctx.whole = loss.new_ones(())
        if ctx.reduction == "mean":
            value, ctx.whole = room("losses.kernels", CLASSES, x).averaged(loss, mass)
        else:
            value = loss.sum() if at_once else loss
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() and by_torch(ctx.saved_tensors[0]):
            return _again(ctx, grad)
        return _backward(ctx, grad)


@once
def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, w, b, y, weight = ctx.saved_tensors
    wants, ctx.found, found = ctx.needs_input_grad[:3], None, ctx.found
    none = ctx.reduction == "none"
    if found is None or none:           # they are their owner's by now, or there were none
        _, _, found = through(x, w, b, y, weight, ctx.how, wants, grad if none else None)
    results: list[Tensor | None] = [None] * 7
    losses = room("losses.kernels", CLASSES, x)
    for i, (t, model) in enumerate(zip(found, (x, w, b))):
        if t is not None:
            out = t if t.dtype == model.dtype else torch.empty_like(t, dtype=model.dtype)
            results[i] = out.copy_(t) if none else losses.share(t, grad, ctx.whole, out)
    return tuple(results)


def _again(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated: torch's own, of the logits as a whole."""
    x, w, b, y, weight = ctx.saved_tensors
    ignored, smoothing, _ = ctx.how
    wanted = [t for t, wants in zip((x, w, b), ctx.needs_input_grad) if wants]
    loss = F.cross_entropy(F.linear(x, w, b), y, weight, ignore_index=ignored, reduction=ctx.reduction,
                           label_smoothing=smoothing)
    found = iter(torch.autograd.grad(loss, wanted, grad, create_graph=True))
    return tuple(next(found) if wants else None for wants in ctx.needs_input_grad[:3]) + (None,) * 4


def linear_loss(
    x: Tensor, w: Tensor, b: Tensor | None, y: Tensor, weight: Tensor | None, how: tuple[int, float, int | None],
    reduction: str,
) -> Tensor:
    """how: the label that counts for nothing, the smoothing, and how many rows at a time, or None."""
    loss: Tensor = applied(LinearLoss, x, w, b, y, weight, how, reduction)
    return loss
