"""What an op with an activation asks of its name and its parameter."""

from __future__ import annotations

from torch import Tensor

from ..runtime.checks import floating, rank
from ..runtime.refusals import WrongType, WrongValue
from .table import ACTIVATIONS


def activation(name: str, act: str, **parameter: float) -> float:
    """The parameter p of an activation: `slope` for leaky, `alpha` for elu, nothing else."""
    g = ACTIVATIONS.get(act)
    if g is None:
        raise WrongValue(f"{name}: activation {act!r} is unknown; choose one of {', '.join(ACTIVATIONS)}")
    if not parameter:
        return g.default
    for given in parameter:
        if given != g.parameter:
            own = f"; its parameter is {g.parameter}" if g.parameter else ""
            raise WrongType(f"{name}: {act} takes no {given}{own}")
    p = float(parameter.get(g.parameter, g.default))
    if g.legal is not None and not g.legal[0](p):
        raise WrongValue(f"{name}: {g.parameter} = {p}; {g.legal[1]}")
    return p


def anyhow(z: Tensor, act: str, **parameter: float) -> Tensor:
    """g(z) by torch's functions, for a parameter that no kernel takes, too."""
    g = ACTIVATIONS[act]
    if parameter.keys() - {g.parameter}:
        raise TypeError(f"{act} takes no {', '.join(parameter)}")
    return g.value(z, parameter.get(g.parameter, g.default))
def rows(name: str, z: Tensor) -> None:
    """z (R, K), K ≥ 1."""
    floating(name, z=z)
    rank(name, 2, z=z)
    if not z.shape[1]:
        raise WrongValue(f"{name}: z has shape {tuple(z.shape)}; expected (rows, K) with at least one number a row")
