"""The losses as ops of training code."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite

CLASSES = "loss.softmax.weighted"

declare(
    "losses.kernels", composite,
    Op("loss", "loss", lambda identity, input, target: identity),
    Op("scaled", "scaled", "loss"),
    Op("class_loss", "weighted", CLASSES),
    Op("loss_averaged", "averaged", CLASSES),
    Op("loss_shared", "shared", CLASSES),
    ids=composite.OPS,
)
