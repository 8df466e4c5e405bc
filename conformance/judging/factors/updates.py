"""What varies where average and update are one: alg.average's factors, and those of the rule."""

from __future__ import annotations

from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .base import Levels, factors
from .networks import AVERAGED, affordable, average
from .optimizers import BETA1, BETA2, DECAY, EPS, ETA, MU, STATES, T, moments, moving

_AFFORDABLE = (affordable("batch", "inputs", "outputs"),)


def _given(s: Source, at: Levels) -> tuple[Arguments, dict[str, Array]]:
    """The arguments that every rule has, and what it steps: weights and intercepts."""
    given = average(s, at)
    stepped = {"theta": given.pop("w"), "b": s.normal((at.outputs,))}
    return {**given, **stepped, "eta": at.eta}, stepped


@factors("alg.average.sgd", levels={**AVERAGED, "eta": ETA}, rules=_AFFORDABLE)
def sgd(s: Source, at: Levels) -> Arguments:
    return _given(s, at)[0]


@factors("alg.average.momentum", levels={**AVERAGED, "eta": ETA, "mu": MU, "state": STATES}, rules=_AFFORDABLE)
def momentum(s: Source, at: Levels) -> Arguments:
    given, stepped = _given(s, at)
    return {**given, **{name: moving(s, of.shape, at.state) for name, of in zip(("v", "vb"), stepped.values())},
            "mu": at.mu}


@factors("alg.average.adamw", levels={**AVERAGED, "eta": ETA, "t": T, "decay": DECAY, "beta1": BETA1, "beta2": BETA2,
                                      "eps": EPS, "state": STATES}, rules=_AFFORDABLE)
def adamw(s: Source, at: Levels) -> Arguments:
    given, stepped = _given(s, at)
    for suffix, of in zip(("", "b"), stepped.values()):
        given[f"m{suffix}"], given[f"v{suffix}"] = moments(s, of.shape, at.state)
    return {**given, "t": at.t, "decay": at.decay, "beta1": at.beta1, "beta2": at.beta2, "eps": at.eps}
