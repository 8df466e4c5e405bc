"""Convolution as the deck prints it: the sum slides the filter unflipped (deck lines 1708–1784, 1833).

The printed sums are cross-correlations; the deck calls them convolutions, and so do we. Lists count from 0.
"""

from __future__ import annotations

from .activations import identity
from .backprop import Activation
from .ids import implements
from .lists import Matrix, Vector, sizes


@implements("conv1d.valid")
def conv1d(theta: Vector, x: Vector) -> Vector:
    """conv1d.valid   (θ ∗ x)_i = Σ_{j=0}^{m−1} θ_j x_{i+j},   n − m + 1 outputs

    The deck counts x from 1 and θ from 0; lists here count both from 0.
    """
    (m,), (n,) = sizes(theta, 1, "theta"), sizes(x, 1, "x")
    fits("conv1d.valid", m, n)
    return [sum(theta[j] * x[i + j] for j in range(m)) for i in range(n - m + 1)]


@implements("conv1d.centred")
def conv1d_centred(theta: Vector, a: Vector, g: Activation = identity) -> Vector:
    """conv1d.centred   a_i^(k+1) = g(Σ_{j=−(m−1)/2}^{(m−1)/2} θ_{j+(m−1)/2} a_{i+j}^(k)),   n outputs

    Entries of a beyond its ends count as zero, as in the printed matrix; m must be odd.
    """
    (m,), (n,) = sizes(theta, 1, "theta"), sizes(a, 1, "a")
    if m % 2 == 0:
        raise ValueError(f"conv1d.centred: a filter of even length {m} has no centre; use an odd length")
    h = (m - 1) // 2
    return [g(sum(theta[j + h] * a[i + j] for j in range(-h, h + 1) if 0 <= i + j < n)) for i in range(n)]


@implements("conv2d.valid")
def conv2d(I: Matrix, K: Matrix) -> Matrix:
    """conv2d.valid   (I ∗ K)(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n)"""
    (H, W), (M, N) = sizes(I, 2, "image I"), sizes(K, 2, "filter K")
    fits("conv2d.valid", M, H)
    fits("conv2d.valid", N, W)
    return [[sum(I[i + m][j + n] * K[m][n] for m in range(M) for n in range(N))
             for j in range(W - N + 1)] for i in range(H - M + 1)]


def fits(id: str, m: int, n: int) -> None:
    """Refuse a filter that is longer than what it slides over."""
    if m > n:
        raise ValueError(f"{id}: the filter is longer ({m}) than the input ({n})")
