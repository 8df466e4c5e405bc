"""Maps of indices: what only moves numbers about hands every delta back to the place its number came from."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..language import Expr, FloorDiv, Same, Within, arrays, indices, sizes
from ..steps import Derivation, Named, Output, sample, trials
from .register import derives

x, y, d, a, Theta, patch, token, position = arrays("x y d a Theta patch token position")
c, i, j, k, m, n, p, q, r, s, t, u, v, e = indices("c i j k m n p q r s t u v e")
C, D, H, N, P, U, V, W = sizes("C D H N P U V W")


@derives("vit.patches.grad_x")
def patches(id: str) -> Derivation:
    at = V * u + v, P * P * c + P * m + n
    E = Derivation(
        id=id, title="The gradient of cutting an image into patches: every pixel stands in one patch, once.",
        output=Output(entry=y[at], means=x[c, P * u + m, P * v + n], delta=d[at], over=(
            (u, 0, U - 1), (v, 0, V - 1), (c, 0, C - 1), (m, 0, P - 1), (n, 0, P - 1))),
        wrt=x[k, p, q], over=((k, 0, C - 1), (p, 0, P * U - 1), (q, 0, P * V - 1)),
        shapes={x: ((0, C - 1), (0, P * U - 1), (0, P * V - 1)), d: ((0, U * V - 1), (0, C * P * P - 1))},
        python=("d", "P", "H", "W"), values={"P": P, "H": P * U, "W": P * V},
        lengths={U: "H // P", V: "W // P", C: "len(d[0]) // (P * P)"}, reads={"H": P * U, "W": P * V},
        trials=trials({"C": C, "P": P, "U": U, "V": V}, sample(
            5, lambda C, P, U, V: C * P * U * V <= 18, C=(1, 2, 3), P=(1, 2, 3), U=(1, 2, 3), V=(1, 2, 3))),
        relations="U × V patches of P × P pixels in C channels", order=("d",))
    E.chain()
    E.differentiate()
    E.collapse(c, why="only the channel c = k")
    E.collapse(m, why="only m = p − P u, where it is a row of the patch")
    E.collapse(n, why="only n = q − P v, where it is a column of the patch")
    E.holds(why="0 ≤ k ≤ C − 1")
    E.absorb(u, v, why="the patches that have row p and column q")
    E.single(u, FloorDiv(p, P), why="one row of patches has row p: u = ⌊p/P⌋")
    E.single(v, FloorDiv(q, P), why="one of its patches has column q: v = ⌊q/P⌋")
    return E


@derives("pool.flatten.grad_x")
def flatten(id: str) -> Derivation:
    at = H * W * c + W * i + j
    E = Derivation(
        id=id, title="The gradient of flattening: the vector of deltas as a tensor again.",
        output=Output(entry=y[at], means=x[c, i, j], delta=d[at],
                      over=((c, 0, C - 1), (i, 0, H - 1), (j, 0, W - 1))),
        wrt=x[k, p, q], over=((k, 0, C - 1), (p, 0, H - 1), (q, 0, W - 1)),
        shapes={x: ((0, C - 1), (0, H - 1), (0, W - 1)), d: ((0, C * H * W - 1),)},
        python=("d", "H", "W"), values={"H": H, "W": W}, lengths={C: "len(d) // (H * W)"}, order=("d",),
        trials=trials({"C": C, "H": H, "W": W}, sample(9, lambda **_: True, C=(1, 2, 3), H=(1, 2, 3), W=(1, 2, 3))))
    E.chain()
    E.differentiate()
    E.collapse(c, why="only the channel c = k")
    E.collapse(i, why="and its row i = p")
    E.collapse(j, why="and column j = q")
    E.holds(why="k, p and q are indices of the tensor")
    return E


def _embed(id: str, by: str, wrt: Expr, over: Any, python: tuple[str, ...], lengths: dict[Expr, str],
           patches: Expr | None = None, **more: Any) -> Derivation:
    """Token 0 is the class token, tokens 1 … N the embedded patches; a position is added to each."""
    embedded = Theta[e + 1, 0] + sp.Sum(Theta[e + 1, q + 1] * patch[t - 1, q], (q, 0, P - 1))
    means = position[t, e] + Same(t, 0) * token[e] + Within(t, 1, N) * (patches or embedded)
    E = Derivation(
        id=id, title=f"The gradient of the sequence that an encoder sees, with respect to its {by}.",
        output=Output(entry=y[t, e], means=means, over=((t, 0, N), (e, 0, D - 1)), delta=d[t, e]),
        wrt=wrt, over=over, python=python, lengths=lengths, order=("d", "Theta", "patch", "a"),
        shapes={patch: ((0, N - 1), (0, P - 1)), Theta: ((1, D), (0, P)), token: ((0, D - 1),),
                position: ((0, N), (0, D - 1)), d: ((0, N), (0, D - 1))},
        trials=trials({"N": N, "P": P, "D": D}, sample(9, lambda **_: True, N=(1, 2, 3), P=(1, 2, 3), D=(1, 2, 3))),
        notation={"patch": ("x", "x"), "token": ("c", "c"), "position": ("p", "p")}, **more)
    E.chain()
    E.differentiate()
    return E


LENGTHS = {N: "len(d) - 1", D: "len(d[0])"}


@derives("vit.embed.grad_position")
def positions(id: str) -> Derivation:
    E = _embed(id, "positions", position[r, s], ((r, 0, N), (s, 0, D - 1)), ("d",), LENGTHS)
    E.collapse(t, why="only the token t = r")
    E.collapse(e, why="and its component e = s")
    E.holds(why="r and s are indices of the positions")
    return E


@derives("vit.embed.grad_token")
def class_token(id: str) -> Derivation:
    E = _embed(id, "class token", token[s], ((s, 0, D - 1),), ("d",), {D: LENGTHS[D]})
    E.collapse(t, why="the class token stands at t = 0 alone")
    E.collapse(e, why="only its component e = s")
    E.holds(why="s is an index of the token", extra=((sp.Integer(0), sp.Integer(0), N),))
    return E


@derives("vit.embed.grad_patch")
def embedded_patches(id: str) -> Derivation:
    E = _embed(id, "patches", patch[r, s], ((r, 0, N - 1), (s, 0, P - 1)), ("d", "Theta"),
               {**LENGTHS, P: "len(Theta[1]) - 1"})
    E.collapse(q, why="only the entry q = s of a patch")
    E.collapse(t, why="patch r is token t = r + 1")
    E.holds(why="r and s are indices of the patches", extra=((r + 1, sp.Integer(0), N), (r + 1, sp.Integer(1), N)))
    return E


@derives("vit.embed.grad_Theta")
def embedding(id: str) -> Derivation:
    unit = Named(entry=a[t, q], over=((t, 1, N), (q, 0, P)),
                 means=sp.Piecewise((1, q <= 0), (patch[t - 1, q - 1], True), evaluate=False))
    E = _embed(id, "matrix", Theta[r, s], ((r, 1, D), (s, 0, P)), ("d", "patch"),
               {**LENGTHS, P: "len(patch[0])"}, sp.Sum(Theta[e + 1, q] * a[t, q], (q, 0, P)), named=(unit,),
               remarks=("Column s = 0 is the intercepts' gradient: a has a 1 before every patch.",))
    E.collapse(e, why="only the row e = r − 1 has this weight")
    E.collapse(q, why="and only its input q = s")
    E.holds(why="r and s are indices of the matrix", extra=((r - 1, sp.Integer(0), D - 1),))
    E.absorb(t, why="the class token is not embedded")
    return E
