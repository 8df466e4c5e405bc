"""Batch normalization as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.types import Number

from ..runtime import checks
from ..runtime.wide import wide
from . import checks as norm_checks


def _rows(x: Tensor) -> list[int]:
    return [axis for axis in range(x.dim()) if axis != 1]


def _at(channel: Tensor, x: Tensor) -> Tensor:
    """One number a channel, ready to meet x."""
    return channel.view(1, -1, *[1] * (x.dim() - 2))


def statistics(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return _statistics(x, eps)


def _statistics(
    x: Tensor, eps: float, running: tuple[Tensor, Tensor] | None = None, rho: Number = 0.0,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """(μ, 1/√(σ² + ε)) of each channel; the new running statistics go to `out`, which may be `running`."""
    xw = wide(x)
    mean = xw.mean(_rows(x))
    squares = (xw - _at(mean, x)).square().sum(_rows(x))
    n = x.numel() // x.shape[1]
    if running is not None and out is not None:
        for target, old, new in zip(out, running, (mean, squares / (n - 1))):
            target.copy_((1 - rho) * wide(old) + rho * new)
    return mean, 1 / (squares / n + eps).sqrt()


def reciprocal_root(var: Tensor, eps: float) -> Tensor:
    return 1 / (wide(var) + eps).sqrt()


def running_statistics(x: Tensor, eps: float, mu: Tensor, var: Tensor, rho: Number) -> tuple[Tensor, Tensor]:
    """(μ, 1/√(σ² + ε)); the running statistics move."""
    return _statistics(x, eps, (mu, var), rho, (mu, var))


def applied(
    x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, beta: Tensor | None, added: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """γ (x − μ) · rstd + β, + added, ReLU."""
    y = (wide(x) - _at(wide(mean), x)) * _at(rstd, x)
    y = y if gamma is None or beta is None else y * _at(wide(gamma), x) + _at(wide(beta), x)
    y = y if added is None else y + wide(added)
    return (torch.relu(y) if relu else y).to(x.dtype)


def _slope(d: Tensor, y: Tensor, relu: bool) -> Tensor:
    """d g′, g′ read off y."""
    dw = wide(d)
    return torch.where(y <= 0, torch.zeros_like(dw), dw) if relu else dw


def sums(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, dtype: torch.dtype, relu: bool, centred: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """(both sums, ∂ℒ/∂γ, ∂ℒ/∂β)."""
    slopes = _slope(d, y, relu)
    plain = slopes.sum(_rows(x))
    weighted = (slopes * ((wide(x) - _at(wide(mean), x)) * _at(rstd, x))).sum(_rows(x)) if centred else plain
    return torch.stack([plain, weighted]), weighted.to(dtype), plain.to(dtype)


def backward(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, both: Tensor | None,
    relu: bool, added: bool,
) -> tuple[Tensor, Tensor | None]:
    """(∂ℒ/∂x, the gradient of what was added); without `both` the statistics were constants."""
    slopes = _slope(d, y, relu)
    inner = slopes
    if both is not None:
        m1, m2 = both / (x.numel() // x.shape[1])
        inner = slopes - _at(m1, x) - (wide(x) - _at(wide(mean), x)) * _at(rstd, x) * _at(m2, x)
    scale = rstd if gamma is None else rstd * wide(gamma)
    return (inner * _at(scale, x)).to(x.dtype), slopes.to(x.dtype) if added else None


def batch(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """norm.batch   γ (x − μ) / √(σ² + ε) + β: x (N, C, …), gamma and beta (C,); σ² divided by n."""
    norm_checks.batch_norm("norm.batch", x, gamma=gamma, beta=beta)
    return applied(x, *statistics(x, eps), gamma, beta)


def inference(x: Tensor, mu: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """norm.batch.inference   γ (x − μ) / √(σ² + ε) + β with μ and σ² given."""
    norm_checks.batch_norm("norm.batch.inference", x, mu=mu, var=var, gamma=gamma, beta=beta)
    return applied(x, mu, reciprocal_root(var, eps), gamma, beta)


def running(x: Tensor, mu: Tensor, var: Tensor, rho: float) -> tuple[Tensor, Tensor]:
    """norm.batch.running   new (μ̄, σ̄²): (1 − ρ) old + ρ of this batch, its σ² divided by n − 1."""
    norm_checks.batch_norm("norm.batch.running", x, mu=mu, var=var)
    norm_checks.several("norm.batch.running", x)
    out = torch.empty_like(mu), torch.empty_like(var)
    _statistics(x, 0.0, (mu, var), rho, out)
    return out


def grad_x(d: Tensor, x: Tensor, gamma: Tensor, eps: float) -> Tensor:
    """norm.batch.grad_x   γ (d − m₁ − x̂ m₂) / √(σ² + ε): d and x alike."""
    checks.same("norm.batch.grad_x", d=d, x=x)
    norm_checks.batch_norm("norm.batch.grad_x", x, gamma=gamma)
    mean, rstd = statistics(x, eps)
    both, _, _ = sums(d, d, x, mean, rstd, x.dtype, False)
    return backward(d, d, x, mean, rstd, gamma, both, False, False)[0]


def grad_gamma(d: Tensor, x: Tensor, eps: float) -> Tensor:
    """norm.batch.grad_gamma   Σ d x̂ over the rows of a channel."""
    checks.same("norm.batch.grad_gamma", d=d, x=x)
    norm_checks.batch_norm("norm.batch.grad_gamma", x)
    return sums(d, d, x, *statistics(x, eps), x.dtype, False)[1]


def grad_beta(d: Tensor) -> Tensor:
    """norm.batch.grad_beta   Σ d over the rows of a channel."""
    norm_checks.batch_norm("norm.batch.grad_beta", d)
    return wide(d).sum(_rows(d)).to(d.dtype)


OPS: dict[str, Callable[..., Any]] = {
    "norm.batch": batch, "norm.batch.inference": inference, "norm.batch.running": running,
    "norm.batch.grad_x": grad_x, "norm.batch.grad_gamma": grad_gamma, "norm.batch.grad_beta": grad_beta,
}
