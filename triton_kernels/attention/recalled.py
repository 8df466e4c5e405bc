"""Both gradients of a layer whose inputs nobody kept: they are made again where a tile of them is read.

bp.delta.chain   δ_prev = (δ w) ⊙ g′(z); δ w, where no activation stands before
alg.average      D = δᵀ a,   Db = Σ δ,   where a = g(z), or a row of a = γ (x − μ) r + β with its μ and r = 1/√(σ² + ε)

What a layer norm wrote costs two numbers a row to keep, and what an activation wrote nothing beside its z. Made again
each is rounded as it was written. One launch makes both, so that δ and z come from memory once: the first programs
own tiles of δ_prev, the others tiles of D. Where a GPU moves boxes, δ_prev is a launch of those kernels.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..blocks.tiles import tile_of
from ..layers import kernels as layers
from ..layers.gradients import to_inputs
from ..norms.kernels import dense, normalized
from ..norms.layer import channels
from ..runtime.configs import choose, is_pinned
from ..runtime.launch import current_arch, launch, math_mode


@triton.jit
def to_weights(
    delta, saved, mean, rstd, gamma, beta, D, Db, t, M, N, K, d_k, d_m, s_k, s_n, p,
    G: tl.constexpr, NORMED: tl.constexpr, SCALED: tl.constexpr, SHIFTED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """Tile t of D, M outputs by N inputs, as in the average of a layer whose inputs were kept."""
    tm, tn = tile_of(t, M, N, BM, BN)
    rm, rn, k = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN), tl.arange(0, BK)
    to_delta = delta + rm.to(tl.int64)[None, :] * d_m
    to_saved = saved + rn.to(tl.int64)[None, :] * s_n
    g, b = channels(gamma, rn, N, 1.0, SCALED), channels(beta, rn, N, 0.0, SHIFTED)
    total, summed = tl.zeros((BM, BN), tl.float32), tl.zeros((BM,), tl.float32)
    for start in range(0, K, BK):
        r = start + k
        there = (r < K)[:, None]
        error = tl.load(to_delta + r.to(tl.int64)[:, None] * d_k, mask=there & (rm < M)[None, :], other=0.0)
        kept = tl.load(to_saved + r.to(tl.int64)[:, None] * s_k, mask=there & (rn < N)[None, :], other=0.0)
        a = kept.to(tl.float32)
        if NORMED:
            mu = tl.load(mean + r, mask=r < K, other=0.0)[:, None]
            a = normalized(a, mu, tl.load(rstd + r, mask=r < K, other=0.0)[:, None], g, b)
        else:
            a = G(a, tl.cast(p, tl.float32))
        total = tl.dot(tl.trans(error), a.to(error.dtype), total, input_precision=PRECISION)
        summed += tl.sum(error.to(tl.float32), 0)
    inside = (rm < M)[:, None] & (rn < N)[None, :]
    tl.store(D + rm.to(tl.int64)[:, None] * N + rn[None, :], total.to(D.dtype.element_ty), mask=inside)
    if tn == 0:
        tl.store(Db + rm, summed.to(Db.dtype.element_ty), mask=rm < M)


@triton.jit
def recalled_kernel(
    delta, w, saved, mean, rstd, gamma, beta, out, D, Db, M, N, K, d_k, d_m, w_m, w_n, s_k, s_n, p,
    G: tl.constexpr, PRIME: tl.constexpr, THROUGH: tl.constexpr, NORMED: tl.constexpr, SCALED: tl.constexpr,
    SHIFTED: tl.constexpr, INPUTS: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    t = tl.program_id(0)
    if INPUTS:
        tiles = tl.cdiv(K, BM) * tl.cdiv(N, BN)
        if t < tiles:
            to_inputs(delta, w, saved, out, t, M, N, K, d_k, d_m, w_m, w_n, s_k, s_n, p, PRIME, THROUGH, BM, BN, BK,
                      PRECISION)
        else:
            to_weights(delta, saved, mean, rstd, gamma, beta, D, Db, t - tiles, M, N, K, d_k, d_m, s_k, s_n, p, G,
                       NORMED, SCALED, SHIFTED, BM, BN, BK, PRECISION)
    else:
        to_weights(delta, saved, mean, rstd, gamma, beta, D, Db, t, M, N, K, d_k, d_m, s_k, s_n, p, G, NORMED, SCALED,
                   SHIFTED, BM, BN, BK, PRECISION)


def averaged(
    delta: Tensor, saved: Tensor, act: str, p: float, mean: Tensor | None, rstd: Tensor | None, gamma: Tensor | None,
    beta: Tensor | None, math: str | None = None, w: Tensor | None = None, out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(δᵀ a, Σ δ): a = g(saved), or where mean and rstd are given the layer norm of saved; out ← (δ w) ⊙ g′(saved)
    beside them, where both are given."""
    (K, M), N = delta.shape, saved.shape[1]
    D, Db = delta.new_empty((M, N)), delta.new_empty(M)
    row = choose("alg.average.recalled", (M if out is None else M + K, N), delta.dtype, current_arch(delta.device))
    tiles = triton.cdiv(M, row.BM) + (0 if out is None else triton.cdiv(K, row.BM))
    weights = D if w is None else w
    if N and tiles:
        launch(
            recalled_kernel, (tiles * triton.cdiv(N, row.BN),), delta, weights, saved, D if mean is None else mean,
            D if rstd is None else rstd, D if gamma is None else dense(gamma), D if beta is None else dense(beta),
            D if out is None else out, D, Db, M, N, K, *delta.stride(), *weights.stride(), *saved.stride(), p, row=row,
            G=activations.VALUE[act], PRIME=activations.PRIME[act], THROUGH=act != "identity", NORMED=mean is not None,
            SCALED=gamma is not None, SHIFTED=beta is not None, INPUTS=out is not None, BM=row.BM, BN=row.BN,
            BK=row.BK, PRECISION=math_mode(math))
    return D, Db


def gradients(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, p: float, mean: Tensor | None, rstd: Tensor | None,
    gamma: Tensor | None, beta: Tensor | None, math: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """((δ w) ⊙ g′(saved), δᵀ a, Σ δ): a as above."""
    out = delta.new_empty((delta.shape[0], w.shape[1]))
    how = saved, act, p, mean, rstd, gamma, beta, math
    if act == "identity" and not is_pinned("alg.average.recalled") and layers.moving_boxes(
            "net.layer.affine", out, delta, w):
        layers.affine_into(delta, w.t(), None, out, math)
        return out, *averaged(delta, *how)
    return out, *averaged(delta, *how, w, out)
