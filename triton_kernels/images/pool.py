"""Max pooling, forward and backward by gathering: one program writes each element once, so every run is the same.

pool.max          y_ij = max_{m,n} x_{iS − P + m, jS′ − P′ + n}, and (m, n) of that maximum as 8 bits, row-major
pool.max.grad_x   ∂x_pq = Σ d_ij over the windows (i, j) whose maximum stands at (p, q);  ⊙ g′ of the pooled value

Of equal values the first in row-major order counts; a NaN is the result, and the last NaN counts. Positions beyond
the edge take no part. Where an activation stood before the pooling, g′ is read at the pooled value, which is the one
that the gradient goes to: the activations before pooling need not be kept.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"


import torch
import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..activations.checks import activation
from ..runtime import checks
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from ..runtime.layout import is_channels_last, like
from . import checks as image_checks
from .checks import Pool, Sides
from .tiles import beats, side


@triton.jit
def place(e, channels, rows, columns, LAST: tl.constexpr):
    """Element number e of a result: its image, channel, row, column, walked as memory lies."""
    if LAST:
        return e // (rows * columns * channels), e % channels, e // (columns * channels) % rows, e // channels % columns
    else:
        return e // (rows * columns * channels), e // (rows * columns) % channels, e // columns % rows, e % columns


@triton.jit
def pool_kernel(
    x, out, index, size, channels, source, target, x_s, out_s, stride, padding,
    M: tl.constexpr, N: tl.constexpr, LAST: tl.constexpr, BLOCK: tl.constexpr,
):
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    image, channel, i, j = place(e, channels, target[0], target[1], LAST)
    to_x = x + image * x_s[0] + channel * x_s[1]
    best, at = tl.full((BLOCK,), float("-inf"), tl.float32), tl.full((BLOCK,), -1, tl.int32)
    for window in tl.range(0, M * N):
        m, n = window // N, window % N
        row, column = i * stride[0] - padding[0] + m, j * stride[1] - padding[1] + n
        inside = (e < size) & (row >= 0) & (row < source[0]) & (column >= 0) & (column < source[1])
        v = tl.load(to_x + row * x_s[2] + column * x_s[3], mask=inside, other=float("-inf")).to(tl.float32)
        better = inside & (beats(v, best) | (at < 0))
        best, at = tl.where(better, v, best), tl.where(better, window, at)
    to_out = image * out_s[0] + channel * out_s[1] + i * out_s[2] + j * out_s[3]
    tl.store(out + to_out, best.to(out.dtype.element_ty), mask=e < size)
    tl.store(index + to_out, at.to(tl.uint8), mask=e < size)


@triton.jit
def pool_gradient_kernel(
    d, index, saved, out, size, channels, source, target, d_s, index_s, saved_s, out_s, stride, padding, p,
    G: tl.constexpr, SAVED: tl.constexpr, SIDES: tl.constexpr, M: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, LAST: tl.constexpr, BLOCK: tl.constexpr,
):
    """At most ROWS × COLUMNS windows reach a pixel: the last that begins at or before it, and those before that. g′ is
    read off SAVED numbers, or off the SIDES of 0 that stand in index beside a place of four."""
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    image, channel, row, column = place(e, channels, source[0], source[1], LAST)
    u, v = row + padding[0], column + padding[1]
    total = tl.zeros((BLOCK,), tl.float32)
    for window in tl.range(0, ROWS * COLUMNS):
        i, j = u // stride[0] - (ROWS - 1 - window // COLUMNS), v // stride[1] - (COLUMNS - 1 - window % COLUMNS)
        m, n = u - i * stride[0], v - j * stride[1]
        inside = (e < size) & (i >= 0) & (i < target[0]) & (j >= 0) & (j < target[1]) & (m < M) & (n < N)
        at = image * index_s[0] + channel * index_s[1] + i * index_s[2] + j * index_s[3]
        where = tl.load(index + at, mask=inside, other=0).to(tl.int32)
        mine = inside & ((where & 3 if SIDES else where) == m * N + n)
        at = image * d_s[0] + channel * d_s[1] + i * d_s[2] + j * d_s[3]
        share = tl.load(d + at, mask=mine, other=0.0).to(tl.float32)
        if SAVED:
            at = image * saved_s[0] + channel * saved_s[1] + i * saved_s[2] + j * saved_s[3]
            share *= G(tl.load(saved + at, mask=mine, other=0.0).to(tl.float32), tl.cast(p, tl.float32))
        if SIDES:
            share *= G(side(where), tl.cast(p, tl.float32))
        total += tl.where(mine, share, 0.0)
    to_out = image * out_s[0] + channel * out_s[1] + row * out_s[2] + column * out_s[3]
    tl.store(out + to_out, total.to(out.dtype.element_ty), mask=e < size)


def pooled(x: Tensor, sizes: Pool) -> tuple[Tensor, Tensor]:
    checks.kernel_dtype("pool.max", x)
    out = like(sizes.y_shape, x)
    index = torch.empty_like(out, dtype=torch.uint8)
    if out.numel():
        row = choose("pool", tuple(out.shape), x.dtype, current_arch(x.device))
        launch(
            pool_kernel, (triton.cdiv(out.numel(), row.BM),), x, out, index, out.numel(), out.shape[1],
            tuple(x.shape[2:]), sizes.output, x.stride(), out.stride(), sizes.stride, sizes.padding, row=row,
            M=sizes.window[0], N=sizes.window[1], LAST=is_channels_last(out), BLOCK=row.BM,
        )
    return out, index


def pooled_backward(
    d: Tensor, index: Tensor, sizes: Pool, saved: Tensor | None, act: str, form: str, p: float
) -> Tensor:
    sides = form == "side"
    G = None if saved is None and not sides else activations.derivative(act, form)
    checks.kernel_dtype("pool.max.grad_x", d)
    out = like(sizes.x_shape, index, d.dtype)
    kept = d if saved is None else saved
    if out.numel():
        row = choose("pool", tuple(out.shape), d.dtype, current_arch(d.device))
        reach = [triton.cdiv(m, s) for m, s in zip(sizes.window, sizes.stride)]
        launch(
            pool_gradient_kernel, (triton.cdiv(out.numel(), row.BM),), d, index, kept, out, out.numel(), out.shape[1],
            tuple(out.shape[2:]), sizes.output, d.stride(), index.stride(), kept.stride(), out.stride(), sizes.stride,
            sizes.padding, p, row=row, G=G, SAVED=saved is not None, SIDES=sides, M=sizes.window[0],
            N=sizes.window[1], ROWS=reach[0], COLUMNS=reach[1], LAST=is_channels_last(out), BLOCK=row.BM,
        )
    return out


def maxpool(
    x: Tensor, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0, ceil_mode: bool = False
) -> tuple[Tensor, Tensor]:
    return pooled(x, image_checks.pooling("pool.max", x, k, stride, padding, ceil_mode))


def grad_x(
    d: Tensor, index: Tensor, H: int, W: int, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0,
    saved: Tensor | None = None, act: str = "identity", **parameter: float,
) -> Tensor:
    sizes = image_checks.pooled_gradient(d, index, H, W, k, stride, padding, saved)
    p = activation("pool.max.grad_x", act, **parameter)
    return pooled_backward(d, index, sizes, saved, act, "z", p)


__all__ = ["OPS", "pooled", "pooled_backward"]

OPS = {"pool.max": maxpool, "pool.max.grad_x": grad_x}
