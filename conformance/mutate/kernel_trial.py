"""One mutant of a kernel and the suite: cheaply, for there are thousands.

A case's data and its right answer are had once for all mutants, each of our own kernels passes every case (`make
conform`), and no second run is compared. Of an op for which Triton makes the same of the mutant no case is asked, and
never one that starts no kernel in which it is compiled. Tiers are asked one after the other, the field first, then
exact data, in each the case that has noticed most, and whoever notices ends it; those of floats of one op only. As a
mutant runs, Triton's front end is asked once for each kernel, not for each signature.
"""

from __future__ import annotations

import signal
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import ModuleType
from typing import Any
from unittest import mock

from attrs import evolve, frozen
from triton.compiler.errors import CompilationError

from ...triton_kernels.ops import MODULES
from ..backend import Backend
from ..backends.triton import ELEMENTARY
from ..backends.triton import backend as ours
from ..field import judging as over_field
from ..judging import judge as on_floats
from ..judging.cases import FIELD, Case, cases_of, far, field_cases
from ..judging.verdict import FAIL, Verdict
from ..simulator import frontend, launch
from ..simulator.frontend import REFUSALS
from .compiled import Place, Start, starts
from .kernel_mutants import Mutant
from .kernels import above, all_anew, source

OPS_EACH = 2                 # ops that a mutant is tried on
IN_TURN = 6                  # of which the first is one of so many
DTYPES = ("fp32", "fp16")
TIERS = (FIELD, "T0", "T1", "T3")
EXACT = (FIELD, "T0")
PATIENCE = 3.0               # seconds of the processor that any case may take,
SLOWER = 10                  # and how many times as long as with our own kernel, measured there and then
LATE = "late"
UNBORN = ("does not compile", "undefined when compiled")


class Late(BaseException):
    """A case has taken as long as it may."""


class Unborn(Exception):
    """Triton does not compile the mutant."""


@frozen
class Outcome:
    """What became of a mutant: the first tier that noticed it; `stillborn` if Triton does not compile it, `same` if it
    makes the same of it as of ours in all that runs it; `late` if all that was noticed is that it never ends."""

    mutant: str
    op: str
    kind: str
    structural: bool
    tier: str = ""
    stillborn: bool = False
    same: bool = False
    late: bool = False
    seconds: float = 0.0

    @property
    def state(self) -> str:
        unlike = "stillborn" if self.stillborn else "same" if self.same else "survived"
        return "noticed" if self.tier else unlike

    @property
    def missed(self) -> bool:
        """Whether it is another kernel that should have been noticed exactly, or at all, and was not."""
        return self.state == "survived" or (self.structural and self.tier not in ("", *EXACT))


def outcome(mutant: Mutant, exactly: bool = False) -> Outcome:
    """Try a mutant, on one op after the other until one notices it, of those for which it is another kernel. With
    `exactly` the exact tiers are asked alone."""
    start, tried_on, found = time.process_time(), list[str](), ""
    stillborn = late = False
    try:
        for op in chosen(mutant):
            fresh = _anew(mutant, op)
            if _differs(mutant, op, fresh):
                asked = EXACT if tried_on or exactly else TIERS
                tried_on.append(op)
                found, late = _noticed(mutant, op, fresh, asked)
                if found or len(tried_on) == OPS_EACH:
                    break
    except Unborn:
        stillborn = True
    finally:
        for name in [name for name in sys.modules if ".edited_" in name]:
            del sys.modules[name]
    op = tried_on[-1] if found else (*tried_on, *chosen(mutant), "no op")[0]
    same = not stillborn and not tried_on
    return Outcome(str(mutant), op, mutant.kind, mutant.structural, found, stillborn, same, late,
                   round(time.process_time() - start, 3))


def chosen(mutant: Mutant) -> tuple[str, ...]:
    """The ops that run what a mutant changes, in an order of its function's own, beginning with one of a few, which
    then have their answers in common."""
    ops = sorted(ops_of(mutant.place), key=lambda op: zlib.crc32(f"{mutant.function} {op}".encode()))
    first = zlib.crc32(str(mutant).encode()) % max(1, min(IN_TURN, len(ops)))
    return *ops[first:], *ops[:first]


def _anew(mutant: Mutant, op: str) -> dict[str, ModuleType]:
    """The mutant, and the modules between it and the one that starts the op's kernels."""
    try:
        return all_anew(mutant.module, mutant.text, MODULES[op])
    except Exception as error:                              # the module itself refuses: nobody would ship it
        all_anew(mutant.module, source(mutant.module), MODULES[op])         # but ours is one that does not
        raise Unborn from error


def _differs(mutant: Mutant, op: str, fresh: dict[str, ModuleType]) -> bool:
    """Whether Triton makes something else of a kernel that a case of the op starts."""
    asked = set[Start]()
    for case in tried(op):
        for one in starts(case):
            if one in asked or not one.runs(mutant.place):
                continue
            asked.add(one)
            ours = one.text
            try:
                other = one.of(fresh)
            except (CompilationError, *REFUSALS) as error:
                raise Unborn from error
            if other != ours:
                return True
    return False


def _noticed(mutant: Mutant, op: str, fresh: dict[str, ModuleType], tiers: tuple[str, ...]) -> tuple[str, bool]:
    """The first tier that notices it in this op, and whether only by the time it takes."""
    backend = Backend("mutant", device="cuda", kernels=True, elementary=ELEMENTARY)
    backend.op(op)(fresh[MODULES[op]].OPS[op])
    before, place = _noticing[mutant.module, mutant.function], mutant.place
    with _taken_once():
        for tier in tiers:
            for case in sorted((c for c in tried(op) if c.tier == tier), key=lambda c: (-before[c.id], _took[c.id])):
                if any(one.runs(place) for one in starts(case)) and (fails := _fails(case, backend)):
                    before[case.id] += 1
                    return tier, fails == LATE
    return "", False


_noticing: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)        # by function: cases
_took: defaultdict[str, float] = defaultdict(float)          # by case: seconds of the processor, when last asked


def _fails(case: Case, backend: Backend) -> str:
    """How a case fails, if it does. A slow machine is no failure: ours gets the same case as long as the mutant ran."""
    patience = PATIENCE
    while True:
        try:
            start = time.process_time()
            with within(patience):
                verdict = _judged(case, backend)
            _took[case.id] = time.process_time() - start
            break
        except Late:
            own = time.process_time()
            _judged(case, ours)
            own = time.process_time() - own
            if patience >= SLOWER * own:
                return LATE
            patience = SLOWER * own
    if verdict.state == FAIL and any(words in verdict.reason for words in UNBORN):
        raise Unborn
    return verdict.state if verdict.state == FAIL else ""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Late is raised in here once this process has computed for so long."""
    inside = True

    def late(*_: Any) -> None:
        if inside:
            raise Late

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        inside = False
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
    """Of the configurations that an op is shipped with, the least of each table."""
    return tuple(evolve(case, make=cache(case.make)) for case in ours.extra_of(op, quick=False) if case.quick)


@cache
def ops_of(place: Place) -> tuple[str, ...]:
    """The ops that start a kernel for which Triton looks at what stands there."""
    every = [op for op, home in MODULES.items() if home in homes(place[0])]
    for looked in (glanced, tried):                      # what plain data do not start is looked for everywhere
        if found := [op for op in every if any(one.runs(place) for case in looked(op) for one in starts(case))]:
            return tuple(found)
    return ()


@cache
def glanced(op: str) -> tuple[Case, ...]:
    """Plain data, and each table's least configuration."""
    plain = next(case for case in tried(op) if case.tier == "T1")
    return plain, *(case for case in configured(op) if case.tier == FIELD)


@cache
def homes(module: str) -> frozenset[str]:
    """The modules that start the kernels of an op and import this one."""
    return frozenset(home for home in MODULES.values() if home in above(module, home))
