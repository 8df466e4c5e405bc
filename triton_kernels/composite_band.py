"""Local and shared layers as ATen composites: a sum of m shifted products, or torch's convolution of one channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import band_checks, checks
from .composite import PRIME, VALUE, Scalar, derivative, wide


def corners(nodes: int, m: int, device: torch.device | str = "cpu") -> Tensor:
    """Where a band (N, m) has no input: True in its corners, whose entries are no parameters."""
    t = torch.arange(nodes, device=device)[:, None] + torch.arange(m, device=device) - m // 2
    return (t < 0) | (t >= nodes)


def _band(w: Tensor) -> Tensor:
    """Widened, its corners 0 whatever they hold."""
    return wide(w).masked_fill(corners(w.shape[0], w.shape[1], w.device), 0.0)


def _shifted(x: Tensor, m: int) -> list[Tensor]:
    """What tap k of every node meets, for all k: x shifted by k − h, zero beyond its edges."""
    padded = F.pad(wide(x), (m // 2, m // 2))
    return [padded[:, k:k + x.shape[1]] for k in range(m)]


def _convolved(x: Tensor, theta: Tensor) -> Tensor:
    wide_x = wide(x)
    if not x.numel():
        return torch.zeros_like(wide_x)
    return F.conv1d(wide_x[:, None], wide(theta)[None, None], padding=theta.shape[0] // 2)[:, 0]


def keeping(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool) -> tuple[Tensor, Tensor]:
    if w.dim() == 1:
        z = _convolved(x, w)
    else:
        z, columns = torch.zeros_like(wide(x)), _band(w).unbind(1)
        for column, met in zip(columns, _shifted(x, w.shape[1])):
            z = torch.addcmul(z, column, met)
    z = z if b is None else z + wide(b)
    a = (z if act == "identity" else VALUE[act](z, p)).to(x.dtype)
    return a, z.to(x.dtype) if keep_z else a


def delta_through(d: Tensor, w: Tensor, saved: Tensor | None, G: Scalar, p: float) -> Tensor:
    if w.dim() == 1:
        dx = _convolved(d, w.flip(0))
    else:
        m, nodes = w.shape[1], d.shape[1]
        spread = F.pad(torch.zeros_like(wide(d)), (m // 2, m // 2))
        for k, column in enumerate(_band(w).unbind(1)):
            spread[:, k:k + nodes].addcmul_(column, wide(d))
        dx = spread[:, m // 2:m // 2 + nodes]
    return (dx if saved is None else dx * G(wide(saved), p)).to(d.dtype)


def averaged(
    d: Tensor, x: Tensor, w: Tensor | None, m: int, shared: bool, lam: float, n: float, weights: bool, intercepts: bool
) -> tuple[Tensor, Tensor]:
    D, wide_d = wide(d).new_empty(0), wide(d)
    if weights and shared:
        D = torch.stack([(wide_d * met).sum() for met in _shifted(x, m)])
    elif weights:
        D = torch.stack([(wide_d * met).sum(0) for met in _shifted(x, m)], 1)
    D = D if n == 1 else D / n
    if w is not None and lam:
        D = D + lam * (wide(w) if shared else _band(w))
    Db = (wide_d.sum()[None] if shared else wide_d.sum(0)) / n if intercepts else wide_d.new_empty(0)
    return D.to(d.dtype), Db.to(d.dtype)


def local_layer(x: Tensor, w: Tensor, b: Tensor | None = None, act: str = "identity", **parameter: float) -> Tensor:
    """arch.local.layer   g(b_i + Σ_k w_ik x_{i+k−h}): x (B, N), w (N, m), b (N,) or None, m = 2h + 1."""
    band_checks.forward("arch.local.layer", False, x, w, b)
    return keeping(x, w, b, act, checks.activation("arch.local.layer", act, **parameter), False)[0]


def local_grad_x(
    d: Tensor, w: Tensor, z: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.local.layer.grad_x   ∂x, times g′(z) where z is given: d (B, N), w (N, m), z (B, N)."""
    band_checks.backward("arch.local.layer.grad_x", False, d, w, z)
    return delta_through(d, w, z, PRIME[act], checks.activation("arch.local.layer.grad_x", act, **parameter))


def local_grad_w(d: Tensor, x: Tensor, m: int, w: Tensor | None = None, lam: float = 0.0, n: float = 1.0) -> Tensor:
    """arch.local.layer.grad_w   Σ_batch d_i x_{i+k−h} / n + λ w_ik, 0 in the corners: d (B, N), x (B, N), w (N, m)."""
    band_checks.averaging("arch.local.layer.grad_w", False, d, x, m, w, lam, n)
    return averaged(d, x, w, m, False, lam, n, True, False)[0]


def local_grad_b(d: Tensor, n: float = 1.0) -> Tensor:
    """arch.local.layer.grad_b   Σ_batch d_i / n: d (B, N)."""
    band_checks.intercepts("arch.local.layer.grad_b", d, n)
    return averaged(d, d, None, 1, False, 0.0, n, False, True)[1]


def shared_layer(
    x: Tensor, theta: Tensor, b: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.shared.layer   g(b + Σ_k θ_k x_{i+k−h}): x (B, N), theta (m,), b (1,) or None, m = 2h + 1."""
    band_checks.forward("arch.shared.layer", True, x, theta, b)
    return keeping(x, theta, b, act, checks.activation("arch.shared.layer", act, **parameter), False)[0]


def shared_grad_x(
    d: Tensor, theta: Tensor, z: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.shared.layer.grad_x   ∂x, times g′(z) where z is given: d (B, N), theta (m,), z (B, N)."""
    band_checks.backward("arch.shared.layer.grad_x", True, d, theta, z)
    return delta_through(d, theta, z, PRIME[act], checks.activation("arch.shared.layer.grad_x", act, **parameter))


def shared_grad_theta(
    d: Tensor, x: Tensor, m: int, theta: Tensor | None = None, lam: float = 0.0, n: float = 1.0
) -> Tensor:
    """arch.shared.layer.grad_theta   Σ_batch Σ_i d_i x_{i+k−h} / n + λ θ_k: d (B, N), x (B, N), theta (m,)."""
    band_checks.averaging("arch.shared.layer.grad_theta", True, d, x, m, theta, lam, n)
    return averaged(d, x, theta, m, True, lam, n, True, False)[0]


def shared_grad_b(d: Tensor, n: float = 1.0) -> Tensor:
    """arch.shared.layer.grad_b   Σ_batch Σ_i d_i / n, one number: d (B, N)."""
    band_checks.intercepts("arch.shared.layer.grad_b", d, n)
    return averaged(d, d, None, 1, True, 0.0, n, False, True)[1]


__all__ = ["OPS", "averaged", "corners", "delta_through", "derivative", "keeping"]

WEIGHTS: dict[str, Callable[..., Any]] = {
    "arch.local.layer.grad_w": local_grad_w, "arch.local.layer.grad_b": local_grad_b,
    "arch.shared.layer.grad_theta": shared_grad_theta, "arch.shared.layer.grad_b": shared_grad_b,
}
OPS: dict[str, Callable[..., Any]] = {
    "arch.local.layer": local_layer, "arch.local.layer.grad_x": local_grad_x,
    "arch.shared.layer": shared_layer, "arch.shared.layer.grad_x": shared_grad_x, **WEIGHTS,
}
