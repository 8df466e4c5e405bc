"""Max pooling and flattening (deck lines 1949–1961; the slides name them, their figures are lost).

Tie rule: the first maximum of a window in row-major order is the one that counts, and that the derivative
goes to. NaN rule: a window with a NaN gives NaN, and its last NaN is the one that counts. Both are torch's.
"""

from __future__ import annotations

from chainrule.scalar import where

from .activations import identity
from .backprop import Activation
from .convolution import Sides, conv2d_layer, output_size, pair, taps
from .ids import implements
from .lists import Filters, Image, Matrix, Scalar, Vector, sizes


def winner(best: Scalar, v: Scalar, kept: Scalar, new: Scalar) -> Scalar:
    """`new` if v takes the place of the best so far, because it is larger or NaN; else what was `kept`."""
    return where(v != v, new, where(v > best, new, kept))


@implements("pool.max", "pool.max.layer")
def maxpool(x: Matrix, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0,
            dilation: Sides = 1) -> Matrix:
    """pool.max   y(i, j) = max_{m, n} x(s i + d m − p, s j + d n − p),   0 ≤ m, n < k

    With padding, dilation, a stride of its own or a window that is not square it is pool.max.layer.
    The stride s is k where none is given. Positions beyond the edge take no part; a last row or column that
    fills no window is dropped, as `F.max_pool2d` drops it.
    """
    def largest(window: Vector) -> Scalar:
        best, *others = [x[p][q] for p, q in window]
        for v in others:
            best = winner(best, v, best, v)
        return best

    return [[largest(window) for window in row] for row in windows(x, k, stride, padding, dilation)]


@implements("pool.max.index", "pool.max.layer.index")
def maxpool_index(x: Matrix, k: Sides = 2, stride: Sides | None = None, padding: Sides = 0,
                  dilation: Sides = 1) -> Matrix:
    """pool.max.index   arg max of the same windows, as the row-major index W p + q into x"""
    def index(window: Vector) -> Scalar:
        (best, at), *others = [(x[p][q], len(x[p]) * p + q) for p, q in window]
        for v, here in others:
            at = winner(best, v, at, here)
            best = winner(best, v, best, v)
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


@implements("conv2d.layer.pool")
def convolution_pooled(x: Image, w: Filters, b: Vector | None = None, stride: Sides = 1, padding: Sides = 0,
                       dilation: Sides = 1, groups: int = 1, g: Activation = identity, k: Sides = 2) -> Image:
    """conv2d.layer.pool   pool.max of every channel of g(conv2d.layer), windows of k side by side"""
    z = conv2d_layer(x, w, b, stride, padding, dilation, groups)
    return [maxpool([[g(v) for v in row] for row in channel], k) for channel in z]


@implements("pool.mean")
def meanpool(x: Matrix, M: int, N: int, S: int) -> Matrix:
    """pool.mean   y(i, j) = 1/(M N) Σ_m Σ_n x(S i + m, S j + n)      (LeNet's subsampling, without its weights)"""
    H, W = sizes(x, 2, "image x")
    return [[sum(x[S * i + m][S * j + n] for m in range(M) for n in range(N)) / (M * N)
             for j in range(output_size("pool.mean", W, N, S, 0, 1))]
            for i in range(output_size("pool.mean", H, M, S, 0, 1))]


@implements("pool.flatten")
def flatten(x: Image) -> Vector:
    """pool.flatten   a vector of all x(c, p, q), the last index running fastest"""
    sizes(x, 3, "image x")
    return [v for channel in x for row in channel for v in row]


@implements("pool.global")
def global_pooling(x: list[Matrix]) -> Vector:
    """pool.global   y(c) = 1/(H W) Σ_i Σ_j x(c, i, j)      (Lin, Chen and Yan 2014)"""
    return [sum(sum(row) for row in channel) / (len(channel) * len(channel[0])) for channel in x]
