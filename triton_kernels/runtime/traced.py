"""The rooms of kernels as a traced function sees them: the same names, each a torch.library op."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..bands import ops as band_library

ops = torch.ops.chainrule


def _averaged(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, math: str | None = None
) -> tuple[Tensor, Tensor | None]:
    D, Db = ops.averaged(delta, a, w, lam, n, intercepts, math)
    return D, Db if intercepts else None


def _derivative(act: str, form: str) -> tuple[str, str]:
    return act, form


def _delta_through(
    delta: Tensor, w: Tensor, saved: Tensor, G: tuple[str, str], p: float, name: str = "", math: str | None = None
) -> tuple[Tensor, Tensor]:
    act, form = G
    found: tuple[Tensor, Tensor] = ops.delta_through(delta, w, saved, act, form, p, name, math)
    return found


def _affine_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool, math: str | None = None
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = ops.affine_keeping(x, w, b, act, p, keep_z, math)
    return found


def _loss(identity: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = ops.loss(identity, input, target)
    return found


def _weighted(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = ops.class_loss(z, y, w, ignored, smoothing)
    return found


def _averaged_loss(loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = ops.loss_averaged(loss, mass)
    return found


def _shared(delta: Tensor, grad: Tensor, mass: Tensor) -> Tensor:
    result: Tensor = ops.loss_shared(delta, grad, mass)
    return result


def _scaled(delta: Tensor, grad: Tensor, n: int) -> Tensor:
    result: Tensor = ops.scaled(delta, grad, n)
    return result


def _sgd_(theta: Tensor, D: Tensor, eta: float) -> Tensor:
    ops.sgd_(theta, D, eta)
    return theta


def _value(z: Tensor, act: str, p: float) -> Tensor:
    result: Tensor = ops.act_value(z, act, p)
    return result


def _backward(grad: Tensor, saved: Tensor, act: str, form: str, p: float) -> Tensor:
    result: Tensor = ops.act_backward(grad, saved, act, form, p)
    return result


def _walked(t: Tensor) -> Tensor:
    return t


def _statistics(
    x: Tensor, eps: float, running: tuple[Tensor, Tensor] | None = None, rho: float = 0.0, out: Any = None
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = (
        ops.norm_statistics(x, eps) if running is None else ops.norm_running(x, eps, *running, rho))
    return found


def _root(var: Tensor, eps: float) -> Tensor:
    result: Tensor = ops.norm_root(var, eps)
    return result


def _applied(
    x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, beta: Tensor | None, added: Tensor | None, relu: bool
) -> Tensor:
    result: Tensor = ops.norm_applied(x, mean, rstd, gamma, beta, added, relu)
    return result


def _sums(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, dtype: torch.dtype, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = ops.norm_sums(d, y, x, mean, rstd, dtype == x.dtype, relu)
    return found


def _norm_backward(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, both: Tensor | None,
    relu: bool, added: bool,
) -> tuple[Tensor, Tensor | None]:
    dx, dz = ops.norm_backward(d, y, x, mean, rstd, gamma, both, relu, added)
    return dx, dz if added else None


ROOMS = {
    "activations.kernels": SimpleNamespace(value=_value, backward=_backward),
    "layers.kernels": SimpleNamespace(affine_keeping=_affine_keeping, averaged=_averaged, derivative=_derivative,
                              delta_through=_delta_through),
    "losses.kernels": SimpleNamespace(scaled=_scaled, weighted=_weighted, averaged=_averaged_loss, shared=_shared, OPS={
        identity: partial(_loss, identity) for identity in ("loss.xent.logits", "loss.square", "loss.softmax")}),
    "updates.sgd": SimpleNamespace(sgd=lambda theta, D, eta: ops.sgd(theta, D, eta), sgd_=_sgd_),
    "norms.kernels": SimpleNamespace(walked=_walked, statistics=_statistics, reciprocal_root=_root, applied=_applied,
                            sums=_sums, backward=_norm_backward),
    **band_library.ROOMS,
}
