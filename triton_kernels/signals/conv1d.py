"""The deck's two 1d convolutions (neither flips its filter) and their gradients: one correlation with four
settings.

conv1d.valid               (θ ∗ x)_i = Σ_j θ_j x_{i+j}                 n − m + 1 outputs
conv1d.valid.grad_x        ∂x_t = Σ_j θ_j d_{t−j}                      n outputs, d = 0 outside
conv1d.valid.grad_theta    ∂θ_j = Σ_i d_i x_{i+j}                      m outputs
conv1d.centred             Σ_j θ_{j+h} a_{i+j}, j = −h … h             n outputs, a = 0 outside, h = (m − 1)/2
conv1d.centred.grad_a      ∂a_t = Σ_j θ_j d_{t−j+h}
conv1d.centred.grad_theta  ∂θ_j = Σ_i d_i a_{i+j−h}

All six are  out_i = Σ_j filter_j · signal_{i + SIGN·j + shift}.  A sum over many taps with few outputs
(∂θ) is split into parts that are added in a fixed order.
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
    filter, signal, out, taps, length, outputs, f_0, s_0, shift,
    SIGN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, PART: tl.constexpr,
):
    i = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    part = tl.program_id(1).to(tl.int64)
    total = tl.zeros((BM,), tl.float32)
    for start in range(0, tl.minimum(taps - part * PART, PART).to(tl.int32), BK):
        j = part * PART + start + tl.arange(0, BK)
        t = i[:, None] + SIGN * j[None, :] + shift
        inside = (i < outputs)[:, None] & (j < taps)[None, :] & (t >= 0) & (t < length)
        f = tl.load(filter + j * f_0, mask=j < taps, other=0.0).to(tl.float32)
        s = tl.load(signal + t * s_0, mask=inside, other=0.0).to(tl.float32)
        total += tl.sum(tl.where(inside, f[None, :] * s, 0.0), 1)
    tl.store(out + part * outputs + i, total.to(out.dtype.element_ty), mask=i < outputs)


def correlate(name: str, filter: Tensor, signal: Tensor, outputs: int, sign: int, shift: int) -> Tensor:
    checks.kernel_dtype(name, signal)
    taps = filter.shape[0]
    parts = triton.cdiv(taps, PART)
    dtype = signal.dtype if parts == 1 else torch.float32
    out = torch.empty((parts, outputs), dtype=dtype, device=signal.device)
    row = choose("conv1d", (outputs, taps), signal.dtype, current_arch(signal.device))
    launch(
        correlate_kernel, (triton.cdiv(outputs, row.BM), parts),
        filter, signal, out, taps, signal.shape[0], outputs,
        filter.stride(0), signal.stride(0), shift, row=row, SIGN=sign, BM=row.BM, BK=row.BK, PART=PART,
    )
    return out[0] if parts == 1 else column_sums(out, signal.dtype)


def valid(theta: Tensor, x: Tensor) -> Tensor:
    outputs = signal_checks.conv1d_valid(theta, x)
    return correlate("conv1d.valid", theta, x, outputs, 1, 0)


def valid_grad_x(d: Tensor, theta: Tensor) -> Tensor:
    outputs = signal_checks.conv1d_valid_grad_x(d, theta)
    return correlate("conv1d.valid.grad_x", theta, d, outputs, -1, 0)


def valid_grad_theta(d: Tensor, x: Tensor) -> Tensor:
    outputs = signal_checks.conv1d_valid_grad_theta(d, x)
    return correlate("conv1d.valid.grad_theta", d, x, outputs, 1, 0)


def centred(theta: Tensor, a: Tensor) -> Tensor:
    h = signal_checks.conv1d_centred("conv1d.centred", theta, a, "a")
    return correlate("conv1d.centred", theta, a, a.shape[0], 1, -h) if len(a) else torch.empty_like(a)


def centred_grad_a(d: Tensor, theta: Tensor) -> Tensor:
    h = signal_checks.conv1d_centred("conv1d.centred.grad_a", theta, d, "d")
    return correlate("conv1d.centred.grad_a", theta, d, d.shape[0], -1, h) if len(d) else torch.empty_like(d)


def centred_grad_theta(d: Tensor, a: Tensor, m: int) -> Tensor:
    h = signal_checks.conv1d_centred_grad_theta(d, a, m)
    return correlate("conv1d.centred.grad_theta", d, a, m, 1, -h)


OPS = {
    "conv1d.valid": valid, "conv1d.valid.grad_x": valid_grad_x, "conv1d.valid.grad_theta": valid_grad_theta,
    "conv1d.centred": centred, "conv1d.centred.grad_a": centred_grad_a,
    "conv1d.centred.grad_theta": centred_grad_theta,
}
