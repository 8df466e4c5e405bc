"""Optimizers, as problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from chainrule.triton_kernels import optim

from .floors import elementwise
from .problems import MU, Call, Input, Prepare, Problem, Tensors, plain

ETA, DECAY, BETAS, EPS = 1e-3, 1e-2, (0.9, 0.999), 1e-6


#: Ours, torch's if there is one, and how many states are kept.
OPTIMIZERS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None, int]] = {
    "sgd": (optim.SGD, torch.optim.SGD, 0), "momentum": (optim.SGD, torch.optim.SGD, 1),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad, 1), "adam": (optim.Adam, torch.optim.Adam, 2),
    "adamw": (optim.AdamW, torch.optim.AdamW, 2), "lamb": (optim.LAMB, None, 2)}
_MOMENTS = {"betas": BETAS, "eps": EPS}
_NUMBERS: dict[str, dict[str, Any]] = {"sgd": {}, "momentum": {"momentum": MU}, "adagrad": {"eps": EPS}}


def stepping(rule: str, make: Callable[..., Any], graphed: bool = False, **how: Any) -> Prepare:
    """Steps of an optimizer along a gradient that stays where it is, so that a graph can hold them."""
    def prepare(t: Tensors) -> Call:
        theta = t["theta"]
        theta.grad = t["D"]
        more = {**_NUMBERS.get(rule, _MOMENTS), **how, **({"capturable": True} if graphed and theta.is_cuda else {})}
        one = make([theta], lr=ETA, weight_decay=DECAY, **more)

        def call() -> tuple[Tensor, ...]:
            one.step()
            return (theta,)
        return call
    return prepare


def torchs(rule: str, how: str) -> Prepare | None:
    """torch's step, `fused` or `foreach`; Adagrad is not fused on every GPU, LAMB is not torch's."""
    make = OPTIMIZERS[rule][1]
    if make is None:
        return None
    return stepping(rule, make, rule in ("adam", "adamw"), **{"foreach" if rule == "adagrad" else how: True})


def optimizer(rule: str, elements: int) -> Problem:
    """One step on a large float32 tensor."""
    inputs = {"theta": Input((elements,), torch.float32), "D": Input((elements,), torch.float32, 0.1)}
    make, _, states = OPTIMIZERS[rule]

    def formula(theta: Tensor, D: Tensor) -> Tensor:
        """The first step, from states of zero: v = D, G = D², m̂ = D and v̂ = D²."""
        apart = rule in ("adamw", "lamb")
        D = D if apart else D + DECAY * theta
        u = D if rule in ("sgd", "momentum") else D / (D.abs() + EPS)
        u = u + DECAY * theta if apart else u
        return theta - ETA * (theta.norm() / u.norm() if rule == "lamb" else 1.0) * u

    return Problem(f"opt.{rule}", inputs, stepping(rule, make), torchs(rule, "fused") or plain(formula),
                   elementwise(elements, 2 + states, 1 + states, 4), ("updates", "optim.py"),
                   exactly=plain(formula), rounded=torch.float32, resident=True, table="optimizers")
