"""Control flow, arguments and meta-programming."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..fault import KernelFault
from .registry import Unavailable, feature, integers, new, refused, same


@triton.jit
def ranges(x, y, n, programs, B: tl.constexpr):
    for t in tl.range(tl.program_id(0), tl.cdiv(n, B), programs, flatten=True, num_stages=2):
        i = t * B + tl.arange(0, B)
        tl.store(y + i, tl.load(x + i, mask=i < n) * 2, mask=i < n)
    for t in tl.range(tl.program_id(0), tl.cdiv(n, B), programs, warp_specialize=True):
        i = t * B + tl.arange(0, B)
        tl.store(y + n + i, tl.load(x + i, mask=i < n) * 3, mask=i < n)
    for t in range(tl.program_id(0), tl.cdiv(n, B), programs):
        for j in tl.static_range(2):
            i = t * B + j * (B // 2) + tl.arange(0, B // 2)
            tl.store(y + 2 * n + i, tl.load(x + i, mask=i < n) * 4, mask=i < n)


@triton.jit
def while_sum(y, n):
    i = 0
    s = 0
    while i < n:
        s += i
        i += 1
    tl.store(y, s)


@triton.jit
def twice(x):
    return x * 2


@triton.jit
def shifted(x, by=1.0):
    return x + by


@triton.jit
def applied(x, y, F: tl.constexpr, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, shifted(F(tl.load(x + i))))


@triton.jit
def fill(outs, values, B: tl.constexpr):
    for k in tl.static_range(2):
        tl.store(outs[k] + tl.arange(0, B), values[k])


@triton.autotune(configs=[triton.Config({"B": 32}), triton.Config({"B": 64}, num_warps=8)], key=["n"])
@triton.jit
def tuned(x, y, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y + i, tl.load(x + i, mask=i < n) + B, mask=i < n)


@triton.heuristics({"EVEN": lambda a: a["n"] % a["B"] == 0})
@triton.jit
def heuristic(x, y, n, B: tl.constexpr, EVEN: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    if EVEN:
        tl.store(y + i, tl.load(x + i))
    else:
        tl.store(y + i, tl.load(x + i, mask=i < n), mask=i < n)


@triton.jit
def float_argument(x, y, factor, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i) * factor)


@triton.jit
def offsets(y, s, B: tl.constexpr):
    p = tl.program_id(0).to(tl.int64)
    tl.store(y + p * B + tl.arange(0, B), p * s + tl.arange(0, B))


@triton.jit
def wide_argument(y, n, B: tl.constexpr):
    tl.store(y + tl.arange(0, B), n.to(tl.int64))


@triton.jit(do_not_specialize=["n"])
def wide_unspecialised(y, n, B: tl.constexpr):
    tl.store(y + tl.arange(0, B), n.to(tl.int64))


@triton.jit
def chained(x, y, B: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.load(x + i)
    tl.store(y + i, v, mask=0.0 < v <= 3.0)


@triton.jit
def by_keyword(x, y, *, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i))


@triton.jit
def comprehended(x, y, B: tl.constexpr):
    i = tl.arange(0, B)
    parts = [tl.load(x + i) * factor for factor in (1.0, 2.0, 4.0)]
    tl.store(y + i, parts[0] + parts[1] + parts[2])


@feature("tl.range: flattened, staged, warp-specialised; range and static_range")
def _() -> None:
    x, y = integers(100), torch.empty(3, 100)
    ranges[(2,)](x, y, 100, 2, 16)
    same(y, torch.stack([2 * x, 3 * x, 4 * x]))


@feature("while loops")
def _() -> None:
    y = torch.zeros(1, dtype=torch.int32)
    while_sum[(1,)](y, 5)
    assert y.item() == 10


@feature("device functions, with defaults, and passed as constexpr")
def _() -> None:
    x, y = integers(16), torch.empty(16)
    applied[(1,)](x, y, twice, 16)
    same(y, 2 * x + 1)


@feature("tuple arguments")
def _() -> None:
    a, b = torch.empty(8), torch.empty(8)
    fill[(1,)]((a, b), (1.0, 2.0), 8)
    same(torch.cat([a, b]), torch.tensor([1.0] * 8 + [2.0] * 8))


@feature("autotune takes its first configuration")
def _() -> None:
    x, y = integers(100), torch.empty(100)
    tuned[lambda meta: (triton.cdiv(100, meta["B"]),)](x, y, 100)
    same(y, x + 32)


@feature("heuristics")
def _() -> None:
    x, y = integers(100), torch.empty(100)
    heuristic[(2,)](x, y, 100, B=64)
    same(y, x)


@feature("float arguments are fp32, whatever they meet")
def _() -> None:
    x, y = torch.tensor([1.0, 3.0]).bfloat16(), torch.empty(2)
    float_argument[(1,)](x, y, 1 + 2.0**-20, 2)
    same(y, x.float() * (1 + 2.0**-20))


@feature("int64 offsets beyond 2^31")
def _() -> None:
    y = torch.zeros(16, dtype=torch.int64)
    offsets[(2,)](y, 2**31 - 4, 8)
    assert y[8].item() == 2**31 - 4


@feature("an integer argument of 1 is compiled in, unless do_not_specialize")
def _() -> None:
    y = torch.zeros(4, dtype=torch.int64)
    wide_argument[(1,)](y, 2, 4)
    with refused(KernelFault, "compile"):          # 'int' object has no attribute 'to'
        wide_argument[(1,)](y, 1, 4)
    wide_unspecialised[(1,)](y, 1, 4)
    same(y, torch.ones(4, dtype=torch.int64))


@feature("chained comparisons, lane by lane")
def _() -> None:
    x, y = torch.arange(8.0), torch.zeros(8)
    with new("chained comparisons"):
        chained[(1,)](x, y, 8)
    same(y, torch.tensor([0.0, 1, 2, 3, 0, 0, 0, 0]))


@feature("keyword-only parameters")
def _() -> None:
    x, y = integers(8), torch.empty(8)
    with new("keyword-only parameters"):
        by_keyword[(1,)](x, y, B=8)
    same(y, x)


@feature("list comprehensions over what is known at compile time")
def _() -> None:
    x, y = integers(8), torch.empty(8)
    comprehended[(1,)](x, y, 8)
    same(y, 7 * x)


@feature("constexpr_function")
def _() -> None:
    if not hasattr(triton, "constexpr_function"):
        raise Unavailable("this Triton has no triton.constexpr_function")
    y = torch.zeros(16)
    computed[(1,)](y, 8)
    same(y, torch.ones(16))


if hasattr(triton, "constexpr_function"):
    @triton.constexpr_function
    def doubled(b):
        return b * 2

    @triton.jit
    def computed(y, B: tl.constexpr):
        C: tl.constexpr = doubled(B)
        tl.store(y + tl.arange(0, C), tl.full((C,), 1.0, tl.float32))
