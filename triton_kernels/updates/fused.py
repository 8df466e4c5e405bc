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

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.tiles import product, tile_of
from ..runtime import checks
from ..runtime.configs import choose, processors
from ..runtime.launch import current_arch, launch, math_mode
from . import chunks
from . import composite_fused as composite_updates
from . import fused_boxes as boxes
from .kernels import COLUMNS, RULES
from .tiles import Parameter as Parameter
from .tiles import finish, join, rooms, split, sum_part


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


def layer(
    rule: str, delta: Tensor, a: Tensor, theta: Parameter, b: Parameter | None, lam: float, n: float,
    sums: Tensor | None = None, math: str | None = None,
) -> None:
    """Θ and b of one layer. sums: δ over parts of the batch, where `linear.delta_partial` has left them."""
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
