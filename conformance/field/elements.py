"""The array that a kernel computes with in the exact field: floats, and an element beside each.

It takes part in NumPy's functions as an array does; what it has no rule for it refuses (`Unseen`), so that no element
is ever lost silently. Moving numbers moves their elements; comparing asks the floats.

Identities that hold: those of a field; e^(x+y) = eˣ eʸ, log(x y) = log x + log y, log eˣ = x; 2ˣ and log₂ by
log 2 · log₂ e = 1; eⁿ ˡᵒᵍ ˣ = xⁿ; expm1, log1p, tanh by exp and log; √(x y) = √x √y, and √x² = x where x has a root.
Every other function (erf, sin, …) stands for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from . import algebra as A
from . import constants
from .algebra import Residues

LN2, LOG2E = np.float32(np.log(2)), np.float32(1 / np.log(2))


class Unseen(Exception):
    """The exact field has no rule for what a kernel does here; the case is not judged."""


class Exact(NDArrayOperatorsMixin):
    """Floats `value`, their elements `v` modulo P and `w` modulo Q.

    Where logarithms are among the terms of the number, `antilog` is the product of their arguments, which its
    exponential needs; `base2` says that they are logarithms to base 2.
    """

    def __init__(self, value: Any, v: Residues, w: Residues, antilog: Residues | None = None,
                 base2: bool = False) -> None:
        self.value, self.v, self.w, self.antilog, self.base2 = value, v, w, antilog, base2

    @classmethod
    def of(cls, x: Any) -> Exact:
        """An array of constants, or of data that nobody has computed."""
        if isinstance(x, Exact):
            return x
        x = np.asarray(x)
        return cls(x, *(constants.whole(x) if x.dtype.kind in "iub" else constants.of(x)))

    def each(self, move: Callable[[Any], Any]) -> Exact:
        antilog = None if self.antilog is None else move(np.broadcast_to(self.antilog, self.shape))
        return Exact(move(self.value), move(self.v), move(self.w), antilog, self.base2)

    dtype = property(lambda self: self.value.dtype)
    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    itemsize = property(lambda self: self.value.itemsize)
    T = property(lambda self: self.each(lambda x: x.T))

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Exact:
        return self.each(lambda x: x[index])

    def reshape(self, *shape: Any) -> Exact:
        return self.each(lambda x: np.broadcast_to(x, self.shape).reshape(*shape))

    def ravel(self) -> Exact:
        return self.reshape(-1)

    def copy(self) -> Exact:
        return self.each(np.copy)

    def all(self) -> Any:
        return self.value.all()

    def item(self) -> Any:
        return self.value.item()

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Another float format holds the same element; an integer holds none."""
        kind = np.dtype(dtype)
        rounded = self.value.astype(kind)
        return rounded if kind.kind in "iub" else Exact(rounded, self.v, self.w, self.antilog, self.base2)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unseen("an operation takes a float's bits, or leaves NumPy")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **how: Any) -> Any:
        if method == "reduce":
            return _reduced(ufunc, inputs[0], how.get("axis", 0), bool(how.get("keepdims", False)))
        if ufunc in ON_VALUES:
            return ufunc(*map(plain, inputs))
        rule = RULES.get(ufunc)
        if method != "__call__" or rule is None:
            raise Unseen(f"{ufunc.__name__} has no rule in the exact field")
        given = [Exact.of(x) for x in inputs]
        with np.errstate(all="ignore"):
            value = ufunc(*(x.value for x in given))
            return rule(value, *given)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where:
            return chosen(*args)
        if func is np.array_equal:
            return func(plain(args[0]), plain(args[1]), **kwargs)
        if func in (np.concatenate, np.stack):
            return _joined(func, [Exact.of(x) for x in args[0]], *args[1:], **kwargs)
        if func is np.broadcast_arrays:
            shape = np.broadcast_shapes(*(x.shape for x in args))
            return tuple(np.broadcast_to(x, shape) for x in args)
        if func in MOVES:
            return args[0].each(lambda x: func(np.broadcast_to(x, args[0].shape), *args[1:], **kwargs))
        raise Unseen(f"{func.__name__} has no rule in the exact field")


def plain(x: Any) -> Any:
    """The floats alone."""
    return x.value if isinstance(x, Exact) else x


def on_floats(f: Callable[[Any], Any], x: Any) -> Any:
    """f of the floats; elements know no formats."""
    return Exact(f(x.value), x.v, x.w) if isinstance(x, Exact) else f(x)


def chosen(condition: Any, x: Any, y: Any) -> Exact:
    """`np.where`."""
    a, b, condition = Exact.of(x), Exact.of(y), plain(condition)
    antilog, base2 = _both(a, b, lambda p, q: np.where(condition, p, q))
    return Exact(np.where(condition, a.value, b.value), np.where(condition, a.v, b.v), np.where(condition, a.w, b.w),
                 antilog, base2)


def _both(x: Exact, y: Exact, join: Callable[[Any, Any], Any]) -> tuple[Residues | None, bool]:
    """What two numbers' antilogarithms become; 1 is that of a number without a logarithm."""
    if x.antilog is None and y.antilog is None:
        return None, False
    one, base2 = np.uint64(1), x.base2 if x.antilog is not None else y.base2
    if x.antilog is not None and y.antilog is not None and x.base2 != y.base2:
        return None, False
    return join(one if x.antilog is None else x.antilog, one if y.antilog is None else y.antilog), base2


MOVES = {np.broadcast_to, np.expand_dims, np.transpose, np.moveaxis, np.swapaxes, np.roll, np.flip, np.reshape,
         np.squeeze, np.take_along_axis, np.repeat, np.ravel, np.copy, np.take}
ON_VALUES = {np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.isnan, np.isinf,
             np.isfinite, np.signbit, np.logical_and, np.logical_or, np.logical_not}


def _joined(func: Any, parts: list[Exact], *args: Any, **kwargs: Any) -> Exact:
    return Exact(*(func([getattr(p, name) for p in parts], *args, **kwargs) for name in ("value", "v", "w")))


# ---- what becomes of the elements: (the floats of the result, the operands) → the result

def _add(value: Any, x: Exact, y: Exact) -> Exact:
    return Exact(value, A.add(x.v, y.v), A.add_q(x.w, y.w), *_both(x, y, A.times))


def _negative(value: Any, x: Exact) -> Exact:
    return Exact(value, A.negative(x.v), A.negative_q(x.w), None if x.antilog is None else A.inverse(x.antilog),
                 x.base2)


def _subtract(value: Any, x: Exact, y: Exact) -> Exact:
    return _add(value, x, _negative(y.value, y))


def _multiply(value: Any, x: Exact, y: Exact) -> Exact:
    antilog, base2 = None, False
    for a, b in ((x, y), (y, x)):
        if a.antilog is None:
            continue
        constant = float(b.value.reshape(-1)[0])
        if (b.value != constant).any():
            continue
        if constant.is_integer():
            n = int(constant)
            antilog, base2 = A.power(a.antilog if n >= 0 else A.inverse(a.antilog), abs(n)), a.base2
        elif np.float32(constant) == (LN2 if a.base2 else LOG2E):
            antilog, base2 = a.antilog, not a.base2
    return Exact(value, A.times(x.v, y.v), A.times_q(x.w, y.w), antilog, base2)


def _divide(value: Any, x: Exact, y: Exact) -> Exact:
    return Exact(value, A.times(x.v, A.inverse(y.v)), A.times_q(x.w, A.inverse_q(y.w)))


def _first_or_second(value: Any, x: Exact, y: Exact) -> Exact:
    """Of two numbers the one that the floats chose."""
    first = (value == x.value) | np.isnan(value) & np.isnan(x.value)
    return Exact(value, np.where(first, x.v, y.v), np.where(first, x.w, y.w))


def _absolute(value: Any, x: Exact) -> Exact:
    below = np.signbit(x.value)
    return Exact(value, np.where(below, A.negative(x.v), x.v), np.where(below, A.negative_q(x.w), x.w))


def _copysign(value: Any, x: Exact, y: Exact) -> Exact:
    turned = np.signbit(x.value) != np.signbit(y.value)
    return Exact(value, np.where(turned, A.negative(x.v), x.v), np.where(turned, A.negative_q(x.w), x.w))


def _matmul(value: Any, x: Exact, y: Exact) -> Exact:
    return Exact(value, A.matmul(x.v, y.v), A.matmul_q(x.w, y.w))


def _exp(value: Any, x: Exact) -> Exact:
    if x.antilog is None or x.base2:
        v = A.exp(x.w)
    else:                                # e^(log a + rest) = a e^rest
        v = A.times(x.antilog, A.exp(A.add_q(x.w, A.negative_q(A.log(x.antilog)))))
    v = np.where(np.isneginf(x.value), np.uint64(0), v)
    return Exact(value, v, constants.exponent(v))


def _log(value: Any, x: Exact) -> Exact:
    return Exact(value, constants.formal("log", x.v), A.log(x.v), x.v)


def _sqrt(value: Any, x: Exact) -> Exact:
    v = A.root(x.v)
    return Exact(value, v, constants.exponent(v))


def _times_ln2(x: Exact) -> Any:
    return x * LN2


def _tanh(value: Any, x: Exact) -> Exact:
    up, down = np.exp(x), np.exp(-x)
    return _with(value, (up - down) / (up + down))


def _with(value: Any, x: Any) -> Exact:
    return Exact(value, np.broadcast_to(x.v, value.shape), np.broadcast_to(x.w, value.shape), x.antilog, x.base2)


def _odd(name: str) -> Callable[[Any, Exact], Exact]:
    def rule(value: Any, x: Exact) -> Exact:
        v = odd(name, x.v)
        return Exact(value, v, constants.exponent(v))

    return rule


def odd(name: str, v: Residues) -> Residues:
    """A function of which it is known only that it is odd."""
    mirrored = A.negative(v)
    half = np.minimum(v, mirrored)
    found = np.where(half == 0, np.uint64(0), constants.formal(name, half))
    return np.where(half == v, found, A.negative(found))


def _stranger(name: str) -> Callable[[Any, Exact], Exact]:
    def rule(value: Any, x: Exact) -> Exact:
        v = constants.formal(name, x.v)
        return Exact(value, v, constants.exponent(v))

    return rule


def _power(value: Any, x: Exact, y: Exact) -> Exact:
    """xⁿ for one whole n; otherwise e^(y log x)."""
    n = y.value.reshape(-1)[0]
    if (y.value == n).all() and float(n).is_integer() and abs(n) < 64:
        result = Exact.of(np.float32(1))
        for _ in range(abs(int(n))):
            result = result * x
        return _with(value, result if n >= 0 else 1 / result)
    return _with(value, np.exp(y * np.log(x)))


RULES: dict[Any, Callable[..., Exact]] = {
    np.add: _add, np.subtract: _subtract, np.multiply: _multiply, np.divide: _divide, np.matmul: _matmul,
    np.negative: _negative, np.positive: lambda value, x: x, np.absolute: _absolute, np.fabs: _absolute,
    np.maximum: _first_or_second, np.minimum: _first_or_second, np.fmax: _first_or_second, np.fmin: _first_or_second,
    np.copysign: _copysign, np.square: lambda value, x: _multiply(value, x, x),
    np.reciprocal: lambda value, x: _divide(value, Exact.of(np.float32(1)), x),
    np.exp: _exp, np.log: _log, np.sqrt: _sqrt, np.tanh: _tanh, np.power: _power,
    np.exp2: lambda value, x: _with(value, np.exp(_times_ln2(x))),
    np.log2: lambda value, x: _with(value, np.log(x) * LOG2E),
    np.expm1: lambda value, x: _with(value, np.exp(x) - 1),
    np.log1p: lambda value, x: _with(value, np.log(1 + x)),
    np.sin: _odd("sin"), np.cos: _stranger("cos"),
    **{f: lambda value, x: Exact.of(value) for f in (np.floor, np.ceil, np.rint, np.trunc)},
}


def _reduced(ufunc: Any, x: Any, axis: int | None, keep: bool) -> Any:
    """Halves of the axis, again and again: sums, products, the largest."""
    moved = x.ravel() if axis is None else np.moveaxis(x, axis, 0)
    while len(moved) > 1:
        half = len(moved) // 2
        rest = [moved[2 * half:]] if len(moved) % 2 else []
        moved = np.concatenate([ufunc(moved[:half], moved[half:2 * half]), *rest])
    found: Any = Exact(ufunc.reduce(x.value, axis=axis), moved.v[0], moved.w[0])
    return np.expand_dims(found, axis) if keep and axis is not None else found


def mills(x: Exact) -> Exact:
    """Mills's ratio of the normal distribution, Φ(−x)/φ(x), by erf and exp."""
    t, half = x.value.astype(np.float64), np.float32(0.5)
    density = np.exp(-half * x * x) * np.float32(math.sqrt(0.5 / math.pi))
    error = np.vectorize(math.erf, otypes=[float])(t * math.sqrt(0.5))
    beyond = half * (1 - error_function(x * np.float32(math.sqrt(0.5)), error))
    return _with(plain(beyond / density), beyond / density)


FUNCTIONS: dict[str, Callable[[Exact], Exact]] = {"mills": mills}        # which NumPy has not


def error_function(x: Exact, values: Any) -> Exact:
    """erf, which NumPy has not."""
    return _odd("erf")(values, x)
