"""The gradient never exists: the averaged gradient's product, whose end is the update.

alg.average.sgd        D = δᵀ a / n + λΘ in registers,   Θ ← Θ − η D
alg.average.momentum   v ← μ v + D,                      Θ ← Θ − η v
alg.average.adamw      the moments and the step of opt.adamw; its decay is not λ

D is neither stored nor rounded. Θ and the states may be float32 where δ and a are sixteen bits wide; a `shadow`, the
new Θ in sixteen bits, is stored along. Where an output has too few tiles to fill the GPU, the batch is split: every
part stores its own sums, and a second launch adds them in a fixed order, so a run can be repeated bit by bit.

Traps: intercepts are updated with a D that has no λΘ; the step must not start before every δ of a lower layer has been
computed from the old Θ; 1 − βᵗ comes from float64, as in `optimizers`.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from collections.abc import Mapping, Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import checks, chunks, composite_updates, fused_update_boxes
from .configs import choose, processors
from .launch import current_arch, launch, math_mode
from .linear import divided, product, regularised, tile_of
from .optimizers import COLUMNS, RULES, numbers_of


@triton.jit
def finish(
    total, at, inside, old, new, shadow, count, lam, numbers, t,
    RULE: tl.constexpr, STATES: tl.constexpr, REGULARISED: tl.constexpr, SHADOW: tl.constexpr,
):
    """From Σ δ a to the new parameters. old, new: addresses of Θ and its states; inside masks the offsets `at`."""
    eta, decay, beta1, share1, beta2, share2, bias1, bias2, eps = numbers_of(numbers, tl.load(t).to(tl.float64))
    theta = tl.load(old[0] + at, mask=inside, other=0.0).to(tl.float32)
    m, v = tl.zeros_like(theta), tl.zeros_like(theta)
    if STATES > 0:
        m = tl.load(old[1] + at, mask=inside, other=0.0).to(tl.float32)
    if STATES > 1:
        v = tl.load(old[2] + at, mask=inside, other=0.0).to(tl.float32)
    D = divided(total, count)
    if REGULARISED:
        D = regularised(D, lam, theta)
    theta, m, v = RULE(theta, D, m, v, eta, decay, beta1, share1, beta2, share2, bias1, bias2, eps)
    tl.store(new[0] + at, theta.to(new[0].dtype.element_ty), mask=inside)
    if STATES > 0:
        tl.store(new[1] + at, m.to(new[1].dtype.element_ty), mask=inside)
    if STATES > 1:
        tl.store(new[2] + at, v.to(new[2].dtype.element_ty), mask=inside)
    if SHADOW:
        tl.store(shadow + at, theta.to(shadow.dtype.element_ty), mask=inside)


@triton.jit
def update_product_kernel(
    delta, a, old, new, shadow, parts, numbers, t, M, N, K, d_k, d_m, a_k, a_n, n, lam,
    RULE: tl.constexpr, STATES: tl.constexpr, REGULARISED: tl.constexpr, SHADOW: tl.constexpr, SPLIT: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """Program (tile, s) adds up the s-th part of the batch; without a split it also updates."""
    tm, tn = tile_of(tl.program_id(0), M, N, BM, BN)
    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)
    share = tl.cdiv(tl.cdiv(K, SPLIT), BK) * BK
    first = tl.program_id(1) * share
    length = tl.maximum(tl.minimum(K - first, share), 0)
    from_delta = delta + tl.cast(first, tl.int64) * d_k
    from_a = a + tl.cast(first, tl.int64) * a_k
    total = product(from_delta, from_a, rm, rn, M, N, length, d_m, d_k, a_k, a_n, BM, BN, BK, PRECISION)
    at = rm.to(tl.int64)[:, None] * N + rn[None, :]
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    if SPLIT > 1:
        size = tl.cast(M, tl.int64) * N
        tl.store(parts + tl.program_id(1) * size + at, total, mask=inside)
    else:
        finish(total, at, inside, old, new, shadow, tl.cast(n, tl.float32), tl.cast(lam, tl.float32), numbers, t,
               RULE, STATES, REGULARISED, SHADOW)


@triton.jit
def update_join_kernel(
    parts, old, new, shadow, numbers, t, size, n, lam,
    RULE: tl.constexpr, STATES: tl.constexpr, REGULARISED: tl.constexpr, SHADOW: tl.constexpr, SPLIT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The parts of a split batch, added first to last, and the update."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    total = tl.zeros((BLOCK,), tl.float32)
    for s in range(SPLIT):
        total += tl.load(parts + tl.cast(size, tl.int64) * s + at, mask=inside, other=0.0)
    finish(total, at, inside, old, new, shadow, tl.cast(n, tl.float32), tl.cast(lam, tl.float32), numbers, t,
           RULE, STATES, REGULARISED, SHADOW)


@triton.jit
def update_intercepts_kernel(
    delta, old, new, shadow, numbers, t, M, K, d_k, d_m, n,
    RULE: tl.constexpr, STATES: tl.constexpr, SHADOW: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """Σ_batch δ / n, and the intercepts' update."""
    c = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, K, ROWS):
        r = start + tl.arange(0, ROWS)
        at = r.to(tl.int64)[:, None] * d_k + c.to(tl.int64)[None, :] * d_m
        block = tl.load(delta + at, mask=(r < K)[:, None] & (c < M)[None, :], other=0.0)
        total += tl.sum(block.to(tl.float32), 0)
    finish(total, c, c < M, old, new, shadow, tl.cast(n, tl.float32), 0.0, numbers, t, RULE, STATES, False, SHADOW)


def split(tiles: int, examples: int, processors: int) -> int:
    """Into how many parts a batch goes: enough to fill the GPU, of at least 512 examples each."""
    return max(1, min(16, 2 * processors // max(tiles, 1), examples // 512))


def weights(
    rule: str, delta: Tensor, a: Tensor, old: Sequence[Tensor], new: Sequence[Tensor], lam: float, n: float,
    numbers: Tensor, t: Tensor, shadow: Tensor | None = None, math: str | None = None,
) -> None:
    """Θ and its states, contiguous, from `old` to `new`, which may be the same tensors.

    numbers (7,) float64 in the order of `optimizers.COLUMNS`; t (1,) float32, the step from 1.
    """
    if not new[0].numel():
        return
    if fused_update_boxes.serves(delta, a, *old, *new, *([] if shadow is None else [shadow])):
        fused_update_boxes.weights(rule, delta, a, old, new, lam, n, numbers, t, shadow)
        return
    (M, N), K = new[0].shape, delta.shape[0]
    arch = current_arch(delta.device)
    row = choose("alg.average.update", (M, N), delta.dtype, arch)
    tiles = triton.cdiv(M, row.BM) * triton.cdiv(N, row.BN)
    parts = split(tiles, K, processors(arch))
    room = torch.empty((parts, M, N) if parts > 1 else (1,), dtype=torch.float32, device=delta.device)
    how = {"RULE": RULES[rule][0], "STATES": len(old) - 1, "REGULARISED": lam != 0, "SHADOW": shadow is not None}
    to_shadow = new[0] if shadow is None else shadow
    launch(
        update_product_kernel, (tiles, parts), delta, a, tuple(old), tuple(new), to_shadow, room, numbers, t, M, N, K,
        *delta.stride(), *a.stride(), n, lam, row=row, **how, SPLIT=parts, BM=row.BM, BN=row.BN, BK=row.BK,
        PRECISION=math_mode(math),
    )
    if parts > 1:
        join = choose("alg.average.update.join", (M * N,), torch.float32, arch)
        launch(
            update_join_kernel, (triton.cdiv(M * N, join.BM),), room, tuple(old), tuple(new), to_shadow, numbers, t,
            M * N, n, lam, row=join, **how, SPLIT=parts, BLOCK=join.BM,
        )


def intercepts(
    rule: str, delta: Tensor, old: Sequence[Tensor], new: Sequence[Tensor], n: float, numbers: Tensor, t: Tensor,
    shadow: Tensor | None = None,
) -> None:
    """b and its states, contiguous."""
    K, M = delta.shape
    if not M:
        return
    row = choose("columns", (K, M), torch.float32, current_arch(delta.device))
    launch(
        update_intercepts_kernel, (triton.cdiv(M, row.BN),), delta, tuple(old), tuple(new),
        new[0] if shadow is None else shadow, numbers, t, M, K, *delta.stride(), n, row=row, RULE=RULES[rule][0],
        STATES=len(old) - 1, SHADOW=shadow is not None, ROWS=row.BM, COLUMNS=row.BN,
    )


def tables(numbers: Mapping[str, float], t: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """What `weights` wants of an optimizer's numbers and of the step."""
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
    new = []
    for one, own in ((theta, [states[s] for s in names]), (b, [states[f"{s}b"] for s in names])):
        fresh = torch.empty(one.shape, dtype=one.dtype, device=one.device)
        old = [chunks.alike(part, fresh) for part in (one, *own)]
        new.append([fresh, *(torch.empty_like(fresh) for _ in own)])
        if one is theta:
            weights(rule, delta, a, old, new[0], float(lam), float(n), table, step)
        else:
            intercepts(rule, delta, old, new[1], float(n), table, step)
    return tuple(part for pair in zip(*new) for part in pair)


OPS = composite_updates.ops(stepped)
