"""What the kernels of normed convolutions hand on."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..images.checks import Layer

LIMIT = 64              # shares that whoever reads them adds up itself; of more a launch makes one


class Norm(NamedTuple):
    """A batch norm: its statistics, or where `partial` is given their shares of `per` rows, of which they will be
    made; then the running statistics and the counter move, where there are any."""

    mean: Tensor
    rstd: Tensor
    gamma: Tensor
    beta: Tensor
    eps: float
    partial: Tensor | None = None
    per: int = 0
    running: tuple[Tensor, Tensor] | None = None
    tracked: Tensor | None = None
    rho: float = 0.0

    @property
    def settled(self) -> Norm:
        return Norm(self.mean, self.rstd, self.gamma, self.beta, self.eps)


class Sums(NamedTuple):
    """(Σ s, Σ s ẑ) in float32, ∂ℒ/∂γ and ∂ℒ/∂β; to be made of shares where `partial` is given."""

    both: Tensor
    dgamma: Tensor
    dbeta: Tensor
    partial: Tensor | None


class Work(NamedTuple):
    """One convolution: (s, z) behind it, what it read, and the norm of which that is made, if it is."""

    s: Tensor
    z: Tensor
    norm: Norm
    both: Tensor
    source: Tensor
    below: Norm | None
    sizes: Layer
