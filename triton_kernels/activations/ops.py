"""The activations as ops of training code."""

from __future__ import annotations

from ..runtime.library import Op, declare
from . import composite, softmax_composite

declare(
    "activations.kernels", composite,
    Op("act_value", "value", lambda z, act, p: f"act.{act}"),
    Op("act_backward", "backward", lambda grad, saved, act, form, p: f"act.{act}"),
    ids=composite.OPS,
)
declare(
    "activations.softmax", softmax_composite,
    Op("softmax", "forward", "act.softmax"),
    Op("softmax_backward", "backward", "act.softmax.prime"),
    ids=softmax_composite.OPS,
)
