"""The K-class loss with weights, smoothed labels and examples left out, as ATen composites: what a CPU tensor runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import checks
from .composite import scaled as scaled
from .composite import softmax_parts, wide


def weighted(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, δ, the weight of each example's class), unchecked."""
    zw, K = wide(z), z.shape[1]
    legal = (y >= 0) & (y < K)
    hit, e, others, below, largest = softmax_parts(zw, y, legal)
    total = others + torch.exp(-below)
    loss = torch.where(below == 0, torch.log1p(others), below + torch.log(total))
    counted = y != ignored
    whole, total = e.sum(1), total.masked_fill(~counted, torch.inf)
    delta = torch.where(hit, -others[:, None], e) / total[:, None]
    mass = counted.to(zw.dtype)
    if w is not None:
        mass = mass * torch.where(legal, wide(w)[torch.where(legal, y, 0)], 0)
    loss = loss.masked_fill(~counted, 0.0)
    if w is not None or smoothing:
        keep = (1 - smoothing) * mass
        loss, delta = keep * loss, keep[:, None] * delta
    if smoothing:
        weights = zw.new_ones(K) if w is None else wide(w)
        part, W = counted * (smoothing / K), weights.sum()
        gaps = (weights * (largest[:, None] - zw)).sum(1) + W * torch.log(whole)
        loss = loss + (part * gaps).masked_fill(~counted, 0.0)
        delta = delta + part[:, None] * (e / total[:, None] * W - weights)
    return loss.to(z.dtype), delta.to(z.dtype), mass.to(z.dtype)


def softmax_weighted(
    z: Tensor, y: Tensor, w: Tensor | None = None, ignored: int = -100, smoothing: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """loss.softmax.weighted   (loss, δ, w_y): z (B, K), y (B,) int64, w (K,) or None; `ignored` counts for nothing."""
    checks.weighted_classes("loss.softmax.weighted", z, y, w, smoothing)
    return weighted(z, y, w, ignored, smoothing)


def averaged(loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """(Σ loss / Σ mass, Σ mass), unchecked."""
    total = wide(mass).sum()
    return (wide(loss).sum() / total).to(loss.dtype), total


def mean(loss: Tensor, mass: Tensor) -> Tensor:
    """loss.mean   Σ_i L_i / Σ_i m_i: loss (B,), mass (B,), not all of it 0."""
    checks.same("loss.mean", loss=loss, mass=mass)
    checks.rank("loss.mean", 1, loss=loss)
    return averaged(loss, mass)[0]


def shared(delta: Tensor, grad: Tensor, mass: Tensor) -> Tensor:
    """δ · grad / mass; where nothing counted, δ is 0 and stays it."""
    part = wide(grad) / mass.masked_fill(mass == 0, 1.0)
    return (wide(delta) * part).to(delta.dtype)


OPS: dict[str, Callable[..., Any]] = {"loss.softmax.weighted": softmax_weighted, "loss.mean": mean}
