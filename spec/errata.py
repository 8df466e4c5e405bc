"""What is wrong, loose or surprising in the deck, and the proofs that need nothing but SymPy and the records.

A proof yields (claim, whether it holds), one after the other; `demonstrate` runs them and refuses the first that does
not. Proofs that need the reference or torch stand in chainrule.conformance.proofs, in the same table. A number that a
finding states is computed by its proof, which `states` the phrase around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp

from . import findings, function, get
from .stated import TIMES, phrase, stands_in
from .symbolic import expression

Claims = Iterator[tuple[str, Any]]
PROOFS: dict[str, Callable[[], Claims]] = {}


class Stated(str):
    """A phrase that stands in the text of the finding, its numbers computed."""


def states(template: str, *values: Any) -> tuple[Stated, bool]:
    """The claim that the finding says this, with these values in place of {}."""
    return Stated(phrase(template, *values)), True


class Refuted(AssertionError):
    """A claim of a proof does not hold."""


def proves(id: str) -> Callable[[Callable[[], Claims]], Callable[[], Claims]]:
    """Enter a proof in the table under the number of its finding."""
    def enter(proof: Callable[[], Claims]) -> Callable[[], Claims]:
        if id in PROOFS:
            raise ValueError(f"{id} has a proof already: {PROOFS[id].__name__}")
        PROOFS[id] = proof
        return proof
    return enter


def demonstrate(id: str) -> list[str]:
    """Run the proof of a finding; the claims that it has shown."""
    shown = []
    for claim, holds in PROOFS[id]():
        if not holds:
            raise Refuted(f"{id}: not so: {claim}")
        if isinstance(claim, Stated) and not stands_in(claim, text_of(id)):
            raise Refuted(f"{id}: the finding does not say what was computed: {claim}")
        shown.append(claim)
    if not shown:
        raise Refuted(f"{id}: the proof claims nothing")
    return shown


def text_of(id: str) -> str:
    """Everything a finding says in words."""
    finding = findings()[id]
    return f"{finding.says}; {finding.otherwise}; {finding.resolution}"


z, y, a = sp.symbols("z y a", real=True)


def of_logits(id: str) -> Any:
    """A loss of (y, ŷ) as a function of z, with ŷ = g(z)."""
    loss, g = expression(get(id)), expression(get("act.sigmoid"))
    names = {s.name: s for s in loss.free_symbols}
    return loss.subs({names["y"]: y, names["yhat"]: g.subs(dict.fromkeys(g.free_symbols, z))})


def g(at: Any) -> Any:
    return 1 / (1 + sp.exp(-at))


@proves("E02")
def both_output_deltas_are_right() -> Claims:
    yield "∂/∂z of the printed loss is y − g(z)", sp.simplify(sp.diff(of_logits("loss.xent"), z) - (y - g(z))) == 0
    yield "∂/∂z of its negative is g(z) − y", sp.simplify(sp.diff(of_logits("loss.xent.negated"), z) - (g(z) - y)) == 0
    mixed = sp.diff(of_logits("loss.xent"), z) - (g(z) - y)
    yield "the printed loss with a − y is wrong by 2(y − g(z))", sp.simplify(mixed - 2 * (y - g(z))) == 0


@proves("E16")
def the_output_delta_holds_for_every_output() -> Claims:
    zs, ys = sp.symbols("z1:4", real=True), sp.symbols("y1:4", real=True)
    summed = sum(of_logits("loss.xent").subs({y: ys[k], z: zs[k]}) for k in range(3))
    yield "K sigmoids with summed loss: δ_i = y_i − a_i", all(
        sp.simplify(sp.diff(summed, zs[i]) - (ys[i] - g(zs[i]))) == 0 for i in range(3))
    total = sum(sp.exp(v) for v in zs)
    likelihood = sum(ys[k] * (zs[k] - sp.log(total)) for k in range(3))
    delta = [sp.simplify(sp.diff(likelihood, zs[i])) for i in range(3)]
    yield "softmax: δ_i = y_i − a_i Σ_k y_k", all(
        sp.simplify(delta[i] - (ys[i] - sp.exp(zs[i]) / total * sum(ys))) == 0 for i in range(3))
    off = (delta[0] - (ys[0] - sp.exp(zs[0]) / total)).subs(dict(zip((*ys, *zs), (1, 1, 0, 0, 0, 0), strict=True)))
    yield "with labels that sum to 2 the printed y − a is off by −1/3", off == -sp.Rational(1, 3)
    labels = sp.Symbol("labels")
    wanted = sp.solve(delta[0].subs(ys[0], labels - ys[1] - ys[2]) - (labels - ys[1] - ys[2] - sp.exp(zs[0]) / total),
                      labels)
    yield states("for softmax where Σy = {}", *wanted)
    yield states("for labels that do not sum to {} the softmax delta is not y − a", *wanted)


@proves("E18")
def sigma_names_two_functions() -> Claims:
    relu, sigmoid = function("act.relu"), function("act.sigmoid")
    yield "at 0 one σ is 0 and the other 1/2", (relu(0), sigmoid(0)) == (0, 0.5)
    yield states("σ(0) is {} or {}", relu(0), sp.nsimplify(sigmoid(0)))
    yield "at 3 one σ is above 1, which the other never is", relu(3) > 1 > sigmoid(3.0)


def filters() -> dict[str, Any]:
    """The six printed filters and the one of the worked example."""
    names = ("edge1", "edge2", "edge3", "sharpen", "box", "gauss")
    found = {name: sp.Matrix(get(f"filter.{name}").examples[0].inputs["K"]).applyfunc(sp.Rational) for name in names}
    return {**found, "example": sp.Matrix(get("conv2d.valid").examples[0].inputs["K"])}


@proves("E26")
def the_printed_filters_cannot_tell() -> Claims:
    def turned(K: Any) -> Any:
        return K[::-1, ::-1]

    yield "every printed filter is 3 × 3", all(K.shape == (3, 3) for K in filters().values())
    yield "every printed filter equals its half turn", all(turned(K) == K for K in filters().values())
    yield "every printed filter equals its transpose", all(K.T == K for K in filters().values())
    theta = get("conv1d.valid").examples[0].inputs["theta"]
    yield "the 1-D filter equals its mirror image, so flipped and unflipped convolution agree", theta == theta[::-1]
    K = sp.Matrix(get("conv2d.valid").examples[1].inputs["K"])
    yield "a filter of ours has neither property", turned(K) != K and K.shape[0] != K.shape[1]


@proves("E27")
def two_index_bases() -> Claims:
    n, m = 5, 3

    def inside(first_i: int, first_x: int) -> bool:
        return all(first_x <= i + j < first_x + n for i in range(first_i, first_i + n - m + 1) for j in range(m))

    yield "x from 1 with i from 1 stays inside x", inside(1, 1)
    yield "x from 0 with i from 0 stays inside x", inside(0, 0)
    yield "x from 0 with i from 1 (lines 1765 and 1671 together) reads beyond the end", not inside(1, 0)
    yield "x from 1 with i from 0 reads before the start", not inside(0, 1)
    bases = [(first_i, first_x) for first_i in (0, 1) for first_x in (0, 1) if inside(first_i, first_x)]
    yield states("x and i count from {} in the worked example, θ and j from {}; other slides count everything from {}",
                 bases[1][0], range(m)[0], bases[0][0])
    yield states("everything from {}; the values are those of the slide", bases[0][0])


@proves("E39")
def the_parameter_counts_are_right() -> Claims:
    def band(n: int, m: int) -> int:
        return sum(abs(i - j) <= (m - 1) // 2 for i in range(n) for j in range(n))

    yield "a full matrix has n² entries", all(n * n == band(n, 2 * n + 1) for n in range(1, 30))
    yield "neighbours only: 3n − 2", all(band(n, 3) == 3 * n - 2 for n in range(1, 30))
    n, m = sp.symbols("n m")
    line = sp.interpolate([(k, band(k, 3)) for k in (2, 3)], n)
    yield states("{}, {} and {} parameters", n**2, line, 3)
    lost = sp.interpolate([(k, 9 * k - band(9, k)) for k in (1, 3, 5)], m)
    yield states("in general a band of m has mn − {}", sp.together(lost))
    yield "in general mn − (m² − 1)/4", all(
        band(n, m) == m * n - (m * m - 1) // 4 for n in range(1, 30) for m in (1, 3, 5, 7) if 2 * n > m)


@proves("E52")
def what_the_filters_sum_to() -> Claims:
    K = filters()
    sums = {name: sum(K[name]) for name in K}
    yield "the edge filters sum to 0: no answer to a flat image", all(sums[f"edge{k}"] == 0 for k in (1, 2, 3))
    yield "sharpen, box and gauss sum to 1: a flat image stays", all(sums[k] == 1 for k in ("sharpen", "box", "gauss"))
    centre = sp.zeros(3)
    centre[1, 1] = 1
    yield states("edges sum to {}, sharpen and blurs to {}", sums["edge1"], sums["sharpen"])
    yield "sharpen is the identity minus the Laplacian", K["sharpen"] == centre - K["edge2"]
    separable = [K["edge1"], K["box"], K["gauss"]]
    yield "edge1, box and gauss are products of a column and a row", all(one.rank() == 1 for one in separable)


@proves("E59")
def why_gradients_vanish() -> Claims:
    factor = a * (1 - a)
    yield "a(1 − a) has one stationary point, a = 1/2", sp.solve(sp.diff(factor, a), a) == [sp.Rational(1, 2)]
    yield "and is at most 1/4", factor.subs(a, sp.Rational(1, 2)) == sp.Rational(1, 4) and sp.diff(factor, a, 2) < 0
    [top] = sp.solve(sp.diff(factor, a), a)
    yield states("{} ≤ {}, so every sigmoid layer shrinks δ at least {}", factor, factor.subs(a, top),
                 TIMES[1 / factor.subs(a, top)])
    through_ten, million = sp.Rational(1, 4)**10, 10**6
    yield "so through ten sigmoid layers a δ shrinks a million times, weights apart", through_ten * million < 1
