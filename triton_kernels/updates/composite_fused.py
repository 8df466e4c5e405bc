"""Average and update in one as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..runtime import checks
from ..runtime.wide import wide
from .composite import RULES

#: What each rule keeps beside Θ.
STATES: dict[str, tuple[str, ...]] = {"sgd": (), "momentum": ("v",), "adamw": ("m", "v")}


def checked(
    rule: str, delta: Tensor, a: Tensor, theta: Tensor, b: Tensor, states: Mapping[str, Tensor], n: float, t: int
) -> None:
    """delta (B, O), a (B, I), theta (O, I) and b (O,); a state is like its parameter."""
    name = f"alg.average.{rule}"
    checks.average(delta, a, theta, n, name)
    checks.floating(name, theta=theta, b=b, **states)
    checks.rank(name, 1, b=b)
    checks.sizes(name, "theta (O, I), b (O,)", **{"rows of theta and entries of b": (theta.shape[0], b.shape[0])})
    for label, state in states.items():
        checks.same_shape(name, **{label: state, **({"b": b} if label.endswith("b") else {"theta": theta})})
    if t < 1:
        raise ValueError(f"{name}: t = {t}; steps are counted from 1")


def averaged_step(
    rule: str, delta: Tensor, a: Tensor, theta: Tensor, b: Tensor, states: Mapping[str, Tensor], lam: float, n: float,
    t: int, numbers: dict[str, float],
) -> tuple[Tensor, ...]:
    """(Θ, b, and each state's two), new; D is rounded nowhere."""
    checked(rule, delta, a, theta, b, states, n, t)
    d, names = wide(delta), STATES[rule]
    pairs = (
        (wide(theta), d.t() @ wide(a) / n + lam * wide(theta), [wide(states[s]) for s in names]),
        (wide(b), d.sum(0) / n, [wide(states[f"{s}b"]) for s in names]))
    moved = [RULES[rule](one, D, *own, {**numbers, "t": t}) for one, D, own in pairs]
    return tuple(part.to(theta.dtype) for pair in zip(*moved) for part in pair)


Step = Callable[..., tuple[Tensor, ...]]


def ops(step: Step) -> dict[str, Callable[..., Any]]:
    """The three ids over one way of stepping."""

    def sgd(delta: Tensor, a: Tensor, theta: Tensor, b: Tensor, lam: float, n: float, eta: float) -> Any:
        return step("sgd", delta, a, theta, b, {}, lam, n, 1, {"eta": eta})

    def momentum(
        delta: Tensor, a: Tensor, theta: Tensor, b: Tensor, v: Tensor, vb: Tensor, lam: float, n: float, eta: float,
        mu: float,
    ) -> Any:
        numbers = {"eta": eta, "beta1": mu, "share": 1.0}
        return step("momentum", delta, a, theta, b, {"v": v, "vb": vb}, lam, n, 1, numbers)

    def adamw(
        delta: Tensor, a: Tensor, theta: Tensor, b: Tensor, m: Tensor, mb: Tensor, v: Tensor, vb: Tensor, t: int,
        lam: float, n: float, eta: float, decay: float, beta1: float, beta2: float, eps: float,
    ) -> Any:
        numbers = {"eta": eta, "lam": decay, "beta1": beta1, "share": 1 - beta1, "beta2": beta2, "eps": eps}
        return step("adamw", delta, a, theta, b, {"m": m, "mb": mb, "v": v, "vb": vb}, lam, n, t, numbers)

    return {"alg.average.sgd": sgd, "alg.average.momentum": momentum, "alg.average.adamw": adamw}


OPS = ops(averaged_step)
