"""What the deck counts: parameters and output sizes (lines 1634–1717, 1757–1808, 1922–1947, 2025–2031)."""

from __future__ import annotations

from typing import Any

from .ids import implements
from .lists import Vector


@implements("fc.params.total")
def fc_params_total(n: Vector) -> int:
    """fc.params.total   n_1 n_2 + n_2 n_3 + ⋯ + n_L n_{L+1}      (intercepts not counted)"""
    return sum(n[k] * n[k + 1] for k in range(len(n) - 1))


@implements("fc.params.total.corrected")
def fc_params_total_corrected(n: Vector) -> int:
    """fc.params.total.corrected   (n_1 + 1) n_2 + ⋯ + (n_L + 1) n_{L+1}      (an intercept for every node)"""
    return sum((n[k] + 1) * n[k + 1] for k in range(len(n) - 1))


@implements("fc.params")
def fc_params(n: int) -> int:
    """fc.params   n²"""
    return n * n


@implements("local.params")
def local_params(n: int) -> int:
    """local.params   3n − 2"""
    return 3 * n - 2


@implements("arch.local.params")
def band_params(n: int, m: int) -> int:
    """arch.local.params   mn − (m² − 1)/4,   m odd"""
    return m * n - (m - 1) * (m + 1) // 4


@implements("conv1d.params")
def conv1d_params(m: int = 3) -> int:
    """conv1d.params   3,   as many as the filter has entries: m"""
    return m


@implements("conv1d.valid.shape")
def conv1d_shape(n: int, m: int) -> int:
    """conv1d.valid.shape   x ∈ ℝⁿ, θ ∈ ℝᵐ,   θ ∗ x ∈ ℝ^{n−m+1}"""
    return n - m + 1


@implements("stack.shape", "stack.64")
def stack_shape(n: int, m: int, D: int = 64) -> tuple[int, int, int]:
    """stack.64   x ∈ ℝ^{n×n×r}, D filters of m×m×r:   (n + 1 − m) × (n + 1 − m) × D"""
    return n + 1 - m, n + 1 - m, D


@implements("stack.params")
def stack_params(m: int, r: int, D: int) -> int:
    """stack.params   m·m·r·D      (D filters of one size; intercepts not counted)"""
    return m * m * r * D


@implements("claim.fc16e9")
def fc_claim(side: int = 200, hidden: int = 400_000) -> int:
    """claim.fc16e9   200 × 200 image, fully connected to 400,000 hidden units: 16 billion parameters"""
    return side * side * hidden


@implements("claim.local40e6")
def local_claim(field: int = 10, hidden: int = 400_000) -> int:
    """claim.local40e6   400,000 hidden units with 10 × 10 fields: 40 million parameters"""
    return field * field * hidden


def parameters(p: Any) -> int:
    """How many numbers a nest of parameters holds; slots of None hold none."""
    if isinstance(p, dict):
        return sum(parameters(part) for part in p.values())
    if isinstance(p, list | tuple):
        return sum(parameters(part) for part in p)
    return 0 if p is None else 1
