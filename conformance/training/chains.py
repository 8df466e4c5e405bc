"""A whole program judged op by op, on the tensors its ops are really given.

A bound composed over a chain of ops is uselessly wide. So every op of every step is judged by its own bound, on what
the ops before it computed; the chain holds if every link does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ..backend import Backend, BackendError
from ..judging.cases import Case
from ..judging.comparing import compare, expected
from ..judging.hygiene import HygieneFault
from ..judging.numbers.lanes import Array
from ..judging.operations import OPERATIONS
from ..judging.running import TORCH, adding, run
from ..judging.verdict import Worst

DTYPE = {torch_dtype: name for name, torch_dtype in TORCH.items()}


class ChainFault(AssertionError):
    """An op that left its bound, or did something besides computing, on data of the chain."""


class Judged:
    """The ops of a backend by id, each call judged before its outputs are handed on.

        op = Judged(backend, "simulated")
        a = op["act.relu"](z=z)

    `calls` and `worst` say per id how often it was called and which element came nearest to its bound. A fault is
    raised as ChainFault; with `keep_going` it is appended to `faults`, and the chain goes on with what came.
    """

    def __init__(self, backend: Backend, mode: str, keep_going: bool = False) -> None:
        if backend.array != "torch":
            raise BackendError(f"backend {backend.name}: a chain hands on torch tensors, not {backend.array}")
        self.backend, self.mode, self.keep_going = backend, mode, keep_going
        self.calls: Counter[str] = Counter()
        self.worst: dict[str, Worst] = {}
        self.faults: list[str] = []

    def __getitem__(self, id: str) -> Callable[..., Any]:
        if id not in self.backend.ops:
            raise BackendError(f"backend {self.backend.name} has no function for {id}")
        return partial(self._call, id)

    @property
    def fraction(self) -> float:
        """The largest |error| / bound of all calls."""
        return max((one.fraction for one in self.worst.values()), default=0.0)

    def _call(self, id: str, **given: Any) -> Any:
        self.calls[id] += 1
        case, arguments = self._case(id, given)
        try:
            outputs = run(case, self.backend, self.mode, arguments)
        except HygieneFault as fault:
            raise ChainFault(f"{case.id}: {fault}") from fault
        self._judge(case, arguments, outputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _case(self, id: str, given: dict[str, Any]) -> tuple[Case, dict[str, Any]]:
        case = Case(f"{id}/chain/call {self.calls[id]}", id, "T1", _dtype(id, given), dict)
        return case, {name: as_array(value) for name, value in given.items()}

    def seen(self, id: str, given: dict[str, Any], outputs: Sequence[Any]) -> None:
        """Judge what something else computed; an output that is None was not asked for."""
        self.calls[id] += 1
        self._judge(*self._case(id, given), outputs)

    def _judge(self, case: Case, arguments: dict[str, Any], outputs: Sequence[Any]) -> None:
        bounds, truths = expected(case, arguments, self.backend, adding(self.mode))
        for name, output in zip(OPERATIONS[case.op].outputs, outputs):
            if output is None:
                continue
            dtype = torch.uint8 if name in OPERATIONS[case.op].integers else TORCH[case.dtype]
            want = truths[name].value.shape, dtype
            if (tuple(output.shape), output.dtype) != want:
                raise ChainFault(f"{case.id}: {name} is {output.dtype} {tuple(output.shape)}, not {want[1]} {want[0]}")
            self.note(case, compare(name, as_array(output), truths[name], bounds[name], case))

    def note(self, case: Case, worst: Worst) -> None:
        """Keep the worst of each op; a fault if it left its bound."""
        if case.op not in self.worst or not worst.fraction <= self.worst[case.op].fraction:
            self.worst[case.op] = worst
        if not worst.fraction <= 1:
            self._fault(f"{case.id}: {sentence(worst)}")

    def _fault(self, text: str) -> None:
        if not self.keep_going:
            raise ChainFault(text)
        self.faults.append(text)


def sentence(worst: Worst) -> str:
    where = f"{worst.output}[{', '.join(map(str, worst.index))}]"
    return (f"{where} is {worst.actual!r}, expected {worst.expected!r}; the error {worst.error:.3g} is "
            f"{worst.fraction:.3g} times the bound {worst.bound:.3g}")


def _dtype(id: str, given: dict[str, Any]) -> str:
    """The dtype of a call's floating tensors."""
    for value in given.values():
        if isinstance(value, torch.Tensor) and value.dtype in DTYPE:
            return DTYPE[value.dtype]
    raise ChainFault(f"{id}: no floating tensor among the arguments {', '.join(given)}; pass tensors by keyword")


def as_array(value: Any) -> Array | Any:
    """A tensor as the judge takes it: float64 for numbers, integers as they are."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    return (value.double() if value.is_floating_point() else value).numpy()
