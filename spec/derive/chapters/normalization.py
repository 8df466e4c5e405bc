"""Gradients of batch and layer normalisation. The lemmas on μ, v, s and x̂ are steps like all others."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..language import Expr, Same, arrays, indices, scalars, sizes
from ..steps import Derivation, Named, Output, grid, trials
from .register import derives

x, y, d, xhat, gammas, betas, h = arrays("x y d xhat gamma beta g")
i, k, p = indices("i k p")
n = sizes("n")
gamma, beta, eps, mu, v, s, m1, m2, delta = scalars("gamma beta eps mu v s m_1 m_2 delta")
TRIALS = trials({"n": n}, grid(n=range(1, 7)))
ORDER = ("gamma", "d", "g", "xhat", "x")


def dx(quantity: Expr) -> Expr:
    """∂/∂x_p, left standing."""
    return sp.Derivative(quantity, x[p], evaluate=False)


def total(e: Expr) -> Expr:
    return sp.Sum(e, (i, 0, n - 1))


STATISTICS = (
    Named(entry=mu, means=sp.Sum(x[k], (k, 0, n - 1)) / n),
    Named(entry=v, means=sp.Sum((x[k] - mu)**2, (k, 0, n - 1)) / n),
    Named(entry=s, means=sp.sqrt(v + eps)),
    Named(entry=xhat[i], means=(x[i] - mu) / s, over=((i, 0, n - 1),)),
)


def _means(e: Expr) -> tuple[Named, ...]:
    return (Named(entry=m1, means=total(e) / n), Named(entry=m2, means=total(e * xhat[i]) / n))


def _norm(id: str, title: str, means: Expr, wrt: Expr, **more: Any) -> Derivation:
    over = ((wrt.indices[0], 0, n - 1),) if isinstance(wrt, sp.Indexed) else ()
    return Derivation(
        id=id, title=title, output=Output(entry=y[i], means=means, over=((i, 0, n - 1),), delta=d[i]),
        wrt=wrt, over=over, named=STATISTICS + more.pop("named", ()), lengths={n: "len(d)"},
        trials=TRIALS, order=ORDER, **more)


def _lemmas(D: Derivation) -> None:
    """From ∂x̂_i/∂x_p to x_p: quotient, root, variance, mean."""
    D.substitute("quotient rule", "x̂_i = (x_i − μ)/s, and (x_i − μ)/s² = x̂_i/s",
                 {dx(xhat[i]): (Same(i, p) - dx(mu)) / s - xhat[i] / s * dx(s)})
    D.substitute("chain rule", "s = √(v + ε), s′ = v′/(2 s)", {dx(s): dx(v) / (2 * s)})
    D.substitute("variance", "v′ = (2/n) (x_p − μ) = (2 s/n) x̂_p, because Σ_k (x_k − μ) = 0",
                 {dx(v): 2 * s * xhat[p] / n})
    D.substitute("mean", "∂μ/∂x_p = 1/n", {dx(mu): 1 / n})


@derives("norm.batch.grad_x")
def batch_x(id: str) -> Derivation:
    D = _norm(id, "The gradient of batch normalisation, one feature over n examples, with respect to its input.",
              gamma * xhat[i] + beta, x[p], python=("d", "x", "gamma", "eps"),
              shapes={x: ((0, n - 1),), d: ((0, n - 1),), gamma: (), beta: (), eps: ()},
              named=_means(d[i]),
              remarks=("The two means are why one example's gradient depends on the whole batch.",))
    D.chain("every output depends on x_p, through μ and s")
    D.differentiate(why="γ and β are constants here")
    D.pull(i, why="γ does not depend on i")
    _lemmas(D)
    D.rewrite("pull", "1/s does not depend on i",
              gamma / s * total(d[i] * (Same(i, p) - 1 / n - xhat[i] * xhat[p] / n)))
    D.split(i)
    D.collapse(i, why="the bracket [i = p] leaves i = p alone")
    D.holds(why="0 ≤ p ≤ n − 1")
    D.rewrite("definition", "two means over the batch: of d, and of d x̂", gamma / s * (d[p] - m1 - xhat[p] * m2))
    return D


@derives("norm.batch.grad_gamma")
def batch_gamma(id: str) -> Derivation:
    D = _norm(id, "The gradient of batch normalisation with respect to its scale γ.", gamma * xhat[i] + beta, gamma,
              python=("d", "x", "eps"),
              shapes={x: ((0, n - 1),), d: ((0, n - 1),), gamma: (), beta: (), eps: ()})
    D.chain()
    D.differentiate(why="∂(γ x̂_i + β)/∂γ = x̂_i: the statistics do not depend on γ")
    return D


@derives("norm.batch.grad_beta")
def batch_beta(id: str) -> Derivation:
    D = _norm(id, "The gradient of batch normalisation with respect to its shift β.", gamma * xhat[i] + beta, beta,
              python=("d",), shapes={x: ((0, n - 1),), d: ((0, n - 1),), gamma: (), beta: (), eps: ()})
    D.chain()
    D.differentiate(why="∂(γ x̂_i + β)/∂β = 1")
    return D


FEATURES = {x: ((0, n - 1),), d: ((0, n - 1),), gammas: ((0, n - 1),), betas: ((0, n - 1),), eps: ()}
LAYER = gammas[i] * xhat[i] + betas[i]


@derives("norm.layer.grad_x")
def layer_x(id: str) -> Derivation:
    D = _norm(id, "The gradient of layer normalisation, n features of one example, with respect to its input.",
              LAYER, x[p], python=("d", "x", "gamma", "eps"), shapes=FEATURES,
              named=(Named(entry=h[i], means=gammas[i] * d[i], over=((i, 0, n - 1),)), *_means(h[i])))
    D.chain("every output depends on x_p, through μ and s")
    D.differentiate(why="γ and β are constants here")
    D.substitute("definition", "g_i = γ_i d_i", {gammas[i] * d[i] * dx(xhat[i]): h[i] * dx(xhat[i])})
    _lemmas(D)
    D.rewrite("pull", "1/s does not depend on i",
              total(h[i] * (Same(i, p) - 1 / n - xhat[i] * xhat[p] / n)) / s)
    D.split(i)
    D.collapse(i, why="the bracket [i = p] leaves i = p alone")
    D.holds(why="0 ≤ p ≤ n − 1")
    D.rewrite("definition", "two means over the features: of g, and of g x̂", (h[p] - m1 - xhat[p] * m2) / s)
    return D


@derives("norm.layer.grad_gamma")
def layer_gamma(id: str) -> Derivation:
    D = _norm(id, "The gradient of layer normalisation with respect to its scales γ.", LAYER, gammas[p],
              python=("d", "x", "eps"), shapes=FEATURES)
    D.chain()
    D.differentiate(why="∂γ_i/∂γ_p = [i = p]; the statistics do not depend on γ")
    D.collapse(i, why="only i = p survives")
    D.holds(why="0 ≤ p ≤ n − 1")
    return D


@derives("norm.layer.grad_beta")
def layer_beta(id: str) -> Derivation:
    D = _norm(id, "The gradient of layer normalisation with respect to its shifts β.", LAYER, betas[p],
              python=("d",), shapes=FEATURES)
    D.chain()
    D.differentiate(why="∂β_i/∂β_p = [i = p]")
    D.collapse(i, why="only i = p survives")
    D.holds(why="0 ≤ p ≤ n − 1")
    return D


@derives("norm.variance.grad_x")
def variance_x(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the variance of n numbers: that the mean moves, too, changes nothing.",
        output=Output(entry=v, means=STATISTICS[1].means, over=(), delta=delta), wrt=x[p], over=((p, 0, n - 1),),
        named=STATISTICS[:1], shapes={x: ((0, n - 1),), delta: ()}, python=("delta", "x"), lengths={n: "len(x)"},
        trials=TRIALS, order=("delta", "x"))
    D.chain()
    D.differentiate(why="(u²)′ = 2 u u′; μ depends on x_p, too")
    D.substitute("mean", "∂μ/∂x_p = 1/n", {dx(mu): 1 / n})
    D.rewrite("linearity", "a sum of terms is the sum of their sums",
              2 * delta / n * (sp.Sum((x[k] - mu) * Same(k, p), (k, 0, n - 1)) - sp.Sum(x[k] - mu, (k, 0, n - 1)) / n))
    D.rewrite("mean", "Σ_k (x_k − μ) = 0", 2 * delta / n * sp.Sum((x[k] - mu) * Same(k, p), (k, 0, n - 1)))
    D.collapse(k, why="only k = p survives")
    D.holds(why="0 ≤ p ≤ n − 1")
    return D


def _rms(id: str, title: str, wrt: Expr, **more: Any) -> Derivation:
    root = Named(entry=s, means=sp.sqrt(sp.Sum(x[k]**2, (k, 0, n - 1)) / n + eps))
    D = Derivation(
        id=id, title=title, output=Output(entry=y[i], means=gammas[i] * x[i] / s, over=((i, 0, n - 1),), delta=d[i]),
        wrt=wrt, over=((p, 0, n - 1),), shapes={x: ((0, n - 1),), d: ((0, n - 1),), gammas: ((0, n - 1),), eps: ()},
        named=(root, *more.pop("named", ())), lengths={n: "len(d)"}, trials=TRIALS, order=ORDER, **more)
    D.chain()
    return D


@derives("norm.rms.grad_x")
def rms_x(id: str) -> Derivation:
    D = _rms(id, "The gradient of RMS norm with respect to its input: every output depends on x_p, through s.", x[p],
             python=("d", "x", "gamma", "eps"), named=(
                 Named(entry=h[i], means=gammas[i] * d[i], over=((i, 0, n - 1),)),
                 Named(entry=m1, means=total(h[i] * x[i]) / n)))
    D.differentiate(why="γ is a constant here; s depends on x_p, too")
    D.substitute("chain rule", "s′ = x_p/(n s)", {dx(s): x[p] / (n * s)})
    D.rewrite("definition", "g_i = γ_i d_i", total(h[i] * (Same(i, p) / s - x[i] * x[p] / (n * s**3))))
    D.split(i)
    D.collapse(i, why="the bracket [i = p] leaves i = p alone")
    D.holds(why="0 ≤ p ≤ n − 1")
    D.rewrite("definition", "a mean over the features, of g x", h[p] / s - x[p] * m1 / s**3)
    return D


@derives("norm.rms.grad_gamma")
def rms_gamma(id: str) -> Derivation:
    D = _rms(id, "The gradient of RMS norm with respect to its scales γ.", gammas[p], python=("d", "x", "eps"))
    D.differentiate(why="∂γ_i/∂γ_p = [i = p]; the root does not depend on γ")
    D.collapse(i, why="only i = p survives")
    D.holds(why="0 ≤ p ≤ n − 1")
    return D
