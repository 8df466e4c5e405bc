"""Local and shared layers as ATen composites: m products of a tap's weights with the inputs it meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..activations.checks import activation
from ..activations.composite import g, times
from ..runtime.wide import wide
from . import checks as band_checks


def corners(nodes: int, m: int, device: torch.device | str = "cpu") -> Tensor:
    """Where a band (N, m) has no input: True in its corners, whose entries are no parameters."""
    t = torch.arange(nodes, device=device)[:, None] + torch.arange(m, device=device) - m // 2
    return (t < 0) | (t >= nodes)


def taps(nodes: int, m: int) -> Iterator[tuple[int, slice, slice]]:
    """Every tap k, the nodes i that have an input i + k − h, and these inputs."""
    for k in range(m):
        shift = k - m // 2
        first, end = max(0, -shift), max(0, -shift, min(nodes, nodes - shift))
        yield k, slice(first, end), slice(first + shift, end + shift)


def _columns(w: Tensor) -> tuple[Callable[[int, slice], Tensor], int]:
    """The weights of tap k at some nodes, and how many taps there are."""
    columns = wide(w).unbind(-1)
    return (lambda k, at: columns[k]) if w.dim() == 1 else (lambda k, at: columns[k][at]), len(columns)


def keeping(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool) -> tuple[Tensor, Tensor]:
    column, m = _columns(w)
    seen = wide(x)
    z = torch.zeros_like(seen)
    for k, at, met in taps(x.shape[1], m):
        z[:, at].addcmul_(column(k, at), seen[:, met])
    z = z if b is None else z + wide(b)
    a = g(z, act, p).to(x.dtype)
    return a, z.to(x.dtype) if keep_z else a


def delta_through(d: Tensor, w: Tensor, saved: Tensor | None, act: str, p: float) -> Tensor:
    column, m = _columns(w)
    error = wide(d)
    dx = torch.zeros_like(error)
    for k, at, met in taps(d.shape[1], m):
        dx[:, met].addcmul_(column(k, at), error[:, at])
    return (dx if saved is None else times(dx, wide(saved), act, "z", p)).to(d.dtype)


def averaged(
    d: Tensor, x: Tensor, w: Tensor | None, m: int, shared: bool, lam: float, n: float, weights: bool, intercepts: bool
) -> tuple[Tensor, Tensor]:
    error, seen, nodes = wide(d), wide(x), d.shape[1]
    D = error.new_zeros(((m,) if shared else (nodes, m)) if weights else (0,))
    column = _columns(w)[0] if w is not None and lam else None
    for k, at, met in taps(nodes, m) if weights else ():
        products = error[:, at] * seen[:, met]
        mean = (products.sum() if shared else products.sum(0)) / n
        D[k if shared else (at, k)] = mean if column is None else mean + lam * column(k, at)
    Db = (error.sum()[None] if shared else error.sum(0)) / n if intercepts else error.new_empty(0)
    return D.to(d.dtype), Db.to(d.dtype)


def to_input(d: Tensor, w: Tensor) -> Tensor:
    """∂x, with no g′."""
    return delta_through(d, w, None, "identity", 0.0)


def sums(d: Tensor, x: Tensor, m: int, shared: bool, weights: bool, intercepts: bool) -> tuple[Tensor, Tensor]:
    """∂w and ∂b, not averaged; the one that is not asked for is empty."""
    return averaged(d, x, None, m, shared, 0.0, 1.0, weights, intercepts)


def local_layer(x: Tensor, w: Tensor, b: Tensor | None = None, act: str = "identity", **parameter: float) -> Tensor:
    """arch.local.layer   g(b_i + Σ_k w_ik x_{i+k−h}): x (B, N), w (N, m), b (N,) or None, m = 2h + 1."""
    band_checks.forward("arch.local.layer", False, x, w, b)
    return keeping(x, w, b, act, activation("arch.local.layer", act, **parameter), False)[0]


def local_grad_x(
    d: Tensor, w: Tensor, z: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.local.layer.grad_x   ∂x, times g′(z) where z is given: d (B, N), w (N, m), z (B, N)."""
    band_checks.backward("arch.local.layer.grad_x", False, d, w, z)
    return delta_through(d, w, z, act, activation("arch.local.layer.grad_x", act, **parameter))


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
    return keeping(x, theta, b, act, activation("arch.shared.layer", act, **parameter), False)[0]


def shared_grad_x(
    d: Tensor, theta: Tensor, z: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.shared.layer.grad_x   ∂x, times g′(z) where z is given: d (B, N), theta (m,), z (B, N)."""
    band_checks.backward("arch.shared.layer.grad_x", True, d, theta, z)
    return delta_through(d, theta, z, act, activation("arch.shared.layer.grad_x", act, **parameter))


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


__all__ = ["OPS", "averaged", "corners", "delta_through", "keeping", "sums", "to_input"]

WEIGHTS: dict[str, Callable[..., Any]] = {
    "arch.local.layer.grad_w": local_grad_w, "arch.local.layer.grad_b": local_grad_b,
    "arch.shared.layer.grad_theta": shared_grad_theta, "arch.shared.layer.grad_b": shared_grad_b,
}
OPS: dict[str, Callable[..., Any]] = {
    "arch.local.layer": local_layer, "arch.local.layer.grad_x": local_grad_x,
    "arch.shared.layer": shared_layer, "arch.shared.layer.grad_x": shared_grad_x, **WEIGHTS,
}
