"""The embedding of patches as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..runtime.wide import as_given, rounded, wide
from . import checks


def patches(x: Tensor, P: int) -> Tensor:
    """vit.patches   (B, C, H, W) as (B, N, C P P): row by row, each its channel, row, column."""
    B, C, H, W = x.shape
    cut = x.reshape(B, C, H // P, P, W // P, P).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(B, H // P * (W // P), C * P * P)


def images(cut: Tensor, C: int, H: int, W: int, P: int) -> Tensor:
    """The patches laid back into their images."""
    apart = cut.reshape(len(cut), H // P, W // P, C, P, P).permute(0, 3, 1, 4, 2, 5)
    return apart.reshape(len(cut), C, H, W)


@as_given
def forward(
    x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor, math: str | None = None
) -> Tensor:
    """z (B, N + 1, D), of the dtype of token and positions."""
    z = wide(patches(x, w.shape[2])) @ wide(w).flatten(1).t()
    if b is not None:
        z = z + wide(b)
    first = wide(token).expand(len(x), 1, len(token)).to(z.dtype)
    return rounded(torch.cat((first, z), 1) + wide(position), position.dtype)


@as_given
def to_patch(d: Tensor, w: Tensor, H: int, W: int, math: str | None = None) -> Tensor:
    """∂x (B, C, H, W) of w's dtype."""
    _, C, P, _ = w.shape
    return images(rounded(wide(d[:, 1:]).to(wide(w).dtype) @ wide(w).flatten(1), w.dtype), C, H, W, P)


@as_given
def to_theta(d: Tensor, x: Tensor, P: int, math: str | None = None) -> tuple[Tensor, Tensor]:
    """(∂w, ∂b) of x's dtype."""
    cut = wide(patches(x, P)).flatten(0, 1)
    error = wide(d[:, 1:]).flatten(0, 1).to(cut.dtype)
    dw = (error.t() @ cut).view(d.shape[2], x.shape[1], P, P)
    return rounded(dw, x.dtype), rounded(error.sum(0), x.dtype)


def sums(d: Tensor) -> tuple[Tensor, Tensor]:
    """(∂position, ∂token) of d's dtype."""
    total = rounded(wide(d).sum(0), d.dtype)
    return total, total[0].clone()


def embed(
    x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor, *, precision: str | None = None
) -> Tensor:
    """vit.embed   x (B, C, H, W), w (D, C, P, P), b (D,) or None, token (D,), position (N + 1, D)."""
    checks.embed(checks.NAME, x, w, b, token, position)
    return forward(x, w, b, token, position)


def grad_patch(d: Tensor, w: Tensor, H: int, W: int, *, precision: str | None = None) -> Tensor:
    """vit.embed.grad_patch   d (B, N + 1, D), w (D, C, P, P); gives (B, C, H, W)."""
    checks.to_patch("vit.embed.grad_patch", d, w, H, W)
    return to_patch(d, w, H, W)


def grad_Theta(d: Tensor, x: Tensor, P: int, *, precision: str | None = None) -> tuple[Tensor, Tensor]:
    """vit.embed.grad_Theta   d (B, N + 1, D), x (B, C, H, W); gives (D, C, P, P) and, of its column 0, (D,)."""
    checks.to_theta("vit.embed.grad_Theta", d, x, P)
    return to_theta(d, x, P)


def grad_position(d: Tensor) -> Tensor:
    """vit.embed.grad_position   d (B, N + 1, D); gives (N + 1, D)."""
    checks.tokens("vit.embed.grad_position", d)
    return sums(d)[0]


def grad_token(d: Tensor) -> Tensor:
    """vit.embed.grad_token   d (B, N + 1, D); gives (D,)."""
    checks.tokens("vit.embed.grad_token", d)
    return sums(d[:, :1])[1]


OPS: dict[str, Callable[..., Any]] = {
    "vit.embed": embed, "vit.embed.grad_patch": grad_patch, "vit.embed.grad_Theta": grad_Theta,
    "vit.embed.grad_position": grad_position, "vit.embed.grad_token": grad_token,
}
