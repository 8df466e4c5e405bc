"""The passes of batch and layer normalization as ops of training code."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite, layer_composite

declare(
    "norms.kernels", composite,
    Op("norm_statistics", "statistics", "norm.batch"),
    Op("norm_running", "running_statistics", "norm.batch.running", mutates=("mu", "var")),
    Op("norm_root", "reciprocal_root", "norm.batch.inference"),
    Op("norm_applied", "applied", "norm.batch"),
    Op("norm_sums", "sums", "norm.batch.grad_gamma"),
    Op("norm_backward", "backward", "norm.batch.grad_x"),
    ids=composite.OPS,
)
declare(
    "norms.layer", layer_composite,
    Op("layer_norm", "forward", "norm.layer"),
    Op("layer_norm_backward", "gradients", "norm.layer.grad_x"),
    ids=layer_composite.OPS,
)
