"""A layer, its delta and its averaged gradient as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..activations.checks import activation
from ..activations.composite import g, times
from ..runtime import checks
from ..runtime.wide import as_given, rounded, wide
from . import checks as layer_checks


@as_given
def affine_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool, math: str | None = None
) -> tuple[Tensor, Tensor]:
    z = F.linear(wide(x), wide(w), None if b is None else wide(b))
    a = rounded(g(z, act, p), x.dtype)
    return a, rounded(z, x.dtype) if keep_z else a


@as_given
def affine_added(x: Tensor, w: Tensor, b: Tensor | None, added: Tensor, math: str | None = None) -> Tensor:
    """x wᵀ + b + added, a sum that is rounded once."""
    return rounded(F.linear(wide(x), wide(w), None if b is None else wide(b)) + wide(added), x.dtype)


def affine_into(x: Tensor, w: Tensor, b: Tensor | None, out: Tensor, math: str | None = None) -> None:
    """out ← x wᵀ + b."""
    if out.dtype == x.dtype == wide(x).dtype:
        torch.mm(x, w.t(), out=out)
        if b is not None:
            out += b
    else:
        out.copy_(affine_keeping(x, w, b, "identity", 0.0, False)[0])


def accumulate(delta: Tensor, a: Tensor, D: Tensor, Db: Tensor | None, math: str | None = None) -> None:
    """D ← D + δᵀ a and Db ← Db + Σ δ."""
    D.addmm_(wide(delta).t(), wide(a))
    if Db is not None:
        Db += wide(delta).sum(0)


def affine(
    x: Tensor, w: Tensor, b: Tensor | None = None, act: str = "identity", *, precision: str | None = None,
    **parameter: float,
) -> Tensor:
    """net.layer.affine   a = g(x wᵀ + b): x (B, I), w (O, I), b (O,) or None, act the name of an activation."""
    layer_checks.affine(x, w, b)
    p = activation("net.layer.affine", act, **parameter)
    return affine_keeping(x, w, b, act, p, False)[0]


@as_given
def delta_partial(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, form: str, p: float, name: str = "", math: str | None = None,
) -> tuple[Tensor, Tensor]:
    d = times(wide(delta) @ wide(w), wide(saved), act, form, p)
    return rounded(d, delta.dtype), d.sum(0, keepdim=True)


def delta_through(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, form: str, p: float, name: str = "", math: str | None = None,
    summed: bool = True,
) -> tuple[Tensor, Tensor]:
    d, sums = delta_partial(delta, w, saved, act, form, p)
    return d, rounded(sums.squeeze(0), delta.dtype) if summed else d.new_empty(0)


def delta_chain(
    delta: Tensor, w: Tensor, z: Tensor, act: str, *, precision: str | None = None, **parameter: float
) -> tuple[Tensor, Tensor]:
    """bp.delta.chain   (δ_prev = (δ w) ⊙ g′(z), its batch sum): delta (B, O), w (O, I), z (B, I)."""
    layer_checks.delta("bp.delta.chain", delta, w, z, "z")
    return delta_through(delta, w, z, act, "z", activation("bp.delta.chain", act, **parameter))


def delta_rec(delta: Tensor, w: Tensor, a: Tensor, *, precision: str | None = None) -> tuple[Tensor, Tensor]:
    """bp.delta.rec   (δ_prev = (δ w) ⊙ a (1 − a), its batch sum): delta (B, O), w (O, I), a (B, I)."""
    layer_checks.delta("bp.delta.rec", delta, w, a, "a")
    return delta_through(delta, w, a, "sigmoid", "a", 0.0)


def average(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, *, precision: str | None = None
) -> tuple[Tensor, Tensor]:
    """alg.average   D = δᵀ a / n + λ w and Db = Σ_batch δ / n: delta (B, O), a (B, I), w (O, I), n > 0."""
    checks.average(delta, a, w, n)
    D, Db = averaged(delta, a, w, lam, n, True)
    assert Db is not None
    return D, Db


@as_given
def averaged(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, math: str | None = None
) -> tuple[Tensor, Tensor | None]:
    wide_delta = wide(delta)
    D, Db = wide_delta.t() @ wide(a), wide_delta.sum(0) if intercepts else None
    if n != 1:
        D, Db = D / n, None if Db is None else Db / n
    D = D + lam * wide(w) if lam else D
    return rounded(D, w.dtype), None if Db is None else rounded(Db, w.dtype)


def gradients(
    delta: Tensor, w: Tensor, a: Tensor, saved: Tensor, act: str, form: str, p: float, lam: float, n: float,
    math: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """((δ w) ⊙ g′(saved), δᵀ a / n + λ w, Σ δ / n)."""
    D, Db = averaged(delta, a, w[:, : a.shape[1]], lam, n, True)
    assert Db is not None
    if act == "identity":
        return affine_keeping(delta, w.t(), None, act, 0.0, False)[0], D, Db
    return delta_partial(delta, w, saved, act, form, p)[0], D, Db


OPS: dict[str, Callable[..., Any]] = {
    "net.layer.affine": affine, "bp.delta.chain": delta_chain, "bp.delta.rec": delta_rec, "alg.average": average,
}
