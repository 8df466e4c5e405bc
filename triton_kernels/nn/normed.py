"""Convolutions behind which a norm and a ReLU stand, as one node, where nobody could tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..images import checks as image_checks
from ..normed import nodes
from ..normed.nodes import How, Stage
from ..runtime.refusals import WrongValue
from .layers import BatchNorm2d, Conv2d, alone, geometry


def together(pairs: Sequence[tuple[Any, Any]], x: Any, past: Tensor | None = None) -> Tensor | None:
    """relu(norm(conv(…)) + past) of each pair in turn, past at the last, or None where they have to be called one by
    one: in evaluation, under autocast or a compiler, on a CPU, with an intercept, and as `normed.nodes.serves` says."""
    if not (nodes.here(x) and all(_plain(*pair) for pair in pairs) and alone(*(one for pair in pairs for one in pair))):
        return None
    stages = _stages(pairs, x)
    if stages is None or (past is not None and (past.shape != stages[-1].sizes.y_shape or past.dtype != x.dtype)):
        return None
    if not nodes.serves(x, stages, tuple(conv.weight for conv, _ in pairs)):
        return None
    parameters = tuple(t for conv, norm in pairs for t in (conv.weight, norm.weight, norm.bias))
    around = past is x
    return nodes.normed(x, None if around else past, How(stages, around, None), parameters)


def _plain(conv: nn.Module, norm: nn.Module) -> bool:
    """Modules of ours, training, without an intercept that the norm would take away, with a scale and a shift."""
    return (
        type(conv) is Conv2d and type(norm) is BatchNorm2d and conv.bias is None and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str) and norm.training and norm.momentum is not None
        and norm.weight is not None and norm.eps > 0)


def _stages(pairs: Sequence[tuple[Any, Any]], x: Tensor) -> tuple[Stage, ...] | None:
    """The sizes of each, if all fit together; else whoever is called by itself says what does not."""
    shape: tuple[int, ...] = tuple(x.shape)
    found = []
    for conv, norm in pairs:
        w = conv.weight
        fit = w.dtype == x.dtype and w.device == x.device and type(w) in (nn.Parameter, Tensor)
        channels = [norm.weight, norm.bias, *(t for t in (norm.running_mean, norm.running_var) if t is not None)]
        if not fit or shape[1] != w.shape[1] * conv.groups or any(
                t.shape != w.shape[:1] or t.dtype not in (x.dtype, torch.float32) or t.device != x.device
                for t in channels):
            return None
        try:
            sizes = image_checks.layer("conv2d.layer", shape, tuple(w.shape), *geometry(conv))
        except WrongValue:
            return None
        keeps = norm.track_running_stats and norm.running_mean is not None
        found.append(Stage(
            sizes, float(norm.eps), (norm.running_mean, norm.running_var) if keeps else None,
            norm.num_batches_tracked if norm.track_running_stats else None, float(norm.momentum)))
        shape = sizes.y_shape
    return tuple(found)
