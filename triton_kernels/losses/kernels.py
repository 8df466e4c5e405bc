"""Per-example losses and their output deltas, each pair in one pass over the logits.

loss.xent.logits   L = −y log g(z) − (1 − y) log(1 − g(z))     δ = g(z) − y
loss.square        L = (y − ŷ)²                                δ = 2 (ŷ − y)
loss.softmax       L = −log softmax(z)_y                       δ = softmax(z) − onehot(y)
loss.softmax.weighted   L = −Σ_k t_k log softmax(z)_k          δ_k = T softmax(z)_k − t_k
                   with t_k = w_k ((1 − ε) [k = y] + ε/K), T = Σ_q t_q; an example whose y is `ignored` has w = 0

None is averaged: only D, and loss.mean, divide. The first is the negated reading of the deck's loss.xent.

Traps: −log(1 − g(z)) composed by hand is infinite from z = 17 on in float32, so the logits are used
throughout; g(z) − y cancels where g saturates at y, so it is written in e^(−|z|); softmax − 1 at the
target is minus the sum of the others; the largest logit is subtracted before any exponential. A target
outside 0 … K − 1 reads nothing and gives NaN. Where all is left out, the mean is NaN and every gradient 0.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks import pointwise
from ..blocks.elementary import exp, log1p
from ..blocks.reduce import averaged as averaged
from ..runtime import checks
from ..runtime.configs import cache, choose, is_pinned, processors, rows
from ..runtime.launch import current_arch, launch, number
from . import checks as loss_checks

WHOLE = "loss.softmax.whole"
WEIGHTED_ROW = 4096                                 # classes that registers hold beside their weights
LOWEST = tl.constexpr(-3.4028234663852886e38)       # unlike −∞, subtracted from itself it is 0


@triton.jit
def xent_logits(z, y):
    return tl.where(z >= 0, (1.0 - y) * z, -y * z) + log1p(exp(-tl.abs(z)))


@triton.jit
def xent_logits_delta(z, y):
    e = exp(-tl.abs(z))
    s = e / (1.0 + e)
    return tl.where(z >= 0, (1.0 - y) - s, s - y)


@triton.jit
def square(yhat, y):
    return (y - yhat) * (y - yhat)


@triton.jit
def square_delta(yhat, y):
    return 2.0 * (yhat - y)


@triton.jit
def softmax_loss(below, others):
    """−log(e^t / S) from `below` = max − z_y ≥ 0 and `others` = Σ_{k ≠ y} e^{z_k − max}; no term cancels."""
    return tl.where(below == 0, log1p(others), below + tl.log(others + exp(-below)))


@triton.jit
def weighted_delta(d, p, w, W, keep, share):
    """δ from d = p − [k = y] without cancellation, keep = (1 − ε) w_y, share = ε/K and W = Σ w."""
    return keep * d + share * (p * W - w)


@triton.jit
def own_weight(w, w_0, target, counted, legal, WEIGHTED: tl.constexpr):
    """w_y, or 1; 0 for an example left out."""
    own = tl.where(counted, 1.0, 0.0)
    if WEIGHTED:
        own *= tl.load(w + target * w_0, mask=legal & counted, other=0.0).to(tl.float32)
    return own


@triton.jit
def softmax_rows_kernel(
    z, y, w, loss, delta, mass, B, K, z_b, z_k, y_b, w_0, ignored, keep, share, IGNORES: tl.constexpr,
    WEIGHTED: tl.constexpr, SMOOTHED: tl.constexpr, MEAN: tl.constexpr, ROWS: tl.constexpr, CLASSES: tl.constexpr,
):
    """Whole rows in registers, as narrow as they were loaded: one read of z, one write of δ. MEAN: all rows, so that
    loss and mass are their mean and what it was divided by.

    Each e^z is computed twice, since keeping it would take more registers than there are.
    """
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, CLASSES)
    inside = (r < B)[:, None] & (k < K)[None, :]
    target = tl.load(y + r.to(tl.int64) * y_b, mask=r < B, other=0)
    legal = (target >= 0) & (target < K) & (r < B)
    to_row = z + r.to(tl.int64) * z_b
    x = tl.load(to_row[:, None] + k.to(tl.int64)[None, :] * z_k, mask=inside, other=-float("inf"))
    z_target = tl.load(to_row + target * z_k, mask=legal, other=float("nan")).to(tl.float32)
    largest = tl.where(r < B, tl.max(x, 1).to(tl.float32), 0.0)
    hit = k[None, :] == target[:, None]
    others = tl.sum(tl.where(hit, 0.0, exp(x.to(tl.float32) - largest[:, None])), 1)
    below = largest - z_target
    total = others + exp(-below)
    row, whole = softmax_loss(below, others), total
    if IGNORES:
        counted = target != ignored
        own = own_weight(w, w_0, target, counted, legal, WEIGHTED)
        if MEAN:
            summed = tl.sum(tl.where(r < B, own, 0.0), 0)
            tl.store(mass, summed)
        else:
            tl.store(mass + r, own.to(mass.dtype.element_ty), mask=r < B)
        total, row = tl.where(counted, total, float("inf")), tl.where(counted, row, 0.0)
    e, inverse = exp(x.to(tl.float32) - largest[:, None]), (1.0 / total)[:, None]
    d = tl.where(hit, (-others / total)[:, None], e * inverse)
    if WEIGHTED or SMOOTHED:
        own *= tl.cast(keep, tl.float32)
        row *= own
        if SMOOTHED:
            weights, part = tl.where(k < K, 1.0, 0.0), tl.where(counted, tl.cast(share, tl.float32), 0.0)
            if WEIGHTED:
                weights *= tl.load(w + k.to(tl.int64) * w_0, mask=k < K, other=0.0).to(tl.float32)
            W = tl.sum(weights, 0)
            away = largest[:, None] - x.to(tl.float32)
            gaps = tl.sum(tl.where(inside, weights[None, :] * away, 0.0), 1)
            row += tl.where(counted, part * (gaps + W * tl.log(whole)), 0.0)
            d = weighted_delta(d, e * inverse, weights[None, :], W, own[:, None], part[:, None])
        else:
            d *= own[:, None]
    if MEAN:
        tl.store(loss, (tl.sum(tl.where(r < B, row, 0.0), 0) / summed).to(loss.dtype.element_ty))
    else:
        tl.store(loss + r, row.to(loss.dtype.element_ty), mask=r < B)
    at_delta = r.to(tl.int64)[:, None] * K + k[None, :]
    tl.store(delta + at_delta, d.to(delta.dtype.element_ty), mask=inside)


@triton.jit
def softmax_long_kernel(
    z, y, w, loss, delta, mass, B, K, z_b, z_k, y_b, w_0, ignored, keep, share, IGNORES: tl.constexpr,
    WEIGHTED: tl.constexpr, SMOOTHED: tl.constexpr, CLASSES: tl.constexpr, PROGRAMS: tl.constexpr,
):
    """Any K: each lane keeps (max, sum) as it goes; a second pass, backwards, writes δ.

    A program has a row at a time, and there are only so many that the cache holds their rows for the second pass.
    """
    lane = tl.arange(0, CLASSES)
    for i in tl.range(tl.program_id(0), B, PROGRAMS):
        r = tl.cast(i, tl.int64)
        target = tl.load(y + r * y_b)
        legal = (target >= 0) & (target < K)
        z_target = tl.load(z + r * z_b + target * z_k, mask=legal, other=float("nan")).to(tl.float32)
        m = tl.full((CLASSES,), LOWEST, tl.float32)
        s = tl.zeros((CLASSES,), tl.float32)
        W = tl.zeros((CLASSES,), tl.float32)
        for start in range(0, K, CLASSES):
            k = start + lane
            x = tl.load(z + r * z_b + k.to(tl.int64) * z_k, mask=k < K, other=-float("inf"),
                        eviction_policy="evict_last").to(tl.float32)
            x = tl.where(k == target, -float("inf"), x)
            e = exp(-tl.abs(x - m))
            s = tl.where(x > m, s * e + 1.0, s + e)
            m = tl.where(x > m, x, m)
            if SMOOTHED and WEIGHTED:
                W += tl.load(w + k.to(tl.int64) * w_0, mask=k < K, other=0.0).to(tl.float32)
        largest = tl.maximum(tl.max(m, 0), z_target)         # a NaN target is in `below`
        others = tl.sum(s * exp(m - largest), 0)
        below = largest - z_target
        total = others + exp(-below)
        row, whole = softmax_loss(below, others), total
        if IGNORES:
            counted = target != ignored
            own = own_weight(w, w_0, target, counted, legal, WEIGHTED)
            tl.store(mass + r, own.to(mass.dtype.element_ty))
            total, row = tl.where(counted, total, float("inf")), tl.where(counted, row, 0.0)
            if WEIGHTED or SMOOTHED:
                own *= tl.cast(keep, tl.float32)
                row *= own
            part, sum_w = tl.where(counted, tl.cast(share, tl.float32), 0.0), tl.sum(W, 0) if WEIGHTED else K * 1.0
        gaps, inverse = tl.zeros((CLASSES,), tl.float32), 1.0 / total
        blocks = tl.cdiv(K, CLASSES)
        for b in range(blocks):
            k = (blocks - 1 - b) * CLASSES + lane
            x = tl.load(z + r * z_b + k.to(tl.int64) * z_k, mask=k < K, other=-float("inf"),
                        eviction_policy="evict_first").to(tl.float32)
            p = exp(x - largest)
            d = tl.where(k == target, -others, p) * inverse
            if SMOOTHED:
                weights = tl.where(k < K, 1.0, 0.0)
                if WEIGHTED:
                    weights *= tl.load(w + k.to(tl.int64) * w_0, mask=k < K, other=0.0).to(tl.float32)
                gaps += tl.where(k < K, weights * (largest - x), 0.0)
                d = weighted_delta(d, p * inverse, weights, sum_w, own, part)
            elif WEIGHTED:
                d *= own
            tl.store(delta + r * K + k, d.to(delta.dtype.element_ty), mask=k < K, eviction_policy="evict_first")
        if SMOOTHED:
            row += tl.where(counted, part * (tl.sum(gaps, 0) + sum_w * tl.log(whole)), 0.0)
        tl.store(loss + r, row.to(loss.dtype.element_ty))


def _softmax(
    z: Tensor, y: Tensor, w: Tensor | None, mass: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Both ids, by one kernel: `mass` is written where the second is asked for."""
    loss, delta = z.new_empty(z.shape[0]), z.new_empty(z.shape)
    _launch(z, y, w, loss, delta, mass, ignored, smoothing)
    return loss, delta


def overwrite(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float, loss: Tensor, mass: Tensor
) -> None:
    """δ over the contiguous logits z, unchecked: a program reads what it writes over before it does, and alone does
    so. loss and mass are written where they are."""
    _launch(z, y, w, loss, z, mass, ignored, smoothing)


def _launch(
    z: Tensor, y: Tensor, w: Tensor | None, loss: Tensor, delta: Tensor, mass: Tensor | None, ignored: int,
    smoothing: float,
) -> None:
    B, K = z.shape
    if not B:
        return
    arch = current_arch(z.device)
    row = choose("loss.softmax", (B, K), z.dtype, arch)
    how, tensors, numbers = _arguments(z, y, w, loss, delta, mass, ignored, smoothing)
    if row.BN >= K and (row.BN <= WEIGHTED_ROW or not (how["WEIGHTED"] or how["SMOOTHED"])):
        launch(softmax_rows_kernel, (triton.cdiv(B, row.BM),), *tensors, B, K, *numbers, row=row, ROWS=row.BM,
               CLASSES=row.BN, MEAN=False, **how)
    else:
        row = choose("loss.softmax.long", (B, K), z.dtype, arch)
        programs = together(K * z.element_size(), row.warps, arch)
        launch(softmax_long_kernel, (min(B, programs),), *tensors, B, K, *numbers, row=row, CLASSES=row.BN,
               PROGRAMS=programs, **how)


def _arguments(
    z: Tensor, y: Tensor, w: Tensor | None, loss: Tensor, delta: Tensor, mass: Tensor | None, ignored: int,
    smoothing: float,
) -> tuple[dict[str, bool], tuple[Tensor, ...], tuple[Any, ...]]:
    how = {"IGNORES": mass is not None, "WEIGHTED": w is not None, "SMOOTHED": smoothing != 0}
    tensors = (z, y, z if w is None else w, loss, delta, loss if mass is None else mass)
    numbers = (*z.stride(), y.stride(0), 0 if w is None else w.stride(0), ignored, 1.0 - smoothing,
               smoothing / z.shape[1])
    return how, tensors, numbers


def together(size: int, warps: int, arch: str) -> int:
    """How many rows of so many bytes the cache holds at once: whole rounds of the processors, as many as run."""
    most = max(1, 32 // warps)
    return processors(arch) * max(1, min(most, cache(arch) // (size * processors(arch))))


def softmax(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    loss_checks.classes(z, y)
    checks.kernel_dtype("loss.softmax", z)
    return _softmax(z, y, None, None, 0, 0.0)


def weighted(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, δ, the weight of each example's class), unchecked."""
    mass = z.new_empty(z.shape[0])
    return *_softmax(z, y, w, mass, ignored, smoothing), mass


def weighted_mean(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(the mean loss, δ, Σ of the weights), unchecked: in one launch where one program holds the batch."""
    (B, K), arch = z.shape, current_arch(z.device)
    fits = any(row.BM >= B and row.BN >= K for row in rows(WHOLE, arch, z.dtype))
    if not B or not fits or is_pinned("loss.softmax"):
        loss, delta, mass = weighted(z, y, w, ignored, smoothing)
        mean, total = averaged(loss, mass)
        return mean, delta, total
    mean, delta, total = z.new_empty(()), z.new_empty((B, K)), z.new_empty((), dtype=torch.float32)
    how, tensors, numbers = _arguments(z, y, w, mean, delta, total, ignored, smoothing)
    row = choose(WHOLE, (B, K), z.dtype, arch)
    launch(softmax_rows_kernel, (1,), *tensors, B, K, *numbers, row=row, ROWS=row.BM, CLASSES=row.BN, MEAN=True, **how)
    return mean, delta, total


def softmax_weighted(
    z: Tensor, y: Tensor, w: Tensor | None = None, ignored: int = -100, smoothing: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    loss_checks.weighted_classes("loss.softmax.weighted", z, y, w, smoothing)
    checks.kernel_dtype("loss.softmax.weighted", z)
    return weighted(z, y, w, ignored, smoothing)


def loss(identity: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, δ) of one of the three that have no options."""
    found: tuple[Tensor, Tensor] = OPS[identity](input, target)
    return found


def mean(loss: Tensor, mass: Tensor) -> Tensor:
    checks.same("loss.mean", loss=loss, mass=mass)
    checks.rank("loss.mean", 1, loss=loss)
    checks.kernel_dtype("loss.mean", loss)
    return averaged(loss, mass)[0]


def xent_logits_op(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    checks.same("loss.xent.logits", z=z, y=y)
    checks.kernel_dtype("loss.xent.logits", z)
    return pointwise.pair(xent_logits, xent_logits_delta, z, y)


def square_op(yhat: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    checks.same("loss.square", yhat=yhat, y=y)
    checks.kernel_dtype("loss.square", yhat)
    return pointwise.pair(square, square_delta, yhat, y)


@triton.jit
def _scale(delta, grad, n, G: tl.constexpr):
    return delta * tl.div_rn(grad, n + tl.zeros_like(grad))


def scaled(delta: Tensor, grad: Tensor, n: int) -> Tensor:
    """δ · grad / n: an un-averaged delta turned into the gradient of a mean."""
    return pointwise.binary(_scale, delta, grad.expand_as(delta), number(n))


@triton.jit
def share_kernel(delta, grad, mass, out, size, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    g, m = tl.load(grad).to(tl.float32), tl.load(mass)
    part = tl.where(m == 0, g, tl.div_rn(g, tl.where(m == 0, 1.0, m)))          # nothing counted: δ is 0, and stays it
    d = tl.load(delta + i, mask=i < size, other=0.0).to(tl.float32)
    tl.store(out + i, (d * part).to(out.dtype.element_ty), mask=i < size)


def shared(delta: Tensor, grad: Tensor, mass: Tensor) -> Tensor:
    """δ · grad / mass of a contiguous δ, the other two numbers in memory: the gradient of a mean of `mass` examples."""
    return share(delta, grad, mass, torch.empty_like(delta))


def share(delta: Tensor, grad: Tensor, mass: Tensor, out: Tensor) -> Tensor:
    """The same into `out`, which may be δ itself."""
    if out.numel():
        row = choose("pointwise", tuple(out.shape), out.dtype, current_arch(out.device))
        launch(share_kernel, (triton.cdiv(out.numel(), row.BM),), delta, grad, mass, out, out.numel(), row=row,
               BLOCK=row.BM)
    return out


OPS: dict[str, Any] = {
    "loss.xent.logits": xent_logits_op, "loss.square": square_op, "loss.softmax": softmax,
    "loss.softmax.weighted": softmax_weighted, "loss.mean": mean,
}
