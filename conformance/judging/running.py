"""Run a backend's function on the arguments of a case: in memory of our own making, watched, its outputs as a list."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ... import sort_of
from ...triton_kernels.runtime.launch import current_arch
from ..backend import Backend
from .cases import Case, cases_of
from .hygiene import Allocations, HygieneFault, Input, placed, unwritten
from .numbers.lanes import Array
from .operations import OPERATIONS, PARAMETERS

if TYPE_CHECKING:
    from ..field.memory import Memory

TORCH = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}


def adding(mode: str) -> str | None:
    """The architecture whose tensor cores add in this mode; None if they do not, or it is not known how."""
    if mode == "native":
        return current_arch()
    if mode != "simulated":
        return None
    from ..simulator.active import accumulating

    return accumulating()


def fitted(function: Any, op: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The arguments as this function takes them, and why it cannot: what the reference has a default for is optional,
    so a function may do without it, and is judged on the cases that do not need it."""
    try:
        own = inspect.signature(function).parameters
    except (TypeError, ValueError):                       # a callable without a signature takes what it is given
        return dict(arguments), ""
    anything = any(p.kind is p.VAR_KEYWORD for p in own.values())
    fits, optional = dict(arguments), optional_arguments(op)
    for name, default in optional.items():
        value = arguments.get(name, default)
        if name not in own:
            if not anything and not _same(value, default):
                return fits, f"the function takes no {name}"
            if not anything:
                fits.pop(name, None)
        elif value is None and not _takes_none(own[name]):
            return fits, f"the function has no default of None for {name}"
        elif own[name].default is inspect.Parameter.empty:
            fits[name] = value
    return fits, ""


def letters(op: str) -> list[str]:
    """What an op's arguments are called."""
    own = (p.name for p in OPERATIONS[op].parameters if p.kind is not p.VAR_KEYWORD)
    return list(dict.fromkeys((*own, *next(cases_of(op)).arguments(), *optional_arguments(op))))


def optional_arguments(op: str) -> dict[str, Any]:
    """The arguments that an op can do without, and what it then takes."""
    found = {p.name: None if p.default is p.empty else p.default for p in OPERATIONS[op].parameters
             if p.default is not p.empty or "None" in str(p.annotation)}
    return {**found, **(PARAMETERS.get(op.split(".")[1], {}) if op.startswith("act.") else {})}


def _takes_none(parameter: inspect.Parameter) -> bool:
    text = str(parameter.annotation)
    return parameter.default is None or "None" in text or "Optional" in text


def _same(value: Any, default: Any) -> bool:
    return value is default or (not isinstance(value, np.ndarray) and bool(value == default))


def run(case: Case, backend: Backend, mode: str, arguments: Mapping[str, Any], second: bool = False,
        poison: bool | str = True, lines: set[str] | None = None, exact: Memory | None = None) -> list[Any]:
    """Call the backend's function once, watched; the outputs as a list. With `exact`, over the exact field. `lines`:
    whose loads left lanes undefined."""
    function = backend.ops[case.op]
    names = OPERATIONS[case.op].outputs
    arguments, _ = fitted(function, case.op, arguments)
    if backend.array == "numpy":
        return _run_numpy(function, names, case, arguments)
    device = "cuda" if mode == "native" else "cpu"
    inputs: list[Input] = []
    given = {}
    for name, value in arguments.items():
        given[name] = value
        if isinstance(value, np.ndarray):
            given[name] = torch.from_numpy(np.ascontiguousarray(value))
            kind = TORCH[case.kinds.get(name, case.dtype)] if value.dtype.kind == "f" else given[name].dtype
            inputs.append(placed(name, given[name].to(device, kind), case.layout))
            given[name] = inputs[-1].tensor
            if exact is not None:
                exact.inputs.append(inputs[-1].span)
    with case.pin(), _mode(mode, second, poison, exact) as sim, Allocations(kernels_only=backend.kernels):
        outputs = listed(function(**given), names)
    if lines is not None and sim is not None:
        lines |= sim.open
    for one in inputs:
        one.check()
    for name, value in zip(names, outputs):
        if not isinstance(value, torch.Tensor):
            raise HygieneFault(f"{name} is {sort_of(value)}, not a tensor")
        missing = int((~sim.stored(value)).sum()) if sim is not None and backend.kernels else unwritten(value)
        if missing:
            raise HygieneFault(f"{missing} of {value.numel()} elements of {name} were never written by a kernel")
    return outputs


def undefined_lanes(case: Case, backend: Backend, mode: str, arguments: Mapping[str, Any]) -> list[str]:
    """The lines of kernels whose masked loads, for want of an `other`, change a result or end the run: each is tried
    alone, against a run in which all such lanes hold 0."""
    lines: set[str] = set()
    plain = run(case, backend, mode, arguments, poison=False, lines=lines)
    found = []
    for line in sorted(lines):
        try:
            other = run(case, backend, mode, arguments, poison=line)
        except Exception:                                # whatever it was, it does not happen where the lanes hold 0
            found.append(line)
            continue
        found += [line] if not all(map(same_bits, plain, other)) else []
    return found


def widened(value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64, copy=True).numpy()
    return np.array(value, dtype=np.float64)


def same_bits(a: Any, b: Any) -> bool:
    return a is b or bool(np.array_equal(widened(a), widened(b), equal_nan=True))


def _run_numpy(function: Any, names: tuple[str, ...], case: Case, arguments: Mapping[str, Any]) -> list[Any]:
    """The same for a backend that takes numpy arrays: its inputs must stay as they were."""
    def typed(name: str, value: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return value.copy() if isinstance(value, np.ndarray) else value
        return value.astype({"fp32": np.float32, "fp16": np.float16}[case.kinds.get(name, case.dtype)])

    given = {name: typed(name, value) for name, value in arguments.items()}
    before = {k: v.tobytes() for k, v in given.items() if isinstance(v, np.ndarray)}
    outputs = listed(function(**given), names)
    for name, data in before.items():
        if given[name].tobytes() != data:
            raise HygieneFault(f"the input {name} was overwritten")
    for name, value in zip(names, outputs):
        if not isinstance(value, np.ndarray | np.generic):
            raise HygieneFault(f"{name} is {sort_of(value)}, not a numpy array")
    return outputs


def listed(result: Any, names: tuple[str, ...]) -> list[Any]:
    if isinstance(result, dict):
        missing = [name for name in names if name not in result]
        if missing:
            raise HygieneFault(f"the result has no {', '.join(missing)}")
        return [result[name] for name in names]
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(outputs) != len(names):
        raise HygieneFault(f"{len(outputs)} outputs came back, not {len(names)} ({', '.join(names)})")
    return outputs


@contextlib.contextmanager
def _mode(mode: str, second: bool, poison: bool | str, exact: Memory | None) -> Iterator[Any]:
    """Simulated runs happen inside the simulator; a second one runs its programs in another order."""
    if mode != "simulated":
        yield None
        return
    from ..simulator import simulate

    order = "random" if second else "forward"
    with simulate(check=True, order=order, poison=poison, exact=exact) as sim:
        yield sim
