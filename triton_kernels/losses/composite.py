"""The K-class loss with weights, smoothed labels and examples left out, as ATen composites: what a CPU tensor runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..layers.composite import rounded, softmax_unchecked, wide
from ..layers.composite import scaled as scaled
from ..runtime import checks


def weighted(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, δ, the weight of each example's class), unchecked."""
    zw, K = wide(z), z.shape[1]
    loss, delta = softmax_unchecked(zw, y)
    y = y.unsqueeze(1)
    left_out = y == ignored
    mass = (~left_out).to(zw.dtype)
    if w is not None:
        at = y.clamp(0, K - 1)
        mass = mass * torch.where(at == y, wide(w)[at], 0)
    if w is not None or smoothing:
        keep = (1 - smoothing) * mass
        loss, delta = keep * loss, keep * delta
    if smoothing:
        weights = zw.new_ones(K) if w is None else wide(w)
        part, W = smoothing / K, weights.sum()
        gaps = zw.amax(1, keepdim=True) - zw
        e = torch.exp(-gaps)
        whole = e.sum(1, keepdim=True)
        loss = loss + part * ((weights * gaps).sum(1, keepdim=True) + W * torch.log(whole))
        delta = delta + part * (e / whole * W - weights)
    loss, delta = loss.masked_fill_(left_out, 0.0), delta.masked_fill_(left_out, 0.0)
    return rounded(loss.squeeze(1), z.dtype), rounded(delta, z.dtype), rounded(mass.squeeze(1), z.dtype)


def softmax_weighted(
    z: Tensor, y: Tensor, w: Tensor | None = None, ignored: int = -100, smoothing: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """loss.softmax.weighted   (loss, δ, w_y): z (B, K), y (B,) int64, w (K,) or None; `ignored` counts for nothing."""
    checks.weighted_classes("loss.softmax.weighted", z, y, w, smoothing)
    return weighted(z, y, w, ignored, smoothing)


def averaged(loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """(Σ loss / Σ mass, Σ mass), unchecked."""
    total = wide(mass).sum()
    return rounded(wide(loss).sum() / total, loss.dtype), total


def mean(loss: Tensor, mass: Tensor) -> Tensor:
    """loss.mean   Σ_i L_i / Σ_i m_i: loss (B,), mass (B,), not all of it 0."""
    checks.same("loss.mean", loss=loss, mass=mass)
    checks.rank("loss.mean", 1, loss=loss)
    return averaged(loss, mass)[0]


def shared(delta: Tensor, grad: Tensor, mass: Tensor) -> Tensor:
    """δ · grad / mass; where nothing counted, δ is 0 and stays it."""
    part = wide(grad) / mass.masked_fill(mass == 0, 1.0)
    return rounded(wide(delta) * part, delta.dtype)


OPS: dict[str, Callable[..., Any]] = {"loss.softmax.weighted": softmax_weighted, "loss.mean": mean}
