"""A pre-norm block of the encoder as one autograd node that keeps little.

vit.block   z' = MSA(LN(z)) + z,   z″ = MLP(LN(z')) + z'

Kept for backward: z' beside z, which is there anyway, two numbers a row of each; Q, K and V side by side; o and one
logarithm a row; the hidden layer's z. What the norms and the activation wrote is made again where a product reads it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from ..runtime.library import room
from ..runtime.nodes import applied, aside, once
from . import ops as _declared  # noqa: F401  the rooms that the node asks for
from .checks import apart

LINEAR, NORM, HEADS, RECALLED = "layers.kernels", "norms.layer", "attention.kernels", "attention.recalled"


class How(NamedTuple):
    """What is no tensor."""

    heads: int
    causal: bool
    act: str
    eps: tuple[float, float]


class Block(Function):
    """(z″ in rows, and what is kept); parameters as torch's layer has them: γ, β, w, b of norm1, in_proj, out_proj,
    norm2, linear1, linear2, each pair side by side."""

    @staticmethod
    def forward(x: Tensor, keep: Tensor | None, how: How, *parameters: Tensor | None) -> tuple[Tensor, ...]:
        g1, h1, w_in, b_in, w_out, b_out, g2, h2, w1, b1, w2, b2 = parameters
        B, S, D = x.shape
        norm, linear = room(NORM, "norm.layer", x), room(LINEAR, "net.layer.affine", x)

        def product(t: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
            found: Tensor = linear.affine_keeping(t, w, b, "identity", 0.0, False, None)[0]
            return found

        rows = x.reshape(B * S, D)
        y, mean1, rstd1, _ = norm.forward(rows, g1, h1, how.eps[0], None, True)
        qkv = product(y, w_in, b_in)
        o, lse = room(HEADS, "attn.head", x).forward(
            *_heads(qkv, B, S, how.heads), 1 / math.sqrt(D // how.heads), keep, how.causal, None)
        y, mean2, rstd2, past = norm.forward(rows, g2, h2, how.eps[1], product(_beside(o), w_out, b_out), True)
        a, z = linear.affine_keeping(y, w1, b1, how.act, 0.0, True, None)
        return linear.affine_added(a, w2, b2, past, None), qkv, o, lse, past, z, mean1, rstd1, mean2, rstd2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, keep, ctx.how, *parameters = inputs
        aside(ctx, *output[1:])
        ctx.save_for_backward(x, keep, *parameters, *output[1:])

    @staticmethod
    @once
    def backward(ctx: Any, d: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, g1, h1, w_in, _b, w_out, _b, g2, h2, w1, _b, w2, _b, qkv, o, lse, past, z, *stats = ctx.saved_tensors
        (B, S, D), how, (mean1, rstd1, mean2, rstd2) = x.shape, ctx.how, stats
        norm, recalled = room(NORM, "norm.layer.grad_x", d), room(RECALLED, "alg.average", d)
        rows, nothing = x.reshape(B * S, D), (None,) * 4

        def normed(d: Tensor, t: Tensor, mean: Tensor, rstd: Tensor, g: Tensor, past: Tensor) -> tuple[Tensor, ...]:
            dt, both = norm.gradients(d, t, mean, rstd, g, past, g.dtype, True, True)
            return dt, both[:D], both[D:]

        inner, dw2, db2 = recalled.gradients(d, w2, z, how.act, 0.0, *nothing, None)
        inner, dw1, db1 = recalled.gradients(inner, w1, past, "identity", 0.0, mean2, rstd2, g2, h2, None)
        d, dg2, dh2 = normed(inner, past, mean2, rstd2, g2, d)
        upstream, dw_out, db_out = recalled.gradients(d, w_out, _beside(o), "identity", 0.0, *nothing, None)
        packed = room(HEADS, "attn.head.grad_Q", d).packed_backward(
            upstream.view(B, S, how.heads, D // how.heads).transpose(1, 2),
            qkv.view(B, S, 3, how.heads, D // how.heads), o, lse, 1 / math.sqrt(D // how.heads), keep, how.causal,
            None).view(B * S, 3 * D)
        inner, dw_in, db_in = recalled.gradients(packed, w_in, rows, "identity", 0.0, mean1, rstd1, g1, h1, None)
        d, dg1, dh1 = normed(inner, rows, mean1, rstd1, g1, d)
        found = (d.view(x.shape), None, None, dg1, dh1, dw_in, db_in, dw_out, db_out, dg2, dh2, dw1, db1, dw2, db2)
        return tuple(one if wanted else None for one, wanted in zip(found, ctx.needs_input_grad))


def _heads(qkv: Tensor, B: int, S: int, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    return apart(qkv.view(B, S, 3, heads, qkv.shape[1] // 3 // heads))


def _beside(o: Tensor) -> Tensor:
    """(B, H, S, E) as rows in which a token's heads lie side by side, as they do in memory."""
    B, H, S, E = o.shape
    return o.transpose(1, 2).reshape(B * S, H * E)


def pre_norm(x: Tensor, keep: Tensor | None, how: How, parameters: tuple[Tensor, ...]) -> Tensor:
    """vit.block of x (B, S, D), keep (B, S) or None: a gradient is wanted, and all are of one dtype."""
    found: Tensor = applied(Block, x, keep, how, *parameters)[0]
    return found.view(x.shape)


def alike(x: Tensor, parameters: tuple[Tensor | None, ...]) -> bool:
    return all(isinstance(t, torch.Tensor) and t.dtype == x.dtype and t.device == x.device for t in parameters)
