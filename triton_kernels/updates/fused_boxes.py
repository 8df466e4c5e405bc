"""Average and update in one, where tensor descriptors move operands, parameters and states: Hopper and later.

alg.average.sgd, alg.average.momentum, alg.average.adamw   as in `fused_update`

Parameters come and go in boxes too: read through pointers they would take the registers that hold the product, and
spill. Intercepts are few, and take pointers. A batch is split as there; its parts have whole tiles of room, because a
box is cut off where its matrix ends, not where a part does.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from collections.abc import Sequence
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from ..blocks.boxes import box, fits, halves, plan, product, turned
from ..blocks.reduce import sum_rows
from ..blocks.tiles import divided, regularised, tile_of
from ..runtime.configs import is_pinned, processors, rows
from ..runtime.launch import current_arch, launch
from .kernels import numbers_of
from .tiles import EXAMPLES, Parameter, join, rooms, split, sum_part
from .tiles import finish as finish_intercepts

TABLE = "alg.average.update"


@triton.jit
def finish(
    total, theta, m, v, to_theta, to_m, to_v, shadow, row, column, count, lam, numbers, t,
    RULE: tl.constexpr, STATES: tl.constexpr, REGULARISED: tl.constexpr, SHADOW: tl.constexpr,
):
    eta, decay, beta1, share1, beta2, share2, bias1, bias2, eps = numbers_of(numbers, tl.load(t).to(tl.float64))
    here = theta.load([row, column]).to(tl.float32)
    first, second = tl.zeros_like(here), tl.zeros_like(here)
    if STATES > 0:
        first = m.load([row, column]).to(tl.float32)
    if STATES > 1:
        second = v.load([row, column]).to(tl.float32)
    D = divided(total, count)
    if REGULARISED:
        D = regularised(D, lam, here)
    here, first, second = RULE(
        here, D, first, second, eta, decay, beta1, share1, beta2, share2, bias1, bias2, eps)
    to_theta.store([row, column], here.to(to_theta.dtype))
    if STATES > 0:
        to_m.store([row, column], first.to(to_m.dtype))
    if STATES > 1:
        to_v.store([row, column], second.to(to_v.dtype))
    if SHADOW:
        shadow.store([row, column], here.to(shadow.dtype))


@triton.jit
def update_boxes_kernel(
    delta, a, theta, m, v, to_theta, to_m, to_v, shadow, numbers, t, b, sums, M, N, K, rows, s_r, s_c, n, lam,
    RULE: tl.constexpr, STATES: tl.constexpr, REGULARISED: tl.constexpr, SHADOW: tl.constexpr,
    INTERCEPTS: tl.constexpr, A_T: tl.constexpr, B_T: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, PARTS: tl.constexpr, BLOCKS: tl.constexpr,
):
    count, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    for tile in tl.range(tl.program_id(0), tl.cdiv(M, BM) * tl.cdiv(N, BN), BLOCKS):
        tm, tn = tile_of(tl.cast(tile, tl.int32), M, N, BM, BN)
        row, column = tm * BM, tn * BN
        total = product(delta, a, row, column, 0, K, A_T, B_T, BM, BN, BK)
        if PARTS == 2:
            left, right = halves(total, BM, BN)
            finish(left, theta, m, v, to_theta, to_m, to_v, shadow, row, column, count, lam, numbers, t,
                   RULE, STATES, REGULARISED, SHADOW)
            finish(right, theta, m, v, to_theta, to_m, to_v, shadow, row, column + BN // 2, count, lam, numbers, t,
                   RULE, STATES, REGULARISED, SHADOW)
        else:
            finish(total, theta, m, v, to_theta, to_m, to_v, shadow, row, column, count, lam, numbers, t,
                   RULE, STATES, REGULARISED, SHADOW)
        if INTERCEPTS and tn == 0:
            rm = row + tl.arange(0, BM)
            summed = sum_rows(sums, 0, rows, rm, M, s_r, s_c, EXAMPLES, BM)
            finish_intercepts(summed, rm, rm < M, b, count, 0.0, RULE, False)


@triton.jit
def parts_boxes_kernel(
    delta, a, parts, parts_b, sums, M, N, K, rows, s_r, s_c, INTERCEPTS: tl.constexpr, SPLIT: tl.constexpr,
    A_T: tl.constexpr, B_T: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PARTS: tl.constexpr, BLOCKS: tl.constexpr,
):
    """Σ δ a and Σ δ over parts of the batch: job number i is part i // tiles, for tile i % tiles."""
    down = tl.cdiv(M, BM)
    tiles = down * tl.cdiv(N, BN)
    share = tl.cdiv(tl.cdiv(K, SPLIT), BK) * BK
    for job in tl.range(tl.program_id(0), tiles * SPLIT, BLOCKS):
        s = tl.cast(job, tl.int32) // tiles
        tm, tn = tile_of(tl.cast(job, tl.int32) % tiles, M, N, BM, BN)
        row, column = tm * BM, tn * BN
        total = product(delta, a, row, column, s * share, tl.minimum((s + 1) * share, K), A_T, B_T, BM, BN, BK)
        top = s * down * BM + row
        if PARTS == 2:
            left, right = halves(total, BM, BN)
            parts.store([top, column], left)
            parts.store([top, column + BN // 2], right)
        else:
            parts.store([top, column], total)
        if INTERCEPTS and tn == 0:
            rm = row + tl.arange(0, BM)
            summed = sum_part(sums, rows, s_r, s_c, rm, M, s, SPLIT, BM)
            tl.store(parts_b + s.to(tl.int64) * M + rm, summed, mask=rm < M)


def serves(delta: Tensor, a: Tensor, theta: Parameter) -> bool:
    """Boxes for every tensor, and no row of the other kernel pinned."""
    if not rows(f"{TABLE}.boxes", current_arch(delta.device), delta.dtype) or is_pinned(TABLE) or not fits(delta, a):
        return False
    parameters = [*theta.old, *theta.new, *([] if theta.shadow is None else [theta.shadow])]
    if theta.new[0].shape[1] * min(one.element_size() for one in parameters) % 16:
        return False
    return not any(one.data_ptr() % 16 or not one.is_contiguous() for one in parameters)


def layer(
    delta: Tensor, a: Tensor, theta: Parameter, b: Parameter, sums: Tensor, lam: float, n: float, how: dict[str, Any]
) -> None:
    """As `fused_update.layer`."""
    (M, N), K, arch = theta.new[0].shape, delta.shape[0], current_arch(delta.device)
    row, _, tile = plan(TABLE, theta.new[0], K, delta.dtype)
    down, part = triton.cdiv(M, row.BM), row.BN // row.parts
    tiles = down * triton.cdiv(N, row.BN)
    splits = split(tiles, K, processors(arch))
    blocks = min(tiles * splits, row.per * processors(arch))
    operands = box(delta, row.BK, row.BM), box(a, row.BK, row.BN)
    sizes = M, N, K, len(sums), *sums.stride()
    tile |= {"BLOCKS": blocks, "A_T": not turned(delta), "B_T": turned(a), "INTERCEPTS": how["INTERCEPTS"]}
    if splits > 1:
        parts, parts_b = rooms(splits, down * row.BM, N, M, delta.device)
        launch(parts_boxes_kernel, (blocks,), *operands, box(parts.flatten(0, 1), row.BM, part), parts_b, sums, *sizes,
               row=row, **tile, SPLIT=splits)
        join(parts, parts_b, theta, b, n, lam, how)
        return

    def three(tensors: Sequence[Tensor]) -> list[object]:
        boxes = [box(one, row.BM, part) for one in tensors]
        return [*boxes, *[boxes[0]] * (3 - len(boxes))]         # what a rule does not keep is not touched

    new = three(theta.new)
    launch(
        update_boxes_kernel, (blocks,), *operands, *three(theta.old), *new,
        new[0] if theta.shadow is None else box(theta.shadow, row.BM, part), theta.numbers, theta.t, b, sums, *sizes,
        n, lam, row=row, **{**tile, **how}, STATES=len(theta.old) - 1, SHADOW=theta.shadow is not None,
    )
