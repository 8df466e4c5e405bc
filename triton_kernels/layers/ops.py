"""The products of a layer as ops of training code."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite

declare(
    "layers.kernels", composite,
    Op("affine_keeping", "affine_keeping", "net.layer.affine", boxes="net.layer.affine"),
    Op("averaged", "averaged", "alg.average", boxes="alg.average"),
    Op("delta_through", "delta_through", lambda delta, w, saved, act, form, p, name, math: name, boxes="bp.delta"),
    ids=composite.OPS,
)
