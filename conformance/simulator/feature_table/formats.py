"""Number formats: arithmetic, rounding, reductions and matrix products in bf16, fp16, fp8, tf32."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from ..fault import KernelFault
from .registry import feature, integers, refused, same

SPECIAL = [float("inf"), -float("inf"), float("nan"), 3.4e38, 1e-45, 0.0, -0.0, 1e-39, 1.9999999, 255.9999,
           1 + 2.0**-8, 1 + 3 * 2.0**-8]


@triton.jit
def copy(x, y, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y + i, tl.load(x + i, mask=i < n).to(y.dtype.element_ty), mask=i < n)


@triton.jit
def arithmetic(x, z, y, n, B: tl.constexpr):
    i = tl.arange(0, B)
    a = tl.load(x + i)
    b = tl.load(z + i)
    tl.store(y + i, a + b)
    tl.store(y + n + i, a - b)
    tl.store(y + 2 * n + i, a * b)
    tl.store(y + 3 * n + i, tl.where(a > 0, a, 0.0))
    tl.store(y + 4 * n + i, tl.full((B,), 1.5, y.dtype.element_ty))


@triton.jit
def cut_off(x, y, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i).to(tl.bfloat16, fp_downcast_rounding="rtz"))


@triton.jit
def mixed(x, whole, y, B: tl.constexpr, TOO_LARGE: tl.constexpr):
    i = tl.arange(0, B)
    a = tl.load(x + i)
    w = tl.load(whole + i)
    tl.store(y + i, i + a)                          # int32 with float32
    tl.store(y + B + i, a - i)
    tl.store(y + 2 * B + i, (i * w).to(tl.float32))            # int32 with int64
    if TOO_LARGE:
        tl.store(y + i, i + 4_000_000_000)


@triton.jit
def row_sums(x, y, M: tl.constexpr, N: tl.constexpr, MAX: tl.constexpr):
    v = tl.load(x + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :])
    tl.store(y + tl.arange(0, M), (tl.max(v, 1) if MAX else tl.sum(v, 1)).to(y.dtype.element_ty))


@triton.jit
def product(a, b, c, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, IP: tl.constexpr, ACC: tl.constexpr):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    x = tl.load(a + m[:, None] * K + k[None, :])
    y = tl.load(b + k[:, None] * N + n[None, :])
    acc = tl.dot(x, y, acc=tl.zeros((M, N), ACC), input_precision=IP, out_dtype=ACC)
    tl.store(c + m[:, None] * N + n[None, :], acc.to(c.dtype.element_ty))


@triton.jit
def round_trip(x, y, T: tl.constexpr, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i).to(T).to(tl.float32))


def converted(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    y = torch.empty(x.shape, dtype=dtype)
    copy[(triton.cdiv(x.numel(), 64),)](x, y, x.numel(), 64)
    return y


def elementwise(dtype: torch.dtype) -> None:
    x, z = torch.randn(64).to(dtype), torch.randn(64).to(dtype)
    y = torch.empty(5, 64, dtype=dtype)
    arithmetic[(1,)](x, z, y, 64, 64)
    same(y, torch.stack([x + z, x - z, x * z, x.relu(), torch.full_like(x, 1.5)]))


def multiplied(
    a: torch.Tensor, b: torch.Tensor, out: torch.dtype, acc: Any, precision: str = "ieee"
) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty(m, n, dtype=out)
    product[(1,)](a, b, c, m, n, k, precision, acc)
    return c


@feature("bf16 load and store")
def _() -> None:
    x = torch.randn(100).bfloat16()
    same(converted(x, torch.bfloat16), x)


@feature("bf16 rounding on store, to nearest even")
def _() -> None:
    x = torch.cat([torch.randn(4096), torch.tensor(SPECIAL)])
    same(converted(x, torch.bfloat16), x.bfloat16())


@feature('bf16 towards zero, where fp_downcast_rounding="rtz" asks for it')
def _() -> None:
    x, y = torch.randn(256), torch.empty(256, dtype=torch.bfloat16)
    cut_off[(1,)](x, y, 256)
    same(y, (x.view(torch.int32) >> 16).to(torch.int16).view(torch.bfloat16))


@feature("fp16 rounding on store")
def _() -> None:
    x = torch.cat([torch.randn(4096), torch.tensor([1e5, 65519.0, 65520.0, 1e-8, 6e-8, -0.0])])
    same(converted(x, torch.float16), x.half())


@feature("fp32 from fp64, bf16 from fp16 and back")
def _() -> None:
    x = torch.randn(256, dtype=torch.float64)
    same(converted(x, torch.float32), x.float())
    h = torch.randn(256).half()
    same(converted(h, torch.bfloat16), h.bfloat16())
    same(converted(h.bfloat16(), torch.float16), h.bfloat16().half())


@feature("bf16 arithmetic, where and full")
def _() -> None:
    elementwise(torch.bfloat16)


@feature("fp16 arithmetic, where and full")
def _() -> None:
    elementwise(torch.float16)


@feature("int32, int64 and float32 mix as in the compiler")
def _() -> None:
    x, whole, y = integers(16), torch.full((16,), 2**40), torch.empty(3, 16)
    mixed[(1,)](x, whole, y, 16, False)
    i = torch.arange(16)
    same(y, torch.stack([i + x, x - i, (i * whole).float()]))
    with refused(KernelFault, "compile"):           # no int32 is that large
        mixed[(1,)](x, whole, y, 16, True)


@feature("tl.sum and tl.max in bf16, fp16, fp32")
def _() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        x = integers(8, 32, low=-4, high=4).to(dtype)
        y = torch.empty(8, dtype=dtype)
        row_sums[(1,)](x, y, 8, 32, False)
        same(y, x.float().sum(1).to(dtype))
        row_sums[(1,)](x, y, 8, 32, True)
        same(y, x.max(1).values)


@feature("tl.sum in bf16 rounds at every step")
def _() -> None:
    x = torch.ones(1, 1024).bfloat16()
    x[0, ::2] = 256.0                              # 256 + 1 rounds to 256 in bf16: pairs lose their ones
    y = torch.empty(1, dtype=torch.bfloat16)
    row_sums[(1,)](x, y, 1, 1024, False)
    same(y, torch.tensor([512 * 256.0]).bfloat16())


@feature("tl.max drops NaN")
def _() -> None:
    x = integers(4, 32)
    x[1, 3] = torch.nan
    y = torch.empty(4)
    row_sums[(1,)](x, y, 4, 32, True)
    same(y, x.nan_to_num(-torch.inf).max(1).values)


@feature("tl.dot in fp32, fp16, bf16, fp64, int8")
def _() -> None:
    a, b = integers(32, 64), integers(64, 16)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        same(multiplied(a.to(dtype), b.to(dtype), torch.float32, tl.float32), a @ b)
    same(multiplied(a.half(), b.half(), torch.float16, tl.float16), (a @ b).half())
    same(multiplied(a.double(), b.double(), torch.float64, tl.float64), (a @ b).double())
    same(multiplied(a.to(torch.int8), b.to(torch.int8), torch.int32, tl.int32), (a @ b).int())


@feature("tf32 operands keep ten mantissa bits, ieee all")
def _() -> None:
    x = 1 + 2.0**-10 + 2.0**-11 + 2.0**-12         # the last two bits are cut off in tf32
    a, b = torch.full((16, 16), x), torch.eye(16)
    same(multiplied(a, b, torch.float32, tl.float32, "ieee"), a)
    same(multiplied(a, b, torch.float32, tl.float32, "tf32"), torch.full((16, 16), 1 + 2.0**-10))


@feature("fp64 tl.dot into an fp32 accumulator is refused")
def _() -> None:
    a = torch.ones(16, 16, dtype=torch.float64)
    with refused(KernelFault):
        multiplied(a, a, torch.float32, tl.float32)


@feature("a tl.dot smaller than the compiler takes is refused")
def _() -> None:
    a, b = integers(16, 4), integers(4, 16)
    with refused(AssertionError):
        multiplied(a, b, torch.float32, tl.float32)


@feature("fp8 round trips (e4m3, e5m2)")
def _() -> None:
    x = torch.cat([torch.randn(60) * 4, torch.tensor([0.0, 2.0**-9, 448.0, -448.0])])
    y = torch.empty(64)
    round_trip[(1,)](x, y, tl.float8e4nv, 64)
    same(y, x.to(torch.float8_e4m3fn).float())
    round_trip[(1,)](x, y, tl.float8e5, 64)
    same(y, x.to(torch.float8_e5m2).float())


@feature("fp8 conversion saturates")
def _() -> None:
    x, y = torch.tensor([1e6, -1e6]), torch.empty(2)
    round_trip[(1,)](x, y, tl.float8e4nv, 2)
    same(y, torch.tensor([448.0, -448.0]))
