"""The averaged gradient used at once: average, then update, without D in between; a whole training step; and the
gradient of a batch that comes in parts.

What an optimizer keeps has the shape of Θ; intercepts are updated like weights, and their D has no λΘ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import optimizers
from .backprop import OutputError, accumulate, alg_delta_out, average, averaged_gradient, zero
from .ids import implements
from .lists import Matrix, Network, Scalar, Vector, gives, inputs, nodes, same


def each(move: Callable[[int, int], Any], D: Matrix) -> Matrix:
    """move(i, j) in every place of D"""
    return [None, *([move(i, j) for j in inputs(D[i])] for i in nodes(D))]


def part(moved: Matrix, k: int) -> Matrix:
    """The k-th of what was returned, in every place"""
    return each(lambda i, j: moved[i][j][k], moved)


@implements("alg.average.sgd")
def average_sgd(Delta: Matrix, Theta: Matrix, lam: Scalar, n: int, eta: Scalar) -> Matrix:
    """alg.average.sgd   D the alg.average,   then opt.sgd:   Θ ← Θ − η D"""
    D = average(Delta, Theta, lam, n)
    return each(lambda i, j: optimizers.sgd(Theta[i][j], D[i][j], eta), D)


@implements("alg.average.momentum")
def average_momentum(Delta: Matrix, Theta: Matrix, V: Matrix, lam: Scalar, n: int, eta: Scalar,
                     mu: Scalar) -> tuple[Matrix, Matrix]:
    """alg.average.momentum   D the alg.average,   then opt.momentum:   v ← μ v + D,   Θ ← Θ − η v"""
    D = average(Delta, Theta, lam, n)
    moved = each(lambda i, j: optimizers.momentum(Theta[i][j], D[i][j], V[i][j], eta, mu), D)
    return part(moved, 0), part(moved, 1)


@implements("alg.average.adamw")
def average_adamw(Delta: Matrix, Theta: Matrix, M: Matrix, V: Matrix, t: int, lam: Scalar, n: int, eta: Scalar,
                  decay: Scalar, beta1: Scalar, beta2: Scalar, eps: Scalar) -> tuple[Matrix, Matrix, Matrix]:
    """alg.average.adamw   D the alg.average,   then opt.adamw with a decay of its own, of intercepts too"""
    D = average(Delta, Theta, lam, n)
    moved = each(lambda i, j: optimizers.adamw(Theta[i][j], D[i][j], M[i][j], V[i][j], t, eta, decay, beta1, beta2,
                                               eps), D)
    return part(moved, 0), part(moved, 1), part(moved, 2)


@implements("alg.accumulate.batch")
def accumulate_batch(G: Matrix, a: Vector, delta_next: Vector, n: int) -> Matrix:
    """alg.accumulate.batch   G_ij ← G_ij + (1/n) Σ_k δ_ki a_kj,   k over one part of a batch of n instances

    G is what the parts before this one have left; after the last one it is alg.average without λΘ.
    """
    same("numbers of a and of δ", len(a), len(delta_next))
    if n == 0:
        raise ValueError("alg.accumulate.batch: n = 0 training instances have no average")
    Delta = zero(G)
    for a_k, delta_k in zip(a, delta_next):
        gives(G, delta_k)
        Delta = accumulate(Delta, a_k, delta_k)
    return [None, *([G[i][j] + Delta[i][j] / n for j in inputs(G[i])] for i in nodes(G))]


@implements("net.step")
def step(Theta: Network, data: Vector, lam: Scalar, eta: Scalar, output: OutputError = alg_delta_out,
         **reading: Any) -> Network:
    """net.step   D the alg over all (x_k, y_k), every δ from the Θ that is there,   then Θ^(l) ← Θ^(l) − η D^(l) ∀ l"""
    moved: Network = optimizers.gd(Theta, averaged_gradient(Theta, data, lam, output, **reading), eta)
    return moved


@implements("net.step.momentum")
def step_momentum(Theta: Network, V: Network, data: Vector, lam: Scalar, eta: Scalar, mu: Scalar,
                  output: OutputError = alg_delta_out, **reading: Any) -> tuple[Network, Network]:
    """net.step.momentum   the same D,   then opt.momentum:   v^(l) ← μ v^(l) + D^(l),   Θ^(l) ← Θ^(l) − η v^(l) ∀ l"""
    D = averaged_gradient(Theta, data, lam, output, **reading)
    def layer(l: int) -> Matrix:
        return each(lambda i, j: optimizers.momentum(Theta[l][i][j], D[l][i][j], V[l][i][j], eta, mu), D[l])

    moved = [layer(l) for l in nodes(Theta)]
    return [None, *(part(one, 0) for one in moved)], [None, *(part(one, 1) for one in moved)]
