"""A backend: the functions to be judged, by op id. Ten lines plug anybody's in.

    from chainrule.conformance import Backend
    backend = Backend("mykernels")

    @backend.op("conv2d.valid")
    def conv2d(I, K): ...

A function is called by keyword, with the letters of `chainrule conform --list`, and returns its outputs in order.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from chainrule import sort_of

if TYPE_CHECKING:
    from .judging.cases import Case

Function = Callable[..., Any]
GROUP = "chainrule.backends"


class BackendError(ValueError):
    """A backend that cannot be found or used; the message says what, where and what to do."""


class Backend:
    """Functions by op id, and what they promise.

    device: where their tensors live, "cpu" or "cuda". Kernels for "cuda" run in the simulator where there is no GPU.
    arithmetic: per dtype, "ieee" (the default) or "tf32"; the bound follows the promise, and the promise is tested.
    array: "torch" or "numpy". dtypes: what the functions take. kernels: a claim that every output element is stored by
    a Triton kernel and nothing else computes; it is checked. readings: the convention of an op where it is not the
    deck's, such as {"opt.adam": "eps in the correction"}. elementary: @triton.jit functions that approximate an
    elementary function, such as {"exp": [my_exp]}; the exact field takes them as it, bounds judge them. extra: cases of
    its own, such as each configuration that it ships.
    """

    def __init__(self, name: str, *, device: str = "cpu", arithmetic: Mapping[str, str] | None = None,
                 array: str = "torch", dtypes: Iterable[str] | None = None, kernels: bool = False,
                 readings: Mapping[str, str] | None = None,
                 elementary: Mapping[str, Iterable[Any]] | None = None,
                 extra: Callable[[], Iterable[Case]] | None = None) -> None:
        if device not in ("cpu", "cuda") or array not in ("torch", "numpy"):
            raise BackendError(f"backend {name}: device is 'cpu' or 'cuda' and array 'torch' or 'numpy', "
                               f"not {device!r} and {array!r}")
        unknown = set((arithmetic or {}).values()) - {"ieee", "tf32"}
        if unknown:
            raise BackendError(f"backend {name}: arithmetic is 'ieee' or 'tf32', not {', '.join(sorted(unknown))}")
        self.name, self.device, self.array, self.kernels = name, device, array, kernels
        self.arithmetic = dict(arithmetic or {})
        self.dtypes = tuple(dtypes or (("fp32", "fp16", "bf16") if array == "torch" else ("fp32", "fp16")))
        self.readings = {known_op(op): known_reading(op, name) for op, name in (readings or {}).items()}
        self.whole = {f.src: name for name, functions in (elementary or {}).items() for f in functions}
        self._extra = extra
        self.target = name                   # how the command line names it; `load` knows better
        self.ops: dict[str, Function] = {}
        self.skipped: dict[str, str] = {}

    def op(self, id: str, *, skip: str | None = None) -> Callable[[Function], Function]:
        """Register the function of an op; with `skip`, only say why there is none."""
        known_op(id)
        if skip is not None:
            self.skipped[id] = skip

        def register(function: Function) -> Function:
            if not callable(function):
                raise BackendError(f"{id}: {sort_of(function)} is no function")
            self.ops[id] = function
            return function

        return register

    @property
    def extra(self) -> list[Case]:
        return list(self._extra()) if self._extra is not None else []

    def extra_of(self, op: str, quick: bool) -> list[Case]:
        """The backend's own cases of one op; a quick run leaves them out."""
        return [] if quick else [case for case in self.extra if case.op == op]

    def reading_of(self, id: str) -> str:
        """What the op is judged by: its id, or that of the reading that is declared."""
        from .judging.operations import reading_id

        return reading_id(id, self.readings[id]) if id in self.readings else id

    def supports(self, id: str, dtype: str) -> str | None:
        """None if the op can be judged in this dtype, else why not."""
        if id not in self.ops:
            return self.skipped.get(id, "the backend has no function for this op")
        if dtype not in self.dtypes:
            return f"the backend does not take {dtype}"
        return None


def in_place(*names: str) -> Callable[[Function], Function]:
    """The way in for a function that updates its arguments: it is given copies of these, which are its outputs.

        backend.op("opt.adam")(in_place("theta", "m", "v")(my_adam_))
    """
    def wrap(function: Function) -> Function:
        own = inspect.signature(function).parameters
        missing = [name for name in names if name not in own]
        if missing or not names:
            raise BackendError(f"in_place: {getattr(function, '__name__', function)} takes "
                               f"{', '.join(own)}; name those it updates, in the order of the op's outputs")

        @wraps(function)
        def run(**given: Any) -> list[Any]:
            mine = {name: given[name].clone() if name in names else given[name] for name in given}
            function(**mine)
            return [mine[name] for name in names]

        return run

    return wrap


def known_op(id: str) -> str:
    """The id if there is such an op; BackendError naming near ones otherwise."""
    from .judging.operations import OPERATIONS

    if id not in OPERATIONS:
        near = get_close_matches(id, OPERATIONS, n=3, cutoff=0.5)
        raise BackendError(f"no op {id!r}" + (f"; did you mean {' or '.join(near)}?" if near
                                             else "; `chainrule conform --list` shows them all"))
    return id


def known_reading(op: str, name: str) -> str:
    """The reading if the op has one of this name; BackendError with its readings otherwise."""
    from .judging.operations import READINGS

    known = READINGS.get(op, {})
    if name not in known:
        raise BackendError(f"{op} has no reading {name!r}; " + (f"it has {', '.join(map(repr, known))}" if known
                                                               else "it has the deck's only"))
    return name


BUILT_IN = {"triton": "chainrule.conformance.backends.triton:backend",
            "torch": "chainrule.conformance.backends.torch:backend"}


def load(target: str | None, ops: Iterable[str] = ()) -> Backend:
    """A backend by name (triton, torch, an entry point) or as module:attribute; `ops` are ID=module:function."""
    overrides = list(ops)
    if target is None and overrides:
        backend = Backend("+".join(one.partition("=")[2] for one in overrides))
    else:
        backend = _named(target or "triton")
    for one in overrides:
        id, separator, place = one.partition("=")
        if not separator:
            raise BackendError(f"--op {one}: write it as ID=module:function, as in --op act.elu=mypkg.kernels:elu")
        backend.op(id)(_function(place))
    named = [target] if target else []
    backend.target = " ".join([*named, *(f"--op {one}" for one in overrides)]) or backend.name
    return backend


def _named(target: str) -> Backend:
    found = {point.name: point.value for point in entry_points(group=GROUP)}
    places = {**found, **BUILT_IN}
    place = places.get(target, target)
    if ":" not in place:
        near = get_close_matches(target, places, n=1)
        raise BackendError(f"no backend {target!r}; " + (f"did you mean {near[0]}? " if near else "")
                           + f"known: {', '.join(sorted(places))}; your own is named module:attribute")
    backend = _object(place)
    if not isinstance(backend, Backend):
        raise BackendError(f"{place} is {sort_of(backend)}, not a chainrule.conformance.Backend")
    return backend


def _function(place: str) -> Function:
    found = _object(place)
    if not callable(found):
        raise BackendError(f"{place} is {sort_of(found)}, not a function")
    return found  # type: ignore[no-any-return]


def _object(place: str) -> Any:
    """What module:attribute names. The working folder counts as a place to import from, as for a script."""
    import sys
    from pathlib import Path

    module, _, attribute = place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except SystemExit as error:
        raise BackendError(f"{place}: {module} ends the program where it is imported (SystemExit: {error}); put what "
                           "it runs under `if __name__ == \"__main__\"`") from None
    except SyntaxError as error:
        raise BackendError(f"{place}: {error.filename}, line {error.lineno}: {error.msg}") from None
    except ImportError as error:
        own = error.name is not None and module.startswith(error.name)
        hint = "is it on PYTHONPATH?" if own else f"{module} itself needs it"
        raise BackendError(f"{place}: cannot import {module} ({error}); {hint}") from error
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise BackendError(f"{place}: importing {module} raised {type(error).__name__}: {error} "
                           f"({frame.filename}, line {frame.lineno})") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name in vars(found) if not name.startswith("_")]
            near = get_close_matches(part, names, n=1)
            raise BackendError(f"{place}: {module} has no {part!r}" + (f"; did you mean {near[0]}?" if near else ""))
        found = getattr(found, part)
    return found
