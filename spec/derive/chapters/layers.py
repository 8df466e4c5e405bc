"""Layers as matrices: full, locally connected, shared; and weights that are tied in any way."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ....scalar import where
from ...field import Field
from ..language import Expr, Prime, Same, Within, arrays, function, indices, sizes
from ..steps import Derivation, Named, Output, grid, trials
from .backprop import any_g
from .register import derives

Theta, theta, a, d, z, t, G, y, slope = arrays("Theta theta a d z t G y gprime_z")
i, j, k, l, r, q = indices("i j k l r q")
g = function("g")
n, m, w, T = sizes("n m w T")
h = sp.Symbol("h", integer=True, nonnegative=True)


@derives("arch.tied.grad_theta")
def tied(id: str) -> Derivation:
    D = Derivation(
        id=id, title="Tied weights: every entry Θ_kl of a layer's matrix is one of T parameters, Θ_kl = θ_t(k,l).",
        output=Output(entry=z[k], means=sp.Sum(theta[t[k, l]] * a[l], (l, 0, n - 1)), over=((k, 0, m - 1),),
                      delta=d[k]),
        wrt=theta[q], over=((q, 0, T - 1),),
        shapes={theta: ((0, T - 1),), t: ((0, m - 1), (0, n - 1)), a: ((0, n - 1),), d: ((0, m - 1),)},
        named=(Named(entry=G[k, l], means=d[k] * a[l], over=((k, 0, m - 1), (l, 0, n - 1))),),
        python=("G", "t", "T"), values={"T": T}, lengths={m: "len(G)", n: "len(G[0])"},
        reads={"q": m, "p": n, "Theta": ((k, l), theta[t[k, l]])}, draws={t: _any_tie},
        order=("d", "G", "a"), relations="0 ≤ t(k,l) ≤ T − 1",
        trials=trials({"m": m, "n": n, "T": T}, grid(m=range(1, 4), n=range(1, 4), T=range(1, 4))),
        remarks=("The gradient of a shared weight is the sum over the entries that share it; "
                 "G is the gradient the matrix would have if all its entries were free.",),
    )
    D.chain()
    D.differentiate(why="∂θ_r/∂θ_q = [r = q]")
    D.substitute("definition", "d_k a_l is the gradient of the entry Θ_kl itself", {
        sp.Sum(d[k] * a[l] * Same(t[k, l], q), (l, 0, n - 1), (k, 0, m - 1)):
        sp.Sum(G[k, l] * Same(t[k, l], q), (l, 0, n - 1), (k, 0, m - 1))})
    return D


def _any_tie(field: Field, sizes: dict[Expr, int]) -> int:
    return field.random.randrange(sizes[T])


def _matrix_gradient(id: str, title: str, inside: Any, rows: Expr, **more: Any) -> Derivation:
    """∂ℒ/∂Θ_ij for z_k = Σ_l Θ_kl a_l over the allowable edges (k, l)."""
    D = Derivation(
        id=id, title=title,
        output=Output(entry=z[k], means=sp.Sum(Theta[k, l] * a[l] * inside(k, l), (l, 0, n - 1)),
                      over=((k, 0, rows - 1),), delta=d[k]),
        wrt=Theta[i, j], over=((i, 0, rows - 1), (j, 0, n - 1)),
        shapes={Theta: ((0, rows - 1), (0, n - 1)), a: ((0, n - 1),), d: ((0, rows - 1),)},
        python=("d", "a"), order=("d", "a"), **more,
    )
    D.chain()
    D.differentiate(why="∂Θ_kl/∂Θ_ij = [k = i][l = j]")
    D.collapse(k, why="only the node k = i has this weight")
    D.collapse(l, why="and only its input l = j")
    D.holds(why="i and j are indices of the matrix")
    return D


@derives("fc.layer.grad_Theta")
def full(id: str) -> Derivation:
    return _matrix_gradient(
        id, "The gradient of a fully connected layer's matrix (no intercept, counted from 0).",
        lambda row, column: sp.Integer(1), m, lengths={m: "len(d)", n: "len(a)"}, reads={"q": m, "p": n},
        trials=trials({"m": m, "n": n}, grid(m=range(1, 5), n=range(1, 5))))


@derives("arch.local.grad_Theta")
def local(id: str) -> Derivation:
    return _matrix_gradient(
        id, "The gradient of a locally connected layer's matrix: only neighbours are connected.",
        lambda row, column: Within(row - column, -1, 1), n, lengths={n: "len(d)"},
        trials=trials({"n": n}, grid(n=range(1, 7))),
        remarks=("Entries outside the band are no parameters: their gradient is 0.",))


@derives("arch.shared.grad_theta")
def shared(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The shared layer as a tied full layer: Θ_kl = θ_{l−k+h} on the band |l − k| ≤ h.",
        output=Output(entry=z[k], means=sp.Sum(theta[l - k + h] * a[l] * Within(l - k, -h, h), (l, 0, n - 1)),
                      over=((k, 0, n - 1),), delta=d[k]),
        wrt=theta[q], over=((q, 0, 2 * h),),
        shapes={theta: ((0, 2 * h),), a: ((0, n - 1),), d: ((0, n - 1),)},
        python=("d", "a", "m"), values={"m": 2 * h + 1}, lengths={n: "len(d)", h: "(m - 1) // 2"},
        trials=trials({"h": h, "n": n}, grid(h=range(4), n=range(1, 7))),
        relations="m = 2 h + 1 is odd, n ≥ 1", order=("d", "a"),
        remarks=("This is conv1d.centred.grad_theta: the convolution is the full layer with its weights tied.",),
    )
    D.chain()
    D.differentiate(why="∂θ_{l−k+h}/∂θ_q = [l − k + h = q]: every row k has this weight once")
    D.collapse(l, why="in row k it stands in column l = k + q − h")
    D.holds(why="−h ≤ q − h ≤ h because 0 ≤ q ≤ 2 h")
    D.absorb(k, why="rows whose column k + q − h exists")
    return D


NAMED_SLOPE = {"gprime_z": ("g′(z)", "g'(z)")}


@derives("net.a.grad_z")
def activations(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of a layer's activations: g is applied node by node, and so is g′.",
        output=Output(entry=y[k], means=g(z[k]), over=((k, 1, m),), delta=d[k]), wrt=z[i], over=((i, 1, m),),
        named=(Named(entry=slope[i], means=Prime(sp.Symbol("g"), z[i]), over=((i, 1, m),)),),
        shapes={z: ((1, m),), d: ((1, m),)}, functions={"g": any_g}, python=("d", "gprime_z"), reads={"q": m},
        lengths={m: "len(d) - 1"}, trials=trials({"m": m}, grid(m=range(1, 6))), order=("d", "gprime_z"),
        notation=NAMED_SLOPE)
    D.chain()
    D.differentiate(why="∂z_k/∂z_i = [k = i]")
    D.collapse(k, why="only the node k = i")
    D.holds(why="1 ≤ i ≤ m")
    D.substitute("definition", "the derivatives g′(z_i) as a list", {Prime(sp.Symbol("g"), z[i]): slope[i]})
    return D


def relu(u: Any) -> Any:
    return where(u <= 0, 0, u)


def _relu(id: str, by: str, wrt: Expr, over: Any) -> Derivation:
    positive = sp.Piecewise((0, z[k] <= 0), (1, True), evaluate=False)
    D = Derivation(
        id=id, title=f"The gradient of a ReLU layer with respect to its {by}.",
        output=Output(entry=y[k], means=g(z[k]), over=((k, 1, m),), delta=d[k]), wrt=wrt, over=over,
        named=(Named(entry=z[k], means=sp.Sum(Theta[k, l] * a[l], (l, 0, n)), over=((k, 1, m),)),
               Named(entry=slope[k], means=positive, over=((k, 1, m),))),
        shapes={Theta: ((1, m), (0, n)), a: ((0, n),), d: ((1, m),)}, functions={"g": relu},
        python=("d", "Theta", "a"), lengths={m: "len(d) - 1", n: "len(a) - 1"}, reads={"q": m, "p": n},
        trials=trials({"m": m, "n": n}, grid(m=range(1, 4), n=range(1, 4))), notation=NAMED_SLOPE,
        order=("d", "gprime_z", "Theta", "a"), assumes=("g(z) = max(0, z)",), remarks=(
            "max(0, z) is 0 at z = 0, its first argument winning the tie: so is its derivative.",))
    D.chain()
    D.differentiate(why="chain rule in every node k")
    D.unfold(z, why="z_k = Σ_l Θ_kl a_l")
    D.substitute("definition", "g′(z_k) is 0 where z_k ≤ 0 and 1 elsewhere", {Prime(sp.Symbol("g"), z[k]): slope[k]})
    return D


@derives("net.layer.relu.grad_Theta")
def relu_weights(id: str) -> Derivation:
    D = _relu(id, "matrix", Theta[i, j], ((i, 1, m), (j, 0, n)))
    D.collapse(k, why="only the node k = i has this weight")
    D.collapse(l, why="and only its input l = j")
    D.holds(why="1 ≤ i ≤ m, 0 ≤ j ≤ n")
    return D


@derives("net.layer.relu.grad_a")
def relu_input(id: str) -> Derivation:
    D = _relu(id, "input", a[j], ((j, 0, n),))
    D.collapse(l, why="only the input l = j")
    D.holds(why="0 ≤ j ≤ n")
    return D
