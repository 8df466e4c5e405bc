"""The embedding of patches as ops of training code."""

from __future__ import annotations

from torch import Tensor

from ..runtime.library import Op, declare
from . import composite


def _products(d: Tensor, D: int, K: int) -> int:
    """So many for each patch."""
    return 2 * d.shape[0] * (d.shape[1] - 1) * D * K


def _forward(x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor, *_: object, **__: object) -> int:
    return 2 * x.numel() * w.shape[0]


declare(
    "patches.kernels", composite,
    Op("embed_forward", "forward", "vit.embed", flops=_forward),
    Op("embed_to_patch", "to_patch", "vit.embed.grad_patch",
       flops=lambda d, w, *_, **__: _products(d, w.shape[0], w[0].numel())),
    Op("embed_to_theta", "to_theta", "vit.embed.grad_Theta",
       flops=lambda d, x, P, *_, **__: _products(d, d.shape[2], x.shape[1] * P * P)),
    Op("embed_sums", "sums", "vit.embed.grad_position"),
    ids=composite.OPS,
)
