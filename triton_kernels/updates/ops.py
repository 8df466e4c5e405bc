"""The updates that training code calls by name as ops; the optimizers ask for their rooms, and are not traced."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite, composite_fused

declare(
    "updates.sgd", composite,
    Op("sgd", "sgd", "opt.sgd"),
    Op("sgd_", "sgd_", "opt.sgd", mutates=("theta",)),
)
declare("updates.kernels", composite, ids=composite.OPS)
declare("updates.fused", composite_fused, ids=composite_fused.OPS)
