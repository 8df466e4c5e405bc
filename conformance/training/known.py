"""Which op of the suite every kernel of training code is: by the module it is in, and the function that starts it.

Each takes the watch, what the function returned, and the function's own arguments. What no op of the suite has alone
is judged as a formula, by the error that the formula may have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch import where as pick

from chainrule.scalar import sqrt, where

from ...reference import normalization
from ..judging.numbers.bounded import Bounded, total
from ..judging.operations import OPERATIONS, PARAMETERS, evaluate, stable
from .chains import ChainFault, as_array

Given = dict[str, Any]
#: A tensor, or an array, as numbers that know their error.
Number = Callable[[Any], Bounded]


def own_parameter(act: str, p: float) -> None:
    """The suite's ops have the deck's slope and α = 1."""
    (own,) = PARAMETERS.get(act, {"": p}).values()
    if p != own:
        raise ChainFault(f"act.{act} with {p} ran inside a layer; the suite judges layers with {own} only")


def affine(watch: Any, found: Any, x: Tensor, w: Tensor, b: Any, act: str, p: float, keep_z: bool, *_: Any) -> None:
    a, z = found
    own_parameter(act, p)
    watch.op("net.layer.affine", (a,), x=x, w=w, b=b, act=act)
    if keep_z and act != "identity":
        watch.op("net.layer.affine", (z,), x=x, w=w, b=b, act="identity")


def averaged(watch: Any, found: Any, delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, *_: Any) -> None:
    watch.op("alg.average", found, delta=delta, a=a, w=w, lam=lam, n=n)


def delta_through(watch: Any, found: Any, delta: Tensor, w: Tensor, kept: Tensor, act: str, form: str, p: float,
                  name: str = "", math: Any = None, summed: bool = True) -> None:
    own_parameter(act, p)
    found = found if summed else (found[0], None)
    if form == "a" and act == "sigmoid":
        watch.op("bp.delta.rec", found, delta=delta, w=w, a=kept)
    else:                                                       # relu and leaky: g′(a) = g′(z)
        watch.op("bp.delta.chain", found, delta=delta, w=w, z=kept, act=act)


def gradients(watch: Any, found: Any, delta: Tensor, w: Tensor, a: Tensor, kept: Tensor, act: str, form: str, p: float,
              lam: float, n: float, *_: Any) -> None:
    before, *sums = found
    averaged(watch, tuple(sums), delta, a, w[:, : a.shape[1]], lam, n)
    if act == "identity":
        affine(watch, (before, before), delta, w.t(), None, act, p, False)
    else:
        delta_through(watch, (before, None), delta, w, kept, act, form, p)


def activation(watch: Any, found: Any, z: Tensor, act: str, p: float) -> None:
    watch.op(f"act.{act}", (found,), z=z, **dict.fromkeys(PARAMETERS.get(act, {}), p))


def slope(watch: Any, found: Any, grad: Tensor, kept: Tensor, act: str, form: str, p: float) -> None:
    def through(number: Number) -> Any:
        one = number(kept)
        if form == "a" and act == "sigmoid":
            return number(grad) * (one * (1 - one))
        return number(grad) * stable(f"act.{act}.prime")(one, **dict.fromkeys(PARAMETERS.get(act, {}), p))

    watch.formula(f"act.{act}.prime", {"d": found}, through)


def losses(watch: Any, found: Any, z: Tensor, y: Tensor, w: Any, ignored: int, smoothing: float) -> None:
    watch.op("loss.softmax.weighted", found, z=z, y=y, w=w, ignored=ignored, smoothing=smoothing)


def losses_mean(watch: Any, found: Any, z: Tensor, y: Tensor, w: Any, ignored: int, smoothing: float) -> None:
    mean, delta, mass = found
    given = {"z": as_array(z), "y": as_array(y), "w": w if w is None else as_array(w), "ignored": ignored,
             "smoothing": smoothing}

    def each(number: Number) -> list[Any]:
        found = evaluate("loss.softmax.weighted", number, stable, given)
        return [total(found[name], 0) for name in OPERATIONS["loss.softmax.weighted"].outputs[::2]]

    watch.op("loss.softmax.weighted", (None, delta, None), z=z, y=y, w=w, ignored=ignored, smoothing=smoothing)
    watch.formula("loss.mean, Σ m", {"sum": mass}, lambda number: each(number)[1])
    watch.formula("loss.mean", {"mean": mean}, lambda number: each(number)[0] / each(number)[1])


def mean_loss(watch: Any, found: Any, loss: Tensor, mass: Tensor) -> None:
    watch.op("loss.mean", (found[0],), loss=loss, mass=mass)
    watch.formula("loss.mean, Σ m", {"sum": found[1]}, lambda number: total(number(mass), 0))


def shared(watch: Any, found: Any, delta: Tensor, grad: Tensor, mass: Tensor) -> None:
    watch.formula("δ / Σ m", {"d": found}, lambda number: number(delta) * (number(grad) / number(mass)))


def scaled(watch: Any, found: Any, delta: Tensor, grad: Tensor, n: int) -> None:
    watch.formula("δ / n", {"d": found}, lambda number: number(delta) * (number(grad) / n))


def pair(watch: Any, found: Any, id: str, input: Tensor, y: Tensor) -> None:
    if id not in ("loss.square", "loss.xent.logits"):
        raise ChainFault(f"{id} is asked for, and nothing here knows how it is judged")
    watch.op(id, found, **{"yhat" if id == "loss.square" else "z": input, "y": y})


def geometry(sizes: Any) -> Given:
    return {"stride": sizes.stride, "padding": sizes.padding, "dilation": sizes.dilation, "groups": sizes.groups}


def convolution(watch: Any, found: Any, x: Tensor, w: Tensor, b: Any, sizes: Any, act: str, p: float, keep_z: bool,
                *_: Any) -> None:
    own_parameter(act, p)
    watch.op("conv2d.layer", (found[0],), x=x, w=w, b=b, act=act, **geometry(sizes))
    if keep_z:
        watch.op("conv2d.layer", (found[1],), x=x, w=w, b=b, **geometry(sizes))


def convolution_pooled(watch: Any, found: Any, x: Tensor, w: Tensor, b: Any, sizes: Any, act: str, p: float,
                       keep_z: bool, math: Any = None, places: bool = True, sides: bool = False) -> None:
    """y is g of the largest z; with places it is also g of the z that stands there, on the side of 0 that is said."""
    y, index, z = found
    if sides:
        index, said = _sides(index)
        if not torch.equal(said > 0, ~(y <= 0)):
            raise ChainFault("conv2d.layer, pooled: a place says that z lies on the other side of 0")
    own_parameter(act, p)
    (name,) = OPERATIONS["conv2d.layer"].outputs
    given = {"x": as_array(x), "w": as_array(w), "b": b if b is None else as_array(b), **geometry(sizes)}

    def windows(number: Number) -> list[Bounded]:
        whole = evaluate("conv2d.layer", number, stable, given)[name]
        rows, columns = y.shape[2:]
        return [whole[:, :, m : 2 * rows : 2, n : 2 * columns : 2] for m in (0, 1) for n in (0, 1)]

    def largest(number: Number) -> Any:
        best, *others = windows(number)
        for other in others:
            best = where(other > best, other, best)
        return best

    def there(number: Number) -> Any:
        at, (best, *others) = as_array(index), windows(number)
        for place, other in enumerate(others, 1):
            best = best.select(at == place, other, best)
        return best

    def g(best: Callable[[Number], Any]) -> Callable[[Number], Any]:
        parameter = dict.fromkeys(PARAMETERS.get(act, {}), p)
        return lambda number: stable(f"act.{act}")(best(number), **parameter)

    watch.formula("conv2d.layer, pooled", {"y": y}, g(largest), dot=True)
    if places:
        watch.formula("conv2d.layer, pooled, at its place", {"y": y}, g(there), dot=True)
    if keep_z:
        watch.formula("conv2d.layer, pooled, z", {"z": z}, largest, dot=True)


def to_image(watch: Any, found: Any, d: Tensor, w: Tensor, sizes: Any, *_: Any) -> None:
    watch.op("conv2d.layer.grad_x", (found,), d=d, w=w, H=sizes.input[0], W=sizes.input[1], **geometry(sizes))


def to_filters(watch: Any, found: Any, d: Tensor, x: Tensor, w: Any, sizes: Any, lam: float, n: float,
               columns: bool, intercepts: bool, *_: Any) -> None:
    if columns:
        watch.op("conv2d.layer.grad_w", (found[0],), d=d, x=x, M=sizes.taps[0], N=sizes.taps[1], w=w, lam=lam, n=n,
                 **geometry(sizes))
    if intercepts:
        watch.op("conv2d.layer.grad_b", (found[1],), d=d, n=n)


def windows(sizes: Any) -> Given:
    return {"k": sizes.window, "stride": sizes.stride, "padding": sizes.padding}


def pooled(watch: Any, found: Any, x: Tensor, sizes: Any) -> None:
    watch.op("pool.max", found, x=x, **windows(sizes))


def _sides(index: Tensor) -> tuple[Tensor, Tensor]:
    """The places, and a number on the side of 0 that each is said to have."""
    return index & 3, (index < 4).float()


def from_pool(watch: Any, found: Any, d: Tensor, index: Tensor, sizes: Any, saved: Any, act: str, form: str,
              *_: Any) -> None:
    if form == "side":
        index, saved = _sides(index)
        saved = saved.to(d.dtype)
    act = act if saved is not None else "identity"
    H, W = sizes.x_shape[2:]
    watch.op("pool.max.grad_x", (found,), d=d, index=index, H=H, W=W, saved=saved, act=act, **windows(sizes))


def band(watch: Any, found: Any, x: Tensor, w: Tensor, b: Any, act: str, p: float, keep_z: bool) -> None:
    own_parameter(act, p)
    id, weights = _band(w)
    for out, g in zip(found, (act, "identity") if keep_z else (act,)):
        watch.op(id, (out,), x=x, b=b, act=g, **weights)


def from_band(watch: Any, found: Any, d: Tensor, w: Tensor) -> None:
    id, weights = _band(w)
    watch.op(f"{id}.grad_x", (found,), d=d, **weights)


def _band(w: Tensor) -> tuple[str, Given]:
    return ("arch.shared.layer", {"theta": w}) if w.dim() == 1 else ("arch.local.layer", {"w": w})


def to_band(watch: Any, found: Any, d: Tensor, x: Tensor, m: int, one: bool, weights: bool, intercepts: bool) -> None:
    id, name = ("arch.shared.layer", "theta") if one else ("arch.local.layer", "w")
    if weights:
        watch.op(f"{id}.grad_{name}", (found[0],), d=d, x=x, m=m, lam=0.0, n=1.0, **{name: None})
    if intercepts:
        watch.op(f"{id}.grad_b", (found[1],), d=d, n=1.0)


def channels_last(t: Tensor) -> Tensor:
    return t.movedim(1, -1)


def rows(t: Tensor) -> Tensor:
    """(N, C, …) as examples and positions × channels."""
    return channels_last(t).reshape(-1, t.shape[1])


def statistics(watch: Any, found: Any, x: Tensor, eps: float) -> None:
    def each(number: Number) -> list[Bounded]:
        return [number(row) for row in rows(x)]

    watch.formula("norm.mean", {"μ": found[0]}, lambda number: normalization.mean(each(number)))
    watch.formula("norm.variance", {"1/√(σ² + ε)": found[1]},
                  lambda number: 1 / sqrt(normalization.variance(each(number)) + eps))


def running_statistics(watch: Any, found: Any, x: Tensor, eps: float, mu: Tensor, var: Tensor, rho: float,
                       before: Any) -> None:
    statistics(watch, found, x, eps)
    watch.op("norm.batch.running", (mu, var), x=x, mu=before[0], var=before[1], rho=rho)


def root(watch: Any, found: Any, var: Tensor, eps: float) -> None:
    watch.formula("norm.batch.inference", {"1/√(σ² + ε)": found}, lambda number: 1 / sqrt(number(var) + eps))


def normalized(watch: Any, found: Any, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Any, beta: Any, added: Any = None,
               relu: bool = False) -> None:
    def y(number: Number) -> Any:
        value = (number(channels_last(x)) - number(mean)) * number(rstd)
        value = value if gamma is None else value * number(gamma) + number(beta)
        value = value if added is None else value + number(channels_last(added))
        return stable("act.relu")(value) if relu else value

    watch.formula("norm.batch", {"y": channels_last(found)}, y)


def norm_sums(watch: Any, found: Any, d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, dtype: Any,
              relu: bool, centred: bool = True) -> None:
    both, dgamma, dbeta = found
    met = rows(pick(y > 0, d, 0.0) if relu else d)
    plain = {"Σ d": both[0], "dbeta": dbeta}
    for name, out in plain.items():
        watch.formula("norm.batch.grad_beta", {name: out}, lambda number: total(number(met), 0))
    for name, out in {"Σ d x̂": both[1], "dgamma": dgamma}.items() if centred else ():
        watch.formula("norm.batch.grad_gamma", {name: out}, lambda number: total(
            number(met) * ((number(rows(x)) - number(mean)) * number(rstd)), 0))


def norm_backward(watch: Any, found: Any, d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Any,
                  both: Any, relu: bool, added: bool) -> None:
    met = channels_last(pick(y > 0, d, 0.0) if relu else d)
    n = x.numel() // x.shape[1]

    def dx(number: Number) -> Any:
        inner = number(met)
        if both is not None:
            standard = (number(channels_last(x)) - number(mean)) * number(rstd)
            inner = inner - number(both[0]) / n - standard * (number(both[1]) / n)
        return inner * (number(rstd) if gamma is None else number(rstd) * number(gamma))

    watch.formula("norm.batch.grad_x", {"dx": channels_last(found[0])}, dx)
    if added:
        watch.formula("norm.batch.grad_x, of what was added", {"dz": channels_last(found[1])},
                      lambda number: number(met))


#: By the module of kernels, and the function of it that starts them.
_BY_MODULE: dict[str, dict[str, Callable[..., None]]] = {
    "activations.kernels": {"value": activation, "backward": slope},
    "layers.kernels": {"affine_keeping": affine, "averaged": averaged, "delta_through": delta_through},
    "layers.gradients": {"gradients": gradients},
    "losses.kernels": {
        "weighted": losses, "weighted_mean": losses_mean, "averaged": mean_loss, "shared": shared, "scaled": scaled,
        "loss": pair},
    "images.layer": {"keeping": convolution, "delta_through": to_image},
    "images.filters": {"averaged": to_filters},
    "images.pooled": {"pooled_keeping": convolution_pooled},
    "images.pool": {"pooled": pooled, "pooled_backward": from_pool},
    "bands.kernels": {"keeping": band, "to_input": from_band},
    "bands.weights": {"sums": to_band},
    "norms.kernels": {
        "statistics": statistics, "running_statistics": running_statistics, "reciprocal_root": root,
        "applied": normalized, "sums": norm_sums, "backward": norm_backward},
}
KNOWN: dict[tuple[str, str], Callable[..., None]] = {
    (module, name): judge for module, functions in _BY_MODULE.items() for name, judge in functions.items()}
#: What has to be looked at before a function runs, since it writes there.
BEFORE: dict[tuple[str, str], Callable[..., Any]] = {
    ("norms.kernels", "running_statistics"): lambda x, eps, mu, var, rho: (mu.clone(), var.clone())}

#: A rule's letters: its states by torch's names, and its numbers by torch's.
RULES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "sgd": ({}, {"eta": "lr"}),
    "momentum": ({"v": "momentum_buffer"}, {"eta": "lr", "mu": "momentum"}),
    "nesterov": ({"v": "momentum_buffer"}, {"eta": "lr", "mu": "momentum"}),
    "adagrad": ({"G": "sum"}, {"eta": "lr", "eps": "eps"}),
    "adam": ({"m": "exp_avg", "v": "exp_avg_sq"}, {"eta": "lr", "eps": "eps"}),
    **dict.fromkeys(("adamw", "lamb"), (
        {"m": "exp_avg", "v": "exp_avg_sq"}, {"eta": "lr", "lam": "weight_decay", "eps": "eps"})),
}
