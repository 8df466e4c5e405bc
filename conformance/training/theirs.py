"""Anybody's functions in the places of our kernels: how what a model asks a room of kernels for is asked of ops.

Each entry takes the ops, and a room's own arguments; it gives what the room's function would give, or None where these
ops have no such thing, and then that function runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...triton_kernels.attention import composite as attention_composite
from ...triton_kernels.attention.checks import apart
from ...triton_kernels.norms import layer_composite
from ..backend import Backend, Function
from ..judging.hygiene import HygieneFault
from ..judging.operations import OPERATIONS, PARAMETERS
from ..judging.running import fitted, listed
from . import sequences
from .chains import ChainFault
from .known import geometry, windows


class Ops:
    """A backend's functions by id, called with tensors; each gives a list of its outputs."""

    def __init__(self, backend: Backend) -> None:
        self.functions = backend.ops

    def __contains__(self, id: str) -> bool:
        return id in self.functions

    def __call__(self, id: str, **given: Any) -> list[Any]:
        takes, why = fitted(self.functions[id], id, given)
        if why:
            raise ChainFault(f"{id}: {why}")
        try:
            return listed(self.functions[id](**takes), OPERATIONS[id].outputs)
        except HygieneFault as fault:
            raise ChainFault(f"{id}: {fault}") from fault


def backend_of(functions: Backend | Mapping[str, Function]) -> Backend:
    """A backend as it is; of a plain dict by op id, one of these functions."""
    if isinstance(functions, Backend):
        return functions
    backend = Backend("theirs")
    for id, function in functions.items():
        backend.op(id)(function)
    return backend


def affine(ops: Ops, x: Tensor, w: Tensor, b: Any, act: str, p: float, keep_z: bool, *_: Any) -> Any:
    a, z = (ops("net.layer.affine", x=x, w=w, b=b, act=g)[0] if g == act or keep_z else None for g in (act, "identity"))
    return a, a if z is None else z


def averaged(ops: Ops, delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, *_: Any) -> Any:
    D, Db = ops("alg.average", delta=delta, a=a, w=w, lam=lam, n=n)
    return D, Db if intercepts else None


def delta_through(ops: Ops, delta: Tensor, w: Tensor, kept: Tensor, act: str, form: str, *_: Any) -> Any:
    recursive = form == "a" and act == "sigmoid"
    id, name = ("bp.delta.rec", {"a": kept}) if recursive else ("bp.delta.chain", {"z": kept, "act": act})
    return tuple(ops(id, delta=delta, w=w, **name)) if id in ops else None


def activation(ops: Ops, z: Tensor, act: str, p: float) -> Any:
    id = f"act.{act}"
    return ops(id, z=z, **dict.fromkeys(PARAMETERS.get(act, {}), p))[0] if id in ops else None


def losses(ops: Ops, z: Tensor, y: Tensor, w: Any, ignored: int, smoothing: float) -> Any:
    return tuple(ops("loss.softmax.weighted", z=z, y=y, w=w, ignored=ignored, smoothing=smoothing))


def losses_mean(ops: Ops, *given: Any) -> Any:
    loss, delta, mass = losses(ops, *given)
    total = mass.float().sum()
    return (loss.float().sum() / total).to(loss.dtype), delta, total


def pair(ops: Ops, id: str, input: Tensor, y: Tensor) -> Any:
    return tuple(ops(id, **{"yhat" if id == "loss.square" else "z": input, "y": y})) if id in ops else None


def convolution(ops: Ops, x: Tensor, w: Tensor, b: Any, sizes: Any, act: str, p: float, keep_z: bool, *_: Any) -> Any:
    a, z = (ops("conv2d.layer", x=x, w=w, b=b, act=g, **geometry(sizes))[0] if g == act or keep_z else None
            for g in (act, "identity"))
    return a, a if z is None else z


def to_image(ops: Ops, d: Tensor, w: Tensor, sizes: Any, saved: Any, *_: Any) -> Any:
    H, W = sizes.input
    return None if saved is not None else ops("conv2d.layer.grad_x", d=d, w=w, H=H, W=W, **geometry(sizes))[0]


def pooled(ops: Ops, x: Tensor, sizes: Any) -> Any:
    return tuple(ops("pool.max", x=x, **windows(sizes)))


def from_pool(ops: Ops, d: Tensor, index: Tensor, sizes: Any, saved: Any, act: str, form: str, *_: Any) -> Any:
    H, W = sizes.x_shape[2:]
    given = {"d": d, "index": index, "H": H, "W": W, "saved": saved, "act": act if saved is not None else "identity"}
    return None if form == "side" else ops("pool.max.grad_x", **given, **windows(sizes))[0]


def normed(ops: Ops, x: Tensor, gamma: Any, beta: Any, eps: float, added: Any = None, written: bool = True) -> Any:
    """y is theirs; μ and 1/√(σ² + ε), which no op gives, are the composite's."""
    summed = x[:0] if added is None else x + added
    x = x if added is None else summed
    _, mean, rstd, _ = layer_composite.forward(x, None, None, eps, None, False)
    return ops("norm.layer", x=x, **sequences.affine(x, gamma, beta), eps=eps)[0], mean, rstd, summed


def attended(ops: Ops, q: Tensor, k: Tensor, v: Tensor, scale: float, keep: Any, causal: bool, *_: Any) -> Any:
    """o is theirs, the logarithms of its sums the composite's."""
    (o,) = ops("attn.head", **sequences.heads(q, k, v, scale, keep, causal))
    return o, attention_composite.forward(q, k, v, scale, keep, causal)[1]


def from_attention(ops: Ops, d: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, *how: Any) -> Any:
    if not all(f"attn.head.grad_{letter}" in ops for letter in "QKV"):
        return None
    given = sequences.heads(q, k, v, *how[:3])
    return tuple(ops(f"attn.head.grad_{letter}", d=d, **given)[0] for letter in "QKV")


def from_packed(ops: Ops, d: Tensor, qkv: Tensor, *how: Any) -> Any:
    found = from_attention(ops, d, *apart(qkv), *how)
    return None if found is None else torch.stack([t.transpose(1, 2) for t in found], 2)


def shares(ops: Ops, z: Tensor, dtype: torch.dtype) -> Any:
    return ops("act.softmax", z=z)[0] if dtype == z.dtype else None


#: By the module of kernels and its function: an op that is needed (or "" where the entry asks), and the entry.
THEIRS: dict[tuple[str, str], tuple[str, Callable[..., Any]]] = {
    ("layers.kernels", "affine_keeping"): ("net.layer.affine", affine),
    ("layers.kernels", "averaged"): ("alg.average", averaged),
    ("layers.kernels", "delta_through"): ("", delta_through),
    ("activations.kernels", "value"): ("", activation),
    ("losses.kernels", "weighted"): ("loss.softmax.weighted", losses),
    ("losses.kernels", "weighted_mean"): ("loss.softmax.weighted", losses_mean),
    ("losses.kernels", "loss"): ("", pair),
    ("images.layer", "keeping"): ("conv2d.layer", convolution),
    ("images.layer", "delta_through"): ("conv2d.layer.grad_x", to_image),
    ("norms.layer", "forward"): ("norm.layer", normed),
    ("activations.softmax", "forward"): ("act.softmax", shares),
    ("attention.kernels", "forward"): ("attn.head", attended),
    ("attention.kernels", "backward"): ("", from_attention),
    ("attention.kernels", "packed_backward"): ("", from_packed),
    ("images.pool", "pooled"): ("pool.max", pooled),
    ("images.pool", "pooled_backward"): ("pool.max.grad_x", from_pool),
}


def asked(ops: Ops, key: tuple[str, str], *args: Any) -> Any:
    """What their ops give in the place of a room's function, or None."""
    needed, entry = THEIRS.get(key, ("-", None))
    return entry(ops, *args) if entry is not None and (not needed or needed in ops) else None
