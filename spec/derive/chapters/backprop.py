"""The backpropagation slides: output deltas, the recursion, ∂ℒ/∂Θ, and D from the corrected objective.

One layer at a time, for arbitrary widths: p nodes below, q above, slot 0 the intercept unit a_0 = 1.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from ....scalar import exp
from ..language import Expr, Prime, arrays, function, indices, scalars, sizes
from ..steps import Derivation, Named, Output, grid, sample, trials
from .from_records import value_of
from .register import derives

Theta, delta, z, Z, a, y, gprime = arrays("Theta delta_next z z_next a y gprime_z")
Delta, deltas = arrays("Delta delta")
i, j, k, r, s = indices("i j k r s")
p, q, K, n = sizes("p q K n")
lam = scalars("lam")
g = function("g")

BELOW = {
    "Theta": ("Θ⁽ˡ⁾", r"\Theta^{(l)}"), "delta_next": ("δ⁽ˡ⁺¹⁾", r"\delta^{(l+1)}"), "a": ("a⁽ˡ⁾", "a^{(l)}"),
    "z": ("z⁽ˡ⁾", "z^{(l)}"), "z_next": ("z⁽ˡ⁺¹⁾", "z^{(l+1)}"), "gprime_z": ("g′(z⁽ˡ⁾)", "g'(z^{(l)})"),
}
OUT = {"a": ("a⁽ᴸ⁺¹⁾", "a^{(L+1)}"), "z": ("z⁽ᴸ⁺¹⁾", "z^{(L+1)}")}
SHAPES = {Theta: ((1, q), (0, p)), delta: ((1, q),), z: ((1, p),)}
WIDTHS = trials({"p": p, "q": q}, grid(p=range(1, 4), q=range(1, 4)))
NO_INTERCEPT = "δ_0 is never formed: the intercept unit a_0 = 1 depends on nothing."


def sigmoid(u: Any) -> Any:
    return 1 / (1 + exp(-u))


def any_g(u: Any) -> Any:
    """A function with no property beyond having a derivative."""
    return u * exp(u) + u * u


def _recursion(id: str, title: str, g_is: Any, python: tuple[str, ...], lengths: dict[Expr, str],
               **more: Any) -> Derivation:
    """Σ_k δ_k ∂z_k^(l+1)/∂z_i^(l), as far as the deck's line 1213."""
    D = Derivation(
        id=id, title=title,
        output=Output(entry=Z[k], means=Theta[k, 0] + sp.Sum(Theta[k, j] * a[j], (j, 1, p)),
                      over=((k, 1, q),), delta=delta[k]),
        wrt=z[i], over=((i, 1, p),), lhs=("δ⁽ˡ⁾_i", r"\delta^{(l)}_{i}"), notation=BELOW,
        named=(Named(entry=a[j], means=g(z[j]), over=((j, 1, p),)), *more.pop("named", ())),
        shapes=SHAPES, functions={"g": g_is}, python=python, lengths=lengths, trials=WIDTHS,
        order=("delta_next", "Theta", "gprime_z"), starts="net.z",
        reads={"delta": "delta_next", "gprime": "gprime_z",
               "a": ((j,), sp.Piecewise((1, j <= 0), (a[j], True), evaluate=False))}, **more,
    )
    D.chain("the loss depends on z_i through every node k of the layer above")
    D.differentiate(why="Θ is a constant here; a_j is a function of z_j")
    D.unfold(a, why="a_j = g(z_j), and ∂z_j/∂z_i = [j = i]")
    D.collapse(j, why="only j = i survives")
    D.holds(why="1 ≤ i ≤ p")
    return D


@derives("bp.delta.chain")
def delta_chain(id: str) -> Derivation:
    D = _recursion(
        id, "The delta recursion for any activation g (the deck's line 1213).", any_g,
        ("Theta", "delta_next", "gprime_z"), {p: "len(gprime_z) - 1", q: "len(delta_next) - 1"},
        named=(Named(entry=gprime[i], means=Prime(sp.Symbol("g"), z[i]), over=((i, 1, p),)),),
        remarks=(NO_INTERCEPT,),
    )
    D.substitute("definition", "the derivatives g′(z_i) as a list", {Prime(sp.Symbol("g"), z[i]): gprime[i]})
    return D


@derives("bp.delta.rec")
def delta_rec(id: str) -> Derivation:
    D = _recursion(
        id, "The delta recursion of a sigmoid layer (the deck's lines 1179 to 1544).", sigmoid,
        ("Theta", "delta_next", "a"), {p: "len(a) - 1", q: "len(delta_next) - 1"},
        assumes=("g is the sigmoid",), remarks=(NO_INTERCEPT,),
    )
    D.pull(k, why="g′(z_i) does not depend on k")
    D.substitute("act.sigmoid.prime", "g′ = g (1 − g) and a_i = g(z_i): here, and only here, g is the sigmoid",
                 {Prime(sp.Symbol("g"), z[i]): a[i] * (1 - a[i])})
    return D


@derives("bp.grad")
def gradient(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of one weight: δ above it times the activation below it.",
        output=Output(entry=Z[k], means=sp.Sum(Theta[k, r] * a[r], (r, 0, p)), over=((k, 1, q),), delta=delta[k]),
        wrt=Theta[i, j], over=((i, 1, q), (j, 0, p)), notation=BELOW,
        shapes={Theta: ((1, q), (0, p)), delta: ((1, q),), a: ((0, p),)},
        python=("delta_next", "a"), lengths={p: "len(a) - 1", q: "len(delta_next) - 1"},
        trials=WIDTHS, order=("delta_next", "Theta", "a"), starts="net.z", reads={"delta": "delta_next"},
        remarks=("Column j = 0 is the intercept's gradient, δ_i times a_0 = 1.",),
    )
    D.chain("the loss depends on Θ_ij through the nodes of the layer above")
    D.differentiate(why="a is a constant here; ∂Θ_kr/∂Θ_ij = [k = i][r = j]")
    D.collapse(k, why="only the node k = i has this weight")
    D.collapse(r, why="and only its input r = j")
    D.holds(why="1 ≤ i ≤ q, 0 ≤ j ≤ p")
    return D


def _output_delta(id: str, of: str, python: tuple[str, ...], title: str, remark: str) -> Derivation:
    sign = -1 if of == "loss.xent.negated" else 1
    D = Derivation(
        id=id, title=title, loss=sp.Sum(value_of(of, y=y[k], yhat=a[k]), (k, 1, K)), built=True, uses=(of,),
        wrt=z[i], over=((i, 1, K),),
        lhs=("δ⁽ᴸ⁺¹⁾_i", r"\delta^{(L+1)}_{i}"), notation=OUT,
        named=(Named(entry=a[k], means=g(z[k]), over=((k, 1, K),)),),
        shapes={z: ((1, K),), y: ((1, K),)}, functions={"g": sigmoid},
        python=python, lengths={K: "len(a) - 1"}, trials=trials({"K": K}, grid(K=range(1, 6))),
        order=("y", "a"), assumes=("g is the sigmoid",), remarks=(remark,),
    )
    slope = a[i] * (1 - a[i])
    D.chain()
    D.differentiate(why="(log u)′ = 1/u; a_k is a function of z_k")
    D.unfold(a, why="a_k = g(z_k), and ∂z_k/∂z_i = [k = i]")
    D.collapse(k, why="only k = i survives")
    D.holds(why="1 ≤ i ≤ K")
    D.substitute("act.sigmoid.prime", "g′ = g (1 − g), which cancels both denominators",
                 {Prime(sp.Symbol("g"), z[i]): slope})
    D.rewrite("expand", "y_i a_i cancels", sp.expand(sign * (y[i] - a[i])))
    return D


@derives("bp.delta.out")
def delta_out(id: str) -> Derivation:
    return _output_delta(
        id, "loss.xent", ("y", "a"),
        "The output delta of the printed loss (which grows as the prediction gets better).",
        "With this sign a step against the gradient makes the prediction worse; alg.delta.out has the other.")


@derives("alg.delta.out")
def alg_delta_out(id: str) -> Derivation:
    return _output_delta(
        id, "loss.xent.negated", ("a", "y"),
        "The output delta of the negated cross entropy: the algorithm slide's sign.",
        "The slide writes L for the output layer, the equations L + 1: the same layer.")


@derives("alg.average")
def average(id: str) -> Derivation:
    term = sp.Sum(Theta[r, s]**2, (s, 1, p), (r, 1, q))
    D = Derivation(
        id=id, title="D, the gradient of the corrected objective: average loss plus (λ/2) Σ Θ² without intercepts.",
        output=Output(entry=Z[k, r], means=sp.Sum(Theta[r, s] * a[k, s], (s, 0, p)),
                      over=((k, 1, n), (r, 1, q)), delta=deltas[k, r]),
        scale=1 / n, plus=lam / 2 * term, wrt=Theta[i, j], over=((i, 1, q), (j, 0, p)),
        lhs=("D_{i,j}", "D_{i, j}"), notation=BELOW | {"delta": ("δ⁽ˡ⁺¹⁾", r"\delta^{(l+1)}")},
        named=(Named(entry=Delta[r, s], means=sp.Sum(deltas[k, r] * a[k, s], (k, 1, n)),
                     over=((r, 1, q), (s, 0, p))),),
        shapes={Theta: ((1, q), (0, p)), deltas: ((1, n), (1, q)), a: ((1, n), (0, p)), lam: ()},
        python=("Delta", "Theta", "lam", "n"), values={"n": n},
        lengths={q: "len(Theta) - 1", p: "len(Theta[1]) - 1"}, order=("lam", "delta", "Delta", "Theta", "a"),
        trials=trials({"p": p, "q": q, "n": n}, sample(12, lambda **_: True, p=(1, 2, 3), q=(1, 2, 3), n=(1, 2, 3))),
        starts="loss.objective.corrected", reads={"loss": _minus_loss},
        remarks=("The intercepts, j = 0, are not regularised. The printed objective λ‖Θ‖² would give 2 λ Θ.",),
    )
    D.chain("through every node of every instance k; the penalty depends on Θ directly")
    D.differentiate(why="∂Θ_rs/∂Θ_ij = [r = i][s = j], and (u²)′ = 2 u")
    D.collapse(r, why="only r = i survives, in both sums")
    D.collapse(s, why="only s = j survives; of the penalty's range a bracket is left")
    D.holds(why="1 ≤ i ≤ q, 0 ≤ j ≤ p")
    D.rewrite("definition", "Δ_ij accumulates δ_i a_j over the instances",
              Delta[i, j] / n + lam * Theta[i, j] * _from_one(j))
    return D


def _minus_loss(trial: Any, instance: int) -> Any:
    """L of an instance, which the record subtracts: the average of −L is the average loss."""
    return -trial.share(instance)


def _from_one(index: Expr) -> Expr:
    from ..language import Within
    return Within(index, 1, p)
