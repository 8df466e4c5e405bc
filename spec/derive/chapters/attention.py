"""Softmax as a layer, and one head of dot-product attention."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..language import Expr, Same, arrays, indices, scalars, sizes
from ..steps import Derivation, Named, Output, grid, sample, trials
from .register import derives

z, d, p, y = arrays("z d p y")
Q, K, V, A, P, G, B, M, O, N = arrays("Q K V A P G B M o N")
i, k, s, t, u, e, f, b, r, w = indices("i k s t u e f b r w")
classes, rows, keys, width, values = sizes("K S T D E")
c, total, mean = scalars("scale N m")


@derives("act.softmax.prime")
def softmax_prime(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The derivative of softmax, applied to the delta d of any loss after it.",
        output=Output(entry=y[k], means=p[k], over=((k, 0, classes - 1),), delta=d[k]),
        wrt=z[i], over=((i, 0, classes - 1),),
        named=(Named(entry=total, means=sp.Sum(sp.exp(z[t]), (t, 0, classes - 1))),
               Named(entry=p[k], means=sp.exp(z[k]) / total, over=((k, 0, classes - 1),)),
               Named(entry=mean, means=sp.Sum(d[k] * p[k], (k, 0, classes - 1)))),
        shapes={z: ((0, classes - 1),), d: ((0, classes - 1),)}, python=("d", "z"), lengths={classes: "len(z)"},
        trials=trials({"K": classes}, grid(K=range(1, 7))), order=("p", "d"),
    )
    D.chain()
    D.unfold(p, why="quotient rule on p_k = exp(z_k)/N")
    D.unfold(total, why="∂N/∂z_i, term by term")
    D.collapse(t, why="only t = i survives")
    D.holds(why="0 ≤ i ≤ K − 1")
    D.rewrite("definition", "exp(z_k)/N = p_k", sp.Sum(d[k] * p[k] * (Same(k, i) - p[i]), (k, 0, classes - 1)))
    D.split(k)
    D.collapse(k, why="the bracket [k = i] leaves k = i alone")
    D.holds(why="0 ≤ i ≤ K − 1")
    D.rewrite("pull", "p_i stands in both terms", p[i] * (d[i] - sp.Sum(d[k] * p[k], (k, 0, classes - 1))))
    D.substitute("definition", "the mean of d under p", {sp.Sum(d[k] * p[k], (k, 0, classes - 1)): mean})
    return D


SCORES = (
    Named(entry=A[s, t], means=c * sp.Sum(Q[s, b] * K[t, b], (b, 0, width - 1)),
          over=((s, 0, rows - 1), (t, 0, keys - 1))),
    Named(entry=N[s], means=sp.Sum(sp.exp(A[s, u]), (u, 0, keys - 1)), over=((s, 0, rows - 1),)),
    Named(entry=P[s, t], means=sp.exp(A[s, t]) / N[s], over=((s, 0, rows - 1), (t, 0, keys - 1))),
)
BACK = (
    Named(entry=G[s, t], means=sp.Sum(d[s, e] * V[t, e], (e, 0, values - 1)),
          over=((s, 0, rows - 1), (t, 0, keys - 1))),
    Named(entry=M[s], means=sp.Sum(P[s, u] * G[s, u], (u, 0, keys - 1)), over=((s, 0, rows - 1),)),
    Named(entry=B[s, t], means=P[s, t] * (G[s, t] - M[s]),
          over=((s, 0, rows - 1), (t, 0, keys - 1))),
)
SHAPES = {
    Q: ((0, rows - 1), (0, width - 1)), K: ((0, keys - 1), (0, width - 1)), V: ((0, keys - 1), (0, values - 1)),
    d: ((0, rows - 1), (0, values - 1)), c: (),
}


def _head(id: str, what: str, wrt: Expr, over: Any, named: Any, python: tuple[str, ...]) -> Derivation:
    lengths = {rows: "len(Q)", keys: "len(K)", width: "len(Q[0])", values: "len(d[0])"}
    return Derivation(
        id=id, title=f"The gradient of an attention head o_s = Σ_t P_st v_t with respect to its {what}.",
        output=Output(entry=O[s, e], means=sp.Sum(P[s, t] * V[t, e], (t, 0, keys - 1)),
                      over=((s, 0, rows - 1), (e, 0, values - 1)), delta=d[s, e]),
        wrt=wrt, over=over, named=named, shapes=SHAPES, python=python, lengths=lengths,
        trials=trials({"S": rows, "T": keys, "D": width, "E": values},
                      sample(14, lambda **_: True, S=(1, 2, 3), T=(1, 2, 3), D=(1, 2, 3), E=(1, 2, 3))),
        reads={"d": width},
        order=("scale", "d", "P", "G", "B", "Q", "K", "V"),
        assumes=("c is the factor on the scores, 1/√D as a rule",), notation={"scale": ("c", "c")},
    )


def _to_scores(D: Derivation, wrt: Expr) -> None:
    """Σ_s Σ_e d_se ∂o_se/∂x  =  Σ_s Σ_t B_st ∂A_st/∂x."""
    def over_all(body: Expr) -> Expr:
        return sp.Sum(body, (t, 0, keys - 1), (s, 0, rows - 1))

    def slope(of: Expr) -> Expr:
        return sp.Derivative(of, wrt, evaluate=False)

    D.chain()
    D.differentiate(why="V is a constant here; P depends on it")
    D.rewrite("definition", "G_st = Σ_e d_se V_te is the delta of P_st", over_all(G[s, t] * slope(P[s, t])))
    D.rewrite("act.softmax.prime", "row s of P is the softmax of row s of A; M_s = Σ_u P_su G_su",
              over_all(P[s, t] * (G[s, t] - M[s]) * slope(A[s, t])))
    D.rewrite("definition", "B_st is the delta of A_st", over_all(B[s, t] * slope(A[s, t])))
    D.unfold(A, why="A_st = c Σ_b Q_sb K_tb")


@derives("attn.head.grad_Q")
def grad_Q(id: str) -> Derivation:
    D = _head(id, "queries", Q[r, w], ((r, 0, rows - 1), (w, 0, width - 1)), SCORES + BACK,
              ("d", "Q", "K", "V", "scale"))
    _to_scores(D, Q[r, w])
    D.collapse(s, why="only the query s = r")
    D.collapse(b, why="and its component b = w")
    D.holds(why="r and w are indices of Q")
    D.pull(t, why="c does not depend on t")
    return D


@derives("attn.head.grad_K")
def grad_K(id: str) -> Derivation:
    D = _head(id, "keys", K[r, w], ((r, 0, keys - 1), (w, 0, width - 1)), SCORES + BACK,
              ("d", "Q", "K", "V", "scale"))
    _to_scores(D, K[r, w])
    D.collapse(t, why="only the key t = r")
    D.collapse(b, why="and its component b = w")
    D.holds(why="r and w are indices of K")
    D.pull(s, why="c does not depend on s")
    return D


@derives("attn.head.grad_V")
def grad_V(id: str) -> Derivation:
    D = _head(id, "values", V[r, f], ((r, 0, keys - 1), (f, 0, values - 1)), SCORES, ("d", "Q", "K", "scale"))
    D.chain()
    D.differentiate(why="P is a constant here; ∂V_te/∂V_rf = [t = r][e = f]")
    D.collapse(t, why="only the value t = r")
    D.collapse(e, why="and its component e = f")
    D.holds(why="r and f are indices of V")
    return D
