"""Layer normalization as one autograd node, with what is added before in the same pass.

Kept for backward: what is normalized, μ and 1/√(σ² + ε) of each row, γ. The gradient that reaches the sum on another
way is added where ∂x is written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.instead import or_torch
from ..runtime.launch import by_torch
from ..runtime.library import room
from ..runtime.nodes import applied, once
from ..runtime.refusals import WrongType, WrongValue
from . import ops as _declared  # noqa: F401  the room that the node asks for
from .checks import layer_norm as checked


class LayerNorm(Function):
    """(y, x + added, μ, 1/√(σ² + ε)); the second is empty where nothing is added."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor | None, beta: Tensor | None, added: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        y, mean, rstd, summed = room("norms.layer", "norm.layer", x).forward(x, gamma, beta, eps, added, True)
        return y, summed, mean, rstd

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, gamma, beta, added, _ = inputs
        _, summed, mean, rstd = output
        ctx.added, ctx.dtypes = added is not None, [None if t is None else t.dtype for t in (gamma, beta)]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(mean, rstd, *(() if ctx.added else (summed,)))
        ctx.save_for_backward(summed if ctx.added else x, mean, rstd, gamma)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, past: Tensor | None, *_: Tensor) -> tuple[Tensor | None, ...]:
        if grad is None:                                    # y leads nowhere
            return past, None, None, past, None
        return _gradients(ctx, grad, past if ctx.added else None)


@once
def _gradients(ctx: Any, grad: Tensor, past: Tensor | None) -> tuple[Tensor | None, ...]:
    x, mean, rstd, gamma = ctx.saved_tensors
    wants_x, wants_gamma, wants_beta, wants_added = ctx.needs_input_grad[:4]
    D, (its, other) = x.shape[1], ctx.dtypes
    dx, both = room("norms.layer", "norm.layer.grad_x", grad).gradients(
        grad, x, mean, rstd, gamma, past, its or other or x.dtype, wants_x or wants_added, wants_gamma or wants_beta)
    return (dx if wants_x else None, both[:D] if wants_gamma else None, both[D:].to(other) if wants_beta else None,
            dx if wants_added else None, None)


def _rows(
    name: str, input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None, bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The arguments as the kernels have them: a row for each that is normalized by itself."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    checks.floating(name, input=input)
    if not shape or tuple(input.shape[-len(shape):]) != shape:
        raise WrongValue(f"{name}: input has shape {tuple(input.shape)}; expected it to end with {shape}")
    for label, t in {"weight": weight, "bias": bias}.items():
        if t is not None and not (isinstance(t, Tensor) and tuple(t.shape) == shape):
            raise WrongValue(f"{name}: {label} is {tuple(t.shape) if isinstance(t, Tensor) else t!r}; expected "
                             f"numbers of shape {shape}")
    if not eps > 0:
        raise WrongValue(f"{name}: eps = {eps}; expected a number above 0")
    D = math.prod(shape)
    rows = input.reshape(input.numel() // D if D else 0, D)
    weight, bias = (None if t is None else t.reshape(D) for t in (weight, bias))
    checked(name, rows, weight=weight, bias=bias)
    return rows, weight, bias


@or_torch(torch.nn.functional.layer_norm)
def layer_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """norm.layer   γ (x − μ) / √(σ² + ε) + β: input (…, *normalized_shape), weight and bias of that shape or None.

    μ and σ² are of each row's own numbers, in float32 for float32 and 16 bits; weight and bias may be float32 where
    input has 16.
    """
    input, weight, bias = casting.statistics(input, weight, bias)
    rows, gamma, beta = _rows("layer_norm", input, normalized_shape, weight, bias, eps)
    if by_torch(input) and all(t is None or t.dtype == input.dtype for t in (weight, bias)):
        shape = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
        return torch.layer_norm(input, shape, weight, bias, eps)
    return applied(LayerNorm, rows, gamma, beta, None, float(eps))[0].view(input.shape)     # type: ignore[no-any-return]


def _added(
    input: Tensor, added: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """add_layer_norm in two steps."""
    total = input + added
    return layer_norm(total, normalized_shape, weight, bias, eps), total


@or_torch(_added)
def add_layer_norm(
    input: Tensor, added: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """norm.layer   (the layer norm of input + added, input + added): one pass, in which the sum is written once."""
    if not isinstance(added, Tensor) or (added.shape, added.dtype) != (input.shape, input.dtype):
        raise WrongType("add_layer_norm: expected input and added of one shape and dtype")
    (own,) = casting.statistics(input)
    if own.dtype != input.dtype or by_torch(input):         # the sum has the operands' dtype, the norm autocast's
        return _added(input, added, normalized_shape, weight, bias, eps)
    rows, gamma, beta = _rows("add_layer_norm", input, normalized_shape, weight, bias, eps)
    y, total, *_ = applied(LayerNorm, rows, gamma, beta, added.reshape(rows.shape), float(eps))
    return y.view(input.shape), total.view(input.shape)
