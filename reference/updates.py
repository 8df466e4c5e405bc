"""The averaged gradient used at once: average, then update, without D in between.

What an optimizer keeps has the shape of Θ; intercepts are updated like weights, and their D has no λΘ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import optimizers
from .backprop import average
from .ids import implements
from .lists import Matrix, Scalar, inputs, nodes


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
