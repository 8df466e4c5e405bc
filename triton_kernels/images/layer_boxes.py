"""A convolution layer and its gradient for x on GPUs that fetch a box of a tensor at a time: Hopper and later.

conv2d.layer          y_fij = g(b_f + Σ_c Σ_m Σ_n x_{c, iS − P + mD, jS′ − P′ + nD′} w_fcmn)
conv2d.layer.grad_x   ∂x_cpq = Σ_f Σ_{m,n} d_{f, (p + P − mD)/S, (q + P′ − nD′)/S′} w_fcmn, where both divide;  ⊙ g′(z)

A box of 1 × 8 × 16 pixels and 64 channels begins anywhere, also before the image: what lies outside reads as 0, so the
padding costs nothing, and what lies outside the result is not written. A tile of pixels (`conv_tiles.tile`) takes one
box a tap and block of channels, and is multiplied from where it lands: filters are the rows of the product and pixels
its columns, since only a product's right factor may be a box of four axes without a detour through registers.

A box has no stride, so a stride is split by classes of taps (`conv_tiles`): forward, up to four views of x in turn; in
∂x, each class of its rows and columns is a launch of its own, which meets its own taps alone and no zero between them.
A class without a tap writes 0.

Traps: filters are a box of three axes (tap, filter, channel), so that channels beyond the last are 0 on both sides:
with two, a block would run on into the next tap, and 0 · ∞ is NaN. An expanded gradient has strides of 0, which no
descriptor can say, and is left to the pointer kernel, as is everything else that does not `fit`.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from ..blocks.boxes import halves
from ..runtime.configs import choose, is_pinned, rows
from ..runtime.launch import current_arch, launch, traced
from . import plan as conv_tiles
from .checks import Layer, Pair
from .plan import Taps, Tile, pixels_first, view

VIEWS = 4               # of x, that one launch can walk over


@triton.jit
def corner(t, size, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr):
    """The first image, row and column of tile number t."""
    high, wide = tl.cdiv(size[0], TH), tl.cdiv(size[1], TW)
    return t // (high * wide) * BI, t // wide % high * TH, t % wide * TW


@triton.jit
def onward(a, b, c, da, db, dc, B, C):
    """The next of (a, b, c): c goes on until C and starts again, then b until B, then a. Cheaper than to divide."""
    c += dc
    over = c >= C
    b, c = tl.where(over, b + db, b), tl.where(over, 0, c)
    over = b >= B
    return tl.where(over, a + da, a), tl.where(over, 0, b), c


@triton.jit
def walk(
    total, x, w, n, i, j, o, depth, taps, BACKWARD: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    """total + Σ w x over the A × B taps of one view: the first, tap number m, reads the image at (h, v); one further
    down is dm taps on and dh rows away, one to the right dn taps and dv columns."""
    A, B, m, dm, dn, h, v, dh, dv = taps
    a, b, c = 0, 0, 0
    for _ in range(A * B * tl.cdiv(depth, BK)):
        tap = m + a * dm + b * dn
        tile = tl.reshape(x.load([n, i + h + a * dh, j + v + b * dv, c]), (BN, BK))
        if BACKWARD:
            taken = tl.reshape(w.load([tap, c, o]), (BK, BM)).T
        else:
            taken = tl.reshape(w.load([tap, o, c]), (BM, BK))
        total = tl.dot(taken, tile.T, total)
        a, b, c = onward(a, b, c, 1, 1, BK, B, depth)
    return total


@triton.jit
def over_views(
    x0, x1, x2, x3, w, n, i, j, o, depth, walks, VIEWS: tl.constexpr, BACKWARD: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    """Σ w x over the taps of every view."""
    total = tl.zeros((BM, BN), tl.float32)
    total = walk(total, x0, w, n, i, j, o, depth, walks[0], BACKWARD, BM, BN, BK)
    if VIEWS > 1:
        total = walk(total, x1, w, n, i, j, o, depth, walks[1], BACKWARD, BM, BN, BK)
    if VIEWS > 2:
        total = walk(total, x2, w, n, i, j, o, depth, walks[2], BACKWARD, BM, BN, BK)
    if VIEWS > 3:
        total = walk(total, x3, w, n, i, j, o, depth, walks[3], BACKWARD, BM, BN, BK)
    return total


@triton.jit
def finish(
    total, out, kept, bias, n, i, j, o, outputs, b_0, p, G: tl.constexpr, HAS_BIAS: tl.constexpr, KEPT: tl.constexpr,
    BACKWARD: tl.constexpr, BM: tl.constexpr, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr,
):
    """Outputs × pixels to where they belong, pixel by pixel."""
    if HAS_BIAS:
        ro = o + tl.arange(0, BM)
        total += tl.load(bias + ro.to(tl.int64) * b_0, mask=ro < outputs, other=0.0).to(tl.float32)[:, None]
    if BACKWARD:
        if KEPT:
            total *= G(tl.trans(tl.reshape(kept.load([n, i, j, o]), (BI * TH * TW, BM))).to(tl.float32), p)
    else:
        if KEPT:
            kept.store([n, i, j, o], tl.reshape(tl.trans(total.to(kept.dtype)), (BI, TH, TW, BM)))
        total = G(total, p)
    out.store([n, i, j, o], tl.reshape(tl.trans(total.to(out.dtype)), (BI, TH, TW, BM)))


@triton.jit
def correlate_boxes_kernel(
    x0, x1, x2, x3, w, bias, out, kept, size, depth, outputs, b_0, walks, p,
    VIEWS: tl.constexpr, G: tl.constexpr, HAS_BIAS: tl.constexpr, KEPT: tl.constexpr, BACKWARD: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BI: tl.constexpr, TH: tl.constexpr, TW: tl.constexpr, PARTS: tl.constexpr,
):
    BN: tl.constexpr = BI * TH * TW
    p = tl.cast(p, tl.float32)
    tiles = tl.cdiv(outputs, BM)
    t, o = tl.program_id(0) // tiles, tl.program_id(0) % tiles * BM
    n, i, j = corner(t, size, BI, TH, TW)
    total = over_views(x0, x1, x2, x3, w, n, i, j, o, depth, walks, VIEWS, BACKWARD, BM, BN, BK)
    if PARTS == 2:
        left, right = halves(total, BM, BN)
        HI: tl.constexpr = BI // 2 if BI > 1 else BI
        HH: tl.constexpr = TH // 2 if BI == 1 and TH > 1 else TH
        HW: tl.constexpr = TW // 2 if BI == 1 and TH == 1 else TW
        finish(left, out, kept, bias, n, i, j, o, outputs, b_0, p, G, HAS_BIAS, KEPT, BACKWARD, BM, HI, HH, HW)
        finish(right, out, kept, bias, n + BI - HI, i + TH - HH, j + TW - HW, o, outputs, b_0, p, G, HAS_BIAS, KEPT,
               BACKWARD, BM, HI, HH, HW)
    else:
        finish(total, out, kept, bias, n, i, j, o, outputs, b_0, p, G, HAS_BIAS, KEPT, BACKWARD, BM, BI, TH, TW)


def fits(image: Tensor) -> bool:
    """Sixteen-bit, channels side by side, every other stride and the address on 16 bytes; nothing expanded."""
    if image.element_size() != 2 or not image.numel() or image.data_ptr() % 16 or image.stride(1) != 1:
        return False
    return all(n == 1 or (s > 0 and s % 8 == 0) for n, s in ((image.shape[k], image.stride(k)) for k in (0, 2, 3)))


def filters_fit(w: Tensor) -> bool:
    """The same, and the taps one after another, as in NHWC."""
    return fits(w) and (w.shape[2] == 1 or w.shape[3] == 1 or w.stride(2) == w.shape[3] * w.stride(3))


def taps_first(w: Tensor) -> Tensor:
    """Filters (F, C, M, N) as (tap, F, C), where they lie."""
    M, N = w.shape[2:]
    return w.as_strided((M * N, *w.shape[:2]), (w.stride(3 if N > 1 else 2), w.stride(0), 1))


def described(t: Tensor, block: list[int]) -> TensorDescriptor:
    """A descriptor of t for such boxes. The stride of an axis of one entry may be anything; 16 bytes it must divide."""
    strides = [s if n > 1 else 8 * triton.cdiv(t.shape[-1], 8) for n, s in zip(t.shape[:-1], t.stride())]
    return TensorDescriptor(t, list(t.shape), [*strides, 1], block)


def served(table: str, sizes: Layer, x: Tensor) -> bool:
    """Whether a table has rows here and none of the pointer kernel's is pinned; each view of x has something; and x has
    an address, as it has not while it is traced."""
    return (
        sizes.groups == 1 and not traced(x) and not is_pinned(table)
        and bool(rows(f"{table}.boxes", current_arch(x.device), x.dtype))
        and all(s <= n for s, n in zip(sizes.stride, sizes.input)))


def serves(sizes: Layer, x: Tensor, w: Tensor, *images: Tensor) -> bool:
    """Whether a layer takes the kernel here: a GPU that has it, tensors that a descriptor can say, few views."""
    return (
        served("conv2d.layer", sizes, x) and filters_fit(w) and all(map(fits, (x, *images)))
        and len(views(sizes)) <= VIEWS)


def gradient_serves(sizes: Layer, d: Tensor, w: Tensor, *images: Tensor) -> bool:
    """The same for ∂x, where any number of views is served in turn."""
    return served("conv2d.layer", sizes, d) and filters_fit(w) and all(map(fits, (d, *images)))


def views(sizes: Layer) -> list[tuple[int, int, Taps, Taps]]:
    """The classes that have taps."""
    return [one for one in conv_tiles.both(sizes) if one[2].many and one[3].many]


def taps_of(m: Taps, n: Taps, columns: int, way: int) -> tuple[int, ...]:
    """How a class's taps go through the filter and, this way (1 or −1), through the view."""
    return (m.many, n.many, m.first * columns + n.first, m.period * columns, n.period,
            way * m.start, way * n.start, way * m.step, way * n.step)


def box(image: Tensor, tile: Tile, channels: int) -> TensorDescriptor:
    """A descriptor of (B, H, W, C) for a tile's pixels and so many channels."""
    return described(image, [tile.BI, tile.TH, tile.TW, channels])


def correlate(
    images: list[Tensor], walks: tuple[tuple[int, ...], ...], w: Tensor, b: Tensor | None, out: Tensor, kept: Tensor,
    batch: int, shape: tuple[int, int, int], G: Any, p: float, keeps: bool, backward: bool,
) -> None:
    """One launch: images, out and kept as (B, H, W, C); shape: outputs, positions, terms of a tap."""
    row = choose("conv2d.layer.boxes", shape, out.dtype, current_arch(out.device))
    size: Pair = (out.shape[1], out.shape[2])
    tile = conv_tiles.tile(row.BN, batch, size)
    finished = tile.half if row.parts == 2 else tile
    sources = [box(image, tile, row.BK) for image in images]
    taken = described(taps_first(w), [1, row.BK, row.BM] if backward else [1, row.BM, row.BK])
    launch(
        correlate_boxes_kernel, (tile.count(batch, size) * triton.cdiv(shape[0], row.BM),),
        *(sources + sources[:1] * VIEWS)[:VIEWS], taken, out if b is None else b, box(out, finished, row.BM),
        box(kept, finished, row.BM), size, shape[2], shape[0], 1 if b is None else b.stride(0), walks, p, row=row,
        VIEWS=len(images), G=G, HAS_BIAS=b is not None, KEPT=keeps, BACKWARD=backward, BM=row.BM, BK=row.BK,
        BI=tile.BI, TH=tile.TH, TW=tile.TW, PARTS=row.parts,
    )


def layer(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, G: Any, p: float, keep_z: bool, out: Tensor, z: Tensor
) -> None:
    """out = g(x ∗ w + b), and z."""
    taken = views(sizes)
    correlate(
        [view(x, r, q, sizes.stride) for r, q, _, _ in taken],
        tuple(taps_of(m, n, sizes.taps[1], 1) for _, _, m, n in taken), w, b, pixels_first(out), pixels_first(z),
        sizes.batch, (sizes.filters, out.numel() // sizes.filters, sizes.channels), G, p, keep_z, False)


def gradient(d: Tensor, w: Tensor, sizes: Layer, saved: Tensor | None, G: Any, p: float, out: Tensor) -> None:
    """out = ∂x ⊙ G(saved), one class of its rows and columns after another."""
    for r, q, m, n in conv_tiles.both(sizes):
        target = view(out, r, q, sizes.stride)
        kept = target if saved is None else view(saved, r, q, sizes.stride)
        correlate(
            [pixels_first(d)], (taps_of(m, n, sizes.taps[1], -1),), w, None, target, kept, sizes.batch,
            (sizes.channels, target.numel() // sizes.channels, sizes.filters), G, p, saved is not None, True)
