"""Gradients of the transposed convolution: each of its inputs stamps a filter, S further each time."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..language import Expr, Within, arrays, indices, sizes
from ..steps import Derivation, Output, sample, trials
from .register import derives

x, w, y, d = arrays("x w y d")
c, f, g, i, j, k, m, n, p, q, r, s, u, v = indices("c f g i j k m n p q r s u v")
C, F, H, W, M, N, S = sizes("C F H W M N S")
P, Q = S * (H - 1) + M - 1, S * (W - 1) + N - 1                       # the last row and column of the output
SMALL = trials({"C": C, "F": F, "H": H, "W": W, "M": M, "N": N, "S": S}, sample(
    6, lambda C, F, H, W, M, N, S: C * F * H * W * M * N <= 24, C=(1, 2, 3), F=(1, 2, 3), H=(1, 2, 3), W=(1, 2, 3),
    M=(1, 2, 3), N=(1, 2, 3), S=(1, 2, 3)))


def _transposed(id: str, by: str, wrt: Expr, over: Any, python: tuple[str, ...],
                lengths: dict[Expr, str]) -> Derivation:
    inside = Within(p - S * i, 0, M - 1) * Within(q - S * j, 0, N - 1)
    means = sp.Sum(x[c, i, j] * w[c, f, p - S * i, q - S * j] * inside, (j, 0, W - 1), (i, 0, H - 1), (c, 0, C - 1))
    E = Derivation(
        id=id, title=f"The gradient of the transposed convolution with respect to its {by}.",
        output=Output(entry=y[f, p, q], means=means, over=((f, 0, F - 1), (p, 0, P), (q, 0, Q)), delta=d[f, p, q]),
        wrt=wrt, over=over, python=python, lengths=lengths, values={"S": S}, order=("d", "w", "x"), trials=SMALL,
        shapes={x: ((0, C - 1), (0, H - 1), (0, W - 1)), w: ((0, C - 1), (0, F - 1), (0, M - 1), (0, N - 1)),
                d: ((0, F - 1), (0, P), (0, Q))},
        relations="C channels become F; filters of M × N, stride S")
    E.chain()
    E.differentiate()
    E.collapse(c, why="only the channel c = k")
    return E


@derives("conv2d.transposed.grad_x")
def by_input(id: str) -> Derivation:
    E = _transposed(id, "input", x[k, r, s], ((k, 0, C - 1), (r, 0, H - 1), (s, 0, W - 1)), ("d", "w", "S"),
                    {F: "len(d)", M: "len(w[0][0])", N: "len(w[0][0][0])", H: "(len(d[0]) - M) // S + 1",
                     W: "(len(d[0][0]) - N) // S + 1", C: "len(w)"})
    E.collapse(i, why="only i = r")
    E.collapse(j, why="and j = s")
    E.holds(why="k, r and s are indices of the input")
    E.absorb(p, q, why="the entries that this filter stamps")
    E.reindex(p, m, S * r + m, why="p = S r + m")
    E.reindex(q, n, S * s + n, why="q = S s + n")
    E.rewrite("in range", "a filter lies inside the output as a whole", sp.Sum(
        d[f, S * r + m, S * s + n] * w[k, f, m, n], (n, 0, N - 1), (m, 0, M - 1), (f, 0, F - 1)))
    E.remarks = ("The adjoint of a transposed convolution is a convolution with stride S, and the other way round.",)
    return E


@derives("conv2d.transposed.grad_w")
def by_filter(id: str) -> Derivation:
    E = _transposed(id, "filters", w[k, g, u, v], ((k, 0, C - 1), (g, 0, F - 1), (u, 0, M - 1), (v, 0, N - 1)),
                    ("d", "x", "S"), {
                        F: "len(d)", C: "len(x)", H: "len(x[0])", W: "len(x[0][0])",
                        M: "len(d[0]) - S * (H - 1)", N: "len(d[0][0]) - S * (W - 1)"})
    E.collapse(f, why="only f = g")
    E.collapse(p, why="only p = S i + u")
    E.collapse(q, why="and q = S j + v")
    E.rewrite("in range", "every entry that a filter stamps is one of the output", sp.Sum(
        d[g, S * i + u, S * j + v] * x[k, i, j], (j, 0, W - 1), (i, 0, H - 1)))
    return E
