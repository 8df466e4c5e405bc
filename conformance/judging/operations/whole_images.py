"""The sums of a convolution layer taken whole: every product of a sum in one array, for images too large to walk.

Each is the reference's own sum with terms of the padding's zeros added; tests prove both equal on small images. The
products stand along one axis, so the bound is that of adding them one by one in whatever order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numbers.bounded import total
from ..numbers.lanes import Array
from .base import Lift

LARGE = 4000                 # products of one image and filter beyond which a sum is taken whole
Pair = tuple[int, int]


def seen(x: Array, taps: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """x (B, C, H, W), zero beyond its edges, as (B, C · taps, P, Q): what every tap meets at every output."""
    reach = [s * (p - 1) + e * (m - 1) + 1 for s, p, e, m in zip(stride, size, dilation, taps)]
    after = [max(r - n - p, 0) for r, n, p in zip(reach, x.shape[2:], padding)]
    wide = np.pad(x, [(0, 0), (0, 0), *zip(padding, after)])
    rows, columns = (e * np.arange(m)[:, None] + s * np.arange(p) for e, m, s, p in zip(dilation, taps, stride, size))
    windows = wide[:, :, rows[:, None, :, None], columns[None, :, None, :]]         # B, C, M, N, P, Q
    return windows.reshape(len(x), -1, *size)


def layer(lift: Lift, x: Array, w: Array, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    met = seen(x, w.shape[2:], size, stride, padding, dilation)
    return total(lift(met[:, None]) * lift(w.reshape(1, len(w), -1, 1, 1)), 2)


def grad_x(lift: Lift, d: Array, w: Array, H: int, W: int, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """d spread out by the stride and met by the filter turned round: the same sums, with zeros between."""
    F, C, M, N = w.shape
    size = [s * (p - 1) + 1 for s, p in zip(stride, d.shape[2:])]
    spread = np.zeros((len(d), F, *size))
    spread[:, :, ::stride[0], ::stride[1]] = d
    before = [e * (m - 1) - p for e, m, p in zip(dilation, (M, N), padding)]
    cut = [max(-b, 0) for b in before]
    inner = spread[:, :, cut[0]:, cut[1]:]
    corner = max(before[0], 0), max(before[1], 0)
    met = seen(inner[:, :, :H + dilation[0] * M, :W + dilation[1] * N], (M, N), (H, W), (1, 1), corner, dilation)
    turned = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3).reshape(1, C, -1, 1, 1)
    return total(lift(met[:, None]) * lift(turned), 2)


def grad_w(lift: Lift, d: Array, x: Array, M: int, N: int, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    met = seen(x, (M, N), d.shape[2:], stride, padding, dilation)
    pixels = met.transpose(0, 2, 3, 1).reshape(-1, 1, met.shape[1])
    return total(lift(d.transpose(0, 2, 3, 1).reshape(-1, d.shape[1], 1)) * lift(pixels), 0)
