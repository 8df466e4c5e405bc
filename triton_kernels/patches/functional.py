"""The embedding of patches as one autograd node; `functional` has it too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ..runtime import precision as casting
from ..runtime.instead import or_torch
from ..runtime.launch import by_torch
from ..runtime.library import room
from ..runtime.nodes import applied, once
from . import ops as _declared  # noqa: F401  the room that the node asks for
from .checks import embed
from .composite import patches


class Embedding(Function):
    """z; kept are x and w. A gradient that nobody asks for is not computed."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor) -> Tensor:
        found: Tensor = room("patches.kernels", "vit.embed", x).forward(x, w, b, token, position, None)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, *_ = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    @once
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        wants = ctx.needs_input_grad
        found: list[Tensor | None] = [None] * 5
        if wants[0]:
            found[0] = room("patches.kernels", "vit.embed.grad_patch", d).to_patch(d, w, *x.shape[2:], None)
        if wants[1] or wants[2]:
            found[1:3] = room("patches.kernels", "vit.embed.grad_Theta", d).to_theta(d, x, w.shape[2], None)
        if wants[3] or wants[4]:
            found[4], found[3] = room("patches.kernels", "vit.embed.grad_position", d).sums(d if wants[4] else d[:, :1])
        return tuple(one if wanted else None for one, wanted in zip(found, wants))


def _by_torch(input: Tensor, weight: Tensor, bias: Tensor | None, token: Tensor, position: Tensor) -> Tensor:
    """patch_embedding by torch's functions."""
    z = torch.nn.functional.linear(patches(input, weight.shape[2]), weight.flatten(1), bias)
    return torch.cat((token.expand(len(input), 1, len(token)), z), 1) + position


@or_torch(_by_torch)
def patch_embedding(input: Tensor, weight: Tensor, bias: Tensor | None, token: Tensor, position: Tensor) -> Tensor:
    """vit.embed   [token; w x_1 + b; …; w x_N + b] + position: input (B, C, H, W), weight (D, C, P, P), bias (D,) or
    None, token (D,), position (N + 1, D); gives (B, N + 1, D), N = HW/P².

    The patches x_t are read where they lie, row by row of the image. token and position may be float32 where input has
    16 bits, as under autocast; the sequence is then float32.
    """
    input, weight, bias = casting.products(input, weight, bias)
    embed("patch_embedding", input, weight, bias, token, position)
    if by_torch(input):
        return _by_torch(input, weight, bias, token, position)
    found: Tensor = applied(Embedding, input, weight, bias, token, position)
    return found
