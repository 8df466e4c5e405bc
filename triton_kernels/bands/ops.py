"""Local and shared layers as torch.library ops (see `library`), and their rooms as a traced function sees them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..layers import composite
from . import checks as band_checks
from . import composite as composite_band


def _eager(module: str, name: str, t: Tensor) -> Any:
    from ..layers.nodes import eager_room

    found = eager_room(module, name, t)
    return composite_band if found is composite else found


def band_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool
) -> tuple[Tensor, Tensor]:
    a, z = _eager("bands.kernels", band_checks.name_of(w), x).keeping(x, w, b, act, p, keep_z)
    return a, z if keep_z else x.new_empty(0)


def _keeping_shapes(x: Tensor, w: Tensor, b: Any, act: str, p: float, keep_z: bool) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape) if keep_z else x.new_empty(0)


def band_delta(d: Tensor, w: Tensor) -> Tensor:
    found: Tensor = _eager("bands.kernels", f"{band_checks.name_of(w)}.grad_x", d).delta_through(d, w, None, None, 0.0)
    return found


def band_averaged(
    d: Tensor, x: Tensor, m: int, shared: bool, weights: bool, intercepts: bool
) -> tuple[Tensor, Tensor]:
    room = _eager("bands.weights", f"{band_checks.LAYERS[shared]}.grad_b", d)
    found: tuple[Tensor, Tensor] = room.averaged(d, x, None, m, shared, 0.0, 1.0, weights, intercepts)
    return found


def _averaged_shapes(
    d: Tensor, x: Tensor, m: int, shared: bool, weights: bool, intercepts: bool
) -> tuple[Tensor, Tensor]:
    nodes = d.shape[1]
    D = d.new_empty(((m,) if shared else (nodes, m)) if weights else (0,))
    return D, d.new_empty((1 if shared else nodes) if intercepts else 0)


#: As `library.OPS`: (what runs, its shapes, which arguments it changes)
OPS: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "band_keeping": (band_keeping, _keeping_shapes, ()),
    "band_delta": (band_delta, lambda d, w: d.new_empty(d.shape), ()),
    "band_averaged": (band_averaged, _averaged_shapes, ()),
}


def _keeping(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = torch.ops.chainrule.band_keeping(x, w, b, act, p, keep_z)
    return found


def _delta_through(d: Tensor, w: Tensor, saved: None, G: None, p: float) -> Tensor:
    found: Tensor = torch.ops.chainrule.band_delta(d, w)
    return found


def _averaged(
    d: Tensor, x: Tensor, w: None, m: int, shared: bool, lam: float, n: float, weights: bool, intercepts: bool
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = torch.ops.chainrule.band_averaged(d, x, m, shared, weights, intercepts)
    return found


#: As `traced.ROOMS`, for what the autograd node asks of them: no g′ rides along, nothing is averaged.
ROOMS = {
    "bands.kernels": SimpleNamespace(keeping=_keeping, delta_through=_delta_through),
    "bands.weights": SimpleNamespace(averaged=_averaged),
}
