"""The deck's chain from full to shared layers, as modules: `nn.Linear` has n² weights, these have fewer; `nn` has
them too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..activations.checks import activation
from ..runtime import checks
from . import functional as F
from .composite import corners


class _Neighbours(nn.Module):
    """(…, features) to (…, features): node i sees i − h … i + h, kernel_size = 2h + 1; then g, with its parameter."""

    bias: nn.Parameter | None

    def __init__(
        self, features: int, kernel_size: int, act: str = "identity", bias: bool = True, *,
        device: Any = None, dtype: torch.dtype | None = None, **parameter: float,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        activation(name, act, **parameter)
        checks.odd(name, kernel_size)
        if kernel_size > 2 * features - 1:
            raise ValueError(f"{name}: kernel_size = {kernel_size} reaches beyond all of {features} nodes; "
                             f"at most {2 * features - 1} of its entries see one")
        self.features, self.kernel_size, self.act, self.parameter = features, kernel_size, act, parameter
        weights, intercepts = self.shapes()
        self.weight = nn.Parameter(torch.empty(weights, device=device, dtype=dtype))
        self.register_parameter(
            "bias", nn.Parameter(torch.empty(intercepts, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        raise NotImplementedError

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Uniform in ± 1/√kernel_size, as torch's layers have it."""
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                nn.init.uniform_(parameter, -self.kernel_size**-0.5, self.kernel_size**-0.5)

    def band(self) -> Tensor:
        """The weights that every node has, (features, kernel_size)."""
        return self.weight.expand(self.features, self.kernel_size)

    def matrix(self) -> Tensor:
        """Θ, (features, features): the same layer as a full one."""
        t = torch.arange(self.features, device=self.weight.device)[:, None] + torch.arange(
            self.kernel_size, device=self.weight.device)
        wide = self.weight.new_zeros(self.features, self.features + self.kernel_size - 1)
        return wide.scatter(1, t, self.band())[:, self.kernel_size // 2:][:, :self.features]

    def extra_repr(self) -> str:
        return f"{self.features}, kernel_size={self.kernel_size}, act={self.act}, bias={self.bias is not None}"


class LocallyConnected1d(_Neighbours):
    """arch.local.layer   every node has weights of its own: mn − (m² − 1)/4 of them, m = kernel_size.

    weight (features, kernel_size), bias (features,). The entries of weight beyond the ends are no parameters: they
    start at 0 and their gradient is 0, so that they stay there.
    """

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (self.features, self.kernel_size), (self.features,)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.weight.masked_fill_(corners(self.features, self.kernel_size, self.weight.device), 0.0)

    def forward(self, input: Tensor) -> Tensor:
        return F.locally_connected1d(input, self.weight, self.bias, self.act, **self.parameter)


class SharedLinear(_Neighbours):
    """arch.shared.layer   all nodes have the same m = kernel_size weights and one intercept.

    weight (kernel_size,), bias (1,): a full layer tied along its diagonals, which is the centred convolution.
    """

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (self.kernel_size,), (1,)

    def forward(self, input: Tensor) -> Tensor:
        return F.shared_linear(input, self.weight, self.bias, self.act, **self.parameter)
