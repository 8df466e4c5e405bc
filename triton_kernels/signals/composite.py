"""The deck's convolutions of one signal and one image, and their gradients, as ATen composites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.wide import as_given, wide
from . import checks as signal_checks


@as_given
def _correlate1d(signal: Tensor, theta: Tensor, padding: int = 0) -> Tensor:
    return F.conv1d(wide(signal)[None, None], wide(theta)[None, None], padding=padding)[0, 0].to(signal.dtype)


def conv1d_valid(theta: Tensor, x: Tensor) -> Tensor:
    """conv1d.valid   (θ ∗ x)_i = Σ_j θ_j x_{i+j}, n − m + 1 outputs."""
    signal_checks.conv1d_valid(theta, x)
    return _correlate1d(x, theta)


def conv1d_valid_grad_x(d: Tensor, theta: Tensor) -> Tensor:
    """conv1d.valid.grad_x   Σ_j θ_j d_{t−j}, len(d) + m − 1 outputs."""
    n = signal_checks.conv1d_valid_grad_x(d, theta)
    return _correlate1d(d, theta.flip(0), len(theta) - 1) if len(d) else d.new_zeros(n)


def conv1d_valid_grad_theta(d: Tensor, x: Tensor) -> Tensor:
    """conv1d.valid.grad_theta   Σ_i d_i x_{i+j}, n − len(d) + 1 outputs."""
    m = signal_checks.conv1d_valid_grad_theta(d, x)
    return _correlate1d(x, d) if len(d) else d.new_zeros(m)


def conv1d_centred(theta: Tensor, a: Tensor) -> Tensor:
    """conv1d.centred   Σ_{j=−h}^{h} θ_{j+h} a_{i+j}, a = 0 outside, h = (m − 1)/2."""
    h = signal_checks.conv1d_centred("conv1d.centred", theta, a, "a")
    return _correlate1d(a, theta, h) if len(a) else torch.empty_like(a)


def conv1d_centred_grad_a(d: Tensor, theta: Tensor) -> Tensor:
    """conv1d.centred.grad_a   Σ_j θ_j d_{t−j+h}, d = 0 outside."""
    h = signal_checks.conv1d_centred("conv1d.centred.grad_a", theta, d, "d")
    return _correlate1d(d, theta.flip(0), h) if len(d) else torch.empty_like(d)


def conv1d_centred_grad_theta(d: Tensor, a: Tensor, m: int) -> Tensor:
    """conv1d.centred.grad_theta   Σ_i d_i a_{i+j−h}, m outputs, a = 0 outside."""
    h = signal_checks.conv1d_centred_grad_theta(d, a, m)
    return _correlate1d(a, d, h) if len(d) else d.new_zeros(m)


@as_given
def _correlate2d(image: Tensor, K: Tensor, padding: tuple[int, int] = (0, 0)) -> Tensor:
    return F.conv2d(wide(image)[None, None], wide(K)[None, None], padding=padding)[0, 0].to(image.dtype)


def conv2d_valid(I: Tensor, K: Tensor) -> Tensor:
    """conv2d.valid   (I ∗ K)(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n)."""
    signal_checks.conv2d_valid(I, K)
    return _correlate2d(I, K)


def conv2d_valid_grad_I(d: Tensor, K: Tensor) -> Tensor:
    """conv2d.valid.grad_I   Σ_m Σ_n d(u − m, v − n) K(m, n), d = 0 outside."""
    signal_checks.conv2d_valid_grad_I(d, K)
    return _correlate2d(d, K.flip(0, 1), (K.shape[0] - 1, K.shape[1] - 1))


def conv2d_valid_grad_K(d: Tensor, I: Tensor) -> Tensor:
    """conv2d.valid.grad_K   Σ_i Σ_j d(i, j) I(i + m, j + n)."""
    signal_checks.conv2d_valid_grad_K(d, I)
    return _correlate2d(I, d)


OPS: dict[str, Callable[..., Any]] = {
    "conv1d.valid": conv1d_valid, "conv1d.valid.grad_x": conv1d_valid_grad_x,
    "conv1d.valid.grad_theta": conv1d_valid_grad_theta, "conv1d.centred": conv1d_centred,
    "conv1d.centred.grad_a": conv1d_centred_grad_a, "conv1d.centred.grad_theta": conv1d_centred_grad_theta,
    "conv2d.valid": conv2d_valid, "conv2d.valid.grad_I": conv2d_valid_grad_I,
    "conv2d.valid.grad_K": conv2d_valid_grad_K,
}
