"""The gradient of a layer's weights by inputs that nobody kept: they are made again where a tile of them is read.

alg.average   D = δᵀ a,   Db = Σ δ,   where a = g(z), or a row of a = γ (x − μ) r + β with its μ and r = 1/√(σ² + ε)

What a layer norm wrote costs two numbers a row to keep, and what an activation wrote nothing beside its z. Made again
each is rounded as it was written.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..blocks.tiles import tile_of
from ..norms.kernels import dense, normalized
from ..norms.layer import channels
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch, math_mode


@triton.jit
def recalled_kernel(
    delta, saved, mean, rstd, gamma, beta, D, Db, M, N, K, d_k, d_m, s_k, s_n, p,
    G: tl.constexpr, NORMED: tl.constexpr, SCALED: tl.constexpr, SHIFTED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """M outputs, N inputs, K examples, as in the average of a layer whose inputs were kept."""
    tm, tn = tile_of(tl.program_id(0), M, N, BM, BN)
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


def averaged(
    delta: Tensor, saved: Tensor, act: str, p: float, mean: Tensor | None, rstd: Tensor | None, gamma: Tensor | None,
    beta: Tensor | None, math: str | None = None,
) -> tuple[Tensor, Tensor]:
    """(δᵀ a, Σ δ): a = g(saved), or where mean and rstd are given the layer norm of saved."""
    (K, M), N = delta.shape, saved.shape[1]
    D = torch.empty((M, N), dtype=delta.dtype, device=delta.device)
    Db = torch.empty(M, dtype=delta.dtype, device=delta.device)
    if D.numel():
        row = choose("alg.average.recalled", (M, N), delta.dtype, current_arch(delta.device))
        launch(
            recalled_kernel, (triton.cdiv(M, row.BM) * triton.cdiv(N, row.BN),), delta, saved,
            D if mean is None else mean, D if rstd is None else rstd, D if gamma is None else dense(gamma),
            D if beta is None else dense(beta), D, Db, M, N, K, *delta.stride(), *saved.stride(), p, row=row,
            G=activations.VALUE[act], NORMED=mean is not None, SCALED=gamma is not None, SHIFTED=beta is not None,
            BM=row.BM, BN=row.BN, BK=row.BK, PRECISION=math_mode(math))
    return D, Db
