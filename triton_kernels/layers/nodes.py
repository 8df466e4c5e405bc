"""Fully connected layers as autograd nodes: one, or a chain as one node. What each keeps is `saved`'s decision."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain as joined
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.compiler import is_compiling
from torch.nn.functional import linear

from ..activations import saved
from ..activations.nodes import activated
from ..runtime.launch import by_torch
from ..runtime.library import room, two_rooms
from ..runtime.nodes import applied, aside, once, recorded
from . import ops as _declared  # noqa: F401  the room that the nodes ask for


def together(x: Tensor) -> bool:
    """Are both gradients of a layer asked of one function? In 16 bits boxes make each."""
    return x.dtype is torch.float32


class Layer(Function):
    """One layer g(x wᵀ + b). Returned besides a, without a gradient of its own: z, if g′ is to be read off it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, w: Tensor, b: Tensor | None, how: tuple[str, float, str | None, str]
    ) -> tuple[Tensor, ...]:
        act, p, math, form = how
        keep_z = form == "z"
        a, z = room("layers.kernels", "net.layer.affine", x).affine_keeping(x, w, b, act, p, keep_z, math)
        return (a, z) if keep_z else (a,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, w, _, ctx.how = inputs
        if len(output) > 1:
            aside(ctx, *output[1:])
        ctx.save_for_backward(x, w, None if ctx.how[3] == "nothing" else output[-1])

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, w, kept = ctx.saved_tensors
        act, p, math, form = ctx.how
        wants_x, wants_w, wants_b, _how = ctx.needs_input_grad
        linear, g = two_rooms("layers.kernels", "activations.kernels", "bp.delta.chain", grad)
        delta = grad if form == "nothing" else g.backward(grad, kept, act, form, p)
        dx = dw = db = None
        if wants_x and (wants_w or wants_b) and together(delta):
            dx, dw, db = room("layers.gradients", "bp.delta.chain", delta).gradients(
                delta, w, x if wants_w else x[:, :0], x, "identity", "nothing", 0.0, 0.0, 1.0, math)
        else:
            if wants_w or wants_b:
                dw, db = linear.averaged(delta, x, w, 0.0, 1.0, wants_b, math)
            if wants_x:
                dx, _z = linear.affine_keeping(delta, w.t(), None, "identity", 0.0, False, math)
        return dx, dw if wants_w else None, db if wants_b else None, None


class Chain(Function):
    """Layers of one network as one node, so that δ ⊙ g′ rides on the product with the next layer's weights.

    Returned besides the last z, without gradients of their own: the hidden layers' activations, then each z
    that g′ is to be read off.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, act: str, p: float, math: str | None, keep: bool, *parameters: Tensor | None
    ) -> tuple[Tensor, ...]:
        linear = room("layers.kernels", "net.layer.affine", x)
        last = len(parameters) // 2 - 1
        keep_z = keep and saved.form(act, x.dtype, p) == "z"
        activations, zs = [x], []
        for l in range(last + 1):
            w, b = parameters[2 * l : 2 * l + 2]
            g, kept = (act, keep_z) if l < last else ("identity", False)
            a, z = linear.affine_keeping(activations[-1], w, b, g, p, kept, math)
            activations.append(a)
            zs += [z] if kept else []
        return (activations[-1], *activations[1:-1], *zs) if keep else (activations[-1],)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, ctx.act, ctx.p, ctx.math, _, *parameters = inputs
        ctx.biased = [b is not None for b in parameters[1::2]]
        ctx.form = saved.form(ctx.act, x.dtype, ctx.p)
        aside(ctx, *output[1:])
        ctx.save_for_backward(x, *parameters[::2], *output[1:])

    @staticmethod
    @once
    def backward(ctx: Any, delta: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        layers, tensors, needed = len(ctx.biased), ctx.saved_tensors, ctx.needs_input_grad
        weights, zs = tensors[1 : layers + 1], tensors[2 * layers :]
        a = [tensors[0], *tensors[layers + 1 : 2 * layers]]             # a[l] enters layer l
        linear = room("layers.kernels", "bp.delta.chain", delta)
        gradients: list[Tensor | None] = [None] * (5 + 2 * layers)      # as forward's arguments
        db: Tensor | None = None
        for l in reversed(range(layers)):
            here, act, w = 5 + 2 * l, ctx.act if l else "identity", weights[l]
            wants_w, wants_b, below = needed[here], needed[here + 1], any(needed[:here])
            kept = zs[l - 1] if l and ctx.form == "z" else a[l]
            unsummed, before = wants_b and db is None, None
            if (wants_w or unsummed) and below and together(delta):
                before, dw, sums = room("layers.gradients", "bp.delta.chain", delta).gradients(
                    delta, w, a[l] if wants_w else a[l][:, :0], kept, act, ctx.form, ctx.p, 0.0, 1.0, ctx.math)
            elif wants_w or unsummed:
                dw, sums = linear.averaged(delta, a[l], w, 0.0, 1.0, unsummed, ctx.math)
            if wants_w:
                gradients[here] = dw
            if wants_b:
                gradients[here + 1] = sums if unsummed else db
            if not below:
                break
            db = None
            if before is not None:
                delta = before
            elif l:
                # D sums the δ that it reads, as well as δ is kept: in 16 bits sums from before the rounding are better
                summed = needed[here - 1] and not (needed[here - 2] and delta.dtype is torch.float32)
                delta, sums = linear.delta_through(
                    delta, w, kept, act, ctx.form, ctx.p, "bp.delta.chain", ctx.math, summed)
                db = sums if summed else None
            else:
                delta, _z = linear.affine_keeping(delta, w.t(), None, "identity", 0.0, False, ctx.math)
        else:
            gradients[0] = delta
        return tuple(gradients)


def layer(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, math: str | None) -> Tensor:
    if by_torch(x):
        return activated(linear(x, w, b), act, p)
    form = saved.shown(act, x.dtype, p)
    if form == "z" and not recorded(x, w, b):
        form = "nothing"                    # nor is z stored
    a: Tensor = applied(Layer, x, w, b, (act, p, math, form))[0]
    return a


def chain(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], act: str, p: float, math: str | None
) -> Tensor:
    """Layers of which all but the last have `act` behind them."""
    if by_torch(x):
        *hidden, last = zip(weights, biases)
        for w, b in hidden:
            x = activated(linear(x, w, b), act, p)
        return linear(x, *last)
    parameters = tuple(joined(*zip(weights, biases)))
    keep = recorded(x, *parameters)
    if not keep and is_compiling():         # Dynamo counts a node's arguments, of which * leaves the number open
        return Chain.forward(x, act, p, math, keep, *parameters)[0]
    z: Tensor = applied(Chain, x, act, p, math, keep, *parameters)[0]
    return z
