"""The cases of every op: data that show a fault if there is one.

T0  exact: integers and dyadic fractions, chosen so that every order of summation and every stated intermediate is exact;
    the verdict is equality. The first and last terms are never zero, so a dropped tail shows, and nothing is symmetric.
T1  bound: real numbers on several distributions, judged by the derived bound.
T3  specials, traps from the records, empties, layouts a kernel must survive, and arguments it must refuse.

A case is data alone: id, op, dtype, arguments as float64 arrays that the dtype holds exactly. Everything is seeded by the
case id, so an id replays its case on any machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from attrs import field, frozen

from .numbers.formats import FORMATS, round_to
from .numbers.lanes import Array
from .operations import ACTIVATIONS
from .oracle import exact_truth

DTYPES = ("fp32", "fp16", "bf16")
THINNEST = 6
Arguments = dict[str, Any]
Draw = Callable[[tuple[int, ...]], Array]


@frozen
class Case:
    """One check of one op in one dtype. `layout` says how its tensors lie in memory, `refused` that it must raise,
    `convention` that the deck leaves the answer open, `pin` which of its configurations a backend uses."""

    id: str
    op: str
    tier: str
    dtype: str
    make: Callable[[], Arguments] = field(repr=False)
    layout: str = "contiguous"
    refused: bool = False
    quick: bool = False
    trap: str = ""
    convention: bool = False
    pin: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext, repr=False)

    def __str__(self) -> str:
        return self.id

    def arguments(self) -> Arguments:
        return self.make()


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

    In fp32 a few entries have 13 bits, so that tf32 operands show, and a cancelling pair of 2^12 shows an fp16 accumulator.
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


# ---- how each family draws -------------------------------------------------------------------------------------------

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
    **{f"act.{a}": Family(activation, _FLAT, ("exact",) if a in ("relu", "identity") else (), ("normal", "small", "wide"))
       for a in ACTIVATIONS},
    **{f"act.{a}.prime": Family(activation, _FLAT, ("exact",) if a in ("relu", "identity") else (), ("normal", "small", "wide"))
       for a in ACTIVATIONS},
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


def _sized(op: str, dtype: str) -> Iterator[Case]:
    """T0 and T1: every size with exact data; every distribution on the first size, plain data on the others."""
    family = FAMILIES[op]
    for tier, kinds in (("T0", family.exact), ("T1", family.real)):
        for i, size in enumerate(family.sizes):
            for j, kind in enumerate(kinds if i == 0 or tier == "T0" else kinds[:1]):
                label = "x".join(map(str, size))
                yield _case(op, tier, f"{label}/{kind}", dtype, family.recipe, size, kind, quick=i == 0 and j == 0)


def _case(op: str, tier: str, label: str, dtype: str, recipe: Recipe, size: tuple[int, ...], kind: str,
          **more: Any) -> Case:
    id = f"{op}/{tier}/{label}/{dtype}"

    def make() -> Arguments:
        for thin in range(THINNEST if tier == "T0" else 0):
            arguments = recipe(source(id, dtype, thin), size, kind)
            if representable(op, arguments, dtype):
                return arguments
        return recipe(source(id, dtype), size, kind)

    return Case(id, op, tier, dtype, make, **more)


def representable(op: str, arguments: Arguments, dtype: str) -> bool:
    """Whether the dtype holds every output of exact data, so that the only right answer is the exact one."""
    return all(np.array_equal(round_to(one.value, dtype), one.value) for one in exact_truth(op, arguments).values())


LAYOUTS = ("transposed", "strided", "expanded", "offset")


def _layouts(op: str, dtype: str) -> Iterator[Case]:
    family = FAMILIES[op]
    for layout in LAYOUTS:
        size, kind = family.sizes[0], family.real[0]
        yield _case(op, "T3", f"layout-{layout}", dtype, family.recipe, size, kind, layout=layout)


def _fits(value: float, dtype: str) -> bool:
    """Whether the dtype has a number near this one: rounding must neither overflow nor vanish."""
    rounded = float(round_to(np.array([value]), dtype)[0])
    return bool(np.isfinite(rounded)) and (rounded != 0 or value == 0)


SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.125, -0.125, 2.0**-14, -(2.0**-14))


def _elementwise(op: str, dtype: str) -> Iterator[Case]:
    """Special values, the largest and smallest of the dtype, and the traps that the records name."""
    f = FORMATS[dtype]
    points = [*SPECIAL, f.largest, -f.largest, f.smallest, -f.smallest, 20.0, -20.0, 88.0, -88.0, 100.0, -100.0, 1000.0]
    name = {"loss.square": "yhat"}.get(op, "z")
    second = {"loss.square": {"y": 0.0}, "loss.xent.logits": {"y": 1.0}}.get(op, {})
    if op == "loss.square":                       # its value overflows where the dtype's largest is squared
        points = [p for p in points if not np.isfinite(p) or abs(p) <= 100]
    if op in ("act.relu.prime", "act.leaky.prime"):     # the value at the kink is a convention: a trap of its own
        points = [p for p in points if p != 0]
    if op.removesuffix(".prime") in ("act.relu", "act.leaky", "act.elu", "act.identity") and op.endswith(".prime"):
        points = [p for p in points if not np.isnan(p)]     # neither branch owns NaN
    if op == "loss.xent.logits":                  # −∞ · y is the printed 0 · ∞, which the deck does not define
        points = [p for p in points if np.isfinite(p)]

    def make() -> Arguments:
        z = round_to(np.array(points), dtype)
        return {name: z, **{k: np.full_like(z, v) for k, v in second.items()}}

    yield Case(f"{op}/T3/special/{dtype}", op, "T3", dtype, make, quick=True)


def _traps(op: str, dtype: str) -> Iterator[Case]:
    from .. import spec

    record = spec.load().get(op)
    for trap in record.traps if record is not None else ():
        at = {k: v for k, v in trap.at.items() if k not in ("alpha", "slope")}
        parameters = {k: v for k, v in trap.at.items() if k in ("alpha", "slope")}
        if not at or not all(_fits(v, dtype) for v in at.values()):
            continue
        names = {"x": "z"} if op.startswith("act.") else {}

        def make(at: dict[str, float] = at, parameters: dict[str, float] = parameters,
                 names: dict[str, str] = names) -> Arguments:
            return {**{names.get(k, k): round_to(np.array([v]), dtype) for k, v in at.items()}, **parameters}

        yield Case(f"{op}/T3/trap-{trap.name}/{dtype}", op, "T3", dtype, make, quick=True, trap=trap.name,
                   convention=trap.kind == "convention")


def _empty(op: str, dtype: str) -> Iterator[Case]:
    """An empty batch gives an empty result (the average of no examples is refused)."""
    shapes: dict[str, Callable[[], Arguments]] = {
        "net.layer.affine": lambda: {"x": np.zeros((0, 3)), "w": np.ones((2, 3)), "b": np.ones(2), "act": "relu"},
        "bp.delta.chain": lambda: {"delta": np.zeros((0, 2)), "w": np.ones((2, 3)), "z": np.zeros((0, 3)), "act": "relu"},
        "bp.delta.rec": lambda: {"delta": np.zeros((0, 2)), "w": np.ones((2, 3)), "a": np.zeros((0, 3))},
        "loss.softmax": lambda: {"z": np.zeros((0, 4)), "y": np.zeros(0, dtype=np.int64)},
        "loss.xent.logits": lambda: {"z": np.zeros((0,)), "y": np.zeros((0,))},
        "loss.square": lambda: {"yhat": np.zeros((0,)), "y": np.zeros((0,))},
        "opt.sgd": lambda: {"theta": np.zeros((0,)), "D": np.zeros((0,)), "eta": 0.5},
        **{f"act.{a}{p}": lambda: {"z": np.zeros((0, 3))} for a in ACTIVATIONS for p in ("", ".prime")},
    }
    if op in shapes:
        yield Case(f"{op}/T3/empty/{dtype}", op, "T3", dtype, shapes[op])


REFUSED: dict[str, dict[str, Callable[[], Arguments]]] = {
    "net.layer.affine": {
        "sizes": lambda: {"x": np.ones((2, 3)), "w": np.ones((4, 5)), "b": np.ones(4), "act": "relu"},
        "rank": lambda: {"x": np.ones(3), "w": np.ones((4, 3)), "b": np.ones(4), "act": "relu"},
        "activation": lambda: {"x": np.ones((2, 3)), "w": np.ones((4, 3)), "b": np.ones(4), "act": "softmx"},
    },
    "bp.delta.chain": {"sizes": lambda: {"delta": np.ones((2, 4)), "w": np.ones((3, 5)), "z": np.ones((2, 5)), "act": "relu"}},
    "bp.delta.rec": {"sizes": lambda: {"delta": np.ones((2, 4)), "w": np.ones((3, 5)), "a": np.ones((2, 5))}},
    "alg.average": {
        "no-examples": lambda: {"delta": np.zeros((0, 2)), "a": np.zeros((0, 3)), "w": np.ones((2, 3)), "lam": 0.1, "n": 0},
        "sizes": lambda: {"delta": np.ones((4, 2)), "a": np.ones((5, 3)), "w": np.ones((2, 3)), "lam": 0.1, "n": 4},
    },
    "opt.sgd": {"sizes": lambda: {"theta": np.ones(3), "D": np.ones(4), "eta": 0.1}},
    "loss.softmax": {"sizes": lambda: {"z": np.ones((3, 4)), "y": np.zeros(2, dtype=np.int64)}},
    "loss.xent.logits": {"sizes": lambda: {"z": np.ones(3), "y": np.ones(4)}},
    "loss.square": {"sizes": lambda: {"yhat": np.ones(3), "y": np.ones(4)}},
    "conv1d.valid": {"filter-too-long": lambda: {"theta": np.ones(6), "x": np.ones(5)}},
    "conv1d.centred": {"even-filter": lambda: {"theta": np.ones(4), "a": np.ones(9)}},
    "conv2d.valid": {"filter-too-large": lambda: {"I": np.ones((5, 5)), "K": np.ones((2, 6))}},
}


def _refused(op: str, dtype: str) -> Iterator[Case]:
    for name, make in REFUSED.get(op, {}).items():
        yield Case(f"{op}/T3/refuses-{name}/{dtype}", op, "T3", dtype, make, refused=True)


def cases_of(op: str, dtypes: tuple[str, ...] = DTYPES) -> Iterator[Case]:
    """Every case of one op, T0 first."""
    for dtype in dtypes:
        yield from _sized(op, dtype)
        yield from _layouts(op, dtype)
        if op.startswith("act.") or op in ("loss.square", "loss.xent.logits"):
            yield from _elementwise(op, dtype)
            yield from _traps(op, dtype)
        yield from _empty(op, dtype)
        if dtype == "fp32":
            yield from _refused(op, dtype)


def cases(ops: tuple[str, ...] | None = None, dtypes: tuple[str, ...] = DTYPES, quick: bool = False) -> Iterator[Case]:
    for op in ops if ops is not None else tuple(FAMILIES):
        yield from (c for c in cases_of(op, dtypes) if c.quick or not quick)


def pinned(op: str, label: str, dtype: str, size: tuple[int, ...],
           pin: Callable[[], AbstractContextManager[Any]]) -> Iterator[Case]:
    """An op on one of its backend's own configurations, at a size with ragged edges: exact and real data."""
    family = FAMILIES[op]
    for tier, kinds in (("T0", family.exact), ("T1", family.real)):
        for kind in kinds[:1]:
            yield _case(op, tier, f"row-{label}", dtype, family.recipe, size, kind, pin=pin)
