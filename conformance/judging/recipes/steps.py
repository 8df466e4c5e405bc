"""Data for whole training steps, and for a gradient that comes in parts."""

from __future__ import annotations

from ..numbers.lanes import Array
from . import networks
from .base import Arguments, Family, Source, drawn

SHIFTED = 0.5                # half of z's spacing: exact, and never at a kink


def accumulate(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """alg.average's own, with what earlier parts have left where it has Θ."""
    given = networks.average(s, size, kind)
    given.pop("lam")
    G = given.pop("w")
    Gb = s.integers((size[1],), 3) if kind == "exact" else s.normal((size[1],))
    return {"G": G, "Gb": Gb, **given, "n": given["n"] if kind == "exact" else 3 * size[0] + 1}


def weights(s: Source, size: tuple[int, ...]) -> dict[str, Array]:
    """w1, b1, w2, b2 of a network of sizes inputs, hidden, outputs."""
    _, inputs, hidden, outputs = size
    return {"w1": s.normal((hidden, inputs), inputs**-0.5), "b1": s.normal((hidden,)),
            "w2": s.normal((outputs, hidden), hidden**-0.5), "b2": s.normal((outputs,))}


def targets(s: Source, shape: tuple[int, int], loss: str, scale: float = 1.0) -> Array:
    """What a loss compares with: numbers, shares, or labels."""
    if loss == "softmax":
        return s.rng.integers(0, shape[1], shape[0])
    return s.uniform(shape) if loss == "logits" else s.normal(shape, scale)


def step(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    """Exact: few inputs and weights that are not 0, n a power of two, λ and η dyadic; a z is never 0."""
    kind, _, how = kind.partition("-")
    act, _, loss = how.partition("-")
    batch, inputs, hidden, outputs = size
    if kind == "exact":
        density = {"fp32": 1.0, "fp16": 0.5, "bf16": 0.25}[s.dtype]
        given = {"x": s.integers((batch, inputs), 1, density), "y": s.integers((batch, outputs), 1),
                 "w1": s.integers((hidden, inputs), 1, density), "b1": s.integers((hidden,), 1) + SHIFTED,
                 "w2": s.integers((outputs, hidden), 1, density), "b2": s.integers((outputs,), 1)}
        return {**given, "act": act, "loss": loss, "lam": 0.5, "eta": 1.0 if s.dtype == "bf16" else 0.25}
    loss = loss or "square"
    return {"x": drawn(s, (batch, inputs), kind), "y": targets(s, (batch, outputs), loss), **weights(s, size),
            "act": act or "sigmoid", "loss": loss, "lam": 0.125, "eta": 0.0625}


def step_momentum(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    given = step(s, size, kind)
    exact = kind.startswith("exact")
    for name in ("w1", "b1", "w2", "b2"):
        shape = given[name].shape
        given[f"v{name.replace('w', '')}"] = s.integers(shape, 2) * 2 if exact else s.normal(shape)
    return {**given, "mu": 0.5}


_SIZES = ((4, 3, 5, 2), (1, 1, 1, 1), (8, 2, 3, 1), (2, 4, 3, 2))
_EXACT = ("exact-relu-square", "exact-identity-square")
_REAL = ("normal", "normal-tanh-logits", "normal-relu-softmax")        # every g is a level of a factor
FAMILIES: dict[str, Family] = {
    "alg.accumulate.batch": Family(accumulate, ((33, 40, 17), (5, 70, 3), (1, 1, 1), (64, 129, 66)),
                                   real=("normal", "cancelling")),
    "net.step": Family(step, _SIZES, _EXACT, _REAL),
    "net.step.momentum": Family(step_momentum, _SIZES, _EXACT, ("normal",)),
}
