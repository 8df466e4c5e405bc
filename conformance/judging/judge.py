"""Judge one case: run the backend's function between guard bands, compare with the oracle, say what is wrong.

The verdict is |error| ≤ bound for every element of every output; NaN fails unless the formula has no value there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import Backend
from .bounds import declared
from .cases import FIELD, Case
from .comparing import compare, expected, judged, typical
from .edges import EXTENDED
from .hygiene import HygieneFault
from .numbers.lanes import Array
from .operations import OPERATIONS, READINGS, reading_id
from .running import TORCH, adding, fitted, run, same_bits, undefined_lanes, widened
from .statistics import spread
from .trouble import Trouble, place_of, watched_call
from .verdict import FAIL, NOT_JUDGED, PASS, UNSUPPORTED, Verdict

Outputs = dict[str, Array]


def judge(case: Case, backend: Backend, mode: str, explained: bool = True, undefined: str = "poison") -> Verdict:
    """The verdict on one case; never raises for what the backend does. Without `explained` a failure is only told.

    `undefined`: what lanes hold that a mask turns off and no `other` fills. "poison" is anything, "zero" what compiled
    code of today has; with "report" a case that fails of them alone is judged with 0, and the verdict names the lines.
    """
    start = time.perf_counter()
    verdict = _judged(case, backend, mode, explained, undefined != "zero")
    plain = mode == "simulated" and not case.refused and case.tier != FIELD
    if undefined == "report" and plain and verdict.state == FAIL:
        try:
            lines = undefined_lanes(case, backend, mode, laid_out(case))
        except (Exception, SystemExit):                  # it fails with 0 in them, too: what was said of it stands
            lines = []
        if lines:
            verdict = _judged(case, backend, mode, explained, False)
            verdict.undefined = lines
    verdict.seconds = time.perf_counter() - start
    return verdict


def _judged(case: Case, backend: Backend, mode: str, explained: bool, poison: bool) -> Verdict:
    verdict = Verdict(case, backend.name, backend.target, mode, PASS, formula=backend.reading_of(case.op))
    why = backend.supports(case.op, case.dtype)
    if why is not None:
        verdict.state, verdict.reason = UNSUPPORTED, why
        return verdict
    try:
        if case.tier == FIELD:
            from ..field.judging import judge_exactly  # the simulator's, which a host needs not have

            judge_exactly(verdict, case, backend, mode)
        elif case.refused:
            _judge_refusal(verdict, case, backend, mode)
        else:
            _judge_values(verdict, case, backend, mode, explained, poison)
    except HygieneFault as fault:
        verdict.state, verdict.reason, verdict.place = FAIL, str(fault), place_of(backend.ops[case.op])
    except NotImplementedError as why_not:
        verdict.state = UNSUPPORTED
        verdict.reason = f"NotImplementedError: {str(why_not).strip() or 'it does not say what'}"
    return verdict


def _judge_refusal(verdict: Verdict, case: Case, backend: Backend, mode: str) -> None:
    from ..simulator import KernelFault

    try:
        outputs = watched_call(verdict, lambda: run(case, backend, mode, case.arguments()))
    except Trouble as trouble:
        error = trouble.error
        if isinstance(error, KernelFault):
            verdict.state, verdict.reason = FAIL, f"the arguments must be refused before a kernel runs: {error}"
        elif not str(error).strip():
            verdict.state, verdict.reason = FAIL, f"refused with an empty {type(error).__name__}: say what is wrong"
    else:
        if not extends(case, backend, outputs):
            verdict.state, verdict.reason = FAIL, "illegal arguments were accepted; they must be refused"


def extends(case: Case, backend: Backend, outputs: list[Any]) -> bool:
    """Whether arguments without a batch gave what a batch of one gives: torch takes them so."""
    arguments = case.arguments()
    if not case.id.startswith(f"{case.op}/T3/refuses-rank/") or case.op not in EXTENDED:
        return False
    arguments["x"] = arguments["x"][None]
    bounds, truths = judged(backend.reading_of(case.op), arguments, case.dtype,
                            declared(backend.arithmetic, case.dtype))
    return all(tuple(value.shape) == truths[name].value.shape[1:]
               and compare(name, widened(value)[None], truths[name], bounds[name], case).fraction <= 1
               for name, value in zip(OPERATIONS[case.op].outputs, outputs))


def _judge_values(verdict: Verdict, case: Case, backend: Backend, mode: str, explained: bool, poison: bool) -> None:
    arguments = laid_out(case)
    _, why = fitted(backend.ops[case.op], case.op, arguments)
    if why:
        verdict.state, verdict.reason = UNSUPPORTED, why
        return
    verdict.arguments = arguments
    try:
        outputs = watched_call(verdict, lambda: run(case, backend, mode, arguments, poison=poison))
        first = list(map(widened, outputs))                   # a second run may write into the same memory
        again = list(map(widened, run(case, backend, mode, arguments, True, poison))) if twice(case) else first
    except Trouble as trouble:
        lacking = _lacking(trouble.error, arguments) or _refused_mixture(trouble, case)
        verdict.state, verdict.reason = (UNSUPPORTED, lacking) if lacking else (FAIL, trouble.says)
        return
    bounds, truths = expected(case, arguments, backend, adding(mode))
    if bounds is None:
        verdict.state, verdict.reason = NOT_JUDGED, truths
        return
    usual = typical(case, arguments, backend, adding(mode)) if case.tier == "T2" else {}
    odd = ""
    for name, value, one, second in zip(OPERATIONS[case.op].outputs, outputs, first, again):
        _shape_and_dtype(name, value, truths[name].value.shape, case)
        if not same_bits(one, second):
            raise HygieneFault(f"{name} differs between two runs on the same input")
        worst = compare(name, one, truths[name], bounds[name], case)
        odd = odd or (spread(one, truths[name], bounds[name], usual[name], case.dtype) if usual else "")
        if verdict.worst is None or not worst.fraction <= verdict.worst.fraction:
            verdict.worst = worst
    assert verdict.worst is not None
    verdict.fraction = verdict.worst.fraction
    if case.convention and not verdict.fraction <= 1:
        verdict.state = NOT_JUDGED
        verdict.reason = (f"a convention the deck leaves open: {verdict.worst.actual:g} here, "
                          f"{verdict.worst.expected:g} in the record")
    elif not verdict.fraction <= 1:
        verdict.state, verdict.place = FAIL, place_of(backend.ops[case.op])
        if not explained:
            return
        actual = dict(zip(OPERATIONS[case.op].outputs, first))
        _explain(verdict, actual, arguments, backend, adding(mode))
    elif odd:
        raise HygieneFault(odd)


def _lacking(error: BaseException, arguments: Mapping[str, Any]) -> str:
    """A word of the arguments that the function's own table has not: what it does not take, not what it gets wrong."""
    if not isinstance(error, KeyError) or not error.args or not isinstance(error.args[0], str):
        return ""
    name = next((name for name, value in arguments.items() if isinstance(value, str) and value == error.args[0]), None)
    return "" if name is None else f"the function knows no {name} {error.args[0]!r} (KeyError)"


def _refused_mixture(trouble: Trouble, case: Case) -> str:
    """Whoever takes one dtype only may say so: mixed ones are legal, not owed."""
    if not case.kinds or not isinstance(trouble.error, (TypeError, ValueError, RuntimeError)):
        return ""
    return f"refuses {', '.join(f'{name} in {kind}' for name, kind in case.kinds.items())} beside {case.dtype} " \
           f"({trouble.says})"


def _explain(verdict: Verdict, actual: Outputs, arguments: Mapping[str, Any], backend: Backend,
             device: str | None) -> None:
    """What the result looks like: a reading of the formula that others use, or a fault that others have had."""
    from ..mutate.diagnose import looks_like

    case, arithmetic = verdict.case, declared(backend.arithmetic, verdict.case.dtype, device)
    for name in READINGS.get(case.op, {}):
        if backend.readings.get(case.op) == name:
            continue
        try:
            bounds, truths = judged(reading_id(case.op, name), arguments, case.dtype, arithmetic)
        except (ValueError, ZeroDivisionError):                   # data on which this reading has no answer
            continue
        if all(compare(n, actual[n], truths[n], bounds[n], case).fraction <= 1 for n in actual):
            verdict.reading = name
            return
    bounds, truths = judged(backend.reading_of(case.op), arguments, case.dtype, arithmetic)
    verdict.looks_like = " or: ".join(looks_like(case.op, arguments, actual, bounds, truths))


def twice(case: Case) -> bool:
    """Whether a second run must give the same bits: real data, and of a covering design every fourth row."""
    return case.tier == "T1" and (case.row is None or case.row % 4 == 0)


def laid_out(case: Case) -> dict[str, Any]:
    """The arguments; an expanded layout repeats the first row."""
    arguments = case.arguments()
    if case.layout == "expanded":
        for name, value in arguments.items():
            if isinstance(value, np.ndarray) and value.ndim > 1:
                arguments[name] = np.broadcast_to(value[:1], value.shape).copy()
    return arguments


def _shape_and_dtype(name: str, value: Any, shape: tuple[int, ...], case: Case) -> None:
    if tuple(value.shape) != shape:
        raise HygieneFault(f"{name} has shape {tuple(value.shape)}, not {shape}")
    dtype = str(value.dtype).removeprefix("torch.")
    if name in OPERATIONS[case.op].integers:
        wanted = ["uint8"]
    else:                       # of several dtypes either the data's own, or the one they are promoted to
        wanted = [str(TORCH[kind]).removeprefix("torch.") for kind in dict.fromkeys((case.dtype, *case.kinds.values()))]
    if dtype not in wanted:
        raise HygieneFault(f"{name} is {dtype}, not {' or '.join(wanted)}")
