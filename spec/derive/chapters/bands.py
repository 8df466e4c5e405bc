"""Layers whose nodes see a window of their neighbours: every node with weights of its own, or all with the same.

Row i of the band w holds the entries of Θ around the diagonal: w_{i,k} = Θ_{i,i+k−h}.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..language import Expr, Within, arrays, indices, scalars, sizes
from ..steps import Derivation, Output, grid, trials
from .register import derives

x, w, theta, b, d, z = arrays("x w theta b d z")
i, j, p, q = indices("i j p q")
n = sizes("n")
h = sp.Symbol("h", integer=True, nonnegative=True)
intercept = scalars("b")
TRIALS = trials({"h": h, "n": n}, grid(h=range(4), n=range(1, 7)))
NODES, WINDOW = (0, n - 1), (0, 2 * h)


def _layer(id: str, what: str, means: Expr, wrt: Expr, shapes: dict[Expr, Any], **more: Any) -> Derivation:
    within = f"The gradient of a {'local' if 'local' in id else 'shared'} layer with respect to its {what}."
    return Derivation(
        id=id, title=within, output=Output(entry=z[i], means=means, over=((i, *NODES),), delta=d[i]), wrt=wrt,
        shapes={x: (NODES,), d: (NODES,), **shapes}, trials=TRIALS, relations="m = 2 h + 1 is odd, n ≥ 1",
        order=("d", "w", "theta", "x"), **more)


def _local(id: str, what: str, wrt: Expr, **more: Any) -> Derivation:
    means = b[i] + sp.Sum(w[i, j - i + h] * x[j] * Within(j - i, -h, h), (j, *NODES))
    return _layer(id, what, means, wrt, {w: (NODES, WINDOW), b: (NODES,)}, **more)


def _shared(id: str, what: str, wrt: Expr, **more: Any) -> Derivation:
    means = intercept + sp.Sum(theta[j - i + h] * x[j] * Within(j - i, -h, h), (j, *NODES))
    return _layer(id, what, means, wrt, {theta: (WINDOW,), intercept: ()}, **more)


def _input(D: Derivation) -> Derivation:
    D.chain()
    D.differentiate()
    D.collapse(j, why="only the input j = p")
    D.holds(why="the input exists: 0 ≤ p ≤ n − 1")
    D.absorb(i, why="−h ≤ p − i ≤ h, read as a condition on i, becomes the range of i")
    return D


@derives("arch.local.layer.grad_x")
def local_x(id: str) -> Derivation:
    return _input(_local(id, "input", x[p], over=((p, *NODES),), python=("d", "w"),
                         lengths={n: "len(w)", h: "(len(w[0]) - 1) // 2"}))


@derives("arch.local.layer.grad_w")
def local_w(id: str) -> Derivation:
    D = _local(id, "band of weights", w[p, q], over=((p, *NODES), (q, *WINDOW)), python=("d", "x", "m"),
               values={"m": 2 * h + 1}, lengths={n: "len(d)", h: "(m - 1) // 2"},
               remarks=("The corners of the band, whose input does not exist, are no parameters: gradient 0.",))
    D.chain()
    D.differentiate(why="∂w_{i,j−i+h}/∂w_{p,q} = [i = p][j − i + h = q]")
    D.collapse(i, why="only the node i = p has this weight")
    D.collapse(j, why="and only for its input j = p + q − h, if that exists")
    D.holds(why="p and q are indices of the band")
    return D


@derives("arch.local.layer.grad_b")
def local_b(id: str) -> Derivation:
    D = _local(id, "intercepts", b[p], over=((p, *NODES),), python=("d",), lengths={n: "len(d)"})
    D.chain()
    D.differentiate(why="∂b_i/∂b_p = [i = p]; the rest does not depend on b")
    D.collapse(i, why="only the node i = p has this intercept")
    D.holds(why="0 ≤ p ≤ n − 1")
    return D


@derives("arch.shared.layer.grad_x")
def shared_x(id: str) -> Derivation:
    return _input(_shared(id, "input", x[p], over=((p, *NODES),), python=("d", "theta"),
                          lengths={n: "len(d)", h: "(len(theta) - 1) // 2"}))


@derives("arch.shared.layer.grad_theta")
def shared_theta(id: str) -> Derivation:
    D = _shared(id, "filter", theta[q], over=((q, *WINDOW),), python=("d", "x", "m"),
                values={"m": 2 * h + 1}, lengths={n: "len(d)", h: "(m - 1) // 2"},
                remarks=("This is the sum of arch.local.layer.grad_w over the nodes that share the weight.",))
    D.chain()
    D.differentiate(why="∂θ_{j−i+h}/∂θ_q = [j − i + h = q]: every node has this weight once")
    D.collapse(j, why="node i has it for its input j = i + q − h")
    D.holds(why="−h ≤ q − h ≤ h because 0 ≤ q ≤ 2 h")
    D.absorb(i, why="nodes whose input i + q − h exists")
    return D


@derives("arch.shared.layer.grad_b")
def shared_b(id: str) -> Derivation:
    D = _shared(id, "intercept", intercept, over=(), python=("d",), lengths={n: "len(d)"})
    D.chain()
    D.differentiate(why="∂b/∂b = 1 in every node")
    return D
