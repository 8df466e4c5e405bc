"""A convolution layer and its gradients for any shape, layout and target: gathered matrix products.

conv2d.layer          y_fij = g(b_f + Σ_c Σ_m Σ_n x_{c, iS − P + mD, jS′ − P′ + nD′} w_fcmn)
conv2d.layer.grad_x   ∂x_cpq = Σ_f Σ_{m,n} d_{f, (p + P − mD)/S, (q + P′ − nD′)/S′} w_fcmn, where both divide;  ⊙ g′(z)
conv2d.layer.grad_w   D_fcmn = Σ_batch Σ_{i,j} d_fij x_{c, iS − P + mD, …} / n + λ w_fcmn
conv2d.layer.grad_b   Db_f = Σ_batch Σ_{i,j} d_fij / n, the intercepts unregularised

x, d and y may lie in memory in any order; NHWC (channels_last) is read along its channels and nothing is copied.
What `layer_boxes` can do it does instead.

∂x by classes: rows p ≡ r (mod S) meet only the taps m with mD ≡ r + P (mod S). These are m₀, m₀ + S/g, m₀ + 2S/g …
with g = gcd(D, S), and the row of d falls by D/g from one to the next. So a class is a correlation of its own over
its own taps: all classes together take M·N taps a pixel and no zero is multiplied; a class without taps writes 0.

Traps: positions beyond the edge are masked, never read; sums over pixels are split into parts that are added in a
fixed order; Δ is divided by n. As in every library, a tap of ∞ makes NaN of a zero in the padding.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from math import gcd
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..activations import kernels as activations
from ..activations.checks import activation
from ..runtime import checks
from ..runtime.configs import Row, choose
from ..runtime.launch import current_arch, launch, math_mode
from ..runtime.layout import like
from . import checks as image_checks
from . import layer_boxes as boxes
from .checks import Layer, Sides
from .tiles import terms


@triton.jit
def parity(r, taps, padding, dilation, stride, divisor, inverse):
    """Of the rows ≡ r (mod stride) of an input: the first tap, how many taps, the first tap's row of d."""
    period = stride // divisor
    first = (r + padding) // divisor * inverse % period
    many = tl.where((r + padding) % divisor == 0, tl.cdiv(tl.maximum(taps - first, 0), period), 0)
    return first, many, (r + padding - dilation * first) // stride


@triton.jit
def correlate_kernel(
    x, w, bias, out, kept, batch, depth, filters, source, target, taps, x_s, w_s, out_s, kept_s, b_0,
    stride, padding, dilation, divisor, inverse, p,
    G: tl.constexpr, HAS_BIAS: tl.constexpr, KEPT: tl.constexpr, BACKWARD: tl.constexpr, TAPWISE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):
    """Σ x[n, c, i s + h + a e, …] w[o, c, tap a, …] for BM positions (n, i, j) and BN outputs o of one group.

    w_s holds the strides of (group, output, term's channel, tap row, tap column).
    """
    tiles = tl.cdiv(filters, BN)
    group, o = tl.program_id(1) // tiles, tl.program_id(1) % tiles * BN + tl.arange(0, BN)
    if BACKWARD:
        r, r2 = tl.program_id(2) // stride[1], tl.program_id(2) % stride[1]
        m, A, h = parity(r, taps[0], padding[0], dilation[0], stride[0], divisor[0], inverse[0])
        n, B, v = parity(r2, taps[1], padding[1], dilation[1], stride[1], divisor[1], inverse[1])
        rows, columns = tl.cdiv(target[0] - r, stride[0]), tl.cdiv(target[1] - r2, stride[1])
    else:
        A, h, B, v, rows, columns = taps[0], -padding[0], taps[1], -padding[1], target[0], target[1]
    positions = batch * rows * columns
    start = tl.program_id(0) * BM
    q = start + tl.arange(0, BM)
    here = q < positions
    image, i, j = q // (rows * columns), q // columns % rows, q % columns
    y, u = (i + h, j + v) if BACKWARD else (i * stride[0] + h, j * stride[1] + v)
    at_image = x + (image.to(tl.int64) * x_s[0] + tl.cast(group * depth, tl.int64) * x_s[1])[:, None]
    at_filter = w + (tl.cast(group, tl.int64) * w_s[0] + o.to(tl.int64) * w_s[1])[:, None]
    blocks = A * B * tl.cdiv(depth, BK) if TAPWISE else tl.cdiv(A * B * depth, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(tl.where(start < positions, blocks, 0)):
        a, b, c, inside = terms(k, depth, B, A * B * depth, BK, TAPWISE)
        if BACKWARD:
            row, column = y[:, None] - a * (dilation[0] // divisor[0]), u[:, None] - b * (dilation[1] // divisor[1])
            tap_row, tap_column = m + a * (stride[0] // divisor[0]), n + b * (stride[1] // divisor[1])
        else:
            row, column = y[:, None] + a * dilation[0], u[:, None] + b * dilation[1]
            tap_row, tap_column = a, b
        seen = here[:, None] & (row >= 0) & (row < source[0]) & (column >= 0) & (column < source[1])
        at = row.to(tl.int64) * x_s[2] + column.to(tl.int64) * x_s[3] + c.to(tl.int64) * x_s[1]
        tile = tl.load(at_image + at, mask=seen & inside, other=0.0)
        at = c.to(tl.int64) * w_s[2] + tl.cast(tap_row, tl.int64) * w_s[3] + tl.cast(tap_column, tl.int64) * w_s[4]
        taken = tl.load(at_filter + at, mask=(o < filters)[:, None] & inside, other=0.0)
        total = tl.dot(tile, tl.trans(taken), total, input_precision=PRECISION)
    if BACKWARD:
        i, j = r + i * stride[0], r2 + j * stride[1]
    exists = o < filters
    mask = here[:, None] & exists[None, :]
    o = group * filters + o
    if HAS_BIAS:
        total += tl.load(bias + o.to(tl.int64) * b_0, mask=exists, other=0.0).to(tl.float32)[None, :]
    at = image.to(tl.int64) * kept_s[0] + i.to(tl.int64) * kept_s[2] + j.to(tl.int64) * kept_s[3]
    to_kept = kept + at[:, None] + o.to(tl.int64)[None, :] * kept_s[1]
    if BACKWARD:
        if KEPT:
            total *= G(tl.load(to_kept, mask=mask, other=0.0).to(tl.float32), tl.cast(p, tl.float32))
    else:
        if KEPT:
            tl.store(to_kept, total.to(kept.dtype.element_ty), mask=mask)
        total = G(total, tl.cast(p, tl.float32))
    at = image.to(tl.int64) * out_s[0] + i.to(tl.int64) * out_s[2] + j.to(tl.int64) * out_s[3]
    tl.store(out + at[:, None] + o.to(tl.int64)[None, :] * out_s[1], total.to(out.dtype.element_ty), mask=mask)


def _tile(name: str, x: Tensor, positions: int, filters: int, depth: int) -> tuple[Row, dict[str, Any]]:
    checks.kernel_dtype(name, x)
    row = choose("conv2d.layer", (positions, filters), x.dtype, current_arch(x.device))
    tapwise = -(-depth // row.BK) * row.BK <= 1.34 * depth
    return row, {"BM": row.BM, "BN": row.BN, "BK": row.BK, "TAPWISE": tapwise}


def keeping(
    x: Tensor, w: Tensor, b: Tensor | None, sizes: Layer, act: str, p: float, keep_z: bool, math: str | None = None
) -> tuple[Tensor, Tensor]:
    """(a, z), where z is stored only if it is to be kept; otherwise it is a itself."""
    out = like(sizes.y_shape, x)
    z = torch.empty_like(out) if keep_z else out
    if boxes.serves(sizes, x, w, out):
        boxes.layer(x, w, b, sizes, activations.VALUE[act], p, keep_z, out, z)
        return out, z
    filters, positions = sizes.filters // sizes.groups, sizes.batch * sizes.output[0] * sizes.output[1]
    row, tile = _tile("conv2d.layer", x, positions, filters, sizes.channels)
    if out.numel():
        grid = (triton.cdiv(positions, row.BM), sizes.groups * triton.cdiv(filters, row.BN))
        launch(
            correlate_kernel, grid, x, w, x if b is None else b, out, z, sizes.batch, sizes.channels, filters,
            sizes.input, sizes.output, sizes.taps, x.stride(), (filters * w.stride(0), *w.stride()), out.stride(),
            z.stride(), 1 if b is None else b.stride(0), sizes.stride, sizes.padding, sizes.dilation, (1, 1), (0, 0),
            p, row=row, **tile, G=activations.VALUE[act], HAS_BIAS=b is not None, KEPT=keep_z, BACKWARD=False,
            PRECISION=math_mode(math),
        )
    return out, z


def layer(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, act: str = "identity", *, precision: str | None = None, **parameter: float,
) -> Tensor:
    sizes = image_checks.forward(x, w, b, stride, padding, dilation, groups)
    p = activation("conv2d.layer", act, **parameter)
    return keeping(x, w, b, sizes, act, p, False, precision)[0]


def delta_through(
    d: Tensor, w: Tensor, sizes: Layer, saved: Tensor | None, act: str, p: float, math: str | None = None
) -> Tensor:
    """∂x ⊙ g′(saved); without `saved` ∂x itself. It lies in memory as `saved` does, or as d."""
    G = None if saved is None else activations.PRIME[act]
    out = like(sizes.x_shape, d if saved is None else saved)
    filters, stride = sizes.filters // sizes.groups, sizes.stride
    positions = sizes.batch * triton.cdiv(sizes.input[0], stride[0]) * triton.cdiv(sizes.input[1], stride[1])
    row, tile = _tile("conv2d.layer.grad_x", d, positions * stride[0] * stride[1], sizes.channels, filters)
    kept = out if saved is None else saved
    if boxes.gradient_serves(sizes, d, w, out, kept):
        boxes.gradient(d, w, sizes, saved, G, p, out)
        return out
    divisor = tuple(gcd(e, s) for e, s in zip(sizes.dilation, stride))
    inverse = tuple(pow(e // g, -1, s // g) for e, s, g in zip(sizes.dilation, stride, divisor))
    if out.numel():
        tiles = sizes.groups * triton.cdiv(sizes.channels, row.BN)
        launch(
            correlate_kernel, (triton.cdiv(positions, row.BM), tiles, stride[0] * stride[1]),
            d, w, d, out, kept, sizes.batch, filters, sizes.channels, sizes.output, sizes.input, sizes.taps,
            d.stride(), (filters * w.stride(0), w.stride(1), w.stride(0), w.stride(2), w.stride(3)), out.stride(),
            kept.stride(), 1, stride, sizes.padding, sizes.dilation, divisor, inverse, p, row=row, **tile,
            G=G, HAS_BIAS=False, KEPT=saved is not None, BACKWARD=True, PRECISION=math_mode(math),
        )
    return out


def grad_x(
    d: Tensor, w: Tensor, H: int, W: int, stride: Sides = 1, padding: Sides = 0, dilation: Sides = 1,
    groups: int = 1, z: Tensor | None = None, act: str = "identity", *, precision: str | None = None,
    **parameter: float,
) -> Tensor:
    sizes = image_checks.grad_x(d, w, H, W, stride, padding, dilation, groups, z)
    p = activation("conv2d.layer.grad_x", act, **parameter)
    return delta_through(d, w, sizes, z, act, p, precision)


OPS = {"conv2d.layer": layer, "conv2d.layer.grad_x": grad_x}
