"""Judge one case: run the backend's function between guard bands, compare with the oracle, say what is wrong.

The verdict is |error| ≤ bound for every element of every output; NaN fails unless the formula has no value there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from ...triton_kernels.runtime.launch import current_arch
from ..backend import Backend
from .bounds import Bound, bound, declared
from .cases import Case
from .hygiene import Allocations, HygieneFault, Input, placed, unwritten
from .numbers.formats import FORMATS, round_to
from .numbers.lanes import Array
from .operations import OPERATIONS, evaluate, stable
from .oracle import Truth, exact_truth, truth
from .verdict import FAIL, NOT_JUDGED, PASS, UNSUPPORTED, Verdict, Worst

TORCH = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}


def judge(case: Case, backend: Backend, mode: str) -> Verdict:
    """The verdict on one case; never raises for what the backend does."""
    start = time.perf_counter()
    verdict = Verdict(case, backend.name, backend.target, mode, PASS)
    why = backend.supports(case.op, case.dtype)
    if why is not None:
        verdict.state, verdict.reason = UNSUPPORTED, why
        return verdict
    try:
        (_judge_refusal if case.refused else _judge_values)(verdict, case, backend, mode)
    except HygieneFault as fault:
        verdict.state, verdict.reason = FAIL, str(fault)
    verdict.seconds = time.perf_counter() - start
    return verdict


def _judge_refusal(verdict: Verdict, case: Case, backend: Backend, mode: str) -> None:
    from ..simulator import KernelFault

    try:
        run(case, backend, mode, case.arguments())
    except KernelFault as fault:
        verdict.state, verdict.reason = FAIL, f"the arguments must be refused before a kernel runs: {fault}"
    except (Exception, SystemExit) as error:
        if not str(error).strip():
            verdict.state, verdict.reason = FAIL, f"refused with an empty {type(error).__name__}: say what is wrong"
    else:
        verdict.state, verdict.reason = FAIL, "illegal arguments were accepted; they must be refused"


def _judge_values(verdict: Verdict, case: Case, backend: Backend, mode: str) -> None:
    arguments = laid_out(case)
    verdict.arguments = arguments
    try:
        outputs = run(case, backend, mode, arguments)
        again = run(case, backend, mode, arguments, second=True) if case.tier == "T1" else outputs
    except HygieneFault:
        raise
    except (Exception, SystemExit) as error:
        verdict.state = FAIL
        verdict.reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        return
    bounds, truths = expected(case, arguments, backend, adding(mode))
    if bounds is None:
        verdict.state, verdict.reason = NOT_JUDGED, truths
        return
    for name, value, second in zip(OPERATIONS[case.op].outputs, outputs, again):
        _shape_and_dtype(name, value, truths[name].value.shape, case)
        if not _same_bits(value, second):
            raise HygieneFault(f"{name} differs between two runs on the same input")
        worst = compare(name, _widened(value), truths[name], bounds[name], case)
        if verdict.worst is None or not worst.fraction <= verdict.worst.fraction:
            verdict.worst = worst
    assert verdict.worst is not None
    verdict.fraction = verdict.worst.fraction
    if case.convention and not verdict.fraction <= 1:
        verdict.state = NOT_JUDGED
        verdict.reason = (f"a convention the deck leaves open: {verdict.worst.actual:g} here, "
                          f"{verdict.worst.expected:g} in the record")
    elif not verdict.fraction <= 1:
        from ..mutate.diagnose import looks_like

        verdict.state = FAIL
        actual = {n: _widened(v) for n, v in zip(OPERATIONS[case.op].outputs, outputs)}
        verdict.looks_like = looks_like(case.op, arguments, actual, bounds, truths)


def laid_out(case: Case) -> dict[str, Any]:
    """The arguments; an expanded layout repeats the first row."""
    arguments = case.arguments()
    if case.layout == "expanded":
        for name, value in arguments.items():
            if isinstance(value, np.ndarray) and value.ndim > 1:
                arguments[name] = np.broadcast_to(value[:1], value.shape).copy()
    return arguments


def adding(mode: str) -> str | None:
    """The architecture whose tensor cores add in this mode; None if they do not, or it is not known how."""
    if mode == "native":
        return current_arch()
    if mode != "simulated":
        return None
    from ..simulator.active import accumulating

    return accumulating()


def expected(case: Case, arguments: Mapping[str, Any], backend: Backend, device: str | None = None) -> tuple[Any, Any]:
    """Bounds and truths per output; (None, reason) where the case cannot be judged."""
    if case.tier == "T0":
        truths = exact_truth(case.op, arguments)
        for name, one in truths.items():
            if not np.array_equal(round_to(one.value, case.dtype), one.value):
                return None, f"the exact {name} is not representable in {case.dtype}"
        zero = {name: np.zeros(one.value.shape) for name, one in truths.items()}
        return {name: Bound(z, z, z, z) for name, z in zero.items()}, truths
    bounds = bound(case.op, arguments, case.dtype, declared(backend.arithmetic, case.dtype, device))
    truths = truth(case.op, arguments, {name: b.total for name, b in bounds.items()})
    return bounds, with_limits(case.op, arguments, truths)


def with_limits(op: str, arguments: Mapping[str, Any], truths: dict[str, Truth]) -> dict[str, Truth]:
    """Where the printed formula has no value (∞/∞), the value of its careful form, which is the limit."""
    if not any(np.isnan(one.value).any() for one in truths.values()):
        return truths
    numbers = evaluate(op, lambda x: np.asarray(x, dtype=np.float64), stable, arguments)
    return {name: Truth(np.where(np.isnan(one.value), np.broadcast_to(numbers[name], one.value.shape), one.value),
                        np.where(np.isnan(one.value), 0.0, one.radius)) for name, one in truths.items()}


def compare(name: str, actual: Array, one: Truth, limit: Bound, case: Case) -> Worst:
    """The worst element of one output."""
    total = np.broadcast_to(limit.total, one.value.shape)
    largest = FORMATS[case.dtype].largest
    with np.errstate(all="ignore"):
        error = np.maximum(np.abs(actual - one.value) - one.radius, 0.0)
        fraction = np.where(error == 0, 0.0, error / total)
        overflows = np.abs(one.value) + total > largest
        legal_infinity = overflows & (actual == np.copysign(np.inf, one.value))
    fraction = np.where(np.isfinite(one.value), fraction, np.inf)
    fraction = np.where(np.isnan(actual) | np.isnan(fraction), np.inf, fraction)
    same = (np.isnan(one.value) & np.isnan(actual)) | (one.value == actual) | legal_infinity
    fraction = np.where(same, 0.0, fraction)
    if fraction.size == 0:
        return Worst(name, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(fraction)), fraction.shape))
    return Worst(name, index, float(one.value[index]), float(actual[index]),
                 abs(float(actual[index]) - float(one.value[index])), float(total[index]), float(fraction[index]),
                 limit.terms(index))


def _shape_and_dtype(name: str, value: Any, shape: tuple[int, ...], case: Case) -> None:
    if tuple(value.shape) != shape:
        raise HygieneFault(f"{name} has shape {tuple(value.shape)}, not {shape}")
    dtype = str(value.dtype).removeprefix("torch.")
    whole = name in OPERATIONS[case.op].integers
    want = "uint8" if whole else str(TORCH[case.dtype]).removeprefix("torch.")
    if dtype != want:
        raise HygieneFault(f"{name} is {dtype}, not {want}")


def _widened(value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy()
    return np.asarray(value, dtype=np.float64)


def _same_bits(a: Any, b: Any) -> bool:
    if a is b:
        return True
    x, y = _widened(a), _widened(b)
    return bool(np.array_equal(x, y, equal_nan=True))


def run(case: Case, backend: Backend, mode: str, arguments: Mapping[str, Any], second: bool = False) -> list[Any]:
    """Call the backend's function once, watched; the outputs as a list."""
    function = backend.ops[case.op]
    names = OPERATIONS[case.op].outputs
    if backend.array == "numpy":
        return _run_numpy(function, names, case.dtype, arguments)
    device = "cuda" if mode == "native" else "cpu"
    inputs: list[Input] = []
    given = {}
    for name, value in arguments.items():
        given[name] = value
        if isinstance(value, np.ndarray):
            given[name] = torch.from_numpy(np.ascontiguousarray(value))
            kind = TORCH[case.dtype] if value.dtype.kind == "f" else given[name].dtype
            inputs.append(placed(name, given[name].to(device, kind), case.layout))
            given[name] = inputs[-1].tensor
    with case.pin(), _mode(mode, second) as sim, Allocations(kernels_only=backend.kernels):
        outputs = _listed(function(**given), names)
    for one in inputs:
        one.check()
    for name, value in zip(names, outputs):
        if not isinstance(value, torch.Tensor):
            raise HygieneFault(f"{name} is a {type(value).__name__}, not a tensor")
        missing = int((~sim.stored(value)).sum()) if sim is not None and backend.kernels else unwritten(value)
        if missing:
            raise HygieneFault(f"{missing} of {value.numel()} elements of {name} were never written by a kernel")
    return outputs


def _run_numpy(function: Any, names: tuple[str, ...], dtype: str, arguments: Mapping[str, Any]) -> list[Any]:
    """The same for a backend that takes numpy arrays: its inputs must stay as they were."""
    kind = np.dtype({"fp32": "float32", "fp16": "float16"}[dtype])
    given = {k: v.astype(kind if v.dtype.kind == "f" else v.dtype) if isinstance(v, np.ndarray) else v
             for k, v in arguments.items()}
    before = {k: v.tobytes() for k, v in given.items() if isinstance(v, np.ndarray)}
    outputs = _listed(function(**given), names)
    for name, data in before.items():
        if given[name].tobytes() != data:
            raise HygieneFault(f"the input {name} was overwritten")
    for name, value in zip(names, outputs):
        if not isinstance(value, np.ndarray | np.generic):
            raise HygieneFault(f"{name} is a {type(value).__name__}, not a numpy array")
    return outputs


def _listed(result: Any, names: tuple[str, ...]) -> list[Any]:
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
def _mode(mode: str, second: bool) -> Iterator[Any]:
    """Simulated runs happen inside the simulator; a second one runs its programs in another order."""
    if mode != "simulated":
        yield None
        return
    from ..simulator import simulate

    with simulate(check=True, order="random" if second else "forward") as sim:
        yield sim
