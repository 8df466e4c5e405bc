"""Layers whose nodes see their neighbours, as problems: torch has them as a full layer with zeros, or unfolded."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv1d_weight

from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.bands.composite import corners

from .floors import Floor
from .problems import LAM, TORCH_ACT, UNITS, Call, Input, Prepare, Problem, Tensors, plain

_SOURCES = ("bands", "layers", "activations", "runtime/configs.py")


def windows(x: Tensor, m: int) -> Tensor:
    """What every node sees, (B, N, m), as a view."""
    return F.pad(x, (m // 2, m // 2)).unfold(1, m, 1)


def local(B: int, N: int, m: int, act: str = "relu", dtype: torch.dtype = torch.bfloat16) -> Problem:
    inputs = {"x": Input((B, N), dtype), "w": Input((N, m), dtype, m**-0.5), "b": Input((N,), dtype)}
    ours = lambda x, w, b: OPS["arch.local.layer"](x=x, w=w, b=b, act=act)
    eager = lambda x, w, b: TORCH_ACT[act]((windows(x, m) * w).sum(-1) + b)
    floor = Floor(2 * B * N * m, dtype.itemsize * (2 * B * N + N * m + N), UNITS[torch.float32])
    return Problem("arch.local.layer", inputs, plain(ours), plain(eager), floor, _SOURCES, m, table="arch.band",
                   rounded=dtype)


def shared(B: int, N: int, m: int, act: str = "relu", dtype: torch.dtype = torch.bfloat16) -> Problem:
    inputs = {"x": Input((B, N), dtype), "w": Input((m,), dtype, m**-0.5), "b": Input((1,), dtype)}
    ours = lambda x, w, b: OPS["arch.shared.layer"](x=x, theta=w, b=b, act=act)
    eager = lambda x, w, b: TORCH_ACT[act](F.conv1d(x[:, None], w[None, None], b, padding=m // 2)[:, 0])
    floor = Floor(2 * B * N * m, dtype.itemsize * (2 * B * N + m + 1), UNITS[torch.float32])
    return Problem("arch.shared.layer", inputs, plain(ours), plain(eager), floor, _SOURCES, m, table="arch.band",
                   rounded=dtype)


def local_weights(B: int, N: int, m: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """The averaged gradient of a band; its corners are no parameters."""
    inputs = {"d": Input((B, N), dtype), "x": Input((B, N), dtype), "w": Input((N, m), dtype)}

    def eager(d: Tensor, x: Tensor, w: Tensor) -> Tensor:
        own = w.masked_fill(corners(N, m, w.device), 0.0)
        return torch.einsum("bn,bnm->nm", d / B, windows(x, m)) + LAM * own

    ours = lambda d, x, w: OPS["arch.local.layer.grad_w"](d=d, x=x, m=m, w=w, lam=LAM, n=B)
    floor = Floor(2 * B * N * m, dtype.itemsize * 2 * (B * N + N * m), UNITS[torch.float32])
    return Problem("arch.local.layer.grad_w", inputs, plain(ours), plain(eager), floor, _SOURCES, B,
                   table="arch.band.grad", rounded=dtype)


def shared_weights(B: int, N: int, m: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """The averaged gradient of a filter: the sum over its ties."""
    inputs = {"d": Input((B, N), dtype), "x": Input((B, N), dtype), "w": Input((m,), dtype)}

    def eager(d: Tensor, x: Tensor, w: Tensor) -> Tensor:
        return conv1d_weight(x[:, None], (1, 1, m), d[:, None], padding=m // 2)[0, 0] / B + LAM * w

    ours = lambda d, x, w: OPS["arch.shared.layer.grad_theta"](d=d, x=x, m=m, theta=w, lam=LAM, n=B)
    floor = Floor(2 * B * N * m, dtype.itemsize * 2 * (B * N + m), UNITS[torch.float32])
    return Problem("arch.shared.layer.grad_theta", inputs, plain(ours), plain(eager), floor, _SOURCES, B * N,
                   table="arch.band.grad", rounded=dtype)


def dense(problem: Problem) -> Prepare | None:
    """The same layer, with ReLU, as a full one whose matrix has been filled in beforehand."""
    if problem.op not in ("arch.local.layer", "arch.shared.layer"):
        return None

    def prepare(tensors: Tensors) -> Call:
        x, w, b = tensors["x"], tensors["w"], tensors["b"]
        N, m = x.shape[1], w.shape[-1]
        at = torch.arange(N, device=x.device)[:, None] + torch.arange(m, device=x.device)
        wide = w.new_zeros(N, N + m - 1).scatter(1, at, w.expand(N, m))
        Theta, bias = wide[:, m // 2:m // 2 + N].contiguous(), b.expand(N)
        return lambda: (torch.relu(F.linear(x, Theta, bias)),)
    return prepare
