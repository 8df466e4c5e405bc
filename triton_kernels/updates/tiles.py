"""What both ways of averaging and updating in one share: the end of a tile, the intercepts, and a split batch's parts.

Every part of a split batch stores its own sums; a second launch adds them in a fixed order and updates.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.reduce import sum_rows
from ..blocks.tiles import divided, regularised
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from .kernels import numbers_of

EXAMPLES = tl.constexpr(16)             # at a time, where δ is summed for the intercepts


class Parameter(NamedTuple):
    """Θ or b and its states, contiguous, from `old` to `new`, which may be the same tensors.

    numbers (7,) float64 in the order of `optimizers.COLUMNS`; t (1,) float32, the step from 1; shadow: where a copy of
    the new values goes.
    """

    old: tuple[Tensor, ...]
    new: tuple[Tensor, ...]
    numbers: Tensor
    t: Tensor
    shadow: Tensor | None = None


@triton.jit
def finish(total, at, inside, one, count, lam, RULE: tl.constexpr, REGULARISED: tl.constexpr):
    """From Σ δ a to the new values of one parameter; inside masks the offsets `at`."""
    eta, decay, beta1, share1, beta2, share2, bias1, bias2, eps = numbers_of(
        one.numbers, tl.load(one.t).to(tl.float64))
    theta = tl.load(one.old[0] + at, mask=inside, other=0.0).to(tl.float32)
    m, v = tl.zeros_like(theta), tl.zeros_like(theta)
    if len(one.old) > 1:
        m = tl.load(one.old[1] + at, mask=inside, other=0.0).to(tl.float32)
    if len(one.old) > 2:
        v = tl.load(one.old[2] + at, mask=inside, other=0.0).to(tl.float32)
    D = divided(total, count)
    if REGULARISED:
        D = regularised(D, lam, theta)
    theta, m, v = RULE(theta, D, m, v, eta, decay, beta1, share1, beta2, share2, bias1, bias2, eps)
    tl.store(one.new[0] + at, theta.to(one.new[0].dtype.element_ty), mask=inside)
    if len(one.old) > 1:
        tl.store(one.new[1] + at, m.to(one.new[1].dtype.element_ty), mask=inside)
    if len(one.old) > 2:
        tl.store(one.new[2] + at, v.to(one.new[2].dtype.element_ty), mask=inside)
    if one.shadow is not None:
        tl.store(one.shadow + at, theta.to(one.shadow.dtype.element_ty), mask=inside)


@triton.jit
def sum_part(sums, rows, s_r, s_c, c, M, s, SPLIT: tl.constexpr, BM: tl.constexpr):
    """Σ δ over the s-th part of the rows of `sums`, for the intercepts c."""
    share = tl.cdiv(rows, SPLIT)
    return sum_rows(sums, s * share, tl.minimum((s + 1) * share, rows), c, M, s_r, s_c, EXAMPLES, BM)


@triton.jit
def joined(parts, at, inside, size, SPLIT: tl.constexpr, BLOCK: tl.constexpr):
    """The parts, `size` elements each, added first to last."""
    total = tl.zeros((BLOCK,), tl.float32)
    for s in range(SPLIT):
        total += tl.load(parts + tl.cast(size, tl.int64) * s + at, mask=inside, other=0.0)
    return total


@triton.jit
def update_join_kernel(
    parts, parts_b, theta, b, size, room, M, n, lam,
    RULE: tl.constexpr, REGULARISED: tl.constexpr, INTERCEPTS: tl.constexpr, SPLIT: tl.constexpr, BLOCK: tl.constexpr,
):
    """The parts of a split batch and the update; the last blocks have the intercepts. room: elements of a part."""
    count, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    block, blocks = tl.program_id(0), tl.cdiv(size, BLOCK)
    if block < blocks:
        at = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        total = joined(parts, at, at < size, room, SPLIT, BLOCK)
        finish(total, at, at < size, theta, count, lam, RULE, REGULARISED)
    elif INTERCEPTS:
        c = (block - blocks) * BLOCK + tl.arange(0, BLOCK)
        total_b = joined(parts_b, c, c < M, M, SPLIT, BLOCK)
        finish(total_b, c, c < M, b, count, 0.0, RULE, False)


def split(tiles: int, examples: int, processors: int) -> int:
    """Into how many parts a batch goes: enough to fill the GPU, of at least 512 examples each."""
    return max(1, min(16, 2 * processors // max(tiles, 1), examples // 512))


def rooms(parts: int, height: int, width: int, M: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the parts of Σ δ a and of Σ δ go; one part needs none."""
    shapes = ((parts, height, width), (parts, M)) if parts > 1 else ((1,), (1,))
    one, other = (torch.empty(shape, dtype=torch.float32, device=device) for shape in shapes)
    return one, other


def join(room: Tensor, room_b: Tensor, theta: Parameter, b: Parameter, n: float, lam: float, how: Any) -> None:
    """The second launch."""
    M, N = theta.new[0].shape
    row = choose("alg.average.update.join", (M * N,), torch.float32, current_arch(room.device))
    blocks = triton.cdiv(M * N, row.BM) + (triton.cdiv(M, row.BM) if how["INTERCEPTS"] else 0)
    launch(
        update_join_kernel, (blocks,), room, room_b, theta, b, M * N, room[0].numel(), M, n, lam, row=row, **how,
        SPLIT=len(room), BLOCK=row.BM,
    )
