"""Batch normalization as one autograd node, with what was added before and a ReLU behind it in the same pass.

Kept for backward: x, μ and 1/√(σ² + ε) in float32, γ, and y where a ReLU needs it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active as transforms_active
from torch.autograd import Function
from torch.compiler import is_compiling

from ..activations.nodes import activated, activation
from ..runtime import checks
from ..runtime.instead import or_torch
from ..runtime.launch import by_torch
from ..runtime.library import room
from ..runtime.nodes import applied, aside, once
from ..runtime.refusals import WrongValue
from ..runtime.resolved import is_settled, written
from . import checks as norm_checks
from . import composite
from . import ops as _declared  # noqa: F401  the room that the node asks for

ACTIVATIONS = ("identity", "relu")


class BatchNorm(Function):
    """Running statistics, where given, are the only arguments that change."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor | None, beta: Tensor | None, added: Tensor | None, mu: Tensor | None,
        var: Tensor | None, training: bool, rho: float, eps: float, relu: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if training:
            kernels = room("norms.kernels", "norm.batch", x)
            if mu is None or var is None:
                mean, rstd = kernels.statistics(x, eps)
            elif kernels is composite or is_compiling() or transforms_active():
                mean, rstd = kernels.running_statistics(x, eps, mu, var, rho)
            else:
                with written(mu, var) as places:
                    mean, rstd = kernels.running_statistics(x, eps, *places, rho)
        else:
            kernels = room("norms.kernels", "norm.batch.inference", x)
            assert mu is not None
            assert var is not None
            mean, rstd = mu.clone(), kernels.reciprocal_root(var, eps)
        return kernels.applied(x, mean, rstd, gamma, beta, added, relu), mean, rstd

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        x, gamma, _, added, _, _, ctx.training, _, _, ctx.relu = inputs
        y, mean, rstd = output
        ctx.added = added is not None
        aside(ctx, mean, rstd)
        ctx.save_for_backward(x, gamma, mean, rstd, y if ctx.relu else None)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, mean, rstd, y = ctx.saved_tensors
        kernels = room("norms.kernels", "norm.batch.grad_x", grad)
        d, y = grad, grad if y is None else y
        wants_x, wants_gamma, wants_beta, wants_added = ctx.needs_input_grad[:4]
        both = dgamma = dbeta = dx = dz = None
        if wants_gamma or wants_beta or (wants_x and ctx.training):
            dtype = x.dtype if gamma is None else gamma.dtype
            both, dgamma, dbeta = kernels.sums(d, y, x, mean, rstd, dtype, ctx.relu)
        if wants_x or wants_added:
            dx, dz = kernels.backward(
                d, y, x, mean, rstd, gamma, both if ctx.training else None, ctx.relu, ctx.added and wants_added)
        kept = (dx if wants_x else None, dgamma if wants_gamma else None, dbeta if wants_beta else None,
                dz if ctx.added and wants_added else None)
        return (*kept, None, None, None, None, None, None)


def _in_parts(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *,
    added: Tensor | None = None, act: str = "identity",
) -> Tensor:
    """batch_norm by torch's functions."""
    y = torch.nn.functional.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    y = y if added is None else y + added
    return torch.relu(y) if act == "relu" else y


@or_torch(_in_parts)
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *,
    added: Tensor | None = None, act: str = "identity",
) -> Tensor:
    """norm.batch, norm.batch.inference   g(γ (x − μ) / √(σ² + ε) + β + added), g identity or relu, in one pass.

    input (N, C) or (N, C, …); the others (C,), of its dtype or float32. In training the running statistics, if
    given, are updated in place with torch's momentum (norm.batch.running); these are all that changes. Where torch
    computes (`launch.by_torch`), x γ/√… and μ γ/√… are subtracted last, which loses digits where |μ| is large beside σ.
    """
    name = "batch_norm"
    norm_checks.batch_norm(name, input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if act not in ACTIVATIONS:
        raise ValueError(f"{name}: act = {act!r} is not fused; choose {' or '.join(ACTIVATIONS)}")
    if (running_mean is None) != (running_var is None) or (weight is None) != (bias is None):
        raise WrongValue(f"{name}: running_mean and running_var, and weight and bias, go together")
    if running_mean is None and not training:
        raise WrongValue(f"{name}: evaluation needs running_mean and running_var")
    if not (eps > 0 if training else eps >= 0):
        raise WrongValue(f"{name}: eps = {eps}; expected a number above 0")
    if training:
        norm_checks.several(name, input)
        _of_their_own(name, running_mean=running_mean, running_var=running_var)
    if added is not None and added.dtype != input.dtype:
        y: Tensor = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps) + added
        return activation(y, act, 0.0)
    if added is not None:
        checks.same(name, input=input, added=added)
    channels = running_mean, running_var, weight, bias
    lost = training and any(t is not None and not is_settled(t) for t in channels[:2])      # torch's write to these
    if by_torch(input) and input.numel() and not lost and all(t is None or t.dtype == input.dtype for t in channels):
        own = torch.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, False)
        return activated(own if added is None else own + added, act, 0.0)
    found: Tensor = applied(BatchNorm, input, weight, bias, added, running_mean, running_var, training,
                            float(momentum), float(eps), act == "relu")[0]
    return found


def _of_their_own(name: str, **running: Tensor | None) -> None:
    """Statistics that are written, each element in a place of its own, and outside of torch.func's transforms."""
    for label, t in running.items():
        if t is None:
            continue
        if transforms_active() and not is_compiling():
            raise WrongValue(f"{name}: {label} would be written inside a transform of torch.func; no kernel does that")
        if t.stride() == (0,) and t.numel() > 1:
            raise WrongValue(f"{name}: {label} has strides {t.stride()}; its elements share memory")
