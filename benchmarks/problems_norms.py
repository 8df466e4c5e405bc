"""Batch normalization, forward and backward, as problems: images as NHWC, as convolutions leave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.runtime.library import room
from chainrule.triton_kernels.runtime.wide import wide

from .floors import elementwise
from .problems import Call, Input, Prepare, Problem, Tensors, plain
from .problems_images import last

EPS = 1e-5
_SOURCES = ("norms", "runtime/configs.py")


def forward(B: int, C: int, side: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """norm.batch. The floor reads x once, as a cache that holds it would allow; larger ones need two."""
    inputs = {"x": Input((B, C, side, side), dtype), "gamma": Input((C,), dtype), "beta": Input((C,), dtype)}

    def eager(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, gamma, beta, True, 0.0, EPS)

    def ours(t: Tensors) -> Call:
        images = last(t)
        return lambda: (OPS["norm.batch"](**images, eps=EPS),)

    return Problem("norm.batch", inputs, ours, plain(eager), elementwise(B * C * side**2, 1, 1, dtype.itemsize),
                   _SOURCES, B * side**2, table="norm.channels", rounded=dtype)


def backward(B: int, C: int, side: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """∂x, ∂γ and ∂β from what the forward pass has kept: x, μ and 1/s."""
    shape = (B, C, side, side)
    inputs = {"d": Input(shape, dtype), "x": Input(shape, dtype), "gamma": Input((C,), dtype)}

    def ours(t: Tensors) -> Call:
        images = last(t)
        d, x, gamma = images["d"], images["x"], images["gamma"]
        kernels = room("norms.kernels", "norm.batch.grad_x", x)
        mean, rstd = kernels.statistics(x, EPS)

        def call() -> tuple[Tensor, ...]:
            both, dgamma, dbeta = kernels.sums(d, d, x, mean, rstd, dtype, False)
            return kernels.backward(d, d, x, mean, rstd, gamma, both, False, False)[0], dgamma, dbeta
        return call

    def eager(t: Tensors) -> Call:
        """torch's own backward pass."""
        with torch.enable_grad():
            x, gamma = t["x"].detach().requires_grad_(), t["gamma"].detach().requires_grad_()
            beta = torch.zeros_like(gamma).requires_grad_()
            y = F.batch_norm(x, None, None, gamma, beta, True, 0.0, EPS)
        return lambda: torch.autograd.grad(y, (x, gamma, beta), t["d"], retain_graph=True)

    return Problem("norm.batch.grad_x", inputs, ours, eager, elementwise(B * C * side**2, 2, 1, dtype.itemsize),
                   _SOURCES, B * side**2, table="norm.channels", rounded=dtype, compiles=compiled)


def formula(d: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor) -> tuple[Tensor, ...]:
    along = (0, 2, 3)
    mean, rstd, scale = (t[None, :, None, None] for t in (mean, rstd, wide(gamma)))
    normal = (wide(x) - mean) * rstd
    dbeta, dgamma = wide(d).sum(along), (wide(d) * normal).sum(along)
    n = x.numel() // x.shape[1]
    m1, m2 = (t[None, :, None, None] / n for t in (dbeta, dgamma))
    return (scale * rstd * (wide(d) - m1 - normal * m2)).to(x.dtype), dgamma.to(x.dtype), dbeta.to(x.dtype)


def compiled(mode: str) -> Prepare:
    """The formula, in torch's compiler's hands, with NHWC images."""
    function: Callable[..., Any] = torch.compile(formula, mode=mode, dynamic=False)

    def prepare(t: Tensors) -> Call:
        images = last(t)
        var, mean = torch.var_mean(wide(images["x"]), (0, 2, 3), correction=0)
        rstd = torch.rsqrt(var + EPS)
        return lambda: function(images["d"], images["x"], images["gamma"], mean, rstd)
    return prepare
