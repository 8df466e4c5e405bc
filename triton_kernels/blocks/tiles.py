"""What the products of a layer share: which tile is whose, Σ_k of one tile, 1/n and λΘ at its end."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl

GROUP = tl.constexpr(8)


@triton.jit
def divided(total, n):
    return tl.div_rn(total, n + tl.zeros_like(total))


@triton.jit
def regularised(mean, lam, w):
    return mean + lam * w


@triton.jit
def tile_of(t, M, N, BM: tl.constexpr, BN: tl.constexpr):
    """Tile number t in groups of eight rows of tiles, so that neighbours share operands in the cache."""
    rows, columns = tl.cdiv(M, BM), tl.maximum(tl.cdiv(N, BN), 1)
    group = t // (GROUP * columns)
    height = min(rows - group * GROUP, GROUP)
    inside = t % (GROUP * columns)
    return group * GROUP + inside % height, inside // height


@triton.jit
def product(
    a, b, rm, rn, M, N, K, a_m, a_k, b_k, b_n,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """Σ_k a[m, k] b[k, n] for one tile, in float32; any strides."""
    k = tl.arange(0, BK)
    to_a = a + rm.to(tl.int64)[:, None] * a_m + k.to(tl.int64)[None, :] * a_k
    to_b = b + k.to(tl.int64)[:, None] * b_k + rn.to(tl.int64)[None, :] * b_n
    step_a, step_b = tl.cast(a_k, tl.int64) * BK, tl.cast(b_k, tl.int64) * BK
    total = tl.zeros((BM, BN), tl.float32)
    for start in range(0, K, BK):
        inside = k < K - start
        tile_a = tl.load(to_a, mask=(rm < M)[:, None] & inside[None, :], other=0.0)
        tile_b = tl.load(to_b, mask=inside[:, None] & (rn < N)[None, :], other=0.0)
        total = tl.dot(tile_a, tile_b, total, input_precision=PRECISION)
        to_a += step_a
        to_b += step_b
    return total
