"""The products of a layer as ops of training code."""

from __future__ import annotations

from ..activations.table import ACTIVATIONS
from ..runtime.library import Op, declare
from . import composite


def boxed(table: str, act: str) -> str | None:
    """The table of kernels that move boxes, for an activation that they have."""
    return None if ACTIVATIONS[act].heavy else table


declare(
    "layers.kernels", composite,
    Op("affine_keeping", "affine_keeping", "net.layer.affine",
       boxes=lambda x, w, b, act, *_: boxed("net.layer.affine", act),
       flops=lambda x, w, *_, **__: 2 * x.numel() * w.shape[0]),
    Op("affine_added", "affine_added", "net.layer.affine", boxes="net.layer.affine",
       flops=lambda x, w, *_, **__: 2 * x.numel() * w.shape[0]),
    Op("averaged", "averaged", "alg.average", boxes="alg.average",
       flops=lambda delta, a, *_, **__: 2 * delta.numel() * a.shape[1]),
    Op("delta_through", "delta_through", lambda delta, w, saved, act, form, p, name, *_: name,
       boxes=lambda delta, w, saved, act, *_: boxed("bp.delta", act),
       flops=lambda delta, w, *_, **__: 2 * delta.numel() * w.shape[1]),
    ids=composite.OPS,
)
declare(
    "layers.gradients", composite,
    Op("layer_gradients", "gradients", "alg.average",
       flops=lambda delta, w, *_, **__: 4 * delta.numel() * w.shape[1]),
)
