"""Ops made of a backend's other ops: a whole training step, and one part of a gradient added to what is there.

    backend = Backend("mine")            # with net.layer.affine, bp.delta.chain, alg.average.sgd, losses
    composed(backend)                    # and now net.step, too, of which every function is its own
"""

from __future__ import annotations

from typing import Any

from ..backend import Backend
from ..judging.operations.steps import LOSSES

Tensors = tuple[Any, ...]


def composed(backend: Backend) -> Backend:
    """Register net.step, net.step.momentum and alg.accumulate.batch, made of this backend's functions."""
    ops = backend.ops

    def averages(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, act: str, loss: str) -> list[Tensors]:
        """δ and a of both layers, all of them before any weight moves."""
        layer, z = ops["net.layer.affine"], ops["net.layer.affine"](x=x, w=w1, b=b1, act="identity")
        a = layer(x=x, w=w1, b=b1, act=act)
        out = layer(x=a, w=w2, b=b2, act="identity")
        _, last = ops[LOSSES[loss]](**{"yhat" if loss == "square" else "z": out, "y": y})
        hidden, _ = ops["bp.delta.chain"](delta=last, w=w2, z=z, act=act)
        return [(hidden, x), (last, a)]

    @backend.op("net.step")
    def step(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, act: str, loss: str, lam: float,
             eta: float) -> list[Any]:
        met, moved = averages(x, y, w1, b1, w2, b2, act, loss), []
        for (delta, a), theta, b in zip(met, (w1, w2), (b1, b2)):
            moved += ops["alg.average.sgd"](delta=delta, a=a, theta=theta, b=b, lam=lam, n=len(x), eta=eta)
        return moved

    @backend.op("net.step.momentum")
    def step_momentum(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, v1: Any, vb1: Any, v2: Any, vb2: Any,
                      act: str, loss: str, lam: float, eta: float, mu: float) -> list[Any]:
        met, moved = averages(x, y, w1, b1, w2, b2, act, loss), []
        for (delta, a), theta, b, v, vb in zip(met, (w1, w2), (b1, b2), (v1, v2), (vb1, vb2)):
            moved.append(ops["alg.average.momentum"](
                delta=delta, a=a, theta=theta, b=b, v=v, vb=vb, lam=lam, n=len(x), eta=eta, mu=mu))
        return [*moved[0][:2], *moved[1][:2], *moved[0][2:], *moved[1][2:]]

    @backend.op("alg.accumulate.batch")
    def accumulate(G: Any, Gb: Any, delta: Any, a: Any, n: int) -> list[Any]:
        """alg.average with G for Θ and λ = 1; an intercept has no λ, and so takes a step back along its D."""
        D, Db = ops["alg.average"](delta=delta, a=a, w=G, lam=1.0, n=n)
        return [D, ops["opt.sgd"](theta=Gb, D=Db, eta=-1.0)]

    return backend
