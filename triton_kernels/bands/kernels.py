"""Layers whose nodes see a window of m neighbours, each node with weights of its own or all with the same.

arch.local.layer          a_i = g(b_i + Σ_k w_ik x_{i+k−h}),   k = 0 … m − 1,  h = (m − 1)/2,  x = 0 outside
arch.local.layer.grad_x   ∂x_j = Σ_k d_i w_ik, i = j − k + h,  times g′(z_j) where z is given
arch.shared.layer         a_i = g(b + Σ_k θ_k x_{i+k−h})
arch.shared.layer.grad_x  ∂x_j = Σ_k d_i θ_k, i = j − k + h,   times g′(z_j) where z is given
arch.local                arch.local.layer with m = 3 and b = 0
arch.shared               arch.shared.layer with b = 0

A shared layer is a local one whose w and b have stride 0 from node to node, so one kernel does all four. The corners
of a band, which see no x, are never read.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..activations.checks import activation
from ..runtime import checks
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from . import checks as band_checks


@triton.jit
def band_kernel(
    x, w, bias, out, kept, batch, nodes, m, x_b, x_i, w_i, w_k, b_i, kept_b, kept_i, p,
    G: tl.constexpr, HAS_BIAS: tl.constexpr, KEPT: tl.constexpr, BACKWARD: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr,
):
    """BM examples and BN nodes; forward a node meets its input i + k − h, backward input i the node i − k + h."""
    columns = tl.cdiv(nodes, BN)
    r = (tl.program_id(0) // columns).to(tl.int64) * BM + tl.arange(0, BM)
    i = (tl.program_id(0) % columns).to(tl.int64) * BN + tl.arange(0, BN)
    inside = (r < batch)[:, None] & (i < nodes)[None, :]
    turn: tl.constexpr = -1 if BACKWARD else 1
    t = i - turn * ((m - 1) // 2)
    to_x, to_w = x + (r * x_b)[:, None] + (t * x_i)[None, :], w + (t if BACKWARD else i) * w_i
    step_x, step_w = tl.cast(x_i, tl.int64) * turn, tl.cast(w_k, tl.int64)
    if BACKWARD:
        step_w -= w_i
    total = tl.zeros((BM, BN), tl.float32)
    for _ in range(m):
        met = (i < nodes) & (t >= 0) & (t < nodes)
        weight = tl.load(to_w, mask=met, other=0.0).to(tl.float32)
        seen = tl.load(to_x, mask=inside & met[None, :], other=0.0).to(tl.float32)
        total += weight[None, :] * seen
        t += turn
        to_x += step_x
        to_w += step_w
    if HAS_BIAS:
        total += tl.load(bias + i * b_i, mask=i < nodes, other=0.0).to(tl.float32)[None, :]
    to_kept = kept + (r * kept_b)[:, None] + (i * kept_i)[None, :]
    if BACKWARD:
        if KEPT:
            total *= G(tl.load(to_kept, mask=inside, other=0.0).to(tl.float32), tl.cast(p, tl.float32))
    else:
        if KEPT:
            tl.store(to_kept, total.to(kept.dtype.element_ty), mask=inside)
        total = G(total, tl.cast(p, tl.float32))
    tl.store(out + (r * nodes)[:, None] + i[None, :], total.to(out.dtype.element_ty), mask=inside)


def strides(w: Tensor) -> tuple[int, int]:
    """Of a band, from node to node and from tap to tap; a filter is the same at every node."""
    return (w.stride(0), w.stride(1)) if w.dim() == 2 else (0, w.stride(0))


def _launch(
    x: Tensor, w: Tensor, b: Tensor | None, out: Tensor, kept: Tensor, keep: bool, backward: bool, G: Any, p: float
) -> None:
    checks.kernel_dtype(band_checks.name_of(w), x)
    if not out.numel():
        return
    row = choose("arch.band", tuple(out.shape), x.dtype, current_arch(x.device))
    launch(
        band_kernel, (triton.cdiv(out.shape[0], row.BM) * triton.cdiv(out.shape[1], row.BN),),
        x, w, x if b is None else b, out, kept, *out.shape, w.shape[-1], *x.stride(), *strides(w),
        b.stride(0) if b is not None and w.dim() == 2 else 0, *kept.stride(), p, row=row,
        G=G, HAS_BIAS=b is not None, KEPT=keep, BACKWARD=backward, BM=row.BM, BN=row.BN,
    )


def keeping(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool) -> tuple[Tensor, Tensor]:
    """(a, z), where z is stored only if it is to be kept; w is a band (N, m) or a shared filter (m,)."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    z = torch.empty_like(out) if keep_z else out
    _launch(x, w, b, out, z, keep_z, False, activations.VALUE[act], p)
    return out, z


def delta_through(d: Tensor, w: Tensor, saved: Tensor | None, act: str, p: float) -> Tensor:
    """∂x, times g′(saved) where that is given."""
    out = torch.empty(d.shape, dtype=d.dtype, device=d.device)
    _launch(d, w, None, out, out if saved is None else saved, saved is not None, True, activations.PRIME[act], p)
    return out


def to_input(d: Tensor, w: Tensor) -> Tensor:
    """∂x, with no g′."""
    return delta_through(d, w, None, "identity", 0.0)


def local_layer(x: Tensor, w: Tensor, b: Tensor | None = None, act: str = "identity", **parameter: float) -> Tensor:
    band_checks.forward("arch.local.layer", False, x, w, b)
    return keeping(x, w, b, act, activation("arch.local.layer", act, **parameter), False)[0]


def local_grad_x(
    d: Tensor, w: Tensor, z: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    band_checks.backward("arch.local.layer.grad_x", False, d, w, z)
    p = activation("arch.local.layer.grad_x", act, **parameter)
    return delta_through(d, w, z, act, p)


def shared_layer(
    x: Tensor, theta: Tensor, b: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    band_checks.forward("arch.shared.layer", True, x, theta, b)
    return keeping(x, theta, b, act, activation("arch.shared.layer", act, **parameter), False)[0]


def shared_grad_x(
    d: Tensor, theta: Tensor, z: Tensor | None = None, act: str = "identity", **parameter: float
) -> Tensor:
    band_checks.backward("arch.shared.layer.grad_x", True, d, theta, z)
    p = activation("arch.shared.layer.grad_x", act, **parameter)
    return delta_through(d, theta, z, act, p)


__all__ = ["OPS", "delta_through", "keeping", "to_input"]

OPS: dict[str, Callable[..., Tensor]] = {
    "arch.local.layer": local_layer, "arch.local.layer.grad_x": local_grad_x,
    "arch.shared.layer": shared_layer, "arch.shared.layer.grad_x": shared_grad_x,
}
