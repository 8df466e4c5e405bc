"""OPS: one callable per equation id, which takes the kernel or the composite by where its tensors are.

A kernel's module, and with it Triton, is imported when the first kernel is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import torch

from . import (
    composite,
    composite_band,
    composite_images,
    composite_losses,
    composite_norm,
    composite_training,
    composite_updates,
)
from .launch import runs_kernel

#: The module that holds the kernels of an id: by its first words, or by the whole id where that has one of its own.
MODULES = {
    "conv2d.layer": "conv_layer", "conv2d.layer.grad_x": "conv_layer",
    "conv2d.layer.grad_w": "conv_filters", "conv2d.layer.grad_b": "conv_filters", "pool": "pool",
    **dict.fromkeys(composite_updates.OPS, "fused_update"),
    **dict.fromkeys(composite_band.WEIGHTS, "band_weights"),
    "act": "act", "arch": "band", "net": "linear", "bp": "linear", "alg": "linear", "opt": "optimizers", "norm": "norm",
    "loss": "losses", "conv1d": "conv1d", "conv2d": "conv2d",
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
    **composite_training.OPS, **composite_updates.OPS,
}

OPS: dict[str, Callable[..., Any]] = {
    identity: _operation(identity, fallback) for identity, fallback in COMPOSITES.items()
}
