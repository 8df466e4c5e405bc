"""A kernel against the reference over the exact field: equal in every element, or a different function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import Backend
from ..judging.cases import Case
from ..judging.operations import evaluate, literal, operation_of
from ..judging.parts import cut, fewer, free
from ..judging.running import fitted, run
from ..judging.trouble import Trouble, watched_call
from ..judging.verdict import FAIL, NOT_JUDGED, UNSUPPORTED, Verdict
from .elements import Exact, Unseen
from .memory import Memory
from .scalars import Ledger, Number, lanes, number

DRAWS = 8
MOST = 40_000                # products that the reference is asked for in one case
#: By a word of the case: where an exponent has roots or exponentials in it, it is known in one form only.
BEYOND = {"-tanh-logits/": "an exponential of an exponential is known in one form only in the exact field"}


def judge_exactly(verdict: Verdict, case: Case, backend: Backend, mode: str) -> None:
    """The verdict on a case of the field's tier."""
    if mode != "simulated":
        verdict.state, verdict.reason = NOT_JUDGED, "the exact field sees Triton kernels, in the simulator"
        return
    why_not = next((why for word, why in BEYOND.items() if word in case.id), "")
    if why_not:
        verdict.state, verdict.reason = NOT_JUDGED, why_not
        return
    memory = Memory(backend.whole)
    try:
        arguments, truths, chosen = expected(case, backend.reading_of(case.op))
        _, why_not = fitted(backend.ops[case.op], case.op, arguments)
        if why_not:
            verdict.state, verdict.reason = UNSUPPORTED, why_not
            return
        outputs = watched_call(verdict, lambda: run(case, backend, mode, arguments, exact=memory))
    except Unseen as why:
        verdict.state, verdict.reason = NOT_JUDGED, str(why)
        return
    except Trouble as trouble:
        unseen = isinstance(trouble.error, Unseen)
        verdict.state, verdict.reason = (NOT_JUDGED, str(trouble.error)) if unseen else (FAIL, trouble.says)
        return
    shapes = {name: tuple(t.shape) for name, t in zip(operation_of(case.op).outputs, outputs)}
    places = cut(case.op, arguments, chosen, shapes).index
    compare(verdict, memory, outputs, truths, places, backend.kernels)


def expected(case: Case, op: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The arguments of a draw, the reference's answer, in which no comparison is close to a tie, and which places along
    the axes of its outputs it has. A draw in which some square root exists is better than one in which none does."""
    best: Any = None
    for draw in range(DRAWS):
        arguments, ledger = case.make(draw), Ledger()                        # type: ignore[call-arg]
        chosen = some(op, arguments)
        part = cut(op, arguments, chosen, {}).arguments
        given = {name: number(x, ledger) if isinstance(x, float) else x for name, x in part.items()}
        lift = lanes(ledger, part)
        truths = {name: _numbers(value, ledger) for name, value in evaluate(op, lift, literal, given).items()}
        if not ledger.doubts:
            best = best or (arguments, truths, chosen)
            if all(any(x.sure for x in one.ravel()) or not one.size for one in truths.values()):
                return arguments, truths, chosen
    if best is None:
        raise Unseen(f"in each of {DRAWS} draws a comparison is too close for float32 to decide")
    return best  # type: ignore[no-any-return]


def some(op: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Places along the axes of the outputs, first and last among them, for which the reference costs no more than
    MOST products."""
    axes = free(op, arguments, operation_of(op).outputs)
    return fewer(op, arguments, {axis: np.arange(n) for axis, n in axes.items()}, MOST)


def _numbers(value: Any, ledger: Ledger) -> Any:
    return np.asarray(np.frompyfunc(lambda x: number(x, ledger), 1, 1)(np.asarray(value, dtype=object)), dtype=object)


def compare(verdict: Verdict, memory: Memory, outputs: list[Any], truths: Mapping[str, Any],
            places: Mapping[str, Any], kernels: bool) -> None:
    """Every element that the reference has; behind a root that does not exist only agreement counts. A float that is no
    number stands for no element."""
    operation, judged = operation_of(verdict.case.op), 0
    for name, whole in zip(operation.outputs, outputs):
        truth, tensor = np.asarray(truths[name], dtype=object), whole[places[name]] if whole.dim() else whole
        if tuple(tensor.shape) != truth.shape:
            verdict.state, verdict.reason = FAIL, f"{name} has shape {tuple(tensor.shape)}, not {truth.shape}"
            return
        sure = _each(truth, lambda x: x.sure, bool)
        if name in operation.integers:
            wrong = tensor.numpy() != _each(truth, lambda x: x.f, np.float64)
        else:
            wrong = different(memory.of(whole)[places[name]] if whole.dim() else memory.of(whole), truth)
            wrong |= tensor.isnan().numpy() & ~np.isnan(_each(truth, lambda x: x.f, np.float64))
        judged += int((sure | ~wrong).sum())
        if (wrong & sure).any():
            _told(verdict, memory, name, wrong & sure, tensor, truth, kernels)
            return
    if not judged:
        verdict.state, verdict.reason = NOT_JUDGED, "no square root here exists in the field"
        return
    verdict.fraction = 0.0


def different(found: Exact, truth: Any) -> Any:
    """Elements that are equal modulo neither: a logarithm is known modulo Q only, an exponential modulo P only."""
    v, w = (_each(truth, lambda x, name=name: getattr(x, name), np.uint64) for name in ("v", "w"))
    return (found.v != v) & (found.w != w)


def _each(numbers: Any, what: Any, kind: Any) -> Any:
    return np.array([what(x) for x in numbers.ravel()], kind).reshape(numbers.shape)


def _told(verdict: Verdict, memory: Memory, name: str, wrong: Any, tensor: Any, truth: Any,
          kernels: bool) -> None:
    opaque = memory.opaque or ("" if kernels else memory.foreign)
    if opaque:
        verdict.state, verdict.reason = NOT_JUDGED, f"the kernel differs over the exact field, but it {opaque}"
        return
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    one: Number = truth[index]
    verdict.state = FAIL
    what = f"{int(wrong.sum())} of {wrong.size} elements of {name} are not the equation's"
    verdict.reason = (f"over the exact field {what}, the first at {list(index)}: there the kernel's float is "
                      f"{float(tensor[index]):.7g}, the equation's {one.f:.7g}; rounding has no part in this")
