"""The deck's 2d convolution of one image with one filter (not flipped), and its gradients.

conv2d.valid           (I ∗ K)(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n)
conv2d.valid.grad_I    ∂I(u, v) = Σ_m Σ_n d(u − m, v − n) K(m, n)         d = 0 outside
conv2d.valid.grad_K    ∂K(m, n) = Σ_i Σ_j d(i, j) I(i + m, j + n)

All three are  out(i, j) = Σ_{m,n} filter(m, n) · image(i + SIGN·m, j + SIGN·n).  Outputs and taps are
each numbered row by row; a sum over many taps with few outputs (∂K) is split into parts that are added in
a fixed order.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks.reduce import column_sums
from ..runtime import checks
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from . import checks as signal_checks

PART = 8192         # taps per partial sum


@triton.jit
def correlate_kernel(
    filter, image, out, height, width, columns, outputs, filter_columns, taps, f_0, f_1, i_0, i_1,
    SIGN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, PART: tl.constexpr,
):
    p = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    part = tl.program_id(1).to(tl.int64)
    i, j = p // columns, p % columns
    total = tl.zeros((BM,), tl.float32)
    for start in range(0, tl.minimum(taps - part * PART, PART).to(tl.int32), BK):
        t = part * PART + start + tl.arange(0, BK)
        m, n = t // filter_columns, t % filter_columns
        u, v = i[:, None] + SIGN * m[None, :], j[:, None] + SIGN * n[None, :]
        inside = (p < outputs)[:, None] & (t < taps)[None, :]
        inside &= (u >= 0) & (u < height) & (v >= 0) & (v < width)
        f = tl.load(filter + m * f_0 + n * f_1, mask=t < taps, other=0.0).to(tl.float32)
        s = tl.load(image + u * i_0 + v * i_1, mask=inside, other=0.0).to(tl.float32)
        total += tl.sum(tl.where(inside, f[None, :] * s, 0.0), 1)
    tl.store(out + part * outputs + p, total.to(out.dtype.element_ty), mask=p < outputs)


def correlate(name: str, filter: Tensor, image: Tensor, shape: tuple[int, int], sign: int) -> Tensor:
    checks.kernel_dtype(name, image)
    outputs, taps = shape[0] * shape[1], filter.shape[0] * filter.shape[1]
    parts = triton.cdiv(taps, PART)
    dtype = image.dtype if parts == 1 else torch.float32
    out = torch.empty((parts, outputs), dtype=dtype, device=image.device)
    row = choose("conv2d", (outputs, taps), image.dtype, current_arch(image.device))
    launch(
        correlate_kernel, (triton.cdiv(outputs, row.BM), parts),
        filter, image, out, *image.shape, shape[1], outputs, filter.shape[1], taps,
        *filter.stride(), *image.stride(), row=row, SIGN=sign, BM=row.BM, BK=row.BK, PART=PART,
    )
    return (out[0] if parts == 1 else column_sums(out, image.dtype)).view(shape)


def valid(I: Tensor, K: Tensor) -> Tensor:
    return correlate("conv2d.valid", K, I, signal_checks.conv2d_valid(I, K), 1)


def valid_grad_I(d: Tensor, K: Tensor) -> Tensor:
    return correlate("conv2d.valid.grad_I", K, d, signal_checks.conv2d_valid_grad_I(d, K), -1)


def valid_grad_K(d: Tensor, I: Tensor) -> Tensor:
    return correlate("conv2d.valid.grad_K", d, I, signal_checks.conv2d_valid_grad_K(d, I), 1)


OPS = {"conv2d.valid": valid, "conv2d.valid.grad_I": valid_grad_I, "conv2d.valid.grad_K": valid_grad_K}
