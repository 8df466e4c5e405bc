"""The gradients of the filters of two normed convolutions in one launch, of what nobody kept.

conv2d.layer.grad_w   ∂w_fcmn = Σ_batch Σ_{i,j} ∂z_fij a_{c, iS − P + mD, jS′ − P′ + nD′}

∂z is made of (s, z) and a of the z below, both as `normed.kernels` makes them. Each program has some filters, some
channels of one tap and a part of the pixels; parts are added in their order by a second launch. Few pixels are one.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..images.checks import Layer
from ..images.join import parts_of
from ..norms.kernels import dense, grad_x
from ..runtime.configs import Row, choose
from ..runtime.launch import current_arch, launch, math_mode
from ..runtime.layout import like
from .kernels import recall
from .state import Work

TABLE = "conv2d.normed.grad_w"


@triton.jit
def one_part(
    program, tensors, numbers, strides, NORMED: tl.constexpr, SPLIT: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr, PRECISION: tl.constexpr,
):
    s, z, mean, rstd, gamma, both, x, mean_x, rstd_x, gamma_x, beta_x, D = tensors
    filters, channels, batch, source, size, taps, stride, padding, dilation, tiles, chunk = numbers
    s_s, z_s, x_s, D_s = strides
    number, part = program % tiles, program // tiles
    across = tl.cdiv(channels, BN)
    tap = number // across % (taps[0] * taps[1])
    f = number // (across * taps[0] * taps[1]) * BM + tl.arange(0, BM)
    c = number % across * BN + tl.arange(0, BN)
    a, b = tap // taps[1], tap % taps[1]
    fits, meant = f < filters, c < channels
    pixels = batch * size[0] * size[1]
    count = tl.zeros((BM,), tl.float32) + pixels
    m = tl.load(mean + f, mask=fits, other=0.0)
    r = tl.load(rstd + f, mask=fits, other=0.0)
    g = tl.load(gamma + f, mask=fits, other=0.0).to(tl.float32)
    m1 = tl.div_rn(tl.load(both + f, mask=fits, other=0.0), count)
    m2 = tl.div_rn(tl.load(both + filters + f, mask=fits, other=0.0), count)
    if NORMED:
        mx = tl.load(mean_x + c, mask=meant, other=0.0)
        rx = tl.load(rstd_x + c, mask=meant, other=0.0)
        gx = tl.load(gamma_x + c, mask=meant, other=0.0).to(tl.float32)
        bx = tl.load(beta_x + c, mask=meant, other=0.0).to(tl.float32)
    total = tl.zeros((BM, BN), tl.float32)
    for begin in range(part * chunk, tl.minimum((part + 1) * chunk, pixels), BK):
        q = begin + tl.arange(0, BK)
        here = q < pixels
        image, i, j = (q // (size[0] * size[1])).to(tl.int64), q // size[1] % size[0], q % size[1]
        mask = here[:, None] & fits[None, :]
        column = f.to(tl.int64)[None, :]
        at = (image * s_s[0] + i.to(tl.int64) * s_s[2] + j.to(tl.int64) * s_s[3])[:, None] + column * s_s[1]
        slope = tl.load(s + at, mask=mask, other=0.0).to(tl.float32)
        at = (image * z_s[0] + i.to(tl.int64) * z_s[2] + j.to(tl.int64) * z_s[3])[:, None] + column * z_s[1]
        value = tl.load(z + at, mask=mask, other=0.0).to(tl.float32)
        error = grad_x(slope, value, m[None, :], r[None, :], g[None, :], m1[None, :], m2[None, :])
        error = tl.where(mask, error, 0.0).to(s.dtype.element_ty)
        row, col = i * stride[0] - padding[0] + a * dilation[0], j * stride[1] - padding[1] + b * dilation[1]
        seen = here & (row >= 0) & (row < source[0]) & (col >= 0) & (col < source[1])
        mask = seen[:, None] & meant[None, :]
        at = (image * x_s[0] + row.to(tl.int64) * x_s[2] + col.to(tl.int64) * x_s[3])[:, None]
        met = tl.load(x + at + c.to(tl.int64)[None, :] * x_s[1], mask=mask, other=0.0)
        if NORMED:
            met = tl.where(mask, recall(met, mx, rx, gx, bx), 0.0).to(x.dtype.element_ty)
        total = tl.dot(tl.trans(error), met, total, input_precision=PRECISION)
    mask = fits[:, None] & meant[None, :]
    row, column = f.to(tl.int64)[:, None], c.to(tl.int64)[None, :]
    if SPLIT:
        at = ((tl.cast(part, tl.int64) * filters + row) * taps[0] * taps[1] + tap) * channels + column
        tl.store(D + at, total, mask=mask)
    else:
        at = row * D_s[0] + column * D_s[1] + tl.cast(a, tl.int64) * D_s[2] + tl.cast(b, tl.int64) * D_s[3]
        tl.store(D + at, total.to(D.dtype.element_ty), mask=mask)


@triton.jit
def filters_kernel(
    s, first, first_numbers, first_strides, second, second_numbers, second_strides, programs,
    FIRST: tl.constexpr, SECOND: tl.constexpr, TWO: tl.constexpr, SPLIT: tl.constexpr, BM: tl.constexpr,
    BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """The first so many programs have the one, the others the other convolution; `s` is the first's once more."""
    program = tl.program_id(0)
    if TWO:
        if program < programs:
            one_part(program, first, first_numbers, first_strides, FIRST, SPLIT, BM, BN, BK, PRECISION)
        else:
            one_part(
                program - programs, second, second_numbers, second_strides, SECOND, SPLIT, BM, BN, BK, PRECISION)
    else:
        one_part(program, first, first_numbers, first_strides, FIRST, SPLIT, BM, BN, BK, PRECISION)


@triton.jit
def one_sum(block, partial, D, parts, filters, channels, taps, D_s, BLOCK: tl.constexpr):
    every = channels * taps[0] * taps[1]
    i = block * BLOCK + tl.arange(0, BLOCK)
    exists = i < filters * every
    total = tl.zeros((BLOCK,), tl.float32)
    for part in range(parts):
        total += tl.load(partial + tl.cast(part, tl.int64) * filters * every + i, mask=exists, other=0.0)
    f, tap, c = (i // every).to(tl.int64), i // channels % (taps[0] * taps[1]), (i % channels).to(tl.int64)
    at = f * D_s[0] + c * D_s[1] + (tap // taps[1]).to(tl.int64) * D_s[2] + (tap % taps[1]).to(tl.int64) * D_s[3]
    tl.store(D + at, total.to(D.dtype.element_ty), mask=exists)


@triton.jit
def sums_kernel(partial, D, first, partial2, D2, second, blocks, TWO: tl.constexpr, BLOCK: tl.constexpr):
    """The parts of both, added in their order."""
    block = tl.program_id(0)
    if TWO:
        if block < blocks:
            one_sum(block, partial, D, first[0], first[1], first[2], first[3], first[4], BLOCK)
        else:
            one_sum(block - blocks, partial2, D2, second[0], second[1], second[2], second[3], second[4], BLOCK)
    else:
        one_sum(block, partial, D, first[0], first[1], first[2], first[3], first[4], BLOCK)


def _tiles(sizes: Layer, row: Row) -> int:
    return -(-sizes.filters // row.BM) * -(-sizes.channels // row.BN) * sizes.taps[0] * sizes.taps[1]


def averaged(works: list[Work], math: str | None) -> list[Tensor]:
    """∂w of one or two convolutions, each in memory as what it read lies."""
    lead, arch = works[0], current_arch(works[0].s.device)
    most = max(works, key=lambda one: one.sizes.filters * one.sizes.channels).sizes
    row = choose(TABLE, (most.filters, most.channels), lead.s.dtype, arch)
    tiles = [_tiles(one.sizes, row) for one in works]
    parts = [parts_of(sum(tiles), one.sizes.batch * one.sizes.output[0] * one.sizes.output[1], row.BK, arch, TABLE)
             for one in works]
    found = [like(one.sizes.w_shape, one.source) for one in works]
    split = any(many > 1 for many, _ in parts)
    partial = [torch.empty((many, D.numel()), dtype=torch.float32, device=D.device) if split else D
               for D, (many, _) in zip(found, parts)]
    given = [_arguments(one, target, many, chunk)
             for one, target, many, (_, chunk) in zip(works, partial, tiles, parts)]
    programs = [many * count for many, (count, _) in zip(tiles, parts)]
    two = len(works) == 2
    launch(filters_kernel, (sum(programs),), lead.s, *given[0], *given[-1], programs[0], row=row,
           FIRST=works[0].below is not None, SECOND=works[-1].below is not None, TWO=two, SPLIT=split, BM=row.BM,
           BN=row.BN, BK=row.BK, PRECISION=math_mode(math))
    if split:
        _joined(works, partial, found, [many for many, _ in parts], arch)
    return found


def _arguments(one: Work, target: Tensor, tiles: int, chunk: int) -> tuple[tuple[Any, ...], ...]:
    sizes, below = one.sizes, one.below
    own = one.norm.mean, one.norm.rstd, dense(one.norm.gamma)
    under = own + own[:1] if below is None else (below.mean, below.rstd, dense(below.gamma), dense(below.beta))
    return (
        (one.s, one.z, *own, one.both, one.source, *under, target),
        (sizes.filters, sizes.channels, sizes.batch, sizes.input, sizes.output, sizes.taps, sizes.stride, sizes.padding,
         sizes.dilation, tiles, chunk),
        (one.s.stride(), one.z.stride(), one.source.stride(), target.stride() if target.dim() == 4 else (0, 0, 0, 0)))


def _joined(works: list[Work], partial: list[Tensor], found: list[Tensor], parts: list[int], arch: str) -> None:
    row = choose("pointwise", (found[0].numel(),), torch.float32, arch)
    given = [(p, D, (many, one.sizes.filters, one.sizes.channels, one.sizes.taps, D.stride()))
             for one, p, D, many in zip(works, partial, found, parts)]
    blocks = [triton.cdiv(D.numel(), row.BM) for D in found]
    launch(sums_kernel, (sum(blocks),), *given[0], *given[-1], blocks[0], row=row, TWO=len(works) == 2, BLOCK=row.BM)
