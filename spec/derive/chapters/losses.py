"""Output deltas of the losses: ∂(loss)/∂z of the last layer, before any average."""

from __future__ import annotations

import sympy as sp

from ..language import Same, arrays, indices, scalars, sizes
from ..steps import Derivation, Named, grid, trials
from .register import derives

y, yhat, z, a, eps = scalars("y yhat z a eps")
Y, Z, p, w, t = arrays("y z p w t")
i, j, k = indices("i j k")
K = sizes("K")
N, labels, whole = scalars("N Y T")


@derives("loss.square.delta")
def square_delta(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The output delta of the square loss: its derivative by the prediction ŷ = z.",
        loss=(y - yhat)**2, wrt=yhat, over=(), shapes={y: (), yhat: ()},
        python=("y", "yhat"), lengths={}, trials=({},) * 3,
        remarks=("There is no ½ in the deck's loss, hence the 2.",),
    )
    D.chain()
    D.differentiate(why="chain rule, (u²)′ = 2 u and ∂(y − ŷ)/∂ŷ = −1")
    D.rewrite("pull", "the factor 2", sp.Mul(2, yhat - y, evaluate=False))
    return D


@derives("loss.xent.logits.delta")
def xent_logits_delta(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The output delta of binary cross entropy from the logit z (the negated reading).",
        loss=-(y * sp.log(a) + (1 - y) * sp.log(1 - a)), wrt=z, over=(), shapes={y: (), z: ()},
        named=(Named(entry=a, means=1 / (1 + sp.exp(-z))),),
        python=("z", "y"), lengths={}, trials=({},) * 3, order=("y", "a"),
    )
    slope = sp.Derivative(a, z, evaluate=False)
    D.chain()
    D.differentiate(why="(log u)′ = 1/u; a is a function of z")
    D.substitute("act.sigmoid.prime", "∂a/∂z = a (1 − a), which cancels both denominators", {slope: a * (1 - a)})
    D.rewrite("expand", "y a cancels", a - y)
    D.substitute("definition", "a = g(z), the sigmoid", {a: 1 / (1 + sp.exp(-z))})
    return D


def through_softmax(D: Derivation, label: sp.IndexedBase, whole: sp.Expr) -> Derivation:
    """−Σ_k label_k log p_k as far as whole · p_i − label_i."""
    D.chain()
    D.differentiate(why="(log u)′ = 1/u; every p_k is a function of z_i")
    D.unfold(p, why="quotient rule on p_k = exp(z_k)/N")
    D.unfold(N, why="∂N/∂z_i, term by term")
    D.collapse(j, why="only j = i survives")
    D.holds(why="0 ≤ i ≤ K − 1")
    D.rewrite("definition", "exp(z_k)/N = p_k, and it cancels against 1/p_k",
              -sp.Sum(label[k] * (Same(k, i) - p[i]), (k, 0, K - 1)))
    D.split(k)
    D.collapse(k, why="the bracket [k = i] leaves k = i alone")
    D.holds(why="0 ≤ i ≤ K − 1")
    D.pull(k, why="p_i does not depend on k")
    D.substitute("definition", "the sum of the labels", {sp.Sum(label[k], (k, 0, K - 1)): whole})
    return D


@derives("loss.softmax.delta")
def softmax_delta(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The output delta of K-class cross entropy over a softmax.",
        loss=-sp.Sum(Y[k] * sp.log(p[k]), (k, 0, K - 1)), wrt=Z[i], over=((i, 0, K - 1),),
        named=(Named(entry=N, means=sp.Sum(sp.exp(Z[j]), (j, 0, K - 1))),
               Named(entry=p[k], means=sp.exp(Z[k]) / N, over=((k, 0, K - 1),)),
               Named(entry=labels, means=sp.Sum(Y[k], (k, 0, K - 1)))),
        shapes={Z: ((0, K - 1),), Y: ((0, K - 1),)}, python=("z", "y"), lengths={K: "len(z)"},
        trials=trials({"K": K}, grid(K=range(1, 7))), order=("p", "y"),
        remarks=("For labels with Y = 1 (one class, or shares that add up) this is p_i − y_i.",),
    )
    return through_softmax(D, Y, labels)


@derives("loss.softmax.weighted.delta")
def softmax_weighted_delta(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The output delta of K-class cross entropy with class weights and smoothed labels.",
        loss=-sp.Sum(t[k] * sp.log(p[k]), (k, 0, K - 1)), wrt=Z[i], over=((i, 0, K - 1),),
        named=(Named(entry=N, means=sp.Sum(sp.exp(Z[j]), (j, 0, K - 1))),
               Named(entry=p[k], means=sp.exp(Z[k]) / N, over=((k, 0, K - 1),)),
               Named(entry=t[k], means=w[k] * ((1 - eps) * Y[k] + eps / K), over=((k, 0, K - 1),)),
               Named(entry=whole, means=sp.Sum(t[k], (k, 0, K - 1)))),
        shapes={Z: ((0, K - 1),), Y: ((0, K - 1),), w: ((0, K - 1),), eps: ()}, python=("z", "y", "w", "eps"),
        lengths={K: "len(z)"}, trials=trials({"K": K}, grid(K=range(1, 7))), order=("p", "t"),
        remarks=("The t are what loss.softmax calls y: labels that need not add up to 1.",),
    )
    return through_softmax(D, t, whole)
