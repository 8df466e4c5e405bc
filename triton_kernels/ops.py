"""OPS: one callable per equation id, which takes the kernel or the composite by where its tensors are.

The chapters declare which ids they have, in `ops.py` of each. A kernel's module, and with it Triton, is imported when
the first kernel is asked for. An exported program holds our ops: who loads one calls `registered` first; where it is to
run without ours, `program.run_decompositions({**torch.export.default_decompositions(), **decompositions()})`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import torch

from .activations import ops as activations
from .attention import ops as attention
from .bands import ops as bands
from .images import ops as images
from .layers import ops as layers
from .losses import ops as losses
from .norms import ops as norms
from .patches import ops as patches
from .runtime.launch import runs_kernel
from .runtime.library import decompositions as decompositions
from .runtime.library import registered as registered
from .runtime.rooms import ROOMS, kernels
from .signals import ops as signals
from .updates import ops as updates

CHAPTERS = (activations, layers, losses, signals, bands, images, norms, attention, patches, updates)

#: Every op as a composite: what a CPU tensor runs.
COMPOSITES: dict[str, Callable[..., Any]] = {id: op for room in ROOMS.values() for id, op in room.ids.items()}

#: The module that holds the kernels of an id.
MODULES = {id: room.module for room in ROOMS.values() for id in room.ids}


def module_of(identity: str) -> str:
    return MODULES[identity]


def kernel_of(identity: str) -> Callable[..., Any]:
    """The function that starts an id's kernel."""
    found: Callable[..., Any] = kernels(module_of(identity), identity).OPS[identity]
    return found


def _operation(identity: str, fallback: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        lead = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
        return (kernel_of(identity) if runs_kernel(lead) else fallback)(*args, **kwargs)

    if hasattr(fallback, "__name__"):
        wraps(fallback)(run)
    run.__name__ = identity
    run.kernel = partial(kernel_of, identity)       # type: ignore[attr-defined]     # for who must say where it stands
    return run


OPS: dict[str, Callable[..., Any]] = {
    identity: _operation(identity, fallback) for identity, fallback in COMPOSITES.items()
}
