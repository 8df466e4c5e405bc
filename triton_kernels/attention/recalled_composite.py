"""Both gradients of a layer whose inputs nobody kept, as ATen composites. Needs no Triton."""

from __future__ import annotations

from torch import Tensor

from ..activations.composite import times, value
from ..runtime.wide import as_given, rounded, wide


@as_given
def gradients(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, p: float, mean: Tensor | None, rstd: Tensor | None,
    gamma: Tensor | None, beta: Tensor | None, math: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """((δ w) ⊙ g′(saved), δᵀ a, Σ δ): a = g(saved), or where mean and rstd are given the layer norm of saved."""
    if mean is None or rstd is None:
        a = value(saved, act, p)
    else:
        a = (wide(saved) - mean[:, None]) * rstd[:, None]
        a = a if gamma is None else a * wide(gamma)
        a = rounded(a if beta is None else a + wide(beta), saved.dtype)
    error = wide(delta)
    out = error @ wide(w)
    out = out if act == "identity" else times(out, wide(saved), act, "z", p)
    return tuple(rounded(t, delta.dtype) for t in (out, error.t() @ wide(a), error.sum(0)))     # type: ignore[return-value]
