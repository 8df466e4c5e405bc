"""What local and shared layers ask of their arguments: sizes that fit, in one sentence with the id and the numbers."""

from __future__ import annotations

from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongValue

#: The layer of a band of weights, and that of a shared filter.
LAYERS = ("arch.local.layer", "arch.shared.layer")


def name_of(w: Tensor) -> str:
    return LAYERS[w.dim() == 1]


def _weights(name: str, shared: bool, nodes: int, w: Tensor) -> None:
    """A band has a row per node, a filter none; either has an odd number of taps."""
    if shared:
        checks.rank(name, 1, theta=w)
    else:
        checks.rank(name, 2, w=w)
        shapes = "(B, N) and w (N, m)"
        checks.sizes(name, shapes, **{"numbers of nodes and rows of w": (nodes, w.shape[0])})
    checks.odd(name, w.shape[-1])


def forward(name: str, shared: bool, x: Tensor, w: Tensor, b: Tensor | None) -> None:
    checks.floating(name, x=x, **{"theta" if shared else "w": w}, b=b)
    checks.rank(name, 2, x=x)
    _weights(name, shared, x.shape[1], w)
    if b is None:
        return
    checks.rank(name, 1, b=b)
    if b.shape[0] != (1 if shared else x.shape[1]):
        wanted = "1, which all nodes share" if shared else f"{x.shape[1]}, one per node"
        raise WrongValue(f"{name}: b has {b.shape[0]} entries; expected {wanted}")


def backward(name: str, shared: bool, d: Tensor, w: Tensor, z: Tensor | None) -> None:
    checks.floating(name, d=d, **{"theta" if shared else "w": w}, z=z)
    checks.rank(name, 2, d=d)
    _weights(name, shared, d.shape[1], w)
    if z is not None:
        checks.same_shape(name, d=d, z=z)


def averaging(
    name: str, shared: bool, d: Tensor, x: Tensor, m: int, w: Tensor | None, lam: float, n: float
) -> None:
    label = "theta" if shared else "w"
    checks.floating(name, d=d, x=x, **{label: w})
    checks.rank(name, 2, d=d, x=x)
    checks.same_shape(name, d=d, x=x)
    checks.odd(name, m)
    if w is not None:
        _weights(name, shared, d.shape[1], w)
        checks.sizes(name, "a window of m", **{f"m and the taps of {label}": (m, w.shape[-1])})
    elif lam:
        raise WrongValue(f"{name}: lam = {lam} without {label}; λ multiplies it, pass it")
    checks.examples(name, n)


def intercepts(name: str, d: Tensor, n: float) -> None:
    checks.floating(name, d=d)
    checks.rank(name, 2, d=d)
    checks.examples(name, n)
