"""Convolution as the deck prints it: the sum slides the filter unflipped (deck lines 1708–1784, 1833).

The printed sums are cross-correlations; the deck calls them convolutions, and so do we. Lists count from 0.
"""

from __future__ import annotations

from itertools import product

from .activations import identity
from .backprop import Activation
from .ids import implements
from .lists import Filters, Image, Matrix, Vector, same, sizes

Sides = int | tuple[int, int]       # one number for both directions, or (vertical, horizontal)


@implements("conv1d.valid")
def conv1d(theta: Vector, x: Vector) -> Vector:
    """conv1d.valid   (θ ∗ x)_i = Σ_{j=0}^{m−1} θ_j x_{i+j},   n − m + 1 outputs

    The deck counts x from 1 and θ from 0; lists here count both from 0.
    """
    (m,), (n,) = sizes(theta, 1, "theta"), sizes(x, 1, "x")
    fits("conv1d.valid", m, n)
    return [sum(theta[j] * x[i + j] for j in range(m)) for i in range(n - m + 1)]


@implements("conv1d.centred")
def conv1d_centred(theta: Vector, a: Vector, g: Activation = identity) -> Vector:
    """conv1d.centred   a_i^(k+1) = g(Σ_{j=−(m−1)/2}^{(m−1)/2} θ_{j+(m−1)/2} a_{i+j}^(k)),   n outputs

    Entries of a beyond its ends count as zero, as in the printed matrix; m must be odd.
    """
    (m,), (n,) = sizes(theta, 1, "theta"), sizes(a, 1, "a")
    if m % 2 == 0:
        raise ValueError(f"conv1d.centred: a filter of even length {m} has no centre; use an odd length")
    h = (m - 1) // 2
    return [g(sum(theta[j + h] * a[i + j] for j in range(-h, h + 1) if 0 <= i + j < n)) for i in range(n)]


@implements("conv2d.valid")
def conv2d(I: Matrix, K: Matrix) -> Matrix:
    """conv2d.valid   (I ∗ K)(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n)"""
    (H, W), (M, N) = sizes(I, 2, "image I"), sizes(K, 2, "filter K")
    fits("conv2d.valid", M, H)
    fits("conv2d.valid", N, W)
    return [[sum(I[i + m][j + n] * K[m][n] for m in range(M) for n in range(N))
             for j in range(W - N + 1)] for i in range(H - M + 1)]


@implements("stack.one")
def stack_one(x: Image, K: Image) -> Matrix:
    """stack.one   (x ∗ K)(i, j) = Σ_m Σ_n Σ_c x(i + m, j + n, c) K(m, n, c):   one filter, one matrix

    Channels are last here, as on the slide; conv2d.layer has them first.
    """
    (H, W, r), (M, N, channels) = sizes(x, 3, "input x"), sizes(K, 3, "filter K")
    same("channels of input and filter", r, channels)
    fits("stack.one", M, H)
    fits("stack.one", N, W)
    return [[sum(x[i + m][j + n][c] * K[m][n][c] for m in range(M) for n in range(N) for c in range(r))
             for j in range(W - N + 1)] for i in range(H - M + 1)]


@implements("stack.many")
def stack_many(x: Image, filters: Filters) -> Image:
    """stack.many   y(i, j, d) = (x ∗ K_d)(i, j):   D filters, an output of (n + 1 − m) × (n + 1 − m) × D"""
    y = [stack_one(x, K) for K in filters]
    D, H, W = sizes(y, 3, "output y")
    return [[[y[d][i][j] for d in range(D)] for j in range(W)] for i in range(H)]


@implements("conv2d.layer")
def conv2d_layer(x: Image, w: Filters, b: Vector | None = None, stride: Sides = 1, padding: Sides = 0,
                 dilation: Sides = 1, groups: int = 1) -> Image:
    """conv2d.layer   y(f, i, j) = b_f + Σ_c Σ_m Σ_n x(c, s i + d m − p, s j + d n − p) w(f, c, m, n)

    x counts zero beyond its edges. With groups, filter f of F reads the channels of group ⌊f groups / F⌋
    alone. With one channel, one filter and nothing else it is conv2d.valid.
    """
    (channels, H, W), (F, C, M, N) = sizes(x, 3, "input x"), sizes(w, 4, "filters w")
    (s, t), (pad, qad), (d, e) = pair(stride), pair(padding), pair(dilation)
    same("channels of the input, and of the filters over all groups", channels, C * groups)
    same(f"filters left over by {groups} groups, and none", F % groups, 0)
    b = [0] * F if b is None else b
    same("numbers of filters and of intercepts b", F, len(b))
    rows = [taps(i, M, s, pad, d, H) for i in range(output_size("conv2d.layer", H, M, s, pad, d))]
    columns = [taps(j, N, t, qad, e, W) for j in range(output_size("conv2d.layer", W, N, t, qad, e))]
    first = [C * (f * groups // F) for f in range(F)]           # the first channel that filter f reads
    return [[[b[f] + sum(x[first[f] + c][p][q] * w[f][c][m][n]
                         for c in range(C) for m, p in row for n, q in column)
              for column in columns] for row in rows] for f in range(F)]


@implements("conv2d.depthwise")
def conv2d_depthwise(x: Image, w: Image, S: int) -> Image:
    """conv2d.depthwise   y(c, i, j) = Σ_m Σ_n w(c, m, n) x(c, S i + m, S j + n)      (Howard et al. 2017)"""
    (C, H, W), (filters, M, N) = sizes(x, 3, "input x"), sizes(w, 3, "filters w")
    same("channels and filters", C, filters)
    rows, columns = (range(output_size("conv2d.depthwise", n, m, S, 0, 1)) for n, m in ((H, M), (W, N)))
    return [[[sum(w[c][m][n] * x[c][S * i + m][S * j + n] for m in range(M) for n in range(N))
              for j in columns] for i in rows] for c in range(C)]


@implements("conv2d.transposed")
def conv2d_transposed(x: Image, w: Filters, S: int) -> Image:
    """conv2d.transposed   y(f, S i + m, S j + n) += x(c, i, j) w(c, f, m, n)   for all c, i, j, m, n"""
    (C, H, W), (channels, F, M, N) = sizes(x, 3, "input x"), sizes(w, 4, "filters w")
    same("channels of the input and of the filters", C, channels)
    if S < 1:
        raise ValueError(f"conv2d.transposed: stride {S} must be at least 1")
    y: Image = [[[0] * (S * (W - 1) + N) for _ in range(S * (H - 1) + M)] for _ in range(F)]
    for c, i, j in product(range(C), range(H), range(W)):
        for f, m, n in product(range(F), range(M), range(N)):
            y[f][S * i + m][S * j + n] += x[c][i][j] * w[c][f][m][n]
    return y


def taps(i: int, m: int, stride: int, padding: int, dilation: int, n: int) -> list[tuple[int, int]]:
    """For output i the taps k of a filter and their places s i + d k − p, where the input has that place"""
    places = [(k, stride * i + dilation * k - padding) for k in range(m)]
    return [(k, place) for k, place in places if 0 <= place < n]


def output_size(id: str, n: int, m: int, stride: int, padding: int, dilation: int) -> int:
    """⌊(n + 2p − d(m − 1) − 1) / s⌋ + 1"""
    if min(m, stride, dilation) < 1 or padding < 0:
        raise ValueError(f"{id}: size {m}, stride {stride} and dilation {dilation} must be at least 1, "
                         f"padding {padding} at least 0")
    fits(id, dilation * (m - 1) + 1, n + 2 * padding)
    return (n + 2 * padding - dilation * (m - 1) - 1) // stride + 1


def pair(sides: Sides) -> tuple[int, int]:
    """(vertical, horizontal)"""
    return sides if isinstance(sides, tuple) else (sides, sides)


def fits(id: str, m: int, n: int) -> None:
    """Refuse a filter that is longer than what it slides over."""
    if m > n:
        raise ValueError(f"{id}: the filter is longer ({m}) than the input ({n})")
