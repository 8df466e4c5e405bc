"""Both gradients of a layer in one launch, so that δ comes from memory once, and what is small fills a GPU together.

bp.delta.chain   δ_prev = (δ w) ⊙ g′(z); δ w, where no activation stands before
alg.average      D = δᵀ a / n + λ w,   Db = Σ δ / n

The first programs own tiles of δ_prev, the others tiles of D; both read the old w. In float32 alone: boxes serve 16
bits. What is large enough for a larger tile than both fit in is a launch each.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..blocks.tiles import product, tile_of
from ..runtime.configs import choose, is_pinned, rows
from ..runtime.launch import current_arch, launch, math_mode
from . import kernels as layers
from .kernels import averaged_tile

TABLE = "layer.gradients"


@triton.jit
def to_inputs(
    delta, w, saved, out, t, M, N, K, d_k, d_m, w_m, w_n, s_k, s_n, p, PRIME: tl.constexpr, THROUGH: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """Tile t of δ_prev, K examples of N inputs."""
    tk, tn = tile_of(t, K, N, BM, BN)
    rk, rn = tk * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)
    d = product(delta, w, rk, rn, K, N, M, d_k, d_m, w_m, w_n, BM, BN, BK, PRECISION)
    inside = (rk < K)[:, None] & (rn < N)[None, :]
    if THROUGH:
        at = rk.to(tl.int64)[:, None] * s_k + rn.to(tl.int64)[None, :] * s_n
        d *= PRIME(tl.load(saved + at, mask=inside, other=0.0).to(tl.float32), tl.cast(p, tl.float32))
    tl.store(out + rk.to(tl.int64)[:, None] * N + rn[None, :], d.to(out.dtype.element_ty), mask=inside)


@triton.jit
def gradients_kernel(
    delta, w, a, saved, out, D, Db, M, N, K, width, d_k, d_m, w_m, w_n, a_k, a_n, s_k, s_n, p, n, lam,
    PRIME: tl.constexpr, THROUGH: tl.constexpr, REGULARISED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    t, tiles = tl.program_id(0), tl.cdiv(K, BM) * tl.cdiv(N, BN)
    if t < tiles:
        to_inputs(delta, w, saved, out, t, M, N, K, d_k, d_m, w_m, w_n, s_k, s_n, p, PRIME, THROUGH, BM, BN, BK,
                  PRECISION)
    else:
        averaged_tile(t - tiles, delta, a, w, D, Db, M, width, K, d_k, d_m, a_k, a_n, w_m, w_n, n, lam, REGULARISED,
                      True, BM, BN, BK, PRECISION)


def gradients(
    delta: Tensor, w: Tensor, a: Tensor, saved: Tensor, act: str, form: str, p: float, lam: float, n: float,
    math: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """((δ w) ⊙ g′(saved), δᵀ a / n + λ w, Σ δ / n); an a of no columns stands for a D that nobody wants."""
    (K, M), N, width = delta.shape, w.shape[1], a.shape[1]
    arch = current_arch(delta.device)
    if _apart(K, M, N, delta.dtype, arch):
        D, Db = layers.averaged(delta, a, w[:, :width], lam, n, True, math)
        assert Db is not None
        if act == "identity":
            return layers.affine_keeping(delta, w.t(), None, act, 0.0, False, math)[0], D, Db
        return layers.delta_through(delta, w, saved, act, form, p, "bp.delta.chain", math, False)[0], D, Db
    out, D, Db = delta.new_empty((K, N)), w.new_empty((M, width)), w.new_empty(M)
    row = choose(TABLE, (M + K, N), delta.dtype, arch)
    tiles = [triton.cdiv(height, row.BM) * max(triton.cdiv(columns, row.BN), 1)
             for height, columns in ((K, N), (M, width))]
    launch(
        gradients_kernel, (sum(tiles),), delta, w, a, saved, out, D, Db, M, N, K, width, *delta.stride(), *w.stride(),
        *a.stride(), *saved.stride(), p, n, lam, row=row, PRIME=activations.derivative(act, form),
        THROUGH=act != "identity", REGULARISED=lam != 0, BM=row.BM, BN=row.BN, BK=row.BK, PRECISION=math_mode(math))
    return out, D, Db


def _apart(K: int, M: int, N: int, dtype: torch.dtype, arch: str) -> bool:
    """Is each a launch of its own? In 16 bits, which boxes serve; of nothing; and where a larger tile pays."""
    if dtype is not torch.float32 or not (K and M and N):
        return True
    return not is_pinned(TABLE) and choose("alg.average", (M + K, N), dtype, arch) not in rows(TABLE, arch)
