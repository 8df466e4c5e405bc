"""Layers whose nodes see their neighbours, as functions; `functional` has them too."""

from __future__ import annotations

from torch import Tensor

from ..activations.checks import activation
from ..runtime import checks
from ..runtime import precision as casting
from ..runtime.instead import or_torch
from ..runtime.refusals import WrongValue
from . import checks as band_checks
from . import nodes as band_autograd


@or_torch(None)
def locally_connected1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.local.layer   g(b_i + Σ_k w_ik x_{i+k−h}): input (…, N), weight (N, m), bias (N,) or None; m = 2h + 1.

    Row i of weight holds what node i gives its m neighbours; its entries beyond the ends are not read. act is sigmoid,
    tanh, relu, leaky (slope=0.1), elu (alpha=1) or identity.
    """
    return _layer("locally_connected1d", False, input, weight, bias, act, parameter)


@or_torch(None)
def shared_linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    """arch.shared.layer   g(b + Σ_k θ_k x_{i+k−h}): input (…, N), weight (m,), bias (1,) or None; m = 2h + 1.

    A full layer whose weights are tied along its diagonals, which is the centred convolution.
    """
    return _layer("shared_linear", True, input, weight, bias, act, parameter)


def _layer(
    name: str, shared: bool, input: Tensor, weight: Tensor, bias: Tensor | None, act: str, parameter: dict[str, float]
) -> Tensor:
    p = activation(name, act, **parameter)
    input, weight, bias = casting.products(input, weight, bias)
    checks.floating(name, input=input)
    if input.dim() == 0:
        raise WrongValue(f"{name}: input has shape (); expected (…, N)")
    x = input if input.dim() == 2 else input.reshape(-1, input.shape[-1])
    band_checks.forward(name, shared, x, weight, bias)
    a = band_autograd.band(x, weight, bias, act, p)
    return a if input.dim() == 2 else a.view(input.shape)
