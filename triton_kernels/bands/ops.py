"""Local and shared layers as ops of training code."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite
from .checks import LAYERS, name_of

declare(
    "bands.kernels", composite,
    Op("band_keeping", "keeping", lambda x, w, *_: name_of(w)),
    Op("band_delta", "to_input", lambda d, w: f"{name_of(w)}.grad_x"),
    ids={id: op for id, op in composite.OPS.items() if id not in composite.WEIGHTS},
)
declare(
    "bands.weights", composite,
    Op("band_averaged", "sums", lambda d, x, m, shared, *_: f"{LAYERS[shared]}.grad_b"),
    ids=composite.WEIGHTS,
)
