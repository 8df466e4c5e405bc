"""Boxes of tensors of three and four axes: coordinates anywhere, zeros outside, stores that are cut at the edges."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from ..fault import KernelFault
from .registry import Unavailable, feature, integers, refused, same


@triton.jit
def move_box(source, target, n, i, j, c, n2, i2, j2, c2):
    target.store([n2, i2, j2, c2], source.load([n, i, j, c]))


@triton.jit
def move_slab(source, target, t, i, j):
    target.store([0, 0], tl.reshape(source.load([t, i, j]), target.block_shape))


@triton.jit
def multiply_boxes(pixels, filters, out, BM: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr):
    """Filters times pixels, as a convolution of 1 × 1 has it."""
    x = tl.reshape(pixels.load([0, 0, 0, 0]), (BN, BK))
    w = tl.reshape(filters.load([1, 0, 0]), (BM, BK))
    out.store([0, 0, 0, 0], tl.reshape(tl.trans(tl.dot(w, x.T)).to(out.dtype), out.block_shape))


@triton.jit
def move_plane(source, y, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i[:, None] * B + i, source.load([0, 0]))


def described(x: torch.Tensor, *box: int) -> TensorDescriptor:
    return TensorDescriptor.from_tensor(x, list(box))


@feature("four axes: loads at negative and far coordinates are 0 outside")
def _() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x = integers(3, 5, 6, 8).to(dtype)
        wide = F.pad(x, (8, 8, 8, 8, 8, 8, 8, 8))
        for n, i, j, c in ((0, 0, 0, 0), (-1, -1, -2, 0), (2, 3, 4, 4), (-1, 2, 5, -4), (3, 0, 0, 0), (0, -4, 0, 0)):
            y = torch.full((2, 4, 4, 8), 7.0).to(dtype)
            move_box[(1,)](described(x, 2, 4, 4, 8), described(y, 2, 4, 4, 8), n, i, j, c, 0, 0, 0, 0)
            same(y, wide[n + 8:n + 10, i + 8:i + 12, j + 8:j + 12, c + 8:c + 16].contiguous())


@feature("four axes: stores at negative and far coordinates write what lies inside, and nothing else")
def _() -> None:
    x = integers(2, 4, 4, 8)
    for n, i, j in ((-1, 2, -3), (2, 3, 4), (0, 0, 0), (4, 0, 0)):
        y, want = torch.full((3, 5, 6, 8), 7.0), torch.full((9, 13, 14, 8), 7.0)
        want[n + 3:n + 5, i + 4:i + 8, j + 4:j + 8] = x
        move_box[(1,)](described(x, 2, 4, 4, 8), described(y, 2, 4, 4, 8), 0, 0, 0, 0, n, i, j, 0)
        same(y, want[3:6, 4:9, 4:10].contiguous())


@feature("boxes of a view of every second row and third column, and of channels between others")
def _() -> None:
    x = integers(2, 9, 10, 24)
    seen = x[:, 1::2, ::3, 8:16]
    y = torch.full((2, 4, 4, 8), 7.0)
    move_box[(1,)](described(seen, 2, 4, 4, 8), described(y, 2, 4, 4, 8), 0, -1, 1, 0, 0, 0, 0, 0)
    want = torch.zeros(2, 4, 4, 8)
    want[:, 1:4, :3] = seen[:, :3, 1:]
    same(y, want)


@feature("three axes whose strides do not fall: filters by tap")
def _() -> None:
    w = integers(8, 6, 16)
    y = torch.full((4, 8), 7.0)
    move_slab[(1,)](described(w.permute(1, 0, 2), 1, 4, 8), described(y, 4, 8), 5, 6, 12)
    want = torch.zeros(4, 8)
    want[:2, :4] = w[6:, 5, 12:]
    same(y, want)


@feature("boxes are factors of a product")
def _() -> None:
    x, w = integers(2, 4, 4, 16).half(), integers(16, 2, 16).half()
    y = torch.empty(2, 4, 4, 16)
    multiply_boxes[(1,)](described(x, 2, 4, 4, 16), described(w.permute(1, 0, 2), 1, 16, 16), described(y, 2, 4, 4, 16),
                         16, 16, 32)
    same(y, x.float() @ w[:, 1].float().t())


@feature("a descriptor of an expanded tensor is refused")
def _() -> None:
    x, y = torch.ones(1, 1, 1, 8).expand(2, 4, 4, 8), torch.zeros(2, 4, 4, 8)
    with refused(KernelFault, "descriptor"):
        move_box[(1,)](described(x, 2, 4, 4, 8), described(y, 2, 4, 4, 8), 0, 0, 0, 0, 0, 0, 0, 0)


@feature("a descriptor with round_f32_to_tf32 loads to nearest even")
def _() -> None:
    x = 1 + torch.tensor([2.0**-11, 2.0**-10 + 2.0**-11, 2.0**-11 + 2.0**-20, 2.0**-12]).repeat(4).view(4, 4)
    x[3] = torch.tensor([torch.inf, -torch.inf, torch.nan, 3.4028234e38])
    y = torch.empty(4, 4)
    try:
        source = TensorDescriptor(x, [4, 4], [4, 1], [4, 4], round_f32_to_tf32=True)
    except TypeError as error:
        raise Unavailable("this Triton's descriptors do not round") from error
    move_plane[(1,)](source, y, 4)
    near = torch.tensor([1.0, 1 + 2.0**-9, 1 + 2.0**-10, 1.0])
    same(y, torch.stack([near, near, near, torch.tensor([torch.inf, -torch.inf, torch.nan, torch.inf])]))
