"""Which equations the kernels of normed convolutions compute. What they make on the way, a and ∂z, is in no memory:
it is a number with an error here, which the filters carry on, and rounded as the kernel rounds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import grad as torchs

from chainrule.scalar import where

from ..judging.numbers.bounded import FLOAT64, Bounded, total
from ..judging.operations import evaluate, stable
from .chains import as_array
from .known import Number, geometry, rows, statistics

UNIT = {torch.float32: 0.0, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}


def channel(number: Number, t: Tensor) -> Any:
    """One number a channel, ready to meet an image."""
    return number(as_array(t)[None, :, None, None])


def standard(number: Number, z: Tensor, norm: Any) -> Any:
    return (number(z) - channel(number, norm.mean)) * channel(number, norm.rstd)


def before_relu(number: Number, z: Tensor, norm: Any) -> Any:
    return standard(number, z, norm) * channel(number, norm.gamma) + channel(number, norm.beta)


def stored(value: Bounded, dtype: torch.dtype) -> Bounded:
    """Rounded to the dtype, without being in memory."""
    unit = 0.0 if value.ar is FLOAT64 else UNIT[dtype]
    return Bounded(value.v, value.ar, e=value.error + unit * np.abs(value.v))


def recalled(number: Number, z: Tensor, norm: Any) -> Bounded:
    """a of z, or where there is no norm z itself."""
    if norm is None:
        return number(z)
    found: Bounded = stable("act.relu")(before_relu(number, z, norm))
    return stored(found, z.dtype)


def to_z(number: Number, s: Tensor, z: Tensor, norm: Any, both: Tensor) -> Bounded:
    n = z.numel() // z.shape[1]
    inner = number(s) - channel(number, both[0]) / n - standard(number, z, norm) * (channel(number, both[1]) / n)
    return stored(inner * (channel(number, norm.rstd) * channel(number, norm.gamma)), z.dtype)


def wide(a: Any, shape: Any) -> Tensor:
    return torch.from_numpy(np.array(np.broadcast_to(a, shape), dtype=np.float64))


def product(number: Number, id: str, more: Any, **given: Any) -> Bounded:
    """An op of products whose operands' own errors make `more` of it."""
    (found,) = evaluate(id, number, stable, given).values()
    return Bounded(found.v, found.ar, found.mag, found.n, found.e + more)


def around(sizes: Any) -> tuple[Any, ...]:
    return sizes.stride, sizes.padding, sizes.dilation, sizes.groups


def moved(watch: Any, z: Tensor, norm: Any, before: Any) -> None:
    """The statistics that were made of shares, and the running ones."""
    if norm is None or norm.partial is None:
        return
    statistics(watch, (norm.mean, norm.rstd), z, norm.eps)
    if norm.running is not None:
        mu, var = before
        watch.op("norm.batch.running", norm.running, x=z, mu=mu, var=var, rho=norm.rho)


def convolved(watch: Any, found: Any, x: Tensor, w: Tensor, sizes: Any, norm: Any, math: Any, before: Any = None
              ) -> None:
    moved(watch, x, norm, before)

    def z(number: Number) -> Bounded:
        a = recalled(number, x, norm)
        more = torch.conv2d(wide(a.error, x.shape), w.double().abs(), None, *around(sizes)).numpy()
        return product(number, "conv2d.layer", more, x=a.v, w=as_array(w), b=None, **geometry(sizes))

    watch.formula("conv2d.layer of a norm" if norm is not None else "conv2d.layer", {"z": found[0]}, z, dot=True)


def settled(watch: Any, found: Any, z: Tensor, norm: Any, before: Any = None) -> None:
    moved(watch, z, norm, before)


def last(number: Number, z: Tensor, norm: Any, past: Any) -> Any:
    u = before_relu(number, z, norm)
    return u if past is None else u + number(past)


def ended(watch: Any, found: Any, z: Tensor, norm: Any, past: Any, before: Any = None) -> None:
    moved(watch, z, norm, before)
    watch.formula("norm.batch", {"y": found}, lambda number: stable("act.relu")(last(number, z, norm, past)))


def slopes(watch: Any, found: Any, d: Tensor, z: Tensor, norm: Any, past: Any) -> None:
    watch.formula("act.relu.prime", {"s": found[0]}, lambda number: where(
        stored(last(number, z, norm, past), z.dtype) > 0, number(d), number(torch.zeros_like(z))))


def sums_of(watch: Any, s: Tensor, z: Tensor, norm: Any, sums: Any) -> None:
    """Both sums, where they were made of shares."""
    if sums.partial is None:
        return
    for name, out in {"Σ s": sums.both[0], "dbeta": sums.dbeta}.items():
        watch.formula("norm.batch.grad_beta", {name: out}, lambda number: total(number(rows(s)), 0))
    for name, out in {"Σ s ẑ": sums.both[1], "dgamma": sums.dgamma}.items():
        watch.formula("norm.batch.grad_gamma", {name: out}, lambda number: total(
            number(rows(s)) * ((number(rows(z)) - number(norm.mean)) * number(norm.rstd)), 0))


def joined(watch: Any, found: Any, s: Tensor, z: Tensor, norm: Any, sums: Any) -> None:
    sums_of(watch, s, z, norm, sums)


def to_image(watch: Any, found: Any, s: Tensor, z: Tensor, norm: Any, sums: Any, w: Tensor, sizes: Any, below: Any,
             past: Any, math: Any) -> None:
    sums_of(watch, s, z, norm, sums)

    def out(number: Number) -> Any:
        d = to_z(number, s, z, norm, sums.both)
        more = torchs.conv2d_input(                                     # type: ignore[no-untyped-call]
            sizes.x_shape, w.double().abs(), wide(d.error, z.shape), *around(sizes)).numpy()
        H, W = sizes.input
        dx = product(number, "conv2d.layer.grad_x", more, d=d.v, w=as_array(w), H=H, W=W, **geometry(sizes))
        if past is not None:
            return dx + number(past)
        if below is None:
            return dx
        return where(stored(before_relu(number, *below), z.dtype) > 0, dx, 0 * dx)

    id = "norm.batch.grad_x through conv2d.layer.grad_x"
    watch.formula(id if below is None else f"{id}, act.relu.prime", {"dx": found[0]}, out, dot=True)


def from_filters(x: Tensor, d: Tensor, sizes: Any) -> Any:
    found = torchs.conv2d_weight(x, sizes.w_shape, d, *around(sizes))       # type: ignore[no-untyped-call]
    return found.numpy()


def to_filters(watch: Any, found: Any, works: Any, math: Any) -> None:
    for one, D in zip(works, found):
        def average(number: Number, one: Any = one) -> Bounded:
            d, a = to_z(number, one.s, one.z, one.norm, one.both), recalled(number, one.source, one.below)
            e_d, e_a = wide(d.error, one.z.shape), wide(a.error, one.source.shape)
            more = (from_filters(e_a, wide(np.abs(d.v), one.z.shape) + e_d, one.sizes)
                    + from_filters(wide(np.abs(a.v), one.source.shape), e_d, one.sizes))
            M, N = one.sizes.taps
            return product(number, "conv2d.layer.grad_w", more, d=d.v, x=a.v, M=M, N=N, **geometry(one.sizes))

        watch.formula("norm.batch.grad_x through conv2d.layer.grad_w", {"D": D}, average, dot=True)


KNOWN: dict[tuple[str, str], Callable[..., None]] = {
    ("normed.kernels", "convolved"): convolved, ("normed.kernels", "settled"): settled,
    ("normed.kernels", "joined"): joined, ("normed.kernels", "to_image"): to_image,
    ("normed.ends", "ended"): ended, ("normed.ends", "slopes"): slopes, ("normed.filters", "averaged"): to_filters,
}


def _running(norm: Any) -> Any:
    return norm.running and tuple(t.clone() for t in norm.running) if norm is not None else None


BEFORE: dict[tuple[str, str], Callable[..., Any]] = {
    ("normed.kernels", "convolved"): lambda x, w, sizes, norm, math: _running(norm),
    ("normed.kernels", "settled"): lambda z, norm: _running(norm),
    ("normed.ends", "ended"): lambda z, norm, past: _running(norm),
}
