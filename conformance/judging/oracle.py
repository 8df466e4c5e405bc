"""What the right answer is, and how sure we are of it.

The oracle is the reference itself. Exact data: over int and Fraction. Real data: over float64 lanes that carry their
own error bound (ρ); where ρ is not far below the kernel's bound, once more over mpmath numbers with as many digits as
the data need. Nothing is ever rounded to the kernel's dtype before it is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from attrs import frozen

from .numbers import multiprecision  # noqa: F401  (registers mpf with the scalar functions)
from .numbers.bounded import FLOAT64, Bounded
from .numbers.lanes import Array, exact, lanes_of
from .operations import evaluate, literal
from .parts import axes_of, cut, fewer, free

CERTAIN = Fraction(1, 64)          # ρ may be this share of the bound before more digits are asked for
MOST = 60_000                      # products times their digits that one case may cost


@frozen
class Truth:
    """One output: its value in float64 and the radius ρ of what is not known about it. Where `known` is given, the
    other elements of a large output are not judged."""

    value: Array
    radius: Array
    known: Array | None = None

    @property
    def exact(self) -> bool:
        return not self.radius.any()


def exact_truth(op: str, arguments: Mapping[str, Any]) -> dict[str, Truth]:
    """The reference over exact numbers; the outputs must be float64 numbers, which T0 data see to."""
    lifted = {k: _fraction(v) for k, v in arguments.items()}
    return {name: Truth(_float(value), np.zeros(_float(value).shape))
            for name, value in evaluate(op, exact, literal, lifted).items()}


class Answered(dict[str, Any]):
    """Exact arguments that come with their answer, since whether a dtype holds it is asked where they are drawn."""

    def __init__(self, op: str, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self._op, self._drawn, self._truths = op, dict(arguments), exact_truth(op, arguments)

    def answer(self, op: str) -> dict[str, Truth]:
        """The exact truth of an op; found again if an argument has been replaced."""
        same = op == self._op and self.keys() == self._drawn.keys()
        if same and all(value is self[name] for name, value in self._drawn.items()):
            return dict(self._truths)
        return exact_truth(op, self)


def _fraction(value: Any) -> Any:
    return Fraction(value) if isinstance(value, float) else value


def _float(value: Any) -> Array:
    values = np.asarray(value, dtype=object)
    with np.errstate(invalid="ignore"):             # a NaN lane
        return np.asarray(np.frompyfunc(float, 1, 1)(values), dtype=np.float64).reshape(values.shape)


def truth(op: str, arguments: Mapping[str, Any], bounds: Mapping[str, Array] | None = None) -> dict[str, Truth]:
    """The reference over float64 with its own error bound, sharpened by mpmath where that is not certain enough."""
    quick = evaluate(op, lambda x: Bounded(x, FLOAT64), literal, arguments)
    result = {}
    for name, number in quick.items():
        value = np.asarray(number.v, dtype=np.float64)
        result[name] = Truth(value, np.broadcast_to(number.error, value.shape))
    if bounds is None:
        return sharpened(op, arguments, result)
    sure = {name: certain(one, np.broadcast_to(bounds[name], one.value.shape)) for name, one in result.items()}
    if all(one.all() for one in sure.values()):
        return result
    axes = free(op, arguments, result)
    needed = {axis: doubtful(op, axis, sure) for axis in axes}
    chosen = fewer(op, arguments, needed, max(MOST // digits(arguments), 1))
    if all(len(chosen[axis]) == n for axis, n in axes.items()):
        return sharpened(op, arguments, result)
    part = cut(op, arguments, chosen, {name: one.value.shape for name, one in result.items()})
    slow = sharpened(op, part.arguments, {name: _at(one, part.index[name]) for name, one in result.items()})
    return {name: _joined(one, slow[name], part.index[name], sure[name]) for name, one in result.items()}


def doubtful(op: str, axis: str, sure: Mapping[str, Array]) -> Array:
    """The places along an axis at which some element of some output is not certain; one place at least."""
    _, made = axes_of(op)
    found: set[int] = set()
    for name, mask in sure.items():
        found |= set(np.unique(np.nonzero(~mask)[made[name].index(axis)]).tolist())
    return np.array(sorted(found or {0}))


def _at(one: Truth, index: Any) -> Truth:
    return Truth(one.value[index], np.broadcast_to(one.radius, one.value.shape)[index])


def _joined(quick: Truth, slow: Truth, index: Any, sure: Array) -> Truth:
    """What is certain, and what a part has made certain; of the rest nothing is known."""
    value, radius, known = quick.value.copy(), np.array(np.broadcast_to(quick.radius, sure.shape)), sure.copy()
    value[index], radius[index], known[index] = slow.value, slow.radius, True
    return Truth(value, radius, None if known.all() else known)


def certain(one: Truth, bound: Array) -> Array:
    """Where the oracle is far better known than the kernel must be."""
    with np.errstate(all="ignore"):
        return np.isfinite(one.value) & (one.radius <= float(CERTAIN) * bound)


def digits(arguments: Mapping[str, Any]) -> int:
    """Enough decimal digits that 1 − g(z) does not round to 0 at the largest argument."""
    largest = 0.0
    for value in arguments.values():
        if isinstance(value, np.ndarray) and value.size and value.dtype.kind == "f":
            finite = np.abs(value[np.isfinite(value)])
            largest = max(largest, float(finite.max(initial=0.0)))
    return 40 + int(2 * min(largest, 2000.0))


def sharpened(op: str, arguments: Mapping[str, Any], quick: Mapping[str, Truth]) -> dict[str, Truth]:
    """The reference over mpmath numbers. A value float64 cannot hold keeps its sign: it overflows, or is zero.

    What one large number needs in digits is not spent on its neighbours: places along an axis that need about as many
    are worked out together."""
    axis = max((axes := free(op, arguments, quick)), key=axes.__getitem__, default="")
    alike: dict[int, list[int]] = {}
    for k in range(axes[axis]) if axis else ():
        alike.setdefault(digits(cut(op, arguments, {axis: np.array([k])}, {}).arguments).bit_length(), []).append(k)
    if len(alike) < 2:
        return _sharp(op, arguments, quick)
    result = {name: Truth(one.value.copy(), np.array(one.radius)) for name, one in quick.items()}
    for places in alike.values():
        part = cut(op, arguments, {axis: np.array(places)}, {name: one.value.shape for name, one in quick.items()})
        slow = _sharp(op, part.arguments, {name: _at(one, part.index[name]) for name, one in quick.items()})
        for name, one in result.items():
            one.value[part.index[name]], one.radius[part.index[name]] = slow[name].value, slow[name].radius
    return result


def _sharp(op: str, arguments: Mapping[str, Any], quick: Mapping[str, Truth]) -> dict[str, Truth]:
    with mpmath.workdps(digits(arguments)):
        try:
            slow = evaluate(op, lanes_of(mpmath.mpf), literal, arguments)
        except (ZeroDivisionError, ValueError, OverflowError):      # mpmath refuses 1/0 and log 0: there is no value
            return dict(quick)
        return {name: _rounded(values) for name, values in slow.items()}


def _rounded(values: Any) -> Truth:
    value = _float(values)
    return Truth(value, np.where(np.isfinite(value), np.spacing(np.abs(value)), 0.0))


def part_at(op: str, arguments: Mapping[str, Any], output: str,
            index: tuple[int, ...]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The arguments that one element needs, where that is less than all, and its place in what they give."""
    _, made = axes_of(op)
    axes = free(op, arguments, [output])
    chosen = {axis: np.array([index[made[output].index(axis)]]) for axis in axes}
    here = tuple(0 if k < len(made.get(output, [])) and made[output][k] in axes else i for k, i in enumerate(index))
    return cut(op, arguments, chosen, {}).arguments, here


def printed(op: str, arguments: Mapping[str, Any], output: str, index: tuple[int, ...]) -> str:
    """One element of the answer with 25 digits, for a failure text: of a part that has it, where there is one."""
    less, here = part_at(op, arguments, output, index)
    with mpmath.workdps(max(40, digits(less))):
        try:
            values = np.asarray(evaluate(op, lanes_of(mpmath.mpf), literal, less)[output], dtype=object)
        except (ZeroDivisionError, ValueError, OverflowError) as error:
            return f"no value as printed ({error})"
        return str(mpmath.nstr(mpmath.mpf(values[here]), 25))
