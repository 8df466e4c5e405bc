"""Local and shared layers as an autograd node: a weight of two dimensions is a band, one of one a shared filter."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function

from ..activations import saved
from ..activations.nodes import through
from ..runtime.library import room
from ..runtime.nodes import applied, aside, once, recorded
from . import checks as band_checks
from . import ops as _declared  # noqa: F401  the rooms that the node asks for


class Band(Function):
    """Returned besides a, without a gradient of its own: z, if g′ is to be read off it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor | None, how: tuple[str, float, str]) -> tuple[Tensor, ...]:
        act, p, form = how
        keep_z = form == "z"
        a, z = room("bands.kernels", band_checks.name_of(w), x).keeping(x, w, b, act, p, keep_z)
        return (a, z) if keep_z else (a,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, w, _, ctx.how = inputs
        aside(ctx, *output[1:])
        ctx.save_for_backward(x, w, None if ctx.how[2] == "nothing" else output[-1])

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, w, kept = ctx.saved_tensors
        wants_x, wants_w, wants_b, _how = ctx.needs_input_grad
        name, shared = band_checks.name_of(w), w.dim() == 1
        act, p, form = ctx.how
        d = through(grad, kept, act, form, p)
        dx = dw = db = None
        if wants_x:
            dx = room("bands.kernels", f"{name}.grad_x", d).to_input(d, w)
        if wants_w or wants_b:
            found = room("bands.weights", f"{name}.grad_b", d)
            dw, db = found.sums(d, x, w.shape[-1], shared, wants_w, wants_b)
        return dx, dw if wants_w else None, db if wants_b else None, None


def band(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float) -> Tensor:
    form = saved.shown(act, x.dtype, p) if recorded(x, w, b) else "nothing"
    a: Tensor = applied(Band, x, w, b, (act, p, form))[0]
    return a
