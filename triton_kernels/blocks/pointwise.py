"""The plumbing of every elementwise op: load, widen to float32, one scalar function, round, store.

Dense operands with equal strides are walked as one long row, in any memory format. Everything else
(transposed against each other, sliced, expanded) is walked by shape and strides, with dimensions merged
where memory allows.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch, number


@triton.jit
def offsets(i, shape, strides):
    """Where element number i of a tensor of this shape lies."""
    at = tl.zeros_like(i)
    for d in tl.static_range(len(shape) - 1, -1, -1):
        at += (i % shape[d]) * strides[d]
        i = i // shape[d]
    return at


@triton.jit
def unary_kernel(
    x, out, size, p, shape, x_strides, out_strides, F: tl.constexpr, DENSE: tl.constexpr, BLOCK: tl.constexpr
):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at_x = i if DENSE else offsets(i, shape, x_strides)
    at_out = i if DENSE else offsets(i, shape, out_strides)
    value = F(tl.load(x + at_x, mask=i < size, other=0.0).to(tl.float32), tl.cast(p, tl.float32))
    tl.store(out + at_out, value.to(out.dtype.element_ty), mask=i < size)


@triton.jit
def binary_kernel(
    x, y, out, size, p, shape, x_strides, y_strides, out_strides,
    F: tl.constexpr, G: tl.constexpr, DENSE: tl.constexpr, BLOCK: tl.constexpr,
):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at_x = i if DENSE else offsets(i, shape, x_strides)
    at_y = i if DENSE else offsets(i, shape, y_strides)
    at_out = i if DENSE else offsets(i, shape, out_strides)
    value = F(
        tl.load(x + at_x, mask=i < size, other=0.0).to(tl.float32),
        tl.load(y + at_y, mask=i < size, other=0.0).to(tl.float32),
        tl.cast(p, tl.float32), G,
    )
    tl.store(out + at_out, value.to(out.dtype.element_ty), mask=i < size)


@triton.jit
def pair_kernel(
    x, y, first, second, size, shape, x_strides, y_strides, out_strides,
    F: tl.constexpr, G: tl.constexpr, DENSE: tl.constexpr, BLOCK: tl.constexpr,
):
    """Two functions of the same two numbers, which are read once."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at_x = i if DENSE else offsets(i, shape, x_strides)
    at_y = i if DENSE else offsets(i, shape, y_strides)
    at_out = i if DENSE else offsets(i, shape, out_strides)
    a = tl.load(x + at_x, mask=i < size, other=0.0).to(tl.float32)
    b = tl.load(y + at_y, mask=i < size, other=0.0).to(tl.float32)
    tl.store(first + at_out, F(a, b).to(first.dtype.element_ty), mask=i < size)
    tl.store(second + at_out, G(a, b).to(second.dtype.element_ty), mask=i < size)


def unary(function: Any, x: Tensor, p: float = 0.0) -> Tensor:
    """out = function(x, p), elementwise."""
    out = _like(x)
    _run(unary_kernel, (x, out), (out.numel(), number(p)), F=function)
    return out


def binary(
    function: Any, x: Tensor, y: Tensor, p: float = 0.0, G: Any = None, out: Tensor | None = None
) -> Tensor:
    """out = function(x, y, p, G), elementwise; `out` may be x where an op declares that it mutates x."""
    out = _like(x, y) if out is None else out
    _run(binary_kernel, (x, y, out), (out.numel(), number(p)), F=function, G=G)
    return out


@triton.jit
def _itself(x, p):
    return x


def copy(x: Tensor, out: Tensor) -> Tensor:
    """x in the memory and dtype of `out`, which is returned."""
    _run(unary_kernel, (x, out), (out.numel(), 0.0), F=_itself)
    return out


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x itself, or a copy rounded to dtype in memory of the same order."""
    if x.dtype == dtype:
        return x
    return copy(x, torch.empty_strided(x.shape, x.stride(), dtype=dtype, device=x.device))


def pair(first: Any, second: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(first(x, y), second(x, y)), elementwise, in one pass."""
    out, other = _like(x, y), _like(x, y)
    _run(pair_kernel, (x, y, out, other), (out.numel(),), F=first, G=second)
    return out, other


def _like(*operands: Tensor) -> Tensor:
    """Memory for the result: in the operands' own order where they agree and are dense, else row by row."""
    lead = operands[0]
    if is_dense(lead) and all(t.stride() == lead.stride() for t in operands):
        return torch.empty_strided(lead.shape, lead.stride(), dtype=lead.dtype, device=lead.device)
    return torch.empty(lead.shape, dtype=lead.dtype, device=lead.device)


def _run(kernel: Any, tensors: tuple[Tensor, ...], numbers: tuple[float, ...], **meta: Any) -> None:
    out = tensors[-1]
    if not out.numel():
        return
    walked = tensors[: 3 if kernel is pair_kernel else None]        # a pair's two results lie alike
    dense = is_dense(out) and all(t.stride() == out.stride() for t in walked)
    walk = [(1,)] * (1 + len(walked)) if dense else merge(tuple(out.shape), *(t.stride() for t in walked))
    row = choose("pointwise" if dense else "strided", tuple(out.shape), out.dtype, current_arch(out.device))
    grid = (triton.cdiv(out.numel(), row.BM),)
    launch(kernel, grid, *tensors, *numbers, *walk, row=row, DENSE=dense, BLOCK=row.BM, **meta)


def is_dense(t: Tensor) -> bool:
    """Do the elements fill one stretch of memory, each in a place of its own, in whatever order?"""
    expected = 1
    for stride, size in sorted((s, n) for s, n in zip(t.stride(), t.shape) if n != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def merge(shape: tuple[int, ...], *strides: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The same walk in as few dimensions as the memory layouts of all operands allow."""
    kept: list[list[int]] = []                     # [size, stride of operand 0, stride of operand 1, ...]
    for size, *steps in zip(shape, *strides):
        if size == 1:
            continue
        if kept and all(outer == size * inner for outer, inner in zip(kept[-1][1:], steps)):
            kept[-1] = [kept[-1][0] * size, *steps]
        else:
            kept.append([size, *steps])
    kept = kept or [[1] * (1 + len(strides))]
    return [tuple(column) for column in zip(*kept)]
