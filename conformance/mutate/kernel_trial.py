"""One mutant of a kernel and the suite: cheaply, for there are thousands.

A case's data and its right answer are had once for all mutants, each of our own kernels passes every case (`make
conform`), and no second run is compared. The case that has noticed most goes first, and the first that notices ends its
tier. Triton's front end is asked once for each kernel, not for each signature. The field and the exact data are always
asked, the other tiers only where neither noticed anything.
"""

from __future__ import annotations

import math
import signal
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest import mock

from attrs import evolve, frozen

from ... import triton_kernels
from ...triton_kernels.ops import MODULES
from ..backend import Backend
from ..backends.triton import ELEMENTARY
from ..backends.triton import backend as ours
from ..field import judging as over_field
from ..judging import judge as on_floats
from ..judging.cases import FIELD, Case, cases_of, far, field_cases
from ..judging.running import run
from ..judging.verdict import FAIL, Verdict
from ..simulator import frontend, launch
from .kernel_mutants import Mutant
from .kernels import above, executed_anew

OPS_EACH = 3                 # ops that a mutant is tried on
DTYPES = ("fp32", "fp16")
TIERS = (FIELD, "T0", "T1", "T3")
EXACT = (FIELD, "T0")
PATIENCE = 10.0              # seconds of the processor for one case, of which ours takes three at most
UNBORN = ("does not compile", "undefined when compiled")


class Late(BaseException):
    """A case takes so much longer than with our own kernel that it might never return."""


class Unborn(Exception):
    """Triton does not compile the mutant."""


@frozen
class Outcome:
    """What became of a mutant: the tiers that noticed it, `stillborn` if Triton does not compile it."""

    mutant: str
    op: str
    kind: str
    structural: bool
    tiers: tuple[str, ...] = ()
    stillborn: bool = False
    seconds: float = 0.0

    @property
    def state(self) -> str:
        return "stillborn" if self.stillborn else "noticed" if self.tiers else "survived"


def outcome(mutant: Mutant) -> Outcome:
    """Try a mutant, on one op after the other until one notices it."""
    start, tiers, ops = time.process_time(), set[str](), chosen(mutant)
    op, stillborn = ops[0] if ops else "no op", False
    try:
        for one in ops:
            found = _noticed(mutant, one)
            op = one if found and not tiers else op
            tiers |= found
            if tiers.intersection(EXACT) or (tiers and not mutant.structural):
                break
    except Unborn:
        stillborn = True
    finally:
        for name in [name for name in sys.modules if ".edited_" in name]:
            del sys.modules[name]
    return Outcome(str(mutant), op, mutant.kind, mutant.structural, tuple(sorted(tiers)), stillborn,
                   round(time.process_time() - start, 3))


def chosen(mutant: Mutant) -> tuple[str, ...]:
    """The ops that a mutant is tried on: of those that run its function, beginning with another one each time."""
    ops = ops_of(mutant.module, mutant.function)
    first = zlib.crc32(str(mutant).encode()) % max(1, len(ops))
    return (*ops[first:], *ops[:first])[:OPS_EACH]


def _noticed(mutant: Mutant, op: str) -> set[str]:
    backend = Backend("mutant", device="cuda", kernels=True, elementary=ELEMENTARY)
    try:
        backend.op(op)(executed_anew(mutant.module, mutant.text, MODULES[op]).OPS[op])
    except Exception as error:                              # the module itself refuses: nobody would ship it
        raise Unborn from error
    found: set[str] = set()
    before = _noticing[mutant.module, mutant.function]
    with _taken_once():
        for tier in TIERS:
            if found and tier not in EXACT:
                break
            for case in sorted((c for c in tried(op) if c.tier == tier), key=lambda c: -before[c.id]):
                if _fails(case, backend):
                    before[case.id] += 1
                    found.add(tier)
                    break
    return found


_noticing: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)        # by function: cases


def _fails(case: Case, backend: Backend) -> bool:
    try:
        with within(PATIENCE):
            verdict = _judged(case, backend)
    except Late:
        return True
    if verdict.state == FAIL and any(words in verdict.reason for words in UNBORN):
        raise Unborn
    return verdict.state == FAIL


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Late is raised in here once this process has computed for so long."""
    def late(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def _taken_once() -> Iterator[None]:
    """Inside, Triton's front end sees each kernel with the first signature only."""
    handles: dict[Any, Any] = {}

    def checked(kernel: Any, *how: Any) -> Any:
        if kernel.fn not in handles:
            handles[kernel.fn] = original(kernel, *how)
        return handles[kernel.fn]

    original = frontend.checked
    with mock.patch.object(launch, "checked", checked):
        yield


_answers: dict[tuple[Any, ...], Any] = {}


def _judged(case: Case, backend: Backend) -> Verdict:
    """The verdict; what is expected of a case is computed for the first that asks."""
    def remembering(original: Callable[..., Any]) -> Callable[..., Any]:
        def expected(case: Case, *how: Any) -> Any:
            key = original, case.id
            if key not in _answers:
                _answers[key] = original(case, *how)
            return _answers[key]

        return expected

    with ExitStack() as stack:
        for home in (over_field, on_floats):
            stack.enter_context(mock.patch.object(home, "expected", remembering(home.expected)))
        stack.enter_context(mock.patch.object(on_floats, "twice", return_value=False))
        return on_floats.judge(case, backend, "simulated", explained=False)


@cache
def tried(op: str) -> tuple[Case, ...]:
    """The cases of an op, by tier, in each the quick ones first; and one of each table of configurations."""
    plain = (*field_cases(op, DTYPES), *cases_of(op, DTYPES, thorough="none"), *far(op, DTYPES[0]))
    common = [evolve(c, make=cache(c.make)) for c in plain]
    every = [c for c in (*common, *configured(op)) if not c.convention and not c.refused
             and (c.dtype == DTYPES[0] or (c.dtype in DTYPES and (c.tier in EXACT or c.quick or "/row-" in c.id)))]
    return tuple(sorted(every, key=lambda c: (TIERS.index(c.tier), not c.quick, c.dtype != "fp32")))


@cache
def configured(op: str) -> tuple[Case, ...]:
    """Of the configurations that an op is shipped with, the least work of each table, tier and dtype."""
    least: dict[tuple[str, ...], Case] = {}
    for case in sorted(ours.extra_of(op, quick=False), key=lambda c: (c.tier, _work(c))):
        key = case.pin.args[0], case.tier, case.dtype                            # type: ignore[attr-defined]
        least.setdefault(key, evolve(case, make=cache(case.make)))
    return tuple(least.values())


def first_of_each_table(op: str) -> list[Case]:
    """A case of each table of configurations: exact data where there are some."""
    tables = {c.pin.args[0]: c for c in reversed(configured(op))}        # type: ignore[attr-defined]
    return list(tables.values())


def _work(case: Case) -> int:
    return math.prod(int(n) for n in case.id.split("/")[2].rpartition("-")[2].split("x"))


@cache
def ran(op: str) -> frozenset[tuple[str, str]]:
    """(module, function) of every jitted function that an op runs on plain data, and on each table's configuration."""
    found: set[tuple[str, str]] = set()

    def noting(original: Any) -> Any:
        def note(self: Any, *args: Any, **kwargs: Any) -> Any:
            found.add((self.fn.__module__.removeprefix(f"{triton_kernels.__name__}."), self.fn.__name__))
            return original(self, *args, **kwargs)

        return note

    with ExitStack() as stack:
        for name in ("run", "call"):
            stack.enter_context(mock.patch.object(launch, name, noting(getattr(launch, name))))
        plain = next(case for case in tried(op) if case.tier == "T1")
        for case in (plain, *first_of_each_table(op)):
            run(case, ours, "simulated", case.arguments())
    return frozenset(found)


@cache
def ops_of(module: str, function: str) -> tuple[str, ...]:
    """The ops whose kernels run this function; all of the chapter where plain data do not reach it."""
    every = tuple(op for op, home in MODULES.items() if home in homes(module))
    return tuple(op for op in every if (module, function) in ran(op)) or every


@cache
def homes(module: str) -> frozenset[str]:
    """The modules that start the kernels of an op and import this one."""
    return frozenset(home for home in MODULES.values() if home in above(module, home))
