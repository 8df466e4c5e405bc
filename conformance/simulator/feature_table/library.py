"""Elementary functions: Triton's own and the device library's."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice
from triton.language.extra.cuda import libdevice as cuda_libdevice

from .. import internals, simulate
from ..fault import KernelFault
from .registry import feature, nearest, refused, same


@triton.jit
def mathematics(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(y + i, tl.exp(v))
    tl.store(y + N + i, tl.math.exp2(v))
    tl.store(y + 2 * N + i, tl.log(v * v + 1))
    tl.store(y + 3 * N + i, tl.math.erf(v))
    tl.store(y + 4 * N + i, tl.sqrt(v * v))
    tl.store(y + 5 * N + i, tl.math.rsqrt(v * v + 1))
    tl.store(y + 6 * N + i, tl.clamp(v, -1.0, 1.0))
    tl.store(y + 7 * N + i, tl.math.div_rn(v, v * v + 1))


@triton.jit
def rounded_once(x, y, z, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.math.fma(tl.load(x + i), tl.load(y + i), tl.load(z + i)))


@triton.jit
def joined(x, y, z, out, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b, c = tl.load(x + i), tl.load(y + i), tl.load(z + i)
    tl.store(out + i, a * b + c)
    tl.store(out + N + i, a * b - c)
    tl.store(out + 2 * N + i, c - a * b)


@triton.jit
def divided(x, y, n, N: tl.constexpr, BY: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.load(x + i) / BY)
    tl.store(y + N + i, tl.load(x + i) / n)


@triton.jit
def clamped(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.clamp(tl.load(x + i), -1.0, 1.0))
    tl.store(y + N + i, tl.clamp(tl.load(x + i), -1.0, 1.0, propagate_nan=tl.PropagateNan.ALL))
    tl.store(y + 2 * N + i, tl.maximum(tl.load(x + i), 0.0))
    tl.store(y + 3 * N + i, tl.minimum(tl.load(x + i), 0.0, propagate_nan=tl.PropagateNan.ALL))


@feature("tl.clamp, maximum, minimum drop NaN, or keep it where asked")
def _() -> None:
    x, y = torch.tensor([torch.nan, 0.5]), torch.empty(4, 2)
    clamped[(1,)](x, y, 2)
    same(y, torch.tensor([[-1.0, 0.5], [torch.nan, 0.5], [0.0, 0.5], [torch.nan, 0.0]]))


@triton.jit
def device_library(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(y + i, libdevice.tanh(v))
    tl.store(y + N + i, libdevice.expm1(v))
    tl.store(y + 2 * N + i, libdevice.log1p(v * v))
    tl.store(y + 3 * N + i, libdevice.erf(v))
    tl.store(y + 4 * N + i, libdevice.rsqrt(v * v + 1))
    tl.store(y + 5 * N + i, cuda_libdevice.tanh(v))
    tl.store(y + 6 * N + i, libdevice.pow(v * v + 1, v))
    tl.store(y + 7 * N + i, tl.where(libdevice.isnan(v), 1.0, 0.0))


@triton.jit
def fast_library(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(y + i, libdevice.fast_expf(v))
    tl.store(y + N + i, libdevice.fast_logf(v * v + 1))
    tl.store(y + 2 * N + i, libdevice.fast_dividef(v, v * v + 1))
    tl.store(y + 3 * N + i, libdevice.fast_sinf(v))
    tl.store(y + 4 * N + i, libdevice.fast_cosf(v))


@triton.jit
def half_exp(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.exp(tl.load(x + i)))


@triton.jit
def assembly(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, tl.inline_asm_elementwise("tanh.approx.f32 $0, $1;", "=f,f", [tl.load(x + i)],
                                              dtype=tl.float32, is_pure=True, pack=1))


@feature("tl.exp, exp2, log, erf, sqrt, rsqrt, clamp, div_rn")
def _() -> None:
    x = torch.randn(64)
    y = torch.empty(8, 64)
    mathematics[(1,)](x, y, 64)
    square = x * x
    v, s = x.double(), square.double()
    once = (square + 1).double()
    nearest(y, torch.stack([v.exp(), v.exp2(), once.log(), v.erf(), s.sqrt(), once.rsqrt(),
                            v.clamp(-1, 1), v / once]))


@feature("tl.math.fma rounds once")
def _() -> None:
    x, z, out = torch.tensor([1 + 2.0**-12] * 2), torch.tensor([-1.0, 0.0]), torch.empty(2)
    rounded_once[(1,)](x, x, z, out, 2)
    same(out, (x.double() * x.double() + z.double()).float())


@feature("libdevice: tanh, expm1, log1p, erf, rsqrt, pow, isnan")
def _() -> None:
    x = torch.randn(64)
    y = torch.empty(8, 64)
    device_library[(1,)](x, y, 64)
    square = x * x
    v, once = x.double(), (square + 1).double()
    nearest(y, torch.stack([v.tanh(), v.expm1(), square.double().log1p(), v.erf(), once.rsqrt(), v.tanh(),
                            once**v, torch.zeros_like(v)]))


@feature("libdevice: the fast_ functions")
def _() -> None:
    x = torch.randn(64)
    y = torch.empty(5, 64)
    fast_library[(1,)](x, y, 64)
    v, once = x.double(), (x * x + 1).double()
    nearest(y, torch.stack([v.exp(), once.log(), v / once, v.sin(), v.cos()]))


@feature("tl.exp of fp16 is refused, as by the compiler")
def _() -> None:
    x = torch.ones(4).half()
    with refused(KernelFault, "compile"):
        half_exp[(1,)](x, x.clone(), 4)


@feature("inline assembly is refused: no stand-in is possible")
def _() -> None:
    x = torch.ones(4)
    with refused(NotImplementedError):
        assembly[(1,)](x, x.clone(), 4)


@feature("a product in a sum or difference rounds once as compiled, and twice where enable_fp_fusion is off")
def _() -> None:
    one = 1 + 2.0**-12
    x, z, out = torch.full((4,), one), torch.full((4,), -1.0), torch.empty(3, 4)
    once, twice = one * one - 1, float(torch.tensor(one * one)) - 1
    assert once != twice
    for fusion, option, rest in ((True, {}, once), (True, {"enable_fp_fusion": False}, twice), (False, {}, twice)):
        with simulate(fp_fusion=fusion):
            joined[(1,)](x, x, z, out, 4, **option)
            same(out[0], torch.full((4,), rest))
            joined[(1,)](x, x, -z, out, 4, **option)
            same(out[1:], torch.tensor([[rest] * 4, [-rest] * 4]))


@feature("a constant divisor since Triton 3.9: times a rounded reciprocal, 41 / 41 is not 1")
def _() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.int32):
        x, y = torch.full((4,), 41).to(dtype), torch.empty(2, 4)
        divided[(1,)](x, y, 41.0, 4, 41)
        known = 1 - 2.0**-24 if internals.RELEASE >= (3, 9) else 1.0
        same(y, torch.tensor([[known] * 4, [1.0] * 4]))
