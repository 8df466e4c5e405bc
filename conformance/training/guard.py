"""A training function judged while it trains: every so many calls its real tensors against the derived bound.

    loss = guard(my_cross_entropy, op="loss.softmax", every=100)

What leaves its bound ends the run, with exit code 1 and one sentence that names the step and the op.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ..backend import BackendError, known_op
from ..judging.bounds import ARITHMETIC, declared
from ..judging.cases import Case
from ..judging.comparing import compare, judged
from ..judging.numbers.lanes import Array
from ..judging.operations import OPERATIONS
from ..judging.parts import cut, fewer, free
from ..judging.running import adding, letters
from .chains import DTYPE, as_array, sentence

MOST = 200_000               # products that one check may cost

Arguments = dict[str, Any]
Translation = Callable[..., Mapping[str, Any]]


class GuardFault(SystemExit):
    """A guarded function left its bound. It ends the run: no `except Exception` holds it back."""


class Guarded:
    """The guarded function. `calls`, `checks` and `unjudged` count, `worst` is the largest |error| / bound so far, and
    `overhead` the share of the run's time that checks have taken."""

    def __init__(self, function: Callable[..., Any], op: str, every: int, given: Translation | None,
                 arithmetic: str, most: int, seed: int) -> None:
        self.function, self.op, self.every, self.given = function, known_op(op), every, given
        self.letters = letters(self.op)
        self.arithmetic, self.most, self.random = arithmetic, most, np.random.default_rng(seed)
        self.calls = self.checks = self.unjudged = 0
        self.worst = self.seconds = 0.0
        self.begun = time.perf_counter()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls % self.every and self.calls != 1:
            return self.function(*args, **kwargs)
        start = time.perf_counter()
        arguments = self._arguments(args, kwargs)           # before the function can write to them
        self.seconds += time.perf_counter() - start
        found = self.function(*args, **kwargs)
        start = time.perf_counter()
        self._check(arguments, found)
        self.seconds += time.perf_counter() - start
        return found

    @property
    def overhead(self) -> float:
        return self.seconds / (time.perf_counter() - self.begun)

    def __str__(self) -> str:
        return (f"{self.op}: {self.checks} checks in {self.calls} calls, worst {self.worst:.2f} of the bound, "
                f"{self.overhead:.1%} of the time; {self.unjudged} not judged")

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        """What the function is given, by the op's letters, as arrays of their own."""
        if self.given is not None:
            named: Mapping[str, Any] = self.given(*args, **kwargs)
        else:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
            bound.apply_defaults()
            named = bound.arguments
        strange = [name for name in named if name not in self.letters]
        if strange:
            raise BackendError(f"guard({self.op}): the function's {', '.join(strange)} is no argument of the op, which "
                               f"takes {', '.join(self.letters)}; say given=lambda …: dict(…) to translate")
        tensors = [t for t in named.values() if isinstance(t, torch.Tensor) and t.dtype in DTYPE]
        self.dtype = DTYPE[tensors[0].dtype] if tensors else "fp32"
        self.mode = "native" if any(t.is_cuda for t in tensors) else "simulated"
        return {name: np.array(as_array(t)) if isinstance(t, torch.Tensor) else t for name, t in named.items()}

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _check(self, arguments: Arguments, found: Any) -> None:
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "f" and not np.isfinite(x).all()
               for x in arguments.values()):
            self.unjudged += 1               # what comes of a NaN is no fault of this function
            return
        self.checks += 1
        operation = OPERATIONS[self.op]
        outputs = dict(zip(operation.outputs, found if isinstance(found, tuple | list) else [found]))
        shapes = {name: tuple(t.shape) for name, t in outputs.items()}
        part = cut(self.op, arguments, self._some(arguments, outputs), shapes)
        arithmetic = declared({self.dtype: self.arithmetic}, self.dtype, self._adds())
        bounds, truths = judged(self.op, part.arguments, self.dtype, arithmetic)
        case = Case(f"{self.op}/guard/call {self.calls}", self.op, "T1", self.dtype, dict)
        for name, tensor in outputs.items():
            whole = np.asarray(as_array(tensor))
            actual: Array = whole[part.index[name]] if whole.ndim else whole
            if actual.shape != truths[name].value.shape:
                self._stop(f"{name} has shape {whole.shape}, which the equation's has not")
            worst = compare(name, actual, truths[name], bounds[name], case)
            self.worst = max(self.worst, worst.fraction)
            if not worst.fraction <= 1:
                self._stop(sentence(worst))

    def _adds(self) -> str | None:
        from ..simulator import active

        return adding(self.mode) if self.mode == "native" or active.depth() else None

    def _some(self, arguments: Arguments, outputs: Mapping[str, Any]) -> dict[str, Array]:
        """As many places of the outputs as a check may cost, other ones each time."""
        axes = free(self.op, arguments, outputs)
        chosen = fewer(self.op, arguments, {axis: self.random.permutation(n) for axis, n in axes.items()}, self.most)
        return {axis: np.sort(places) for axis, places in chosen.items()}

    def _stop(self, why: str) -> None:
        text = f"chainrule guard: step {self.calls}, {self.op}: {why}"
        if threading.current_thread() is not threading.main_thread():          # where SystemExit ends the thread alone
            print(text, file=sys.stderr, flush=True)
            os._exit(1)
        raise GuardFault(text)


def guard(function: Callable[..., Any], *, op: str, every: int = 100, given: Translation | None = None,
          arithmetic: str = "ieee", most: int = MOST, seed: int = 0) -> Guarded:
    """The function, judged at its first call and at every `every`-th: its outputs, in the order of the op's.

    given: its arguments by the op's letters, where its own have other names. arithmetic: "ieee" or "tf32", as a backend
    declares it. most: how many products a check may cost; of larger tensors other rows and columns are judged each
    time. Raises GuardFault, which ends the run with exit code 1; BackendError for arguments that are not the op's.
    """
    if every < 1:
        raise BackendError(f"guard(every={every}): a check every so many calls, 1 or more")
    if arithmetic not in ARITHMETIC:
        raise BackendError(f"guard(arithmetic={arithmetic!r}): it is {' or '.join(map(repr, ARITHMETIC))}")
    return Guarded(function, op, every, given, arithmetic, most, seed)
