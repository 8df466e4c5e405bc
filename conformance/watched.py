"""Training code as it stands, every kernel it runs judged where it runs.

    with simulate() as sim, watched("simulated") as judged:
        loss = criterion(net(input), target)
        loss.backward()
        optimizer.step()
    assert judged.launches == sim.launches        # no kernel ran unjudged

The nodes behind `functional` and `nn` ask one function for their kernels; while watched, it answers with the same
kernels behind a judge, which knows of each which op it computes. A kernel that it does not know is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from ..triton_kernels import autograd, launch, optim
from .backend import load
from .bounds import Bound
from .cases import Case
from .chains import DTYPE, ChainFault, Judged, as_array
from .judge import compare
from .numbers.bounded import FLOAT32, FLOAT64, Bounded
from .operations import PARAMETERS, stable
from .oracle import Truth

Given = dict[str, Any]


class Watch(Judged):
    """Judged, fed with what training code has already computed; `launches` is how many launches that took."""

    def __init__(self, mode: str) -> None:
        super().__init__(load("triton"), mode)
        self.launches = 0
        self.slopes: dict[Any, tuple[str, str]] = {}

    def ran(self) -> int:
        """How many launches there have been."""
        return int(getattr(launch.simulation.get(), "launches", 0))

    def op(self, id: str, outputs: tuple[Tensor | None, ...], **given: Any) -> None:
        """These outputs came from these arguments; one that is None was not asked for."""
        self.seen(id, given, outputs)

    def product(self, id: str, out: Tensor, *factors: Callable[[Callable[[Tensor], Bounded]], Bounded]) -> None:
        """An elementwise product that no op of the suite has alone, judged by the error its factors and it may have."""
        def value(arithmetic: Any) -> Bounded:
            whole: Bounded = factors[0](lambda t: Bounded(as_array(t).astype(np.float64), arithmetic))
            for factor in factors[1:]:
                whole = whole * factor(lambda t: Bounded(as_array(t).astype(np.float64), arithmetic))
            return whole

        self.calls[id] += 1
        case = Case(f"{id}/chain/call {self.calls[id]}", id, "T1", DTYPE[out.dtype], dict)
        exact, ours = value(FLOAT64), value(FLOAT32)
        shape = tuple(out.shape)
        zero = np.zeros(shape)
        limit = Bound(np.broadcast_to(ours.error, shape), zero, zero, zero)
        self.note(case, compare("product", as_array(out), Truth(
            np.broadcast_to(exact.v, shape), np.broadcast_to(exact.error, shape)), limit, case))


def _as_judged(act: str, p: float) -> None:
    """The suite's ops have the deck's slope and α = 1."""
    (own,) = PARAMETERS.get(act, {"": p}).values()
    if p != own:
        raise ChainFault(f"act.{act} with {p} ran inside a layer; the suite judges layers with {own} only")


def _affine(watch: Watch, found: Any, x: Tensor, w: Tensor, b: Any, act: str, p: float, keep_z: bool, *_: Any) -> None:
    a, z = found
    _as_judged(act, p)
    watch.op("net.layer.affine", (a,), x=x, w=w, b=b, act=act)
    if keep_z and act != "identity":
        watch.op("net.layer.affine", (z,), x=x, w=w, b=b, act="identity")


def _averaged(watch: Watch, found: Any, delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, *_: Any) -> None:
    watch.op("alg.average", found, delta=delta, a=a, w=w, lam=lam, n=n)


def _through(watch: Watch, found: Any, delta: Tensor, w: Tensor, kept: Tensor, G: Any, p: float, *_: Any) -> None:
    act, form = watch.slopes[G]
    _as_judged(act, p)
    if form == "a" and act == "sigmoid":
        watch.op("bp.delta.rec", found, delta=delta, w=w, a=kept)
    else:                                                       # relu and leaky: g′(a) = g′(z)
        watch.op("bp.delta.chain", found, delta=delta, w=w, z=kept, act=act)


def _value(watch: Watch, found: Any, z: Tensor, act: str, p: float) -> None:
    watch.op(f"act.{act}", (found,), z=z, **dict.fromkeys(PARAMETERS.get(act, {}), p))


def _slope(watch: Watch, found: Any, grad: Tensor, kept: Tensor, act: str, form: str, p: float) -> None:
    def prime(number: Callable[[Tensor], Bounded]) -> Any:
        one = number(kept)
        if form == "a" and act == "sigmoid":
            return one * (1 - one)
        return stable(f"act.{act}.prime")(one, **dict.fromkeys(PARAMETERS.get(act, {}), p))

    watch.product(f"act.{act}.prime", found, lambda number: number(grad), prime)


def _losses(watch: Watch, found: Any, z: Tensor, y: Tensor, w: Any, ignored: int, smoothing: float) -> None:
    watch.op("loss.softmax.weighted", found, z=z, y=y, w=w, ignored=ignored, smoothing=smoothing)


def _mean(watch: Watch, found: Any, loss: Tensor, mass: Tensor) -> None:
    watch.op("loss.mean", (found[0],), loss=loss, mass=mass)
    watch.product("loss.mean, Σ m", found[1], lambda number: number(mass.double().sum()))


def _shared(watch: Watch, found: Any, delta: Tensor, grad: Tensor, mass: Tensor) -> None:
    watch.product("δ / Σ m", found, lambda number: number(delta), lambda number: number(grad) / number(mass))


def _scaled(watch: Watch, found: Any, delta: Tensor, grad: Tensor, n: int) -> None:
    watch.product("δ / n", found, lambda number: number(delta), lambda number: number(grad) / n)


def _pair(id: str, first: str) -> Callable[..., None]:
    return lambda watch, found, a, y: watch.op(id, found, **{first: a, "y": y})


def _geometry(sizes: Any) -> Given:
    return {"stride": sizes.stride, "padding": sizes.padding, "dilation": sizes.dilation, "groups": sizes.groups}


def _convolution(watch: Watch, found: Any, x: Tensor, w: Tensor, b: Any, sizes: Any, act: str, p: float, keep_z: bool,
                 *_: Any) -> None:
    _as_judged(act, p)
    watch.op("conv2d.layer", (found[0],), x=x, w=w, b=b, act=act, **_geometry(sizes))
    if keep_z:
        watch.op("conv2d.layer", (found[1],), x=x, w=w, b=b, **_geometry(sizes))


def _to_image(watch: Watch, found: Any, d: Tensor, w: Tensor, sizes: Any, *_: Any) -> None:
    watch.op("conv2d.layer.grad_x", (found,), d=d, w=w, H=sizes.input[0], W=sizes.input[1], **_geometry(sizes))


def _to_filters(watch: Watch, found: Any, d: Tensor, x: Tensor, w: Any, sizes: Any, lam: float, n: float,
                columns: bool, intercepts: bool, *_: Any) -> None:
    if columns:
        watch.op("conv2d.layer.grad_w", (found[0],), d=d, x=x, M=sizes.taps[0], N=sizes.taps[1], w=w, lam=lam, n=n,
                 **_geometry(sizes))
    if intercepts:
        watch.op("conv2d.layer.grad_b", (found[1],), d=d, n=n)


def _windows(sizes: Any) -> Given:
    return {"k": sizes.window, "stride": sizes.stride, "padding": sizes.padding}


def _pooled(watch: Watch, found: Any, x: Tensor, sizes: Any) -> None:
    watch.op("pool.max", found, x=x, **_windows(sizes))


def _from_pool(watch: Watch, found: Any, d: Tensor, index: Tensor, sizes: Any, saved: Any, G: Any, p: float) -> None:
    act = watch.slopes[G][0] if saved is not None else "identity"
    H, W = sizes.x_shape[2:]
    watch.op("pool.max.grad_x", (found,), d=d, index=index, H=H, W=W, saved=saved, act=act, **_windows(sizes))


#: (module, function): what it computes.
KNOWN: dict[tuple[str, str], Callable[..., None]] = {
    ("linear", "affine_keeping"): _affine, ("linear", "averaged"): _averaged, ("linear", "delta_through"): _through,
    ("act", "value"): _value, ("act", "backward"): _slope,
    ("losses", "weighted"): _losses, ("losses", "averaged"): _mean, ("losses", "shared"): _shared,
    ("losses", "scaled"): _scaled, ("losses", "loss.square"): _pair("loss.square", "yhat"),
    ("losses", "loss.xent.logits"): _pair("loss.xent.logits", "z"),
    ("conv_layer", "keeping"): _convolution, ("conv_layer", "delta_through"): _to_image,
    ("conv_filters", "averaged"): _to_filters, ("pool", "pooled"): _pooled, ("pool", "pooled_backward"): _from_pool,
}


class Room:
    """A module of kernels whose functions are judged as they return."""

    def __init__(self, watch: Watch, name: str, module: Any) -> None:
        self._watch, self._name, self._module = watch, name, module
        self.__name__ = module.__name__

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name == "OPS":
            return {id: self._judged(id, function) for id, function in found.items()}
        if name == "derivative":
            return self._remembering(found)
        return self._judged(name, found) if callable(found) else found

    def _remembering(self, derivative: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
        def run(act: str, form: str) -> Any:
            G = derivative(act, form)
            self._watch.slopes[G] = act, form
            return G

        return run

    def _judged(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            before = self._watch.ran()
            found = function(*args)
            self._watch.launches += self._watch.ran() - before
            known = KNOWN.get((self._name, name))
            if known is None:
                raise ChainFault(f"{self._name}.{name} ran, and nothing here knows which op it is")
            known(self._watch, found, *args)
            return found

        return run


#: A rule's letters: its states by torch's names, and its numbers by torch's.
RULES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "sgd": ({}, {"eta": "lr"}),
    "momentum": ({"v": "momentum_buffer"}, {"eta": "lr", "mu": "momentum"}),
    "nesterov": ({"v": "momentum_buffer"}, {"eta": "lr", "mu": "momentum"}),
    "adam": ({"m": "exp_avg", "v": "exp_avg_sq"}, {"eta": "lr", "eps": "eps"}),
    "adamw": ({"m": "exp_avg", "v": "exp_avg_sq"}, {"eta": "lr", "lam": "weight_decay", "eps": "eps"}),
}


def _stepping(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    """`_Fused._step`, every parameter's step judged from what was there before it."""
    def step(self: Any, key: Any, works: list[Any]) -> None:
        rule = key[2]
        letters, numbers = RULES[rule]
        before = [(work.theta.clone(), {k: self.state[work.parameter][n].clone() for k, n in letters.items()})
                  for work in works]
        launches = watch.ran()
        original(self, key, works)
        watch.launches += watch.ran() - launches
        for work, (theta, states) in zip(works, before):
            group, state = self.param_groups[work.group], self.state[work.parameter] if letters else {}
            given = {name: float(group[option]) for name, option in numbers.items()}
            if "betas" in group:
                given |= {"beta1": group["betas"][0], "beta2": group["betas"][1], "t": int(state["step"])}
            outputs = (work.theta, *(state[n] for n in letters.values()))
            watch.op(f"opt.{rule}", outputs, theta=theta, D=work.D, **states, **given)

    return step


@contextmanager
def watched(mode: str = "simulated") -> Iterator[Watch]:
    """Judge every kernel that training code runs; a ChainFault where one leaves its bound."""
    watch = Watch(mode)
    room, step = autograd.eager_room, optim._Fused._step

    def watching(module: str, name: str, t: Tensor) -> Any:
        found = room(module, name, t)
        return Room(watch, module, found) if found.__name__.endswith(f".{module}") and module != "optimizers" else found

    autograd.eager_room, optim._Fused._step = watching, _stepping(watch, step)     # type: ignore[method-assign]
    try:
        yield watch
    finally:
        autograd.eager_room, optim._Fused._step = room, step                       # type: ignore[method-assign]
