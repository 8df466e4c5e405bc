"""Which op of the suite the kernels of a transformer are: layer norm, softmax, attention, patches, and what a block as
one node makes again. Each takes what those of `known` take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.scalar import exp, log, sqrt

from ...reference import normalization
from ...triton_kernels.attention.checks import apart
from ..judging.numbers.bounded import Bounded, total
from ..judging.operations import PARAMETERS, evaluate, stable
from ..judging.operations.attention import parts
from ..judging.operations.base import narrowed
from .chains import ChainFault, as_array
from .known import Given, Number, own_parameter


def normed(watch: Any, found: Any, x: Tensor, gamma: Any, beta: Any, eps: float, added: Any = None,
           written: bool = True) -> None:
    y, mean, rstd, summed = found
    if added is not None:
        watch.formula("norm.layer, x + added", {"x": summed}, lambda number: number(x) + number(added))
        x = summed

    def columns(number: Number) -> list[Bounded]:
        return [number(column) for column in x.T]

    watch.formula("norm.mean", {"μ": mean}, lambda number: normalization.mean(columns(number)))
    watch.formula("norm.variance", {"1/√(σ² + ε)": rstd},
                  lambda number: 1 / sqrt(normalization.variance(columns(number)) + eps))
    if written:
        watch.op("norm.layer", (y,), x=x, **affine(x, gamma, beta), eps=eps)


def affine(x: Tensor, gamma: Any, beta: Any) -> Given:
    """γ and β as the op has them, which takes no None."""
    return {"gamma": x.new_ones(x.shape[1]) if gamma is None else gamma,
            "beta": x.new_zeros(x.shape[1]) if beta is None else beta}


def standard(number: Number, x: Tensor, mean: Tensor, rstd: Tensor) -> Any:
    return (number(x) - number(mean[:, None])) * number(rstd[:, None])


def from_norm(watch: Any, found: Any, d: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Any, past: Any,
              dtype: Any, wants_x: bool, wants_sums: bool) -> None:
    dx, both = found
    D = x.shape[1]

    def average(t: Any) -> Any:
        return total(t, 1)[:, None] / D

    def to_x(number: Number) -> Any:
        g, hat = number(d) if gamma is None else number(d) * number(gamma), standard(number, x, mean, rstd)
        inner = (g - average(g) - hat * average(g * hat)) * number(rstd[:, None])
        return inner if past is None else inner + number(past)

    if wants_x:
        watch.formula("norm.layer.grad_x", {"dx": dx}, to_x)
    if wants_sums:
        watch.formula("norm.layer.grad_gamma", {"dgamma": both[:D]},
                      lambda number: total(number(d) * standard(number, x, mean, rstd), 0))
        watch.formula("norm.layer.grad_beta", {"dbeta": both[D:]}, lambda number: total(number(d), 0))


def heads(q: Tensor, k: Tensor, v: Tensor, scale: float, keep: Any, causal: bool) -> Given:
    """The arguments of attn.head; a mask that is not given is left out."""
    return {"Q": q, "K": k, "V": v, "scale": scale, **({} if keep is None else {"keep": keep}),
            **({"causal": True} if causal else {})}


def attended(watch: Any, found: Any, q: Tensor, k: Tensor, v: Tensor, scale: float, keep: Any = None,
             causal: bool = False, *_: Any) -> None:
    """o, and the logarithm of each row's sum, which is ∞ of a row without keys."""
    o, lse = found
    watch.op("attn.head", (o,), **heads(q, k, v, scale, keep, causal))
    part = parts((len(q), q.shape[2], k.shape[2]), None if keep is None else as_array(keep), causal)[:, None]
    some = np.broadcast_to(part.any(3), lse.shape)
    if not torch.isposinf(lse[torch.from_numpy(~some)]).all():
        raise ChainFault("attn.head: the logarithm of a row without keys is not ∞")

    def logarithm(number: Number) -> Any:
        z = total(number(q)[:, :, :, None, :] * number(k)[:, :, None, :, :], 4) * scale
        largest = np.where(part, z.v, -np.inf).max(3, initial=-np.inf)
        largest = np.where(some, largest, 0.0)
        sums = total(exp(z - Bounded(largest[..., None], z.ar)) * number(part.astype(float)), 3)
        return log(sums + number((~some).astype(float))) + Bounded(largest, z.ar)

    watch.formula("attn.head, log Σ", {"log Σ": lse.masked_fill(torch.from_numpy(~some), 0.0)}, logarithm, dot=True)


def from_attention(watch: Any, found: Any, d: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor,
                   scale: float, keep: Any = None, causal: bool = False, *_: Any) -> None:
    for letter, out in zip("QKV", found, strict=True):
        watch.op(f"attn.head.grad_{letter}", (out,), d=d, **heads(q, k, v, scale, keep, causal))


def from_packed(watch: Any, found: Any, d: Tensor, qkv: Tensor, *how: Any) -> None:
    from_attention(watch, apart(found), d, *apart(qkv), *how)


def made_again(watch: Any, found: Any, delta: Tensor, w: Tensor, saved: Tensor, act: str, p: float, mean: Any,
               rstd: Any, gamma: Any, beta: Any, *_: Any) -> None:
    """δ before the layer, and D of inputs that are rounded as they once were written."""
    before, D, Db = found
    own_parameter(act, p)
    if act == "identity":
        watch.op("net.layer.affine", (before,), x=delta, w=w.t(), b=None, act=act)
    else:
        watch.op("bp.delta.chain", (before, None), delta=delta, w=w, z=saved, act=act)

    def inputs(number: Number) -> Any:
        if mean is None:
            return stable(f"act.{act}")(number(saved), **PARAMETERS.get(act, {})) if act != "identity" else number(
                saved)
        a = standard(number, saved, mean, rstd)
        a = a if gamma is None else a * number(gamma)
        return a if beta is None else a + number(beta)

    def average(number: Number) -> Any:
        return total(number(delta)[:, :, None] * narrowed(inputs(number), number)[:, None, :], 0)

    watch.formula("alg.average, inputs made again", {"D": D}, average, dot=True)
    watch.formula("alg.average, Σ δ", {"Db": Db}, lambda number: total(number(delta), 0))


def added_to(watch: Any, found: Any, x: Tensor, w: Tensor, b: Any, added: Tensor, *_: Any) -> None:
    given = {"x": as_array(x), "w": as_array(w), "b": b if b is None else as_array(b), "act": "identity"}

    def both(number: Number) -> Any:
        return next(iter(evaluate("net.layer.affine", number, stable, given).values())) + number(added)

    watch.formula("net.layer.affine, and what is added", {"a": found}, both, dot=True)


def shares(watch: Any, found: Any, z: Tensor, dtype: Any) -> None:
    watch.formula("act.softmax", {"p": found},
                  lambda number: evaluate("act.softmax", number, stable, {"z": as_array(z)})["p"])


def from_shares(watch: Any, found: Any, d: Tensor, p: Tensor) -> None:
    watch.formula("act.softmax.prime", {"dz": found}, lambda number: number(p) * (
        number(d) - total(number(p) * number(d), 1)[:, None]))


def embedded(watch: Any, found: Any, x: Tensor, w: Tensor, b: Any, token: Tensor, position: Tensor, *_: Any) -> None:
    watch.op("vit.embed", (found,), x=x, w=w, b=b, token=token, position=position)


def to_patch(watch: Any, found: Any, d: Tensor, w: Tensor, H: int, W: int, *_: Any) -> None:
    watch.op("vit.embed.grad_patch", (found,), d=d, w=w, H=H, W=W)


def to_theta(watch: Any, found: Any, d: Tensor, x: Tensor, P: int, *_: Any) -> None:
    watch.op("vit.embed.grad_Theta", found, d=d, x=x, P=P)


def to_tokens(watch: Any, found: Any, d: Tensor) -> None:
    for name, out in zip(("position", "token"), found, strict=True):
        watch.op(f"vit.embed.grad_{name}", (out,), d=d)


#: By the module of kernels, and the function of it that starts them.
SEQUENCES: dict[tuple[str, str], Callable[..., None]] = {
    ("layers.kernels", "affine_added"): added_to,
    ("norms.layer", "forward"): normed, ("norms.layer", "gradients"): from_norm,
    ("activations.softmax", "forward"): shares, ("activations.softmax", "backward"): from_shares,
    ("attention.kernels", "forward"): attended, ("attention.kernels", "backward"): from_attention,
    ("attention.kernels", "packed_backward"): from_packed, ("attention.recalled", "gradients"): made_again,
    ("patches.kernels", "forward"): embedded, ("patches.kernels", "to_patch"): to_patch,
    ("patches.kernels", "to_theta"): to_theta, ("patches.kernels", "sums"): to_tokens,
}
