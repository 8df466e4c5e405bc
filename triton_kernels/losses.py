"""Per-example losses and their output deltas, each pair in one pass over the logits.

loss.xent.logits   L = −y log g(z) − (1 − y) log(1 − g(z))     δ = g(z) − y
loss.square        L = (y − ŷ)²                                δ = 2 (ŷ − y)
loss.softmax       L = −log softmax(z)_y                       δ = softmax(z) − onehot(y)

Neither is averaged: only D divides by n. The first is the negated reading of the deck's loss.xent.

Traps: −log(1 − g(z)) composed by hand is infinite from z = 17 on in float32, so the logits are used
throughout; g(z) − y cancels where g saturates at y, so it is written in e^(−|z|); softmax − 1 at the
target is minus the sum of the others; the largest logit is subtracted before any exponential. A target
outside 0 … K − 1 reads nothing and gives NaN.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl
from torch import Tensor

from . import checks, pointwise
from .configs import choose
from .elementary import exp, log1p
from .launch import current_arch, launch, number

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
def softmax_rows_kernel(
    z, y, loss, delta, B, K, z_b, z_k, y_b, ROWS: tl.constexpr, CLASSES: tl.constexpr
):
    """Whole rows in registers: one read of z, one write of δ."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, CLASSES)
    inside = (r < B)[:, None] & (k < K)[None, :]
    target = tl.load(y + r.to(tl.int64) * y_b, mask=r < B, other=0)
    at = r.to(tl.int64)[:, None] * z_b + k.to(tl.int64)[None, :] * z_k
    x = tl.load(z + at, mask=inside, other=-float("inf")).to(tl.float32)
    x = tl.where((r < B)[:, None], x, 0.0)
    hit = k[None, :] == target[:, None]
    legal = (target >= 0) & (target < K)
    largest = tl.max(x, 1)
    e = tl.where(inside, exp(x - largest[:, None]), 0.0)
    others = tl.sum(tl.where(hit, 0.0, e), 1)
    below = largest - tl.sum(tl.where(hit, x, 0.0), 1)
    below = tl.where(legal, below, float("nan"))
    total = others + exp(-below)
    d = tl.where(hit, -others[:, None], e) / total[:, None]
    tl.store(loss + r, softmax_loss(below, others).to(loss.dtype.element_ty), mask=r < B)
    at_delta = r.to(tl.int64)[:, None] * K + k[None, :]
    tl.store(delta + at_delta, d.to(delta.dtype.element_ty), mask=inside)


@triton.jit
def softmax_long_kernel(z, y, loss, delta, K, z_b, z_k, y_b, CLASSES: tl.constexpr):
    """Any K, a row a program: each lane keeps (max, sum) as it goes; a second pass, backwards, writes δ."""
    r = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, CLASSES)
    target = tl.load(y + r * y_b)
    legal = (target >= 0) & (target < K)
    z_target = tl.load(z + r * z_b + target * z_k, mask=legal, other=float("nan")).to(tl.float32)
    m = tl.full((CLASSES,), LOWEST, tl.float32)
    s = tl.zeros((CLASSES,), tl.float32)
    for start in range(0, K, CLASSES):
        k = start + lane
        x = tl.load(z + r * z_b + k.to(tl.int64) * z_k, mask=k < K, other=-float("inf")).to(tl.float32)
        x = tl.where(k == target, -float("inf"), x)
        e = exp(-tl.abs(x - m))
        s = tl.where(x > m, s * e + 1.0, s + e)
        m = tl.where(x > m, x, m)
    largest = tl.maximum(tl.max(m, 0), z_target)         # a NaN target is in `below`
    others = tl.sum(s * exp(m - largest), 0)
    below = largest - z_target
    total = others + exp(-below)
    tl.store(loss + r, softmax_loss(below, others).to(loss.dtype.element_ty))
    blocks = tl.cdiv(K, CLASSES)
    for b in range(blocks):
        k = (blocks - 1 - b) * CLASSES + lane
        x = tl.load(z + r * z_b + k.to(tl.int64) * z_k, mask=k < K, other=-float("inf")).to(tl.float32)
        d = tl.where(k == target, -others, exp(x - largest)) / total
        tl.store(delta + r * K + k, d.to(delta.dtype.element_ty), mask=k < K)


def softmax(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    checks.classes(z, y)
    checks.kernel_dtype("loss.softmax", z)
    B, K = z.shape
    loss, delta = z.new_empty(B), z.new_empty((B, K))
    if not B:
        return loss, delta
    row = choose("loss.softmax", (B, K), z.dtype, current_arch(z.device))
    if row.BN >= K:
        launch(
            softmax_rows_kernel, (triton.cdiv(B, row.BM),), z, y, loss, delta, B, K, *z.stride(), y.stride(0),
            row=row, ROWS=row.BM, CLASSES=row.BN,
        )
    else:
        row = choose("loss.softmax.long", (B, K), z.dtype, current_arch(z.device))
        launch(
            softmax_long_kernel, (B,), z, y, loss, delta, K, *z.stride(), y.stride(0),
            row=row, CLASSES=row.BN,
        )
    return loss, delta


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


OPS = {"loss.xent.logits": xent_logits_op, "loss.square": square_op, "loss.softmax": softmax}
