"""A run of normed convolutions as one autograd node that keeps each z and two numbers a channel.

net.residual.block   y = relu(norm₂(conv₂(relu(norm₁(conv₁(x))))) + past), or any number of them, past or none

Only kernels compute it, and eagerly: elsewhere, and where `serves` says no, each part is a node of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _get_tracing_state
from torch.autograd import Function, forward_ad

from ..images import layer_boxes
from ..images.checks import Layer
from ..runtime import configs, rooms
from ..runtime.launch import PLAIN, current_arch, runs_kernel
from ..runtime.library import opens
from ..runtime.nodes import applied, aside, once
from ..runtime.precision import autocast_somewhere
from ..runtime.resolved import written
from .state import LIMIT, Norm, Sums, Work

ROOMS = ("normed.kernels", "normed.ends", "normed.filters")
EMPTY = 2               # a block of channels may be so many times as wide as those that there are


class Stage(NamedTuple):
    """What of a convolution and its norm has no gradient."""

    sizes: Layer
    eps: float
    running: tuple[Tensor, Tensor] | None
    tracked: Tensor | None
    rho: float


class How(NamedTuple):
    """around: x itself is added at the end."""

    stages: tuple[Stage, ...]
    around: bool
    math: str | None


def _rooms() -> tuple[Any, ...]:
    return tuple(rooms.entered(module, "net.residual.block", True) for module in ROOMS)


@contextmanager
def _moving(norm: Any) -> Iterator[Any]:
    """A norm whose running statistics and counter may be written."""
    if norm is None or norm.partial is None:
        yield norm
        return
    tracked = () if norm.tracked is None else (norm.tracked,)
    with written(*(norm.running or ()), *tracked) as places:
        yield norm._replace(running=places[:2] if norm.running else None, tracked=places[-1] if tracked else None)


class NormedConvolutions(Function):
    """(y, and what is kept); parameters: w, γ, β of each."""

    @staticmethod
    def forward(x: Tensor, past: Tensor | None, how: How, *parameters: Tensor) -> tuple[Tensor, ...]:
        kernels, ends, _ = _rooms()
        source, norm, kept = x, None, []
        for stage, w, gamma, beta in zip(how.stages, parameters[::3], parameters[1::3], parameters[2::3]):
            with _moving(norm) as own:
                z, partial, per = kernels.convolved(source, w, stage.sizes, own, how.math)
            mean, rstd = (torch.empty(len(gamma), dtype=torch.float32, device=x.device) for _ in range(2))
            norm = Norm(mean, rstd, gamma, beta, stage.eps, partial, per, *stage[2:])
            if len(partial) > LIMIT:
                with _moving(norm) as own:
                    kernels.settled(z, own)
                norm = norm.settled
            source = z
            kept += [z, mean, rstd]
        with _moving(norm) as own:
            return ends.ended(source, own, x if how.around else past), *kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, past, ctx.how, *parameters = inputs
        aside(ctx, *output[1:])
        ctx.save_for_backward(x, past, *parameters, *output[1:])

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        how, (x, past, *rest) = ctx.how, ctx.saved_tensors
        many = 3 * len(how.stages)
        parameters, kept = rest[:many], rest[many:]
        kernels, ends, filters = _rooms()
        wanted, zs, works = ctx.needs_input_grad, kept[::3], []
        norms = [Norm(mean, rstd, gamma, beta, stage.eps) for mean, rstd, gamma, beta, stage in zip(
            kept[1::3], kept[2::3], parameters[1::3], parameters[2::3], how.stages)]
        found: list[Tensor | None] = [None] * many
        top, partial = ends.slopes(grad, zs[-1], norms[-1], x if how.around else past)
        s, dx = top, None
        for l in reversed(range(len(zs))):
            z, norm, below = zs[l], norms[l], (zs[l - 1], norms[l - 1]) if l else None
            sums = Sums(partial.new_empty(partial.shape[1:]), torch.empty_like(norm.gamma), torch.empty_like(norm.beta),
                        partial)
            if len(partial) > LIMIT or not (l or wanted[0]):
                kernels.joined(s, z, norm, sums)
                sums = sums._replace(partial=None)
            if wanted[3 + 3 * l]:
                works.append((3 * l, Work(
                    s, z, norm, sums.both, x if below is None else below[0], below and below[1], how.stages[l].sizes)))
            found[3 * l + 1:3 * l + 3] = sums.dgamma, sums.dbeta
            if l or wanted[0]:
                s, partial = kernels.to_image(
                    s, z, norm, sums, parameters[3 * l], how.stages[l].sizes, below,
                    top if how.around and not l else None, how.math)
        dx = s if wanted[0] else None
        for i in range(0, len(works), 2):
            places, two = zip(*works[i:i + 2])
            for place, D in zip(places, filters.averaged(list(two), how.math)):
                found[place] = D
        every = (dx, top if past is not None else None, None, *found)
        return tuple(one if want else None for one, want in zip(every, wanted))


def normed(x: Tensor, past: Tensor | None, how: How, parameters: tuple[Tensor, ...]) -> Tensor:
    """y of a run that `serves`."""
    found: Tensor = applied(NormedConvolutions, x, past, how, *parameters)[0]
    return found


def here(x: Any) -> bool:
    """Would kernels compute on x, eagerly and unseen by a transform?"""
    return (
        type(x) in PLAIN and x.dim() == 4 and runs_kernel(x) and x.dtype != torch.float64 and x.layout is torch.strided
        and configs.triton() != (0,) and opens(x) and forward_ad._current_level < 0 and _get_tracing_state() is None
        and not autocast_somewhere())


def serves(x: Tensor, stages: tuple[Stage, ...], weights: tuple[Tensor, ...]) -> bool:
    """No shape for which boxes move (they make nothing on the way), none whose blocks of channels are mostly empty,
    and enough rows for a variance."""
    row = configs.rows("conv2d.normed", current_arch(x.device), x.dtype)[-1]
    for stage, w in zip(stages, weights):
        sizes = stage.sizes
        if layer_boxes.serves(sizes, x, w) or sizes.groups != 1:
            return False
        if any(-(-n // row.BK) * row.BK > EMPTY * n for n in (sizes.channels, sizes.filters)):
            return False
        if sizes.batch * sizes.output[0] * sizes.output[1] < 2:
            return False
    return True
