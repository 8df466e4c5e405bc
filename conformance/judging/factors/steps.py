"""What varies in a training step of a small network, and in a gradient that comes in parts."""

from __future__ import annotations

from ..recipes import Arguments, Source
from ..recipes.steps import targets, weights
from .base import Levels, Rule, factors
from .networks import ACTS, KINDS, SIZES, affordable
from .optimizers import ETA, MU, STATES, moving
from .regimes import values


@factors("alg.accumulate.batch", levels={
    "batch": SIZES, "outputs": SIZES, "inputs": SIZES, "n": ("parts", "batch", "one"), "data": KINDS,
    "state": STATES}, rules=(affordable("batch", "inputs", "outputs"),))
def accumulate(s: Source, at: Levels) -> Arguments:
    n = {"batch": at.batch, "one": 1, "parts": 3 * at.batch + 1}[at.n]
    return {"G": moving(s, (at.outputs, at.inputs), at.state), "Gb": moving(s, (at.outputs,), at.state),
            "delta": values(s, (at.batch, at.outputs), at.data), "a": s.normal((at.batch, at.inputs)), "n": n}


SMALL = (5, 1, 2, 16, 17, 65)
_STEP = {"batch": (4, 1, 2, 3, 16, 17, 65, 129), "inputs": (*SMALL, 129), "hidden": (*SMALL, 129), "outputs": SMALL,
         "act": ACTS, "loss": ("square", "logits", "softmax", "square, far"), "lam": (0.125, 0.0, 1.0),
         "eta": ETA, "data": ("normal", "small", "positive", "ties", "zero")}
_RULES: tuple[Rule, ...] = (
    lambda at: at.batch * (at.inputs + at.outputs) * at.hidden <= 150_000,
    lambda at: at.inputs * at.outputs <= 2_200)


@factors("net.step", levels=_STEP, rules=_RULES)
def step(s: Source, at: Levels) -> Arguments:
    x, (loss, _, far) = values(s, (at.batch, at.inputs), at.data), at.loss.partition(", ")
    y = targets(s, (at.batch, at.outputs), loss, 8.0 if far else 1.0)
    return {"x": x, "y": y, **weights(s, (at.batch, at.inputs, at.hidden, at.outputs)), "act": at.act, "loss": loss,
            "lam": at.lam, "eta": at.eta}


@factors("net.step.momentum", levels={**_STEP, "mu": MU, "state": STATES}, rules=_RULES)
def step_momentum(s: Source, at: Levels) -> Arguments:
    given = step(s, at)
    velocities = {f"v{name.replace('w', '')}": moving(s, given[name].shape, at.state)
                  for name in ("w1", "b1", "w2", "b2")}
    return {**given, **velocities, "mu": at.mu}
