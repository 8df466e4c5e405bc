"""OPS: one callable per equation id, which takes the kernel or the composite by where its tensors are.

A kernel's module, and with it Triton, is imported when the first kernel is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import torch

from .bands import composite as composite_band
from .images import composite as composite_images
from .layers import composite
from .losses import composite as composite_losses
from .norms import composite as composite_norm
from .norms import layer_composite as composite_layer_norm
from .runtime.launch import runs_kernel
from .updates import composite as composite_training
from .updates import composite_fused as composite_updates

#: The module that holds the kernels of an id: by its first words, or by the whole id where that has one of its own.
MODULES = {
    "conv2d.layer": "images.layer", "conv2d.layer.grad_x": "images.layer",
    "conv2d.layer.grad_w": "images.filters", "conv2d.layer.grad_b": "images.filters", "pool": "images.pool",
    **dict.fromkeys(composite_updates.OPS, "updates.fused"),
    **dict.fromkeys(composite_band.WEIGHTS, "bands.weights"),
    **dict.fromkeys(composite_layer_norm.OPS, "norms.layer"),
    "act": "activations.kernels", "arch": "bands.kernels", "net": "layers.kernels", "bp": "layers.kernels",
    "alg": "layers.kernels", "opt": "updates.kernels", "norm": "norms.kernels", "loss": "losses.kernels",
    "conv1d": "signals.conv1d", "conv2d": "signals.conv2d",
}


@cache
def kernels(module: str, asked_by: str) -> Any:
    """A module of kernels, or one sentence saying why there is none."""
    try:
        return importlib.import_module(f".{module}", __package__)
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] != "triton":
            raise
        raise RuntimeError(
            f"{asked_by}: Triton is not installed, so this tensor has no kernel; install triton, or move the "
            "tensor to the CPU, where the ATen composite runs"
        ) from None


def module_of(identity: str) -> str:
    return MODULES.get(identity) or MODULES[identity.split(".")[0]]


def _operation(identity: str, fallback: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        lead = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
        if runs_kernel(lead):
            return kernels(module_of(identity), identity).OPS[identity](*args, **kwargs)
        return fallback(*args, **kwargs)

    if hasattr(fallback, "__name__"):
        wraps(fallback)(run)
    run.__name__ = identity
    return run


#: Every op as a composite: what a CPU tensor runs.
COMPOSITES: dict[str, Callable[..., Any]] = {
    **composite.OPS, **composite_band.OPS, **composite_images.OPS, **composite_losses.OPS, **composite_norm.OPS,
    **composite_layer_norm.OPS,
    **composite_training.OPS, **composite_updates.OPS,
}

OPS: dict[str, Callable[..., Any]] = {
    identity: _operation(identity, fallback) for identity, fallback in COMPOSITES.items()
}
