"""How each family of ops draws its data: exact ones for T0, real ones on several distributions for T1.

Exact data are integers and dyadic fractions, so that every order of summation and every stated intermediate is exact.
The first and last terms are never zero, so a dropped tail shows, and nothing is square or symmetric.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from .numbers.formats import round_to
from .numbers.lanes import Array
from .operations import ACTIVATIONS

Arguments = dict[str, Any]


@frozen
class Source:
    """Random numbers of one case, already rounded to its dtype. `thin` makes exact data sparser by powers of two."""

    dtype: str
    rng: np.random.Generator
    thin: int = 0

    def normal(self, shape: tuple[int, ...], scale: float = 1.0) -> Array:
        return round_to(self.rng.standard_normal(shape) * scale, self.dtype)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        return round_to(self.rng.random(shape), self.dtype)

    def wide(self, shape: tuple[int, ...]) -> Array:
        """Magnitudes over many octaves, both signs."""
        octave = 3 if self.dtype == "fp16" else 8
        return round_to(self.rng.standard_normal(shape) * 2.0 ** self.rng.integers(-octave, octave, shape), self.dtype)

    def integers(self, shape: tuple[int, ...], most: int, density: float = 1.0) -> Array:
        """Integers in [−most, most]; the first and last entry along every axis are never zero."""
        x = self.rng.integers(-most, most + 1, shape).astype(np.float64)
        x *= self.rng.random(shape) < density / 2**self.thin
        for axis in range(x.ndim):
            for end in (0, -1):
                edge = np.moveaxis(x, axis, 0)[end] if x.ndim > 1 else x[end:end + 1 or None]
                edge[edge == 0] = self.rng.choice([-1.0, 1.0])
        return x


def source(case_id: str, dtype: str, thin: int = 0) -> Source:
    return Source(dtype, np.random.default_rng(zlib.crc32(case_id.encode())), thin)


# A recipe draws the arguments of one op: exact ones, real ones from a distribution, and at special points.
Recipe = Callable[[Source, tuple[int, ...], str], Arguments]
DISTRIBUTIONS = ("normal", "small", "positive", "wide", "cancelling")


def drawn(s: Source, shape: tuple[int, ...], kind: str) -> Array:
    if kind == "small":
        return s.normal(shape, 2.0**-10)
    if kind == "positive":
        return s.uniform(shape)
    if kind == "wide":
        return s.wide(shape)
    x = s.normal(shape)
    if kind == "cancelling" and len(shape) and shape[-1] > 1:
        half = shape[-1] // 2
        x[..., half:2 * half] = -x[..., :half]
        x[..., 0] = round_to(x[..., 0] * (1 + 2.0**-5), s.dtype)
    return x


def exact_pair(s: Source, left: tuple[int, ...], right: tuple[int, ...], terms: int) -> tuple[Array, Array]:
    """Two integer arrays whose dot products over `terms` stay integers the dtype holds.

    In fp32 a few entries have 13 bits, so that tf32 operands and an fp16 accumulator show.
    """
    if s.dtype == "fp32":
        x, w = s.integers(left, 7), s.integers(right, 5)
        x.flat[::11] = 4097.0
        return x, w
    largest = 2**8 if s.dtype == "bf16" else 2**11
    density = min(1.0, largest / (4.0 * terms))
    return s.integers(left, 2, density), s.integers(right, 1 if s.dtype == "bf16" else 2)


def exact_elements(s: Source, shape: tuple[int, ...], most: int = 9) -> Array:
    return s.integers(shape, most) / 4 if s.dtype != "bf16" else s.integers(shape, min(most, 3)) / 2


def affine(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, inputs, outputs, act = size[0], size[1], size[2], "relu"
    if kind.startswith("exact"):
        x, w = exact_pair(s, (batch, inputs), (outputs, inputs), inputs)
        return {"x": x, "w": w, "b": s.integers((outputs,), 3), "act": kind.partition("-")[2] or act}
    kind, _, act = kind.partition("-")
    x = drawn(s, (batch, inputs), kind)
    w = s.normal((outputs, inputs), inputs**-0.5) if kind != "cancelling" else _repeated(s, outputs, inputs)
    return {"x": x, "w": w, "b": s.normal((outputs,)), "act": act or "identity"}


def _repeated(s: Source, outputs: int, inputs: int) -> Array:
    """Weights whose two halves are equal, so that a cancelling row nearly sums to zero."""
    w = s.normal((outputs, inputs))
    half = inputs // 2
    w[:, half:2 * half] = w[:, :half]
    return w


def delta_chain(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, outputs, inputs = size
    if kind.startswith("exact"):
        delta, w = exact_pair(s, (batch, outputs), (outputs, inputs), outputs * (2 if s.dtype != "fp32" else 1))
        z = (2 * s.rng.integers(-4, 4, (batch, inputs)) + 1) / 4        # never 0: the kink is a convention
        return {"delta": _thin(s, delta), "w": w, "z": z, "act": kind.partition("-")[2] or "relu"}
    kind, _, act = kind.partition("-")
    return {"delta": drawn(s, (batch, outputs), kind), "w": s.normal((outputs, inputs), outputs**-0.5),
            "z": s.normal((batch, inputs), 2.0), "act": act or "sigmoid"}


def _thin(s: Source, delta: Array) -> Array:
    """Keep a sum over the batch representable too: in 16-bit types only a few rows are non-zero."""
    if s.dtype == "fp32":
        return delta
    keep = s.rng.random(len(delta)) < 6 / max(len(delta), 1)
    keep[[0, -1]] = True
    return delta * keep[:, None]


def delta_rec(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    arguments = delta_chain(s, size, kind.partition("-")[0])
    z = arguments.pop("z")
    arguments.pop("act")
    if kind.startswith("exact"):
        return {**arguments, "a": np.where(z > 0, 0.5, np.where(z < -1, 1.0, -1.0))}
    return {**arguments, "a": round_to(1 / (1 + np.exp(-z)), s.dtype)}


def average(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, outputs, inputs = size
    if kind.startswith("exact"):
        delta, a = exact_pair(s, (batch, outputs), (batch, inputs), batch)
        return {"delta": _thin(s, delta) if s.dtype != "fp32" else delta, "a": a,
                "w": s.integers((outputs, inputs), 3) * 4, "lam": 0.25, "n": 2 if s.dtype == "bf16" else 8}
    return {"delta": drawn(s, (batch, outputs), kind), "a": drawn(s, (batch, inputs), kind),
            "w": s.normal((outputs, inputs)), "lam": 0.125 if s.dtype == "bf16" else 0.01, "n": batch}


def sgd(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind.startswith("exact"):
        return {"theta": s.integers(size, 9), "D": s.integers(size, 5), "eta": 0.25}
    return {"theta": drawn(s, size, kind), "D": drawn(s, size, kind), "eta": 0.01}


def logits(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    z = s.normal(size, 3.0) if kind == "normal" else drawn(s, size, kind)
    y = (s.rng.random(size) < 0.5).astype(np.float64)
    return {"z": z, "y": s.uniform(size) if kind == "positive" else y}


def square(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind.startswith("exact"):
        return {"yhat": exact_elements(s, size), "y": s.integers(size, 2)}
    return {"yhat": drawn(s, size, kind), "y": drawn(s, size, "normal")}


def softmax(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    batch, classes = size
    z = s.normal(size, 3.0) if kind == "normal" else drawn(s, size, kind)
    return {"z": z, "y": s.rng.integers(0, classes, batch)}


def activation(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
    if kind.startswith("exact"):
        return {"z": (2 * s.rng.integers(-8, 8, size) + 1) / 4}
    return {"z": s.normal(size, 4.0) if kind == "normal" else drawn(s, size, kind)}


def _pair(first: str, second: str, shapes: Callable[[tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]],
          extra: Callable[[tuple[int, ...]], Arguments] = lambda size: {}) -> Recipe:
    """A recipe for an op with two array arguments whose sums have as many terms as the smaller one has elements."""
    def recipe(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
        one, two = shapes(size)
        if kind.startswith("exact"):
            a, b = exact_pair(s, one, two, min(int(np.prod(one)), int(np.prod(two))))
        else:
            a, b = drawn(s, one, kind), s.normal(two)
        return {first: a, second: b, **extra(size)}
    return recipe


conv1d = _pair("x", "theta", lambda n: ((n[0],), (n[1],)))
conv1d_grad_x = _pair("d", "theta", lambda n: ((n[0] - n[1] + 1,), (n[1],)))
conv1d_grad_theta = _pair("x", "d", lambda n: ((n[0],), (n[0] - n[1] + 1,)))
centred = _pair("a", "theta", lambda n: ((n[0],), (n[1],)))
centred_grad_a = _pair("d", "theta", lambda n: ((n[0],), (n[1],)))
centred_grad_theta = _pair("a", "d", lambda n: ((n[0],), (n[0],)), lambda n: {"m": n[1]})
conv2d = _pair("I", "K", lambda n: ((n[0], n[1]), (n[2], n[3])))
conv2d_grad_I = _pair("d", "K", lambda n: ((n[0] - n[2] + 1, n[1] - n[3] + 1), (n[2], n[3])))
conv2d_grad_K = _pair("I", "d", lambda n: ((n[0], n[1]), (n[0] - n[2] + 1, n[1] - n[3] + 1)))


@frozen
class Family:
    """Which sizes and kinds of data an op is judged on. The first of each is what --quick runs."""

    recipe: Recipe
    sizes: tuple[tuple[int, ...], ...]
    exact: tuple[str, ...] = ("exact",)
    real: tuple[str, ...] = DISTRIBUTIONS


_MATRIX = ((33, 40, 17), (5, 70, 3), (1, 1, 1), (64, 129, 66))
_FLAT = ((3, 43), (1,), (129,))
FAMILIES: dict[str, Family] = {
    **{f"act.{a}{prime}": Family(activation, _FLAT, ("exact",) if a in ("relu", "identity") else (),
                                 ("normal", "small", "wide")) for prime in ("", ".prime") for a in ACTIVATIONS},
    "net.layer.affine": Family(affine, _MATRIX, ("exact-relu", "exact-identity"),
                               (*DISTRIBUTIONS, *(f"normal-{a}" for a in ACTIVATIONS if a != "identity"))),
    "bp.delta.chain": Family(delta_chain, _MATRIX, ("exact-relu", "exact-identity"),
                             (*DISTRIBUTIONS, *(f"normal-{a}" for a in ACTIVATIONS if a != "sigmoid"))),
    "bp.delta.rec": Family(delta_rec, _MATRIX),
    "alg.average": Family(average, _MATRIX),
    "opt.sgd": Family(sgd, _FLAT),
    "loss.xent.logits": Family(logits, _FLAT, (), ("normal", "small", "positive", "wide")),
    "loss.square": Family(square, _FLAT, ("exact",), ("normal", "small", "wide")),
    "loss.softmax": Family(softmax, ((17, 10), (3, 1), (1, 37), (5, 130)), (), ("normal", "small", "wide")),
    "conv1d.valid": Family(conv1d, ((43, 5), (7, 7), (130, 4))),
    "conv1d.valid.grad_x": Family(conv1d_grad_x, ((43, 5), (7, 7), (130, 4))),
    "conv1d.valid.grad_theta": Family(conv1d_grad_theta, ((43, 5), (7, 7), (130, 4))),
    "conv1d.centred": Family(centred, ((43, 5), (5, 7), (130, 3))),
    "conv1d.centred.grad_a": Family(centred_grad_a, ((43, 5), (5, 7), (130, 3))),
    "conv1d.centred.grad_theta": Family(centred_grad_theta, ((43, 5), (5, 7), (130, 3))),
    "conv2d.valid": Family(conv2d, ((9, 14, 2, 3), (5, 3, 5, 3), (18, 35, 3, 1))),
    "conv2d.valid.grad_I": Family(conv2d_grad_I, ((9, 14, 2, 3), (5, 3, 5, 3), (18, 35, 3, 1))),
    "conv2d.valid.grad_K": Family(conv2d_grad_K, ((9, 14, 2, 3), (5, 3, 5, 3), (18, 35, 3, 1))),
}
