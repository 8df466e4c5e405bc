"""tl.reduce and tl.associative_scan over whole blocks.

A GPU combines in a tree, in the type of the block: so does this, pair by pair, with the combine
function applied to half blocks at once. Sums and maxima of ordinary formats take NumPy's own reduction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from ..field.elements import Exact, plain
from . import internals
from .calls import call
from .fault import KernelFault
from .values import Array, is_small, numpy_type

_QUICK: dict[Any, Any] = {
    internals.SUM: np.add,
    internals.MAX: np.fmax,       # tl.max drops NaN, as the GPU's max does
    internals.MIN: np.fmin,
}


def tensor(data: Array, dtype: Any) -> Any:
    """A Triton tensor of these values; no axis beside that of programs means a scalar."""
    data = data.astype(numpy_type(dtype)) if isinstance(data, Exact) else np.asarray(data, numpy_type(dtype))
    kind = tl.block_type(dtype.scalar, list(data.shape[1:])) if data.ndim > 1 else dtype.scalar
    return tl.core.tensor(TensorHandle(data, dtype.scalar), kind)


def reduce(input: Any, axis: Any, combine_fn: Any, keep_dims: Any = False, **_: Any) -> Any:
    """`tl.reduce`."""
    blocks = input if isinstance(input, tuple) else (input,)
    axis, keep = _plain(axis), bool(_plain(keep_dims))
    rank = len(blocks[0].shape)
    data = [b.handle.data if axis is not None else b.handle.data.reshape(len(b.handle.data), -1) for b in blocks]
    along = 1 if axis is None else int(axis) % rank + 1
    quick = _quick(combine_fn, data[0]) if len(data) == 1 else None
    if quick is not None:
        results = [quick.reduce(data[0], axis=along)]
    else:
        moved = [np.moveaxis(d, along, 1) for d in np.broadcast_arrays(*data)]
        results = [r[:, 0] for r in _tree(moved, [b.dtype for b in blocks], combine_fn)]
    if keep:
        results = [r.reshape(-1, *(1,) * rank) if axis is None else np.expand_dims(r, along) for r in results]
    out = tuple(tensor(r, b.dtype) for r, b in zip(results, blocks))
    return out if isinstance(input, tuple) else out[0]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, tl.constexpr) else value


def _quick(combine_fn: Any, data: Array) -> Any:
    if data.dtype == np.float16 or is_small(data.dtype) or data.dtype.kind == "b":
        return None
    return _QUICK.get(combine_fn)


def _tree(data: list[Array], types: list[Any], combine_fn: Any) -> list[Array]:
    ordered = not any(d.dtype.kind in "fV" and np.isnan(plain(d)).any() for d in data)
    sides_matter = not (ordered and getattr(combine_fn, "__module__", "") == internals.STANDARD)
    while data[0].shape[1] > 1:
        left, right = [d[:, 0::2] for d in data], [d[:, 1::2] for d in data]
        data = _combine(combine_fn, left, right, types)
        if sides_matter:
            _same_either_way(combine_fn, left, right, types, data)
    return data


def _same_either_way(
    combine_fn: Any, left: list[Array], right: list[Array], types: list[Any], found: list[Array]
) -> None:
    """A compiled reduction hands a pair to two lanes, each of which has its own operand first: where they disagree by
    more than a rounding, lanes go on with different results. A rounding disappears in float64, a difference stays."""
    other = _combine(combine_fn, right, left, types)
    if all(np.array_equal(a, b, equal_nan=a.dtype.kind in "fV") for a, b in zip(found, other)):
        return
    wide = [tl.float64 if t.is_floating() else t for t in types]
    sides = [[d.astype(numpy_type(t)) for d, t in zip(side, wide)] for side in (left, right)]
    one = _combine(combine_fn, sides[0], sides[1], wide)
    two = _combine(combine_fn, sides[1], sides[0], wide)
    for a, b in zip(one, two):
        differ = _differ(a, b)
        if differ.any():
            i = int(np.flatnonzero(differ)[0])
            raise KernelFault(
                f"tl.reduce: {getattr(combine_fn, '__name__', 'the combine function')} gives {a.flat[i]} or "
                f"{b.flat[i]} as its operands stand; lanes of a compiled reduction disagree then", check="reduce")


def _differ(a: Array, b: Array) -> Array:
    """Where two results are not the same number, nor float32 neighbours."""
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    x, y = a.astype(np.float32), b.astype(np.float32)
    return np.asarray((x != y) & (np.nextafter(x, y) != y) & ~(np.isnan(x) & np.isnan(y)))


def _combine(combine_fn: Any, left: list[Array], right: list[Array], types: list[Any]) -> list[Array]:
    """The combine function on whole blocks, element by element."""
    operands = [tensor(d, t) for side in (left, right) for d, t in zip(side, types)]
    result = call(combine_fn, *operands)
    result = result if isinstance(result, tuple | tl.tuple) else (result,)
    shape = left[0].shape
    return [np.broadcast_to(_values(r), shape).astype(numpy_type(t)) for r, t in zip(result, types)]


def _values(result: Any) -> Any:
    return result.handle.data if isinstance(result, tl.core.tensor) else result


def scan(input: Any, axis: Any, combine_fn: Any, reverse: Any = False, **_: Any) -> Any:
    """`tl.associative_scan`, by doubling: after step k every element has combined the 2ᵏ before it."""
    blocks = input if isinstance(input, tuple) else (input,)
    types = [b.dtype for b in blocks]
    along = int(_plain(axis)) % len(blocks[0].shape) + 1
    data = [np.moveaxis(d, along, 1) for d in np.broadcast_arrays(*(b.handle.data for b in blocks))]
    if _plain(reverse):
        data = [d[:, ::-1] for d in data]
    if len(data) == 1 and combine_fn == internals.SUM and data[0].dtype.kind in "iu":
        data = [np.cumsum(data[0], axis=1, dtype=data[0].dtype)]
    else:
        data = _doubling(data, types, combine_fn, data[0].shape[1])
    if _plain(reverse):
        data = [d[:, ::-1] for d in data]
    out = tuple(tensor(np.moveaxis(d, 1, along), t) for d, t in zip(data, types))
    return out if isinstance(input, tuple) else out[0]


def _doubling(data: list[Array], types: list[Any], combine_fn: Any, n: int) -> list[Array]:
    step = 1
    row = np.arange(n).reshape((n,) + (1,) * (data[0].ndim - 2))
    while step < n:
        before = [np.roll(d, step, axis=1) for d in data]
        both = _combine(combine_fn, before, data, types)
        data = [np.where(row >= step, new, old) for new, old in zip(both, data)]
        step *= 2
    return data
