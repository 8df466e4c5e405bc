"""How a kernel's source calls: every call in it comes here, as in the compiler it comes to `visit_Call`.

So a function means the same however the kernel got hold of it: as `tl.exp`, imported by name, from a table, a closure
or an argument. Functions of the language get what only a compiler hands them (`_semantic`); names that stand for a
library of the target (`extra.libdevice.tanh`) become that library's; Python's own `range`, `min` and `print` become the
language's.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import TensorHandle
from triton.runtime.jit import JITFunction

from . import active, internals, passes, scaled
from .fault import KernelFault
from .values import numpy_type


def call(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """`fn(*args, **kwargs)` of a kernel's source."""
    if type(fn) is tl.constexpr:
        fn = fn.value
    if type(fn) is JITFunction:
        return fn(*args, **kwargs)
    instead = _INSTEAD.get(fn) if isinstance(fn, _PLAIN) else None
    if instead is not None:
        return instead(*args, **kwargs)
    if getattr(fn, "__module__", None) == internals.LIBRARY:
        fn = getattr(internals.device_library(active.sim().target), fn.__name__)
    if getattr(fn, internals.BUILTIN, False):
        return fn(*args, **kwargs, _semantic=internals.semantic)
    return fn(*args, **kwargs)


def method(owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """`owner.name(*args, **kwargs)` of a kernel's source; a value of the language may have jitted methods."""
    fn = getattr(owner, name)
    if type(fn) is JITFunction and isinstance(owner, internals.VALUE):
        return fn(owner, *args, **kwargs)
    return call(fn, *args, **kwargs)


def value_of(owner: Any) -> Any:
    """`owner.value` of a kernel's source: what is known at compile time is bare here, and a `constexpr` there."""
    return owner.value if hasattr(owner, "value") else owner


def loop(first: Any, last: Any = None, step: Any = None, **_: Any) -> Iterator[Any]:
    """`range` and `tl.range`: the loop variable is a value of the language, also between bounds known beforehand."""
    if last is None:
        first, last = 0, first
    step = 1 if step is None else step
    bounds = [internals.semantic.to_tensor(n) for n in (first, last, step)]
    kind = bounds[0].dtype
    for other in bounds[1:]:
        kind = internals.semantic.integer_promote_impl(kind, other.dtype)
    dtype = numpy_type(kind)
    start, stop, by = (n.handle.data.astype(object) for n in bounds)       # Python's integers: nothing wraps
    if isinstance(step, tl.tensor) and (by <= 0).any():
        raise KernelFault(
            f"a loop's run-time step is {by.min()}: compiled, it counts upwards whatever its step; "
            "make a step that goes down a tl.constexpr", check="language")
    for i in range(passes.common(np.array([len(range(*one)) for one in np.broadcast(start, stop, by)]))):
        yield tl.tensor(TensorHandle((start + i * by).astype(dtype), kind), kind)


def unrolled(first: Any, last: Any = None, step: Any = 1) -> range:
    """`tl.static_range`: its variable is known at compile time."""
    return range(first) if last is None else range(first, last, step)


def static_assert(condition: Any, message: str = "") -> None:
    assert condition, message


def hint(name: str) -> Callable[[Any, Any], Any]:
    """`tl.multiple_of` and its like: they promise the compiler something, and change no value."""

    def told(x: Any, values: Any) -> Any:
        if isinstance(x, tl.tensor):
            values = values if isinstance(values, list | tuple) else [values]
            if len(values) != max(1, len(x.shape)):
                raise ValueError(f"{name}: {len(values)} values for {len(x.shape)} axes")
        return x

    return told


def extreme(of_python: Callable[..., Any], of_the_language: Any) -> Callable[..., Any]:
    """`min` and `max`: of what is known at compile time Python's, else lane by lane."""

    def chosen(*args: Any) -> Any:
        if not any(isinstance(a, tl.tensor) for a in args):
            return of_python(*args)
        return functools.reduce(lambda a, b: of_the_language(a, b, _semantic=internals.semantic), args)

    return chosen


def _of_the_language(fn: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: fn(*args, **kwargs, _semantic=internals.semantic)


_PLAIN = (type, type(call), type(print))       # what a key of the table may be; a jitted function's hash is its source
_INSTEAD: dict[Any, Callable[..., Any]] = {
    builtins.range: loop, tl.range: loop, tl.static_range: unrolled,
    tl.static_assert: static_assert, tl.static_print: print, tl.dot_scaled: scaled.dot_scaled,
    **{getattr(tl, name): hint(name) for name in ("multiple_of", "max_contiguous", "max_constancy")},
    builtins.print: _of_the_language(tl.device_print),
    builtins.min: extreme(builtins.min, tl.minimum), builtins.max: extreme(builtins.max, tl.maximum),
}
