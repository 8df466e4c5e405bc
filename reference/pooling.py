"""Max pooling and flattening (deck lines 1949–1961; the slides name them, their figures are lost).

Tie rule: the first maximum of a window in row-major order is the one that counts, and that the derivative
goes to. NaN rule: a window with a NaN gives NaN, and its last NaN is the one that counts. Both are torch's.
"""

from __future__ import annotations

from typing import Any

from chainrule.scalar import where

from .convolution import Sides, output_size, pair, taps
from .ids import implements
from .lists import Image, Matrix, Scalar, Vector, sizes


def wins(v: Scalar, best: Scalar) -> Any:
    """Whether v takes the place of the best so far: it is larger, or it is NaN."""
    return (v > best) | (v != v)


@implements("pool.max")
def maxpool(x: Matrix, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0,
            dilation: Sides = 1) -> Matrix:
    """pool.max   y(i, j) = max_{m, n} x(s i + d m − p, s j + d n − p),   0 ≤ m, n < k

    The stride s is k where none is given. Positions beyond the edge take no part; a last row or column that
    fills no window is dropped, as `F.max_pool2d` drops it.
    """
    def largest(window: Vector) -> Scalar:
        best = x[window[0][0]][window[0][1]]
        for p, q in window[1:]:
            best = where(wins(x[p][q], best), x[p][q], best)
        return best

    return [[largest(window) for window in row] for row in windows(x, k, stride, padding, dilation)]


@implements("pool.max.index")
def maxpool_index(x: Matrix, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0,
                  dilation: Sides = 1) -> Matrix:
    """pool.max.index   argmax of the same windows, as the row-major index W p + q into x"""
    W = len(x[0])

    def index(window: Vector) -> Scalar:
        best, at = x[window[0][0]][window[0][1]], W * window[0][0] + window[0][1]
        for p, q in window[1:]:
            at = where(wins(x[p][q], best), W * p + q, at)
            best = where(wins(x[p][q], best), x[p][q], best)
        return at

    return [[index(window) for window in row] for row in windows(x, k, stride, padding, dilation)]


def windows(x: Matrix, k: Sides, stride: Sides | None, padding: Sides, dilation: Sides) -> Matrix:
    """For every output the positions (p, q) it looks at, in row-major order."""
    H, W = sizes(x, 2, "image x")
    (M, N), (pad, qad), (d, e) = pair(k), pair(padding), pair(dilation)
    s, t = pair(k if stride is None else stride)
    found = [[[(p, q) for _, p in taps(i, M, s, pad, d, H) for _, q in taps(j, N, t, qad, e, W)]
              for j in range(output_size("pool.max", W, N, t, qad, e))]
             for i in range(output_size("pool.max", H, M, s, pad, d))]
    if not all(window for row in found for window in row):
        raise ValueError(f"pool.max: a window lies wholly in the padding; pad less than ({pad}, {qad})")
    return found


@implements("pool.flatten")
def flatten(x: Image) -> Vector:
    """pool.flatten   a vector of all x(c, p, q), the last index running fastest"""
    sizes(x, 3, "image x")
    return [v for channel in x for row in channel for v in row]
