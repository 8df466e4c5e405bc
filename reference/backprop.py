"""Forward propagation, backpropagation and the algorithm slide (deck lines 9–30, 194–235, 636–1608).

Indices are the slides'. A network is `Theta[l][i][j]` with l = 1 … L, i = 1 … n_{l+1}, j = 0 … n_l, where
j = 0 is the intercept; a layer is `a[l] = [1, a_1, …]`, `z[l] = [None, z_1, …]`, `delta[l] = [None, δ_1, …]`.
Slots that the deck does not have hold None.

Two signs are printed: `delta_out` (y − a) belongs to the printed loss, `alg_delta_out` (a − y) to its
negative, which is what a descent can use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .activations import relu, sigmoid
from .ids import implements
from .lists import Matrix, Network, Scalar, Vector, equally_long, gives, inputs, nodes, takes

Activation = Callable[[Scalar], Scalar]
OutputError = Callable[..., Vector]


@implements("net.input")
def net_input(x: Vector) -> Vector:
    """net.input   a^(1) = x,   behind the intercept unit a_0 = 1"""
    return [1, *x]


@implements("net.z", "net.z.node")
def layer_z(Theta: Matrix, a: Vector) -> Vector:
    """net.z   z_i^(l+1) = Σ_j Θ_ij^(l) a_j^(l)"""
    takes(Theta, a)
    return [None, *(sum(Theta[i][j] * a[j] for j in inputs(a)) for i in nodes(Theta))]


@implements("net.a", "act.coordinatewise")
def activate(z: Vector, g: Activation) -> Vector:
    """net.a   a_i^(l+1) = g(z_i^(l+1))"""
    return [1, *(g(z[i]) for i in nodes(z))]


@implements("net.layer")
def layer(Theta: Matrix, a: Vector, g: Activation) -> Vector:
    """net.layer   a^(l+1) = g(Θ^(l) a^(l))"""
    return activate(layer_z(Theta, a), g)


@implements("net.layer.affine")
def affine(Theta: Matrix, a: Vector, g: Activation) -> Vector:
    """net.layer.affine   a_i^(l+1) = g(b_i + Σ_{j≥1} w_ij a_j^(l)),   b_i = Θ_i0, w_ij = Θ_ij

    The intercept written out, as a kernel sees it; with a_0 = 1 it is net.layer.
    """
    takes(Theta, a)
    return [1, *(g(Theta[i][0] + sum(Theta[i][j] * a[j] for j in nodes(a))) for i in nodes(Theta))]


@implements("net.layer.relu")
def relu_layer(Theta: Matrix, a: Vector) -> Vector:
    """net.layer.relu   a^(l+1) = σ(Θ^(l) a^(l)),   σ(z) = max{0, z}"""
    return layer(Theta, a, relu)


@implements("net.out.linear")
def linear(Theta: Matrix, a: Vector) -> Vector:
    """net.out.linear   ŷ = Θ^(L) a^(L)      (a list of the outputs, without slot 0)"""
    return layer_z(Theta, a)[1:]


@implements("net.out")
def forward(Theta: Network, x: Vector, g: Activation = sigmoid,
            g_out: Activation | None = None) -> tuple[Network, Network]:
    """net.out   a^(1) = x,   z^(l+1) = Θ^(l) a^(l),   a^(l+1) = g(z^(l+1)),   ŷ = a^(L+1)

    Returns (z, a), both counted by l; `g_out` replaces g in the last layer.
    """
    L = len(Theta) - 1
    z: Network = [None, None]
    a: Network = [None, net_input(x)]
    for l in range(1, L + 1):
        z.append(layer_z(Theta[l], a[l]))
        a.append(activate(z[l + 1], g if l < L or g_out is None else g_out))
    return z, a


@implements("bp.delta.out")
def delta_out(y: Vector, a: Vector) -> Vector:
    """bp.delta.out   δ_i^(L+1) = y_i − a_i^(L+1)      (the derivative of the printed loss)"""
    equally_long(y=y, a=a)
    return [None, *(y[i] - a[i] for i in nodes(a))]


@implements("alg.delta.out")
def alg_delta_out(a: Vector, y: Vector) -> Vector:
    """alg.delta.out   δ_i^(L) = a_i^(L) − y_i      (the derivative of the printed loss, negated)"""
    equally_long(a=a, y=y)
    return [None, *(a[i] - y[i] for i in nodes(a))]


@implements("bp.delta.chain")
def delta_chain(Theta: Matrix, delta_next: Vector, gprime_z: Vector) -> Vector:
    """bp.delta.chain   δ_i^(l) = Σ_k δ_k^(l+1) Θ_ki^(l) g'(z_i^(l)),   gprime_z = [None, g'(z_1), …]"""
    gives(Theta, delta_next)
    takes(Theta, gprime_z)
    return [None, *(sum(delta_next[k] * Theta[k][i] * gprime_z[i] for k in nodes(delta_next))
                    for i in nodes(gprime_z))]


@implements("bp.delta.rec")
def delta_rec(Theta: Matrix, delta_next: Vector, a: Vector) -> Vector:
    """bp.delta.rec   δ_i^(l) = a_i^(l) (1 − a_i^(l)) Σ_k δ_k^(l+1) Θ_ki^(l)      (g is the sigmoid)"""
    gives(Theta, delta_next)
    takes(Theta, a)
    return [None, *(a[i] * (1 - a[i]) * sum(delta_next[k] * Theta[k][i] for k in nodes(delta_next))
                    for i in nodes(a))]


@implements("bp.grad")
def gradient(delta_next: Vector, a: Vector) -> Matrix:
    """bp.grad   ∂L/∂Θ_ij^(l) = δ_i^(l+1) a_j^(l)"""
    return [None, *([delta_next[i] * a[j] for j in inputs(a)] for i in nodes(delta_next))]


@implements("alg.errors")
def errors(Theta: Network, z: Network, a: Network, last: Vector,
           gprime: Activation | None = None, down_to: int = 1) -> Network:
    """alg.errors   {δ^(L), …, δ^(2)} from the last, δ^(L+1), by bp.delta.rec; with g' by bp.delta.chain"""
    L = len(Theta) - 1
    delta: Network = [*([None] * (L + 1)), last]
    for l in range(L, down_to, -1):
        if gprime is None:
            delta[l] = delta_rec(Theta[l], delta[l + 1], a[l])
        else:
            delta[l] = delta_chain(Theta[l], delta[l + 1], [None, *(gprime(z[l][i]) for i in nodes(z[l]))])
    return delta


def passes(Theta: Network, x: Vector, y: Vector, g: Activation = sigmoid, gprime: Activation | None = None,
           g_out: Activation | None = None, output: OutputError = delta_out,
           down_to: int = 1) -> tuple[Network, Network]:
    """All a^(l), from one forward pass, and all δ^(l+1), l ≥ `down_to`, from one backward pass.

    `output` is the reading of the output error: `delta_out` as the derivation prints it, or `alg_delta_out`.
    """
    z, a = forward(Theta, x, g, g_out)
    return a, errors(Theta, z, a, output(y=[None, *y], a=a[-1]), gprime, down_to)


@implements("bp.nabla", "bp.single.pass")
def backprop(Theta: Network, x: Vector, y: Vector, **reading: Any) -> Network:
    """bp.nabla   ∇_Θ L(y, ŷ):   ∂L/∂Θ_ij^(l) = δ_i^(l+1) a_j^(l)   ∀ l, i, j,   from one pass each way

    `reading` is that of `passes`: g, gprime, g_out, output.
    """
    a, delta = passes(Theta, x, y, **reading)
    return [None, *(gradient(delta[l + 1], a[l]) for l in nodes(Theta))]


@implements("bp.cost")
def naive_gradient(Theta: Network, x: Vector, y: Vector, **reading: Any) -> Network:
    """bp.cost   O(L²): for each layer a full forward pass and a backward pass;   O(L): backprop"""
    nabla: Network = [None]
    for l in nodes(Theta):
        a, delta = passes(Theta, x, y, down_to=l, **reading)
        nabla.append(gradient(delta[l + 1], a[l]))
    return nabla


@implements("alg.init")
def zero(Theta: Matrix) -> Matrix:
    """alg.init   Δ_ij^(l) = 0   ∀ l, i, j"""
    return [None, *([0 for _ in inputs(Theta[i])] for i in nodes(Theta))]


@implements("alg.accumulate")
def accumulate(Delta: Matrix, a: Vector, delta_next: Vector) -> Matrix:
    """alg.accumulate   Δ_ij^(l) = Δ_ij^(l) + a_j^(l) δ_i^(l+1)"""
    gives(Delta, delta_next)
    takes(Delta, a)
    return [None, *([Delta[i][j] + a[j] * delta_next[i] for j in inputs(a)] for i in nodes(delta_next))]


@implements("alg.average", "alg.intercept")
def average(Delta: Matrix, Theta: Matrix, lam: Scalar, n: int) -> Matrix:
    """alg.average   D_ij^(l) = (1/n) Δ_ij^(l) + λ Θ_ij^(l) if j ≠ 0,   (1/n) Δ_ij^(l) otherwise"""
    if n == 0:
        raise ValueError("alg.average: n = 0 training instances have no average")
    gives(Delta, Theta)
    return [None, *([Delta[i][j] / n + lam * Theta[i][j] if j != 0 else Delta[i][j] / n
                     for j in inputs(Delta[i])] for i in nodes(Delta))]


@implements("alg")
def averaged_gradient(Theta: Network, data: Vector, lam: Scalar, output: OutputError = alg_delta_out,
                      **reading: Any) -> Network:
    """alg   Δ = 0;   for each (x_k, y_k): all a, all δ, Δ = Δ + a δ;   D = Δ/n + λΘ where j ≠ 0"""
    Delta: Network = [None, *(zero(Theta[l]) for l in nodes(Theta))]
    for x, y in data:
        a, delta = passes(Theta, x, y, output=output, **reading)
        Delta = [None, *(accumulate(Delta[l], a[l], delta[l + 1]) for l in nodes(Theta))]
    return [None, *(average(Delta[l], Theta[l], lam, len(data)) for l in nodes(Theta))]


@implements("net.onehot")
def onehot(k: int, K: int) -> Vector:
    """net.onehot   the k-th of K classes: 1 in place k, 0 elsewhere, k = 1 … K"""
    if not 1 <= k <= K:
        raise ValueError(f"net.onehot: class {k} is not among 1 … {K}")
    return [1 if i == k else 0 for i in range(1, K + 1)]
