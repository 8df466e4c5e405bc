"""Memory: masks, descriptors, atomics, views, asserts."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from ..fault import KernelFault
from .registry import feature, integers, refused, same


@triton.jit
def largest(x, y, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y, tl.max(tl.load(x + i, mask=i < n, other=-float("inf")).to(tl.float32), 0))


@triton.jit
def one_or_other(x, y, n, OTHER: tl.constexpr):
    i = tl.program_id(0)
    tl.store(y + i, tl.load(x + i, mask=i < n, other=OTHER))


@triton.jit
def a_block_of_one_or_other(x, y, n, OTHER: tl.constexpr):
    i = tl.program_id(0) + tl.arange(0, 1)
    tl.store(y + i, tl.load(x + i, mask=i < n, other=OTHER))


@triton.jit
def undefined_lanes(x, y, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y, tl.sum(tl.load(x + i, mask=i < n), 0))


@triton.jit
def made_inside(x, y, M, N, BM: tl.constexpr, BN: tl.constexpr):
    source = tl.make_tensor_descriptor(x, [M, N], [N, 1], [BM, BN])
    target = tl.make_tensor_descriptor(y, [M, N], [N, 1], [BM, BN])
    for i in range(tl.cdiv(M, BM)):
        target.store([i * BM, 0], source.load([i * BM, 0]))


@triton.jit
def made_outside(source, target, M, BM: tl.constexpr):
    for i in tl.range(0, tl.cdiv(M, BM)):
        target.store([i * BM, 0], source.load([i * BM, 0]))


@triton.jit
def shifted_window(source, target, BM: tl.constexpr):
    target.store([0, 0], source.load([-1, -1]))


@triton.jit
def atomics(x, y, c, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.atomic_add(y + i % 4, tl.load(x + i))
    tl.atomic_max(c, tl.program_id(0))
    tl.atomic_cas(c + 1, 0, 7)
    tl.atomic_xchg(c + 2, 5)


@triton.jit
def strided_copy(x, y, sx, sy, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i * sy, tl.load(x + i * sx, mask=i < n), mask=i < n)


@triton.jit
def positive(x, N: tl.constexpr):
    tl.device_assert(tl.load(x + tl.arange(0, N)) > 0, "not positive")


@triton.jit
def table(addresses, y, shift, B: tl.constexpr):
    i = tl.arange(0, B)
    for k in tl.static_range(2):
        p = tl.load(addresses + k).to(tl.pointer_type(tl.float32))
        tl.store(y + k * B + i, tl.load(p + i + shift))


def described(x: torch.Tensor, block: list[int]) -> TensorDescriptor:
    return TensorDescriptor.from_tensor(x, block)


@feature("masked loads with `other`, in bf16 too")
def _() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x, y = (integers(5) - 20).to(dtype), torch.empty(1)
        largest[(1,)](x, y, 5, 8)
        same(y, x.float().max().reshape(1))


@feature("a masked load of one number with `other`, 0 too")
def _() -> None:
    for other in (0.0, -2.0):
        y = torch.empty(2)
        one_or_other[(2,)](integers(2) + 20, y, 0, other)
        assert y.tolist() == [other, other]
    for kernel in (one_or_other, a_block_of_one_or_other):
        kernel[(2,)](torch.tensor([3.0, 4.0]), y, 1, 0.0)
        assert y.tolist() == [3.0, 0.0]


@feature("masked-off lanes without `other` are undefined (NaN)")
def _() -> None:
    y = torch.zeros(1)
    undefined_lanes[(1,)](torch.ones(5), y, 5, 8)
    assert y.isnan().all()


@feature("tensor descriptors made in the kernel")
def _() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x = integers(40, 16).to(dtype)
        y = torch.zeros_like(x)
        made_inside[(1,)](x, y, 40, 16, 16, 16)
        same(y, x)


@feature("tensor descriptors made on the host")
def _() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x = integers(40, 16).to(dtype)
        y = torch.zeros_like(x)
        made_outside[(1,)](described(x, [16, 16]), described(y, [16, 16]), 40, 16)
        same(y, x)


@feature("descriptor loads are 0 outside, also before the first element")
def _() -> None:
    x, y = integers(16, 16), torch.zeros(16, 16)
    shifted_window[(1,)](described(x, [16, 16]), described(y, [16, 16]), 16)
    want = torch.zeros(16, 16)
    want[1:, 1:] = x[:-1, :-1]
    same(y, want)


@feature("a misaligned descriptor stride is refused")
def _() -> None:
    x = torch.ones(16, 13)
    with refused(KernelFault):
        made_inside[(1,)](x, x.clone(), 16, 13, 16, 16)


@feature("atomics: add, max, cas, xchg in fp32, fp16, bf16, int32")
def _() -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = integers(16, low=-2, high=3).to(dtype)
        y, c = torch.zeros(4, dtype=dtype), torch.zeros(3, dtype=torch.int32)
        atomics[(3,)](x, y, c, 16)
        same(y, (3 * x.float().view(4, 4).sum(0)).to(dtype))
        assert c.tolist() == [2, 7, 5]


@feature("non-contiguous views as arguments")
def _() -> None:
    x, y = integers(10, 10), torch.zeros(10, 10)
    strided_copy[(1,)](x.t()[3], y[:, 4], 10, 10, 10, 16)
    same(y[:, 4], x[:, 3])
    assert int((y != 0).sum()) == int((x[:, 3] != 0).sum())


@feature("pointers read from a tensor of addresses")
def _() -> None:
    a, b, y = integers(8), integers(8), torch.empty(16)
    addresses = torch.tensor([a.data_ptr(), b.data_ptr()])
    table[(1,)](addresses, y, 0, 8)
    same(y, torch.cat([a, b]))
    with refused(KernelFault, "out of bounds"):
        table[(1,)](addresses, y, 2, 8)


@feature("device_assert fires")
def _() -> None:
    x = torch.ones(8)
    positive[(1,)](x, 8)
    x[3] = -1
    with refused(KernelFault, "device_assert"):
        positive[(1,)](x, 8)
