"""Stacked 2-D convolutions (channels, stride, padding, dilation, groups) and max pooling.

Output row i and filter row m meet the input row S i + D m − R; columns have the same letters with a prime.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..language import Expr, FloorDiv, Same, Within, arrays, indices, sizes
from ..steps import Derivation, Output, sample
from .register import derives

x, w, b, d, y, index = arrays("x w b d y index")
i, j, m, n, c, f, g, p, q, k, u = indices("i j m n c f g p q k u")
H, W, M, N, A, B, C, F, G = sizes("H W M N A B C F G")
S, D, S2, D2 = sizes("S D S2 D2")
R, R2 = sp.symbols("R R2", integer=True, nonnegative=True)

PAIR = '''def pair(sides):
    """One number for both directions, or (vertical, horizontal)."""
    return sides if isinstance(sides, tuple) else (sides, sides)'''
GEOMETRY = {
    G: "groups", S: "pair(stride)[0]", S2: "pair(stride)[1]", R: "pair(padding)[0]", R2: "pair(padding)[1]",
    D: "pair(dilation)[0]", D2: "pair(dilation)[1]", A: "len(d[0])", B: "len(d[0][0])",
}
DEFAULTS = {"stride": "1", "padding": "0", "dilation": "1", "groups": "1"}
VALUES = {
    "H": H, "W": W, "M": M, "N": N, "groups": G,
    "stride": sp.Tuple(S, S2), "padding": sp.Tuple(R, R2), "dilation": sp.Tuple(D, D2),
}
RELATIONS = (
    "A = ⌊(H + 2R − D(M − 1) − 1)/S⌋ + 1 output rows and B columns likewise; stride S, padding R, dilation D for "
    "rows, S′, R′, D′ for columns; G groups, each with C channels and F filters")
WINDOWS = ("A × B windows of M × N entries; stride S, padding R, dilation D for rows, S′, R′, D′ for columns")
ROW, COLUMN = S * i + D * m - R, S2 * j + D2 * n - R2


def _fits(H: int, W: int, M: int, N: int, R: int, R2: int, D: int, D2: int, **_: int) -> bool:
    return H + 2 * R > D * (M - 1) and W + 2 * R2 > D2 * (N - 1)


def _trials(count: int, relation: Any, **ranges: Any) -> tuple[dict[Expr, int], ...]:
    """Small layers of every kind, every size at three values or more, with the A × B outputs they have."""
    letters = {str(s): s for s in (H, W, M, N, S, S2, R, R2, D, D2, C, F, G)}
    sides = {"H": (1, 2, 3, 4, 5), "W": (1, 2, 3, 4), "M": (1, 2, 3, 4), "N": (1, 2, 3, 4), "S": (1, 2, 3),
             "S2": (1, 2, 3), "R": (0, 1, 2), "R2": (0, 1, 2), "D": (1, 2, 3), "D2": (1, 2, 3)}
    found = sample(count, lambda **one: _fits(**one) and relation(**one), **sides, **ranges)
    return tuple({**{letters[name]: v for name, v in one.items()},
                  A: (one["H"] + 2 * one["R"] - one["D"] * (one["M"] - 1) - 1) // one["S"] + 1,
                  B: (one["W"] + 2 * one["R2"] - one["D2"] * (one["N"] - 1) - 1) // one["S2"] + 1} for one in found)


def _small(C: int, F: int, G: int, M: int, N: int, **_: int) -> bool:
    return C * F * G * M * N <= 18


def _half(M: int, N: int, R: int, R2: int, D: int, D2: int, H: int, W: int, **_: int) -> bool:
    """Padding of at most half a window, as torch has it, and no window that is all padding."""
    return 2 * R <= M and 2 * R2 <= N and H >= D and W >= D2


TRIALS = _trials(16, _small, C=(1, 2, 3), F=(1, 2, 3), G=(1, 2, 3))
POOLS = _trials(24, _half)


def _layer(id: str, what: str, wrt: Expr, over: Any, python: tuple[str, ...], lengths: Any) -> Derivation:
    inside = Within(ROW, 0, H - 1) * Within(COLUMN, 0, W - 1)
    term = w[g * F + f, c, m, n] * x[g * C + c, ROW, COLUMN] * inside
    means = b[g * F + f] + sp.Sum(term, (n, 0, N - 1), (m, 0, M - 1), (c, 0, C - 1))
    return Derivation(
        id=id, title=f"The gradient of a 2-D convolution layer with respect to its {what}.",
        output=Output(entry=y[g * F + f, i, j], means=means, delta=d[g * F + f, i, j],
                      over=((g, 0, G - 1), (f, 0, F - 1), (i, 0, A - 1), (j, 0, B - 1))),
        wrt=wrt, over=over, relations=RELATIONS, helpers=PAIR if "stride" in python else "",
        shapes={x: ((0, G * C - 1), (0, H - 1), (0, W - 1)), b: ((0, G * F - 1),),
                w: ((0, G * F - 1), (0, C - 1), (0, M - 1), (0, N - 1)),
                d: ((0, G * F - 1), (0, A - 1), (0, B - 1))},
        python=python, lengths=lengths, values=VALUES, defaults=DEFAULTS, trials=TRIALS,
        assumes=("zero padding: x counts 0 beyond its edges",), order=("d", "w", "x"), reads={"C": G * C, "F": G * F},
    )


@derives("conv2d.layer.grad_x")
def grad_x(id: str) -> Derivation:
    E = _layer(id, "input", x[k, p, q], ((k, 0, G * C - 1), (p, 0, H - 1), (q, 0, W - 1)),
               ("d", "w", "H", "W", "stride", "padding", "dilation", "groups"),
               {**GEOMETRY, F: "len(w) // G", C: "len(w[0])", M: "len(w[0][0])", N: "len(w[0][0][0])"})
    E.chain()
    E.differentiate()
    E.collapse(c, why="channel k is channel c = k − g C of its group")
    E.collapse(m, why="only m = (p + R − S i)/D survives, where it is a row of the filter")
    E.collapse(n, why="only n = (q + R′ − S′ j)/D′ survives, where it is a column of the filter")
    E.holds(why="the entry exists: 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1")
    E.absorb(g, i, j, why="0 ≤ p + R − S i ≤ D (M − 1) becomes the range of i; likewise j, and g")
    E.single(g, FloorDiv(k, C), why="one group has channel k: g = ⌊k/C⌋")
    E.remarks = ("With stride and dilation 1 every division is exact and i runs from max(0, p + R − M + 1) to "
                 "min(A − 1, p + R): conv2d.valid.grad_I when R = 0.",)
    return E


@derives("conv2d.layer.grad_w")
def grad_w(id: str) -> Derivation:
    E = _layer(id, "filters", w[k, u, p, q], ((k, 0, G * F - 1), (u, 0, C - 1), (p, 0, M - 1), (q, 0, N - 1)),
               ("d", "x", "M", "N", "stride", "padding", "dilation", "groups"),
               {**GEOMETRY, F: "len(d) // G", C: "len(x) // G", H: "len(x[0])", W: "len(x[0][0])"})
    E.chain()
    E.differentiate()
    E.collapse(f, why="filter k is filter f = k − g F of its group")
    E.collapse(c, why="only c = u survives")
    E.collapse(m, why="only m = p survives")
    E.collapse(n, why="only n = q survives")
    E.holds(why="u, p and q are indices of the filter")
    E.absorb(g, i, j, why="the padding's conditions become the ranges of i and j; k's group that of g")
    E.single(g, FloorDiv(k, F), why="one group has filter k: g = ⌊k/F⌋")
    return E


@derives("conv2d.layer.grad_b")
def grad_b(id: str) -> Derivation:
    E = _layer(id, "intercepts", b[k], ((k, 0, G * F - 1),), ("d", "groups"),
               {G: "groups", F: "len(d) // G", A: "len(d[0])", B: "len(d[0][0])"})
    E.chain()
    E.differentiate(why="∂b_i/∂b_k = [i = k]; the rest does not depend on b")
    E.collapse(f, why="filter k is filter f = k − g F of its group")
    E.absorb(g, why="k's group")
    E.single(g, FloorDiv(k, F), why="one group has filter k: g = ⌊k/F⌋")
    return E


@derives("pool.max.grad_x")
def pool_max(id: str) -> Derivation:
    inside = Within(ROW, 0, H - 1) * Within(COLUMN, 0, W - 1)
    term = x[ROW, COLUMN] * inside * Same(W * ROW + COLUMN, index[i, j])
    E = Derivation(
        id=id, title="The gradient of max pooling: each window hands its delta to the entry that was its maximum.",
        output=Output(entry=y[i, j], means=sp.Sum(term, (n, 0, N - 1), (m, 0, M - 1)),
                      over=((i, 0, A - 1), (j, 0, B - 1)), delta=d[i, j]),
        wrt=x[p, q], over=((p, 0, H - 1), (q, 0, W - 1)), relations=WINDOWS, helpers=PAIR,
        shapes={x: ((0, H - 1), (0, W - 1)), index: ((0, A - 1), (0, B - 1)), d: ((0, A - 1), (0, B - 1))},
        python=("d", "index", "H", "W", "k", "stride", "padding", "dilation"),
        lengths={M: "pair(k)[0]", N: "pair(k)[1]", S: "pair(k if stride is None else stride)[0]",
                 S2: "pair(k if stride is None else stride)[1]", R: GEOMETRY[R], R2: GEOMETRY[R2],
                 D: GEOMETRY[D], D2: GEOMETRY[D2], A: "len(d)", B: "len(d[0])"},
        values={**VALUES, "k": sp.Tuple(M, N)}, defaults={**DEFAULTS, "k": "2", "stride": "None"},
        given={index: "pool.max.layer.index"}, trials=POOLS, order=("d",),
        assumes=("index_{i,j} = W u + v is where window (i, j) has its maximum x_{u,v}: the first in row-major "
                 "order on a tie; it does not move while x changes a little",),
    )
    E.chain()
    E.differentiate()
    E.collapse(m, why="only m = (p + R − S i)/D survives, where it is a row of the window")
    E.collapse(n, why="only n = (q + R′ − S′ j)/D′ survives, where it is a column of the window")
    E.holds(why="the entry exists: 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1")
    E.absorb(i, j, why="the windows that (p, q) lies in")
    return E


MEANS = tuple({H: one["H"], W: one["W"], M: one["M"], N: one["N"], S: one["S"],
               A: (one["H"] - one["M"]) // one["S"] + 1, B: (one["W"] - one["N"]) // one["S"] + 1}
              for one in sample(20, lambda H, W, M, N, S: M <= H and N <= W,
                                H=(1, 2, 3, 5), W=(1, 2, 4, 6), M=(1, 2, 3), N=(1, 2, 3), S=(1, 2, 3)))


@derives("pool.mean.grad_x")
def pool_mean(id: str) -> Derivation:
    window = sp.Sum(x[S * i + m, S * j + n], (n, 0, N - 1), (m, 0, M - 1)) / (M * N)
    E = Derivation(
        id=id, title="The gradient of average pooling: each window hands every entry its share of the delta.",
        output=Output(entry=y[i, j], means=window, over=((i, 0, A - 1), (j, 0, B - 1)), delta=d[i, j]),
        wrt=x[p, q], over=((p, 0, H - 1), (q, 0, W - 1)), relations="A × B windows of M × N entries, stride S",
        shapes={x: ((0, H - 1), (0, W - 1)), d: ((0, A - 1), (0, B - 1))},
        python=("d", "H", "W", "M", "N", "S"), values={"H": H, "W": W, "M": M, "N": N, "S": S},
        lengths={A: "len(d)", B: "len(d[0])"}, order=("d",), trials=MEANS)
    E.chain()
    E.differentiate()
    E.collapse(m, why="only m = p − S i, where the window has that row")
    E.collapse(n, why="only n = q − S j, where it has that column")
    E.absorb(i, j, why="the windows that (p, q) lies in")
    return E
