"""What chance enters: first weights, dropped nodes, moved images. The numbers that were drawn are arguments.

Sources: Glorot and Bengio 2010 · He et al. 2015 · Srivastava et al. 2014 · Krizhevsky et al. 2012 (augmentation).
"""

from __future__ import annotations

from chainrule.scalar import number, sqrt

from .ids import implements
from .lists import Matrix, Scalar, Vector, same, sizes


@implements("init.glorot")
def glorot(u: Scalar, p: int, q: int) -> Scalar:
    """init.glorot   Θ_ij = (2 u − 1) √(6/(p + q)),   u uniform in 0 … 1: variance 2/(p + q)"""
    return (2 * u - 1) * sqrt(number(u, 6) / (p + q))


@implements("init.he")
def he(v: Scalar, p: int) -> Scalar:
    """init.he   Θ_ij = v √(2/p),   v of mean 0 and variance 1: variance 2/p"""
    return v * sqrt(number(v, 2) / p)


@implements("net.dropout")
def dropout(x: Vector, m: Vector, r: Scalar) -> Vector:
    """net.dropout   y_i = m_i x_i / (1 − r),   m_i is 0 with probability r, else 1"""
    same("lengths of x and of its mask", len(x), len(m))
    return [m[i] * x[i] / (1 - r) for i in range(len(x))]


@implements("aug.flip")
def flip(x: Matrix) -> Matrix:
    """aug.flip   y_ij = x_{i,W−1−j}"""
    sizes(x, 2, "image x")
    return [row[::-1] for row in x]


@implements("aug.crop")
def crop(x: Matrix, M: int, N: int, a: int, b: int) -> Matrix:
    """aug.crop   y_ij = x_{i+a,j+b},   M × N entries"""
    H, W = sizes(x, 2, "image x")
    if not (0 <= a <= H - M and 0 <= b <= W - N):
        raise ValueError(f"aug.crop: {M} × {N} entries from ({a}, {b}) do not lie in an image of {H} × {W}")
    return [row[b:b + N] for row in x[a:a + M]]


@implements("aug.shift")
def shift(x: Matrix, R: int, a: int, b: int) -> Matrix:
    """aug.shift   y_ij = x_{i+a−R,j+b−R}, 0 beyond the edges: a crop of the image with a border of R zeros"""
    H, W = sizes(x, 2, "image x")
    above, beside = [[0] * (W + 2 * R) for _ in range(R)], [0] * R
    return crop([*above, *([*beside, *row, *beside] for row in x), *above], H, W, a, b)
