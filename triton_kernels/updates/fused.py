"""The gradient never exists: the averaged gradient's product, whose end is the update.

alg.average.sgd        D = δᵀ a / n + λΘ in registers,   Θ ← Θ − η D
alg.average.momentum   v ← μ v + D,                      Θ ← Θ − η v
alg.average.adamw      the moments and the step of opt.adamw; its decay is not λ

D is neither stored nor rounded. Θ and the states may be float32 where δ and a are sixteen bits wide; a `shadow`, the
new Θ in sixteen bits, is stored along. The intercepts ride along: who has the first column of tiles adds up their δ.
Where an output has too few tiles to fill the GPU, the batch is split: every part stores its own sums, and a second
launch adds them in a fixed order, so a run can be repeated bit by bit.

Traps: intercepts are updated with a D that has no λΘ; the step must not start before every δ of a lower layer has been
computed from the old Θ; 1 − βᵗ comes from float64, as in `optimizers`.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.reduce import sum_rows
from ..layers.kernels import divided, product, regularised, tile_of
from ..runtime import checks
from ..runtime.configs import choose, processors
from ..runtime.launch import current_arch, launch, math_mode
from . import chunks
from . import composite_fused as composite_updates
from .kernels import COLUMNS, RULES, numbers_of

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
def update_product_kernel(
    delta, a, theta, b, parts, parts_b, sums, M, N, K, d_k, d_m, a_k, a_n, rows, s_r, s_c, n, lam,
    RULE: tl.constexpr, REGULARISED: tl.constexpr, INTERCEPTS: tl.constexpr, SPLIT: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """Program (tile, s) adds up the s-th part of the batch; without a split it also updates."""
    tm, tn = tile_of(tl.program_id(0), M, N, BM, BN)
    s = tl.program_id(1)
    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)
    count, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    share = tl.cdiv(tl.cdiv(K, SPLIT), BK) * BK
    first = s * share
    length = tl.maximum(tl.minimum(K - first, share), 0)
    from_delta = delta + tl.cast(first, tl.int64) * d_k
    from_a = a + tl.cast(first, tl.int64) * a_k
    total = product(from_delta, from_a, rm, rn, M, N, length, d_m, d_k, a_k, a_n, BM, BN, BK, PRECISION)
    at = rm.to(tl.int64)[:, None] * N + rn[None, :]
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    if SPLIT > 1:
        size = tl.cast(M, tl.int64) * N
        tl.store(parts + s * size + at, total, mask=inside)
    else:
        finish(total, at, inside, theta, count, lam, RULE, REGULARISED)
    if INTERCEPTS and tn == 0:
        summed = sum_part(sums, rows, s_r, s_c, rm, M, s, SPLIT, BM)
        if SPLIT > 1:
            tl.store(parts_b + s.to(tl.int64) * M + rm, summed, mask=rm < M)
        else:
            finish(summed, rm, rm < M, b, count, 0.0, RULE, False)


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


def layer(
    rule: str, delta: Tensor, a: Tensor, theta: Parameter, b: Parameter | None, lam: float, n: float,
    sums: Tensor | None = None, math: str | None = None,
) -> None:
    """Θ and b of one layer. sums: δ over parts of the batch, where `linear.delta_partial` has left them."""
    from . import fused_boxes as boxes  # they build on this module

    (M, N), K = theta.new[0].shape, delta.shape[0]
    if not M or (not N and b is None):
        return
    how = {"RULE": RULES[rule][0], "REGULARISED": lam != 0, "INTERCEPTS": b is not None}
    rest = (theta if b is None else b), (delta if sums is None else sums)
    if boxes.serves(delta, a, theta):
        boxes.layer(delta, a, theta, *rest, lam, n, how)
        return
    arch = current_arch(delta.device)
    row = choose("alg.average.update", (M, N), delta.dtype, arch)
    tiles = triton.cdiv(M, row.BM) * max(triton.cdiv(N, row.BN), 1)    # no inputs: one empty column has the intercepts
    parts = split(tiles, K, processors(arch))
    room, room_b = rooms(parts, M, N, M, delta.device)
    launch(
        update_product_kernel, (tiles, parts), delta, a, theta, rest[0], room, room_b, rest[1], M, N, K,
        *delta.stride(), *a.stride(), len(rest[1]), *rest[1].stride(), n, lam, row=row, **how, SPLIT=parts,
        BM=row.BM, BN=row.BN, BK=row.BK, PRECISION=math_mode(math),
    )
    if parts > 1:
        join(room, room_b, theta, rest[0], n, lam, how)


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


def tables(numbers: Mapping[str, float], t: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """What a `Parameter` wants of an optimizer's numbers and of the step."""
    row = [numbers.get(one, 0.0) for one in COLUMNS]
    return (torch.tensor(row, dtype=torch.float64, device=device),
            torch.tensor([float(t)], dtype=torch.float32, device=device))


def stepped(
    rule: str, delta: Tensor, a: Tensor, theta: Tensor, b: Tensor, states: Mapping[str, Tensor], lam: float, n: float,
    t: int, numbers: dict[str, float],
) -> tuple[Tensor, ...]:
    """One step as a pure function."""
    composite_updates.checked(rule, delta, a, theta, b, states, n, t)
    checks.kernel_dtype(f"alg.average.{rule}", theta)
    names = composite_updates.STATES[rule]
    table, step = tables(numbers, t, delta.device)

    def parameter(one: Tensor, own: list[Tensor]) -> Parameter:
        fresh = torch.empty(one.shape, dtype=one.dtype, device=one.device)
        old = tuple(chunks.alike(part, fresh) for part in (one, *own))
        return Parameter(old, (fresh, *(torch.empty_like(fresh) for _ in own)), table, step)

    layers = parameter(theta, [states[s] for s in names]), parameter(b, [states[f"{s}b"] for s in names])
    layer(rule, delta, a, *layers, float(lam), float(n))
    return tuple(part for pair in zip(*(one.new for one in layers)) for part in pair)


OPS = composite_updates.ops(stepped)
