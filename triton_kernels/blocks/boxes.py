"""What kernels that move boxes of a matrix share: which matrices fit, their descriptors, Σ_k of one tile, its halves.

A descriptor wants 16-byte addresses and strides, so widths of 8 sixteen-bit elements.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from ..runtime.configs import Row, choose, processors
from ..runtime.launch import current_arch


@triton.jit
def product(
    a, b, m, n, first, last, A_T: tl.constexpr, B_T: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    """Σ_k a[m, k] b[k, n] over k in [first, last) for the tile that starts at (m, n).

    A_T: a is stored [k, m]; B_T: b is stored [n, k]. Beyond the matrices all is 0.
    A `last` within them is first + BK·i.
    """
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(first, last, BK):
        tile_a = a.load([k, m]).T if A_T else a.load([m, k])
        tile_b = b.load([n, k]).T if B_T else b.load([k, n])
        total = tl.dot(tile_a, tile_b, total)
    return total


@triton.jit
def halves(x, BM: tl.constexpr, BN: tl.constexpr):
    """The left and the right half of a tile's columns."""
    return tl.split(tl.permute(tl.reshape(x, (BM, 2, BN // 2)), (0, 2, 1)))


def fits(*matrices: Tensor) -> bool:
    """Sixteen-bit matrices with elements, one axis contiguous, the other's stride and the address on 16 bytes."""
    for t in matrices:
        if t.element_size() != 2 or not t.numel() or t.data_ptr() % 16:
            return False
        if not any(t.stride(i) == 1 and t.stride(1 - i) % 8 == 0 and t.stride(1 - i) >= t.shape[i] for i in (0, 1)):
            return False
    return True


def turned(t: Tensor) -> bool:
    """Stored with its first axis contiguous."""
    return t.stride(1) != 1 or (t.shape[1] == 1 and t.stride(0) == 1)


def box(t: Tensor, height: int, width: int) -> TensorDescriptor:
    """A descriptor for tiles of height × width of t, in the way it is stored."""
    if turned(t):
        return TensorDescriptor.from_tensor(t.t(), [width, height])
    return TensorDescriptor.from_tensor(t, [height, width])


def plan(
    table: str, out: Tensor, K: int, dtype: torch.dtype | None = None
) -> tuple[Row, tuple[int], dict[str, Any]]:
    """The row, the grid of blocks that stay, and the tile; dtype is the operands', if it is not that of out."""
    M, N = out.shape
    arch = current_arch(out.device)
    row = choose(f"{table}.boxes", (M, N, K), dtype or out.dtype, arch)
    tiles = triton.cdiv(M, row.BM) * triton.cdiv(N, row.BN)
    blocks = min(tiles, row.per * processors(arch))
    return row, (blocks,), {"BM": row.BM, "BN": row.BN, "BK": row.BK, "PARTS": row.parts, "BLOCKS": blocks}
