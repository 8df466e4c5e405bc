"""Layer normalization of rows as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..runtime.checks import same
from ..runtime.wide import wide
from .checks import layer_norm


def forward(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float, added: Tensor | None = None,
    written: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(y, μ, 1/√(σ² + ε), x + added): y empty unless `written`, the sum where nothing is added."""
    summed = x.new_empty((0, x.shape[1])) if added is None else x + added
    xw = wide(x if added is None else summed)
    mean = xw.mean(1)
    away = xw - mean[:, None]
    rstd = 1 / (away.square().mean(1) + eps).sqrt()
    y = away * rstd[:, None] if written else xw[:0]
    y = y if gamma is None else y * wide(gamma)
    y = y if beta is None else y + wide(beta)
    return y.to(x.dtype), mean, rstd, summed


def gradients(
    d: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, past: Tensor | None, dtype: torch.dtype,
    wants_x: bool, wants_sums: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """(∂ℒ/∂x + past, (Σ d x̂, Σ d) in a row of this dtype), each only where it is wanted."""
    dw = wide(d)
    hat = (wide(x) - mean[:, None]) * rstd[:, None]
    dx = None
    if wants_x:
        g = dw if gamma is None else dw * wide(gamma)
        inner = (g - g.mean(1, keepdim=True) - hat * (g * hat).mean(1, keepdim=True)) * rstd[:, None]
        dx = (inner if past is None else inner + wide(past)).to(x.dtype)
    return dx, torch.cat([(dw * hat).sum(0), dw.sum(0)]).to(dtype) if wants_sums else None


def layer(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    """norm.layer   γ (x − μ) / √(σ² + ε) + β: x (rows, D), gamma and beta (D,); μ and σ² of each row."""
    layer_norm("norm.layer", x, gamma=gamma, beta=beta)
    return forward(x, gamma, beta, eps)[0]


def grad_x(d: Tensor, x: Tensor, gamma: Tensor, eps: float) -> Tensor:
    """norm.layer.grad_x   (g − m₁ − x̂ m₂) / √(σ² + ε) with g = γ d: d and x alike."""
    same("norm.layer.grad_x", d=d, x=x)
    layer_norm("norm.layer.grad_x", x, gamma=gamma)
    _, mean, rstd, _ = forward(x, None, None, eps, written=False)
    dx, _ = gradients(d, x, mean, rstd, gamma, None, x.dtype, True, False)
    assert dx is not None
    return dx


def grad_gamma(d: Tensor, x: Tensor, eps: float) -> Tensor:
    """norm.layer.grad_gamma   Σ d x̂ over the rows."""
    same("norm.layer.grad_gamma", d=d, x=x)
    layer_norm("norm.layer.grad_gamma", x)
    return (wide(d) * forward(wide(x), None, None, eps)[0]).sum(0).to(d.dtype)


def grad_beta(d: Tensor) -> Tensor:
    """norm.layer.grad_beta   Σ d over the rows."""
    layer_norm("norm.layer.grad_beta", d)
    return wide(d).sum(0).to(d.dtype)


OPS: dict[str, Callable[..., Any]] = {
    "norm.layer": layer, "norm.layer.grad_x": grad_x, "norm.layer.grad_gamma": grad_gamma,
    "norm.layer.grad_beta": grad_beta,
}
