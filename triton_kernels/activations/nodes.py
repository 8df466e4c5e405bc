"""An activation as an autograd node. What it keeps is `saved`'s decision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ..runtime.launch import by_torch
from ..runtime.library import room
from ..runtime.nodes import applied, once
from . import ops as _declared  # noqa: F401  the room that the node asks for
from . import saved
from .table import ACTIVATIONS


def through(grad: Tensor, kept: Tensor | None, act: str, form: str, p: float) -> Tensor:
    """grad ⊙ g′."""
    if form == "nothing":
        return grad
    result: Tensor = room("activations.kernels", f"act.{act}", grad).backward(grad, kept, act, form, p)
    return result


class Activation(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, act: str, p: float) -> Any:
        return room("activations.kernels", f"act.{act}", z).value(z, act, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        z, ctx.act, ctx.p = inputs
        ctx.form = saved.shown(ctx.act, z.dtype, ctx.p)
        ctx.save_for_backward(output if ctx.form == "a" else z if ctx.form == "z" else None)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return through(grad, ctx.saved_tensors[0], ctx.act, ctx.form, ctx.p), None, None


def activation(z: Tensor, act: str, p: float) -> Tensor:
    p = float(p)
    if by_torch(z):
        return activated(z, act, p)
    a: Tensor = applied(Activation, z, act, p)
    return a


def activated(z: Tensor, act: str, p: float) -> Tensor:
    """g(z) by torch, whose nodes read g′ off a: only where `saved` would, too."""
    if act == "identity":
        return z
    g = ACTIVATIONS[act]
    a: Tensor = g.value(z, p) if g.keeps_a(z.dtype, p) else applied(Activation, z, act, p)
    return a


class Softmax(Function):
    """Shares of each row of a matrix, kept for backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, dtype: torch.dtype) -> Any:
        return room("activations.softmax", "act.softmax", z).forward(z, dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.dtype = inputs[0].dtype
        ctx.save_for_backward(output)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        return room("activations.softmax", "act.softmax.prime", grad).backward(grad, p).to(ctx.dtype), None


def softmax(z: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    """Shares along one axis, which is made the last."""
    if by_torch(z):
        return torch.softmax(z, dim, dtype)
    turned = z.movedim(dim, -1)
    p: Tensor = applied(Softmax, turned.reshape(-1, turned.shape[-1]), dtype)
    return p.view(turned.shape).movedim(-1, dim)
