"""One entry per op id: how a backend's tensors enter the unchanged reference.

An op is called by keyword with tensors. The same arguments become the reference's lists: nodes and batch rows are lanes
(arrays), so only the sums of the formula are walked one by one. `lift` turns an array into the number type asked for,
`form` picks the formula: `literal` (as printed, the oracle) or `stable` (what a careful kernel computes, the bound).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from attrs import evolve, frozen

from .... import reference, spec
from ....spec.derivations import derived
from ....triton_kernels.activations.table import ACTIVATIONS as TABLE
from ..numbers.bounded import Bounded, joined
from ..numbers.formats import Format, round_to
from ..numbers.lanes import Array

Lift = Callable[[Array], Any]
Form = Callable[[str], Callable[..., Any]]
Outputs = dict[str, Any]

ACTIVATIONS = tuple(TABLE)             # those that have kernels; value and derivative are the reference's
LAYERED = tuple(act for act in ACTIVATIONS if not act.startswith("gelu"))     # the deck's, as a layer may have it
PARAMETERS = {"leaky": {"slope": 0.1}, "elu": {"alpha": 1.0}}      # as the deck prints them; α it leaves open


@frozen
class Operation:
    """One op: its id, its outputs in order, and the reference over its arguments."""

    id: str
    outputs: tuple[str, ...]
    evaluate: Callable[..., Outputs]
    dot: bool = False            # the inputs meet in a matrix product, so tf32 may round them
    integers: tuple[str, ...] = ()       # outputs that are places, not numbers: uint8
    keeps: bool = False          # something between its products (`narrowed`), which exact data must leave as it is
    axes: str = ""               # of its arrays, by name, so that a part of it can be taken (`parts`)

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """What it takes, lift and form aside."""
        return list(inspect.signature(self.evaluate).parameters.values())[2:]


OPERATIONS: dict[str, Operation] = {}


#: Other formulas of an op, by what people call them (`readings`).
READINGS: dict[str, dict[str, Operation]] = {}
AS = " as "


def reading_id(op: str, name: str) -> str:
    """How a reading is named where an op's id is asked for."""
    return f"{op}{AS}{name}"


def operation_of(id: str) -> Operation:
    """An op by its id, or one of its readings."""
    op, _, name = id.partition(AS)
    return READINGS[op][name] if name else OPERATIONS[op]


def reading(op: str, name: str) -> Callable[[Callable[..., Outputs]], Callable[..., Outputs]]:
    """Register another formula of an op; its outputs and axes are the op's own."""
    def register(evaluate: Callable[..., Outputs]) -> Callable[..., Outputs]:
        READINGS.setdefault(op, {})[name] = evolve(OPERATIONS[op], evaluate=evaluate)
        return evaluate

    return register


def elementwise(given: str, made: str) -> str:
    """The axes of arrays of one shape, whatever that is."""
    return " -> ".join(", ".join(f"{name} 0 1 2 3" for name in side.split()) for side in (given, made))


def literal(name: str) -> Callable[..., Any]:
    """The formula as printed; where the deck prints none, the Python that the derivation printed."""
    found = reference.FUNCTIONS.get(name)
    return found if found is not None else derived(name)


def stable(name: str) -> Callable[..., Any]:
    """The numerically careful form of a scalar formula; formulas without one are careful as printed."""
    record = spec.load().get(name)
    return spec.function(name, "stable") if record is not None and record.stable else literal(name)


def operation(id: str, *outputs: str, dot: bool = False, integers: tuple[str, ...] = (),
              keeps: bool = False, axes: str = "") -> Callable[[Callable[..., Outputs]], Callable[..., Outputs]]:
    def register(evaluate: Callable[..., Outputs]) -> Callable[..., Outputs]:
        OPERATIONS[id] = Operation(id, outputs, evaluate, dot, integers, keeps, axes)
        return evaluate

    return register


def filled(numbers: Any, zero: Any) -> Any:
    """An empty sum is the plain 0: here the 0 of every lane."""
    if isinstance(numbers, list):
        return [filled(one, zero) for one in numbers]
    return zero if isinstance(numbers, int) and numbers == 0 else numbers


def gathered(numbers: Any) -> Any:
    """Nested lists of numbers as one array, or as one Bounded array."""
    probe = numbers
    while isinstance(probe, list) and probe:
        probe = probe[0]
    return joined(numbers) if isinstance(probe, Bounded) else np.array(numbers)


def rearranged(number: Any, how: Callable[[Array], Array]) -> Any:
    """An array, or a Bounded one, with its axes in another order."""
    if not isinstance(number, Bounded):
        return how(number)
    e = np.broadcast_to(number.e, number.v.shape)
    return Bounded(how(number.v), number.ar, how(number.mag), number.n, how(e))


def narrowed(number: Any, lift: Lift) -> Any:
    """A number as a kernel stores it between two products: in its operands' format, if that has 16 bits, and as the
    next product may round it."""
    form: Format | None = getattr(lift, "format", None)
    if form is None:
        return number
    if not isinstance(number, Bounded):
        return round_to(number, form.name)
    u, step = (form.u, form.step / 2) if form.bits < 24 else (0.0, 0.0)
    u += number.ar.input_u
    return Bounded(number.v, number.ar, e=number.error + u * (np.abs(number.v) + number.error) + step) if u else number


class Kept:
    """Plain float64 numbers, of which what a kernel keeps is rounded to a format."""

    def __init__(self, form: Format) -> None:
        self.format = form

    def __call__(self, x: Array) -> Array:
        return np.asarray(x, dtype=np.float64)


def scalars(lift: Lift, x: Array) -> Any:
    """An array as nested lists of single lifted numbers."""
    return lift(np.asarray(x)) if x.ndim == 0 else [scalars(lift, row) for row in x]


def g(form: Form, act: str, suffix: str = "") -> Callable[[Any], Any]:
    """The activation (or its derivative) that a layer applies, with the parameters the deck prints."""
    return partial(form(f"act.{act}{suffix}"), **PARAMETERS.get(act, {}))


def evaluate(id: str, lift: Lift, form: Form, arguments: Mapping[str, Any]) -> Outputs:
    """The outputs of one op over the number type of `lift`."""
    with np.errstate(all="ignore"):
        return operation_of(id).evaluate(lift, form, **arguments)
