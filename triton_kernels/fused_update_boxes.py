"""Average and update in one, where tensor descriptors move operands, parameters and states: Hopper and later.

alg.average.sgd, alg.average.momentum, alg.average.adamw   as in `fused_update`

Parameters come and go in boxes too: read through pointers they would take the registers that hold the product, and
spill.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from .configs import is_pinned, processors, rows
from .launch import current_arch, launch
from .linear import divided, regularised, tile_of
from .linear_boxes import box, fits, halves, plan, product, turned
from .optimizers import RULES, numbers_of

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
    delta, a, theta, m, v, to_theta, to_m, to_v, shadow, numbers, t, M, N, K, n, lam,
    RULE: tl.constexpr, STATES: tl.constexpr, REGULARISED: tl.constexpr, SHADOW: tl.constexpr,
    A_T: tl.constexpr, B_T: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PARTS: tl.constexpr, BLOCKS: tl.constexpr,
):
    count, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)
    for tile in tl.range(tl.program_id(0), tl.cdiv(M, BM) * tl.cdiv(N, BN), BLOCKS):
        tm, tn = tile_of(tl.cast(tile, tl.int32), M, N, BM, BN)
        row, column = tm * BM, tn * BN
        total = product(delta, a, row, column, K, A_T, B_T, BM, BN, BK)
        if PARTS == 2:
            left, right = halves(total, BM, BN)
            finish(left, theta, m, v, to_theta, to_m, to_v, shadow, row, column, count, lam, numbers, t,
                   RULE, STATES, REGULARISED, SHADOW)
            finish(right, theta, m, v, to_theta, to_m, to_v, shadow, row, column + BN // 2, count, lam, numbers, t,
                   RULE, STATES, REGULARISED, SHADOW)
        else:
            finish(total, theta, m, v, to_theta, to_m, to_v, shadow, row, column, count, lam, numbers, t,
                   RULE, STATES, REGULARISED, SHADOW)


def serves(delta: Tensor, a: Tensor, *parameters: Tensor) -> bool:
    """Boxes for every tensor, and enough tiles that the batch need not be split."""
    theta = parameters[0]
    found = rows(f"{TABLE}.boxes", current_arch(delta.device), delta.dtype)
    if not found or is_pinned(TABLE) or not fits(delta, a):
        return False
    if theta.shape[1] * min(one.element_size() for one in parameters) % 16:
        return False
    if any(one.data_ptr() % 16 or not one.is_contiguous() for one in parameters):
        return False
    tiles = triton.cdiv(theta.shape[0], found[-1].BM) * triton.cdiv(theta.shape[1], found[-1].BN)
    return is_pinned(f"{TABLE}.boxes") or tiles >= processors(current_arch(delta.device)) or delta.shape[0] < 1024


def weights(
    rule: str, delta: Tensor, a: Tensor, old: Sequence[Tensor], new: Sequence[Tensor], lam: float, n: float,
    numbers: Tensor, t: Tensor, shadow: Tensor | None,
) -> None:
    """As `fused_update.weights`."""
    row, grid, tile = plan(TABLE, new[0], delta.shape[0], delta.dtype)
    part = row.BN // row.parts

    def three(tensors: Sequence[Tensor]) -> list[object]:
        boxes = [box(one, row.BM, part) for one in tensors]
        return [*boxes, *[boxes[0]] * (3 - len(boxes))]         # what a rule does not keep is not touched

    launch(
        update_boxes_kernel, grid, box(delta, row.BK, row.BM), box(a, row.BK, row.BN), *three(old), *three(new),
        box(new[0] if shadow is None else shadow, row.BM, part), numbers, t, *new[0].shape, delta.shape[0], n, lam,
        row=row, **tile, RULE=RULES[rule][0], STATES=len(old) - 1, REGULARISED=lam != 0, SHADOW=shadow is not None,
        A_T=not turned(delta), B_T=turned(a),
    )
