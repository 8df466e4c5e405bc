"""What failed, by cause: an op, and wrong numbers or the reason given; the plainest case of each is told in full."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from ... import spec
from .reading import Case

TOLD = 12                    # causes told in full; the others are named in the list above them
LISTED = 40                  # further cases of a cause that are named
ORDER = {name: i for i, name in enumerate(("T0", "TF", "T1", "T2", "T3", "fp32", "fp16", "bf16"))}


@frozen
class Cause:
    """Failing cases of one op that look alike; `plain` is the one to begin with."""

    op: str
    what: str
    cases: tuple[Case, ...]

    @property
    def plain(self) -> Case:
        return self.cases[0]

    @property
    def looks(self) -> str:
        """The known faults that the wrong results look like, each with how often; nothing where most look like none,
        since then what the others look like is by chance."""
        found = Counter(case.looks_like for case in self.cases if case.looks_like)
        if 2 * found.total() < len(self.cases):
            return ""
        return ", ".join(f"{name} ({n} of {len(self.cases)})" for name, n in found.most_common(3))

    @property
    def dtypes(self) -> str:
        return dtypes_of(self.cases)

    @property
    def trap(self) -> spec.Trap | None:
        """The record's trap that the plain case is made of."""
        from ..judging.edges import traps

        named = self.plain.label.removeprefix("trap-")
        return next((trap for trap in traps(self.op) if trap.name == named), None)


def causes(cases: Iterable[Case]) -> list[Cause]:
    """Failing cases by op and cause; what fails most often comes first."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if case.state == "fail":
            groups.setdefault((case.op, cause(case)), []).append(case)
    found = [Cause(op, what, tuple(sorted(group, key=_plain))) for (op, what), group in groups.items()]
    return sorted(found, key=lambda one: -len(one.cases))


def dtypes_of(cases: Iterable[Case]) -> str:
    """Their dtypes, wide ones first; one that nobody knows comes last."""
    return ", ".join(sorted({case.dtype for case in cases}, key=lambda name: ORDER.get(name, 99)))


def cause(case: Case) -> str:
    """Why a case failed, in words that are the same for cases that fail alike."""
    return re.sub(r"\d+", "N", case.reason) or "wrong numbers"


def _plain(case: Case) -> tuple[int, int, int]:
    """Exact data before real ones before edges, wide numbers before narrow ones, small sizes before large ones."""
    return ORDER.get(case.tier, 99), ORDER.get(case.dtype, 99), len(case.id)


@frozen
class Argument:
    """One argument of a case, made again from its id."""

    name: str
    shape: str
    there: str


@frozen
class Replay:
    """What a result file does not keep: the inputs, and the expected value with all its digits."""

    arguments: tuple[Argument, ...] = ()
    expected: str = ""
    bits: str = ""


def replay(case: Case) -> Replay:
    """The case made again; empty where this version of the suite has no case of that id."""
    from ..judging import oracle
    from ..judging.cases import DTYPES, cases_of
    from ..judging.judge import laid_out
    from ..judging.messages import hexadecimal
    from ..judging.operations import OPERATIONS

    if case.op not in OPERATIONS or case.dtype not in DTYPES:
        return Replay()
    bits = hexadecimal(case.worst.actual, case.dtype) if case.worst and case.worst.actual is not None else ""
    made = next((one for one in cases_of(case.op, (case.dtype,)) if one.id == case.id), None)
    if made is None or made.refused:
        return Replay(bits=bits)
    arguments, worst = laid_out(made), case.worst
    expected = ""
    try:
        if worst is not None and worst.output in OPERATIONS[case.op].outputs:
            expected = oracle.printed(case.op, arguments, worst.output, worst.index)
        index = worst.index if worst and elementwise(arguments, worst.index) else ()
        return Replay(tuple(_argument(name, value, index) for name, value in arguments.items()), expected, bits)
    except IndexError:                       # a file of another version, whose case of that id had other sizes
        return Replay(bits=bits)


def elementwise(arguments: Mapping[str, Any], index: tuple[int, ...]) -> bool:
    """Whether the element with this index was computed from the elements with this index."""
    shapes = {value.shape for value in arguments.values() if isinstance(value, np.ndarray) and value.ndim}
    return len(shapes) == 1 and all(len(shape) == len(index) for shape in shapes)


def _argument(name: str, value: Any, index: tuple[int, ...]) -> Argument:
    if not isinstance(value, np.ndarray):
        return Argument(name, "", str(value))
    shape = " × ".join(map(str, value.shape)) or "a number"
    if value.ndim and index:
        return Argument(f"{name}[{', '.join(map(str, index))}]", shape, f"{value[index]:.17g}")
    return Argument(name, shape, span(value.ravel()))


def span(values: Any) -> str:
    """Few numbers in full, many by their range."""
    if len(values) <= 6:
        return ", ".join(f"{one:.9g}" for one in values) or "empty"
    return f"{values.min():.6g} … {values.max():.6g}"
