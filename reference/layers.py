"""Layers told apart by allowable edges and shared weights (deck lines 1613–1741, 1971): full, local, shared.

Here, as on these slides, indices count from 0 and there is no intercept.
"""

from __future__ import annotations

from .activations import identity
from .backprop import Activation
from .ids import implements
from .lists import Matrix, Scalar, Vector, same, sizes


@implements("fc.node")
def fc_node(Theta: Matrix, a: Vector, i: int, g: Activation = identity) -> Scalar:
    """fc.node   a_i^(k+1) = g(Σ_{j=0}^{n−1} Θ_ij a_j^(k))"""
    n = len(a)
    same(f"lengths of row {i} of Theta and of a", len(Theta[i]), n)
    return g(sum(Theta[i][j] * a[j] for j in range(n)))


@implements("fc.layer")
def fc_layer(Theta: Matrix, a: Vector, g: Activation = identity) -> Vector:
    """fc.layer   a^(k+1) = g(Θ a^(k)),   for any Θ of n_{k+1} × n_k"""
    return [fc_node(Theta, a, i, g) for i in range(len(Theta))]


@implements("fc.matrix")
def fc_matrix(Theta: Matrix) -> Matrix:
    """fc.matrix   Θ_ij for all i, j: every edge is allowed, every weight its own"""
    rows, columns = sizes(Theta, 2, "Theta")
    return [[Theta[i][j] for j in range(columns)] for i in range(rows)]


@implements("local.matrix")
def local_matrix(Theta: Matrix) -> Matrix:
    """local.matrix   Θ_ij if |i − j| ≤ 1,   0 otherwise: neighbours only, every weight its own"""
    rows, columns = sizes(Theta, 2, "Theta")
    return [[Theta[i][j] if abs(i - j) <= 1 else 0 for j in range(columns)] for i in range(rows)]


def reach(name: str, m: int) -> int:
    """h = (m − 1)/2: how many neighbours a window of odd length m has on either side"""
    if m % 2 == 0:
        raise ValueError(f"{name}: a filter of even length {m} has no centre; use an odd length")
    return (m - 1) // 2


@implements("conv1d.matrix")
def conv1d_matrix(theta: Vector, n: int) -> Matrix:
    """conv1d.matrix   Θ_ij = θ_{j−i+(m−1)/2} where θ has that entry,   0 otherwise: shared weights

    For m = 3, n = 5 the first row is [θ_1 θ_2 0 0 0], as line 1715 prints it; line 1736 prints a θ_3, which
    no filter of length 3 has.
    """
    (m,) = sizes(theta, 1, "theta")
    h = reach("conv1d.matrix", m)
    return [[theta[j - i + h] if 0 <= j - i + h < m else 0 for j in range(n)] for i in range(n)]


@implements("arch.local")
def local_layer(Theta: Matrix, a: Vector, g: Activation = identity) -> Vector:
    """arch.local   a_i^(k+1) = g(Σ_{|i−j|≤1} Θ_ij a_j^(k))"""
    return fc_layer(local_matrix(Theta), a, g)


@implements("arch.shared", "cnn.as.fc")
def shared_layer(theta: Vector, a: Vector, g: Activation = identity) -> Vector:
    """arch.shared   a^(k+1) = g(Θ a^(k)),   Θ the conv1d.matrix of θ: conv1d.centred as a full layer, tied"""
    return fc_layer(conv1d_matrix(theta, len(a)), a, g)


@implements("arch.local.layer")
def local_affine(x: Vector, w: Matrix, b: Vector, g: Activation = identity) -> Vector:
    """arch.local.layer   a_i = g(b_i + Σ_{|i−j|≤h} w_{i,j−i+h} x_j),   h = (m − 1)/2

    w holds the band of Θ, row by row: w_{i,k} = Θ_{i,i+k−h}. Its corners, where Θ has no column, are not read.
    """
    n, m = sizes(w, 2, "w")
    same("numbers of nodes in x and of rows of w", len(x), n)
    same("numbers of intercepts b and of rows of w", len(b), n)
    h = reach("arch.local.layer", m)
    return [g(b[i] + sum(w[i][j - i + h] * x[j] for j in range(max(0, i - h), min(n, i + h + 1)))) for i in range(n)]


@implements("arch.shared.layer")
def shared_affine(x: Vector, theta: Vector, b: Scalar, g: Activation = identity) -> Vector:
    """arch.shared.layer   a_i = g(b + Σ_{|i−j|≤h} θ_{j−i+h} x_j): the local layer whose nodes share w and b"""
    return local_affine(x, [theta for _ in x], [b for _ in x], g)
