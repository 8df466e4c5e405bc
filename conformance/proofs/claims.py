"""The claims, one for each derived gradient: which reference function it belongs to, and up to which sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from itertools import product
from random import Random
from typing import Any

from chainrule import reference
from chainrule.reference.attention import attention
from chainrule.spec import Equation, get, load
from chainrule.spec.derivations import derived, derived_ids
from chainrule.spec.derive.chapters import from_records
from chainrule.spec.derive.chapters.sums import choices
from chainrule.spec.derive.steps import sample
from chainrule.spec.expressions import indices

from . import form_instances
from .certify_forms import call
from .claim import CLAIMS, Claim, Drawing, Functions, certifies

ATTENTION = next(id for id, function in reference.FUNCTIONS.items() if function is attention)


def box(relation: Callable[..., bool] | None = None, /, **ranges: Iterable[int]) -> list[dict[str, int]]:
    """All sizes in a box that satisfy the relation."""
    every = [dict(zip(ranges, values)) for values in product(*ranges.values())]
    return [one for one in every if relation is None or relation(**one)]


def _scalar(own: Equation, of: Equation) -> None:
    """A gradient of a formula of scalars, on the sides of 0 where it has a value: made from the two records."""
    @certifies(own.id, of.id, box(side=sorted({one[from_records.side] for one in from_records.start(own.id).trials})))
    def build(draw: Drawing, f: Functions, side: int) -> Claim:
        gradient, by = from_records.start(own.id), own.wrt[0]
        values = {str(s): draw_one(draw.field, {from_records.side: side}) for s, draw_one in gradient.draws.items()}

        def forward(v: Any) -> Any:
            return [call(of, {**values, by: v[0]}, f[of.id])]

        prime = derived(own.id)(*(values[name] for name in gradient.python))
        return Claim([values[by]], forward, lambda d: [d[0] * prime])


for _pair in from_records.scalar_pairs(load()):
    _scalar(*_pair)
_scalar(get("act.sigmoid.prime"), get("act.sigmoid"))       # the deck prints this one, so it has a form of its own


@certifies("act.softmax.prime", "act.softmax", box(K=range(1, 9)))
def softmax(draw: Drawing, f: Functions, K: int) -> Claim:
    z = draw(K)
    return Claim(z, f["act.softmax"], lambda d: derived("act.softmax.prime")(d, z))


@certifies("loss.softmax.delta", "loss.softmax", box(K=range(1, 9)))
def softmax_loss(draw: Drawing, f: Functions, K: int) -> Claim:
    y, z = draw(K), draw(K)
    return Claim(z, lambda v: [f["loss.softmax"](y, v)],
                 lambda d: [d[0] * g for g in derived("loss.softmax.delta")(z, y)])


@certifies("loss.softmax.weighted.delta", "loss.softmax.weighted", box(K=range(1, 9)))
def softmax_weighted_loss(draw: Drawing, f: Functions, K: int) -> Claim:
    y, z, w, eps = draw(K), draw(K), draw(K), draw()
    return Claim(z, lambda v: [f["loss.softmax.weighted"](y, v, w, eps)],
                 lambda d: [d[0] * g for g in derived("loss.softmax.weighted.delta")(z, y, w, eps)])


def _output(id: str, loss: str, arguments: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    @certifies(id, loss, box(K=range(1, 6)))
    def build(draw: Drawing, f: Functions, K: int) -> Claim:
        y, z, g = draw.layer(K), draw.layer(K), f["act.sigmoid"]

        def delta(d: Any) -> Any:
            a = [1, *(g(v) for v in z[1:])]
            return [None, *(d[0] * v for v in derived(id)(*arguments(y, a))[1:])]

        return Claim(z, lambda v: [sum(f[loss](y[i], g(v[i])) for i in range(1, K + 1))], delta)


_output("bp.delta.out", "loss.xent", lambda y, a: (y, a))
_output("alg.delta.out", "loss.xent.negated", lambda y, a: (a, y))


def _recursion(id: str, g: str, gradient: Callable[[Any, Any, Any], Any]) -> None:
    @certifies(id, "net.z", box(p=range(1, 5), q=range(1, 5)))
    def build(draw: Drawing, f: Functions, p: int, q: int) -> Claim:
        Theta, z = draw.Theta(q, p), draw.layer(p)
        return Claim(z, lambda v: f["net.z"](Theta, f["net.a"](v, f[g])), lambda d: gradient(Theta, d, z))


_recursion("bp.delta.rec", "act.sigmoid", lambda Theta, d, z: derived("bp.delta.rec")(
    Theta, d, [1, *(1 / (1 + (-v).exp()) for v in z[1:])]))
_recursion("bp.delta.chain", "act.tanh", lambda Theta, d, z: derived("bp.delta.chain")(
    Theta, d, [None, *(derived("act.tanh.prime")(v) for v in z[1:])]))


@certifies("bp.grad", "net.z", box(p=range(1, 5), q=range(1, 5)))
def weights(draw: Drawing, f: Functions, p: int, q: int) -> Claim:
    a = [1, *draw(p)]
    return Claim(draw.Theta(q, p), lambda Theta: f["net.z"](Theta, a), lambda d: derived("bp.grad")(d, a))


@certifies("alg.average", "loss.objective.corrected", box(p=range(1, 4), q=range(1, 4), n=range(1, 4)))
def average(draw: Drawing, f: Functions, p: int, q: int, n: int) -> Claim:
    """D of one sigmoid layer, Δ accumulated from alg.delta.out and bp.grad."""
    data, lam, g = [(draw(p), draw.layer(q)) for _ in range(n)], draw(), f["act.sigmoid"]
    Theta = draw.Theta(q, p)

    def predict(parameters: Any, x: Any) -> Any:
        return f["net.a"](f["net.z"](parameters, [1, *x]), g)

    def objective(parameters: Any) -> Any:
        def likelihood(y: Any, yhat: Any) -> Any:
            return sum(f["loss.xent"](y[i], yhat[i]) for i in range(1, q + 1))
        predictions = [predict(parameters, x) for x, _ in data]
        return [f["loss.objective.corrected"]([y for _, y in data], predictions, [None, parameters], lam, likelihood)]

    def gradient(d: Any) -> Any:
        grads = [derived("bp.grad")(derived("alg.delta.out")(predict(Theta, x), y), [1, *x]) for x, y in data]
        Delta = [None, *([sum(G[i][j] for G in grads) for j in range(p + 1)] for i in range(1, q + 1))]
        D = derived("alg.average")(Delta, Theta, lam, n)
        return [None, *([d[0] * v for v in row] for row in D[1:])]

    return Claim(Theta, objective, gradient)


@certifies("fc.layer.grad_Theta", "fc.layer", box(m=range(1, 5), n=range(1, 5)))
def full(draw: Drawing, f: Functions, m: int, n: int) -> Claim:
    a = draw(n)
    return Claim(draw(m, n), lambda Theta: f["fc.layer"](Theta, a), lambda d: derived("fc.layer.grad_Theta")(d, a))


@certifies("arch.local.grad_Theta", "arch.local", box(n=range(1, 7)))
def local(draw: Drawing, f: Functions, n: int) -> Claim:
    a = draw(n)
    return Claim(draw(n, n), lambda Theta: f["arch.local"](Theta, a),
                 lambda d: derived("arch.local.grad_Theta")(d, a))


@certifies("arch.shared.grad_theta", "arch.shared", box(m=(1, 3, 5, 7), n=range(1, 7)))
def shared(draw: Drawing, f: Functions, m: int, n: int) -> Claim:
    a = draw(n)
    return Claim(draw(m), lambda theta: f["arch.shared"](theta, a),
                 lambda d: derived("arch.shared.grad_theta")(d, a, m))


def _banded(id: str, by: int, beside: Callable[[Any, int], tuple[Any, ...]]) -> None:
    """A gradient of a local or shared layer by its argument number `by`; beside d it takes some of x, w, b and m."""
    of, gradient = id.rpartition(".")[0], derived(id)

    @certifies(id, of, box(m=(1, 3, 5, 7), n=range(1, 7)))
    def build(draw: Drawing, f: Functions, m: int, n: int) -> Claim:
        given = [draw(n), draw(n, m), draw(n)] if of == "arch.local.layer" else [draw(n), draw(m), draw()]
        return Claim(given[by], lambda v: f[of](*given[:by], v, *given[by + 1:]),
                     lambda d: gradient(d, *beside(given, m)))


for _of, _weights in (("arch.local.layer", "grad_w"), ("arch.shared.layer", "grad_theta")):
    _banded(f"{_of}.grad_x", 0, lambda given, m: (given[1],))
    _banded(f"{_of}.{_weights}", 1, lambda given, m: (given[0], m))
    _banded(f"{_of}.grad_b", 2, lambda given, m: ())


@certifies("arch.tied.grad_theta", "fc.layer", box(m=range(1, 4), n=range(1, 4), T=range(1, 4)))
def tied(draw: Drawing, f: Functions, m: int, n: int, T: int) -> Claim:
    a, t = draw(n), [[draw.random.randrange(T) for _ in range(n)] for _ in range(m)]

    def gradient(d: Any) -> Any:
        return derived("arch.tied.grad_theta")(derived("fc.layer.grad_Theta")(d, a), t, T)

    return Claim(draw(T), lambda theta: f["fc.layer"]([[theta[k] for k in row] for row in t], a), gradient)


def _convolution(id: str, by: str, sizes: Any, shapes: Callable[..., tuple[Any, Any]], of: str = "",
                 extra: Callable[..., tuple[int, ...]] = lambda **size: ()) -> None:
    """A bilinear map of two arrays: `by` says which of the two (0 or 1) the gradient is by."""
    of = of or id.rsplit(".", 1)[0]
    which = int(by)

    @certifies(id, of, sizes)
    def build(draw: Drawing, f: Functions, **size: int) -> Claim:
        both = [draw(*shape) for shape in shapes(**size)]

        def forward(v: Any) -> Any:
            return f[of](*(v if k == which else both[k] for k in range(2)))

        return Claim(both[which], forward, lambda d: derived(id)(d, both[1 - which], *extra(**size)))


VALID = box(lambda m, n: m <= n, m=range(1, 7), n=range(1, 11))
CENTRED = box(m=(1, 3, 5, 7), n=range(1, 9))
IMAGES = box(lambda H, W, M, N: M <= H and N <= W, H=range(1, 6), W=range(1, 5), M=range(1, 4), N=range(1, 4))
_convolution("conv1d.valid.grad_x", "1", VALID, lambda m, n: ((m,), (n,)))
_convolution("conv1d.valid.grad_theta", "0", VALID, lambda m, n: ((m,), (n,)))
_convolution("conv1d.centred.grad_a", "1", CENTRED, lambda m, n: ((m,), (n,)))
_convolution("conv1d.centred.grad_theta", "0", CENTRED, lambda m, n: ((m,), (n,)), extra=lambda m, n: (m,))
_convolution("conv2d.valid.grad_I", "0", IMAGES, lambda H, W, M, N: ((H, W), (M, N)))
_convolution("conv2d.valid.grad_K", "1", IMAGES, lambda H, W, M, N: ((H, W), (M, N)))


def _fits(n: int, k: int, stride: int, padding: int, dilation: int) -> bool:
    return n + 2 * padding >= dilation * (k - 1) + 1


def _both_fit(H: int, W: int, M: int, N: int, s: int, t: int, pad: int, qad: int, dil: int, eil: int, **_: int) -> bool:
    return _fits(H, M, s, pad, dil) and _fits(W, N, t, qad, eil)


SIDES = {"H": (1, 2, 3, 5), "W": (1, 2, 4, 6), "M": (1, 2, 3, 4), "N": (1, 2, 3, 4), "s": (1, 2, 3), "t": (1, 2, 3),
         "pad": (0, 1, 2), "qad": (0, 1, 2), "dil": (1, 2, 3), "eil": (1, 2, 3)}
LAYERS = sample(60, lambda **one: _both_fit(**one) and one["C"] * one["F"] * one["G"] <= 12, **SIDES,
                C=(1, 2, 3), F=(1, 2, 3), G=(1, 2, 3))


def _geometry(s: int, t: int, pad: int, qad: int, dil: int, eil: int, **_: int) -> dict[str, tuple[int, int]]:
    return {"stride": (s, t), "padding": (pad, qad), "dilation": (dil, eil)}


def _layer(id: str, which: int, gradient: Callable[..., Any]) -> None:
    """G groups of C channels and F filters; rows and columns have sizes of their own."""
    @certifies(id, "conv2d.layer", LAYERS)
    def build(draw: Drawing, f: Functions, C: int, F: int, G: int, **size: int) -> Claim:
        H, W, M, N = (size[name] for name in "HWMN")
        arrays = [draw(G * C, H, W), draw(G * F, C, M, N), draw(G * F)]
        geometry = {**_geometry(**size), "groups": G}

        def forward(v: Any) -> Any:
            return f["conv2d.layer"](*(v if k == which else arrays[k] for k in range(3)), **geometry)

        return Claim(arrays[which], forward, lambda d: gradient(d, arrays, geometry))


_layer("conv2d.layer.grad_x", 0, lambda d, a, g: derived("conv2d.layer.grad_x")(
    d, a[1], len(a[0][0]), len(a[0][0][0]), **g))
_layer("conv2d.layer.grad_w", 1, lambda d, a, g: derived("conv2d.layer.grad_w")(
    d, a[0], len(a[1][0][0]), len(a[1][0][0][0]), **g))
_layer("conv2d.layer.grad_b", 2, lambda d, a, g: derived("conv2d.layer.grad_b")(d, g["groups"]))


def _pools(H: int, W: int, M: int, N: int, pad: int, qad: int, dil: int, eil: int, **more: int) -> bool:
    """As torch has it: padding of at most half a window, and no window that is all padding."""
    return 2 * pad <= M and 2 * qad <= N and dil <= H and eil <= W and _both_fit(
        H, W, M, N, pad=pad, qad=qad, dil=dil, eil=eil, **more)


POOLS = sample(60, _pools, **SIDES)


@certifies("pool.max.grad_x", "pool.max.layer", POOLS)
def pool(draw: Drawing, f: Functions, H: int, W: int, M: int, N: int, **size: int) -> Claim:
    x, geometry = draw(H, W), {"k": (M, N), **_geometry(**size)}
    index = f["pool.max.layer.index"](x, **geometry)
    return Claim(x, lambda v: f["pool.max.layer"](v, **geometry),
                 lambda d: derived("pool.max.grad_x")(d, index, H, W, **geometry))


MEANS = sample(40, lambda H, W, M, N, S: M <= H and N <= W, **{name: SIDES[name] for name in "HWMN"}, S=(1, 2, 3))


@certifies("pool.mean.grad_x", "pool.mean", MEANS)
def mean_pool(draw: Drawing, f: Functions, H: int, W: int, M: int, N: int, S: int) -> Claim:
    return Claim(draw(H, W), lambda v: f["pool.mean"](v, M, N, S),
                 lambda d: derived("pool.mean.grad_x")(d, H, W, M, N, S))


def _batch(by: str, gradient: Callable[..., Any]) -> None:
    @certifies(f"norm.batch.grad_{by}", "norm.batch", box(n=range(1, 8)))
    def build(draw: Drawing, f: Functions, n: int) -> Claim:
        given = {"x": draw(n), "gamma": draw(), "beta": draw(), "eps": draw()}
        start = given[by] if by == "x" else [given[by]]

        def forward(v: Any) -> Any:
            return f["norm.batch"](**{**given, by: v if by == "x" else v[0]})

        return Claim(start, forward, lambda d: gradient(d, given))


_batch("x", lambda d, v: derived("norm.batch.grad_x")(d, v["x"], v["gamma"], v["eps"]))
_batch("gamma", lambda d, v: [derived("norm.batch.grad_gamma")(d, v["x"], v["eps"])])
_batch("beta", lambda d, v: [derived("norm.batch.grad_beta")(d)])


def _features(by: str, gradient: Callable[..., Any]) -> None:
    @certifies(f"norm.layer.grad_{by}", "norm.layer", box(n=range(1, 8)))
    def build(draw: Drawing, f: Functions, n: int) -> Claim:
        given = {"x": draw(n), "gamma": draw(n), "beta": draw(n), "eps": draw()}
        return Claim(given[by], lambda v: f["norm.layer"](**{**given, by: v}), lambda d: gradient(d, given))


_features("x", lambda d, v: derived("norm.layer.grad_x")(d, v["x"], v["gamma"], v["eps"]))
_features("gamma", lambda d, v: derived("norm.layer.grad_gamma")(d, v["x"], v["eps"]))
_features("beta", lambda d, v: derived("norm.layer.grad_beta")(d))


def _head(by: str, gradient: Callable[..., Any]) -> None:
    @certifies(f"attn.head.grad_{by}", ATTENTION, box(S=range(1, 4), T=range(1, 4), D=(1, 2, 3), E=(1, 2, 3)))
    def build(draw: Drawing, f: Functions, S: int, T: int, D: int, E: int) -> Claim:
        given = {"Q": draw(S, D), "K": draw(T, D), "V": draw(T, E), "scale": draw()}
        return Claim(given[by], lambda v: f[ATTENTION](**{**given, by: v}), lambda d: gradient(d, **given))


_head("Q", derived("attn.head.grad_Q"))
_head("K", derived("attn.head.grad_K"))
_head("V", lambda d, Q, K, V, scale: derived("attn.head.grad_V")(d, Q, K, scale))


@certifies("net.a.grad_z", "net.a", box(q=range(1, 6)))
def activations(draw: Drawing, f: Functions, q: int) -> Claim:
    z = draw.layer(q)
    return Claim(z, lambda v: [None, *f["net.a"](v, f["act.tanh"])[1:]],
                 lambda d: derived("net.a.grad_z")(d, [None, *(derived("act.tanh.prime")(v) for v in z[1:])]))


def _by_names(own: Equation, of: Equation) -> None:
    """A gradient whose arguments are δ and things of its record: so is the claim; an activation is the identity."""
    sizes = [*form_instances.small_sizes(of, Random(0), 9), *(choices(of, 3) if of.sizes else ())]

    @certifies(own.id, of.id, sizes)
    def build(draw: Drawing, f: Functions, **size: int) -> Claim:
        drawn = {name: form_instances.nested({form_instances.key(at): draw() for at in indices(ranges, size)})
                 for name, ranges in of.arrays.items()}
        values: dict[str, Any] = {**size, **drawn, **{
            name: (lambda u: u) if sort == "function" else draw() for name, sort in of.symbols.items()}}
        by, gradient = own.wrt[0], derived(own.id)
        others = list(inspect.signature(gradient).parameters)[1:]
        scalars, alone = by in of.symbols, not of.index

        def forward(v: Any) -> Any:
            result = call(of, {**values, by: v[0] if scalars else v}, f[of.id])
            return [result] if alone else result

        def back(d: Any) -> Any:
            found = gradient(d[0] if alone else d, *(values[name] for name in others))
            return [found] if scalars else found

        return Claim([values[by]] if scalars else values[by], forward, back)


for _own in load().values():
    if _own.id in derived_ids() and _own.id not in CLAIMS:
        _by_names(_own, get(_own.of))
