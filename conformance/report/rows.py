"""One row an equation: the worst fraction of the bound per dtype, the errors as a picture, what the cases cover."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from attrs import frozen

from ... import spec
from ...spec import typeset
from .reading import MARKS, STATES, WORDS, Case

DTYPES = ("fp32", "fp16", "bf16")
LONG = 200                    # characters of LaTeX, beyond which a formula is read on a page of its own


@frozen
class Fraction:
    """The worst share of the bound that some cases used. `share` is the length of its bar, 1 the limit."""

    text: str
    share: float
    failed: bool


def worst(cases: Iterable[Case]) -> Fraction:
    cases = list(cases)
    failed = any(case.state == "fail" for case in cases)
    known = [case.fraction for case in cases if case.fraction is not None and case.state in ("pass", "fail")]
    if not known:
        return Fraction("fails" if failed else "–", float(failed), failed)
    most = max(known)
    text = "exact" if most == 0 else f"{most:.2f}" if 0.01 <= most < 100 else "<0.01" if most < 0.01 else f"{most:.1e}"
    return Fraction("fails" if failed and most <= 1 else text, min(most, 1.0), failed)


@frozen
class Picture:
    """Each case at the size of its answer (across, logarithmic) and its error in units of its bound (up)."""

    width: int
    height: int
    top: float                          # where the bound is
    dots: tuple[tuple[str, str], ...]   # per dtype, an SVG path of one mark a case
    over: str                           # marks of cases beyond the bound
    low: int
    high: int
    says: str


def picture(cases: Iterable[Case], width: int = 168, height: int = 40) -> Picture | None:
    """None where no case has an error to show."""
    shown = [(case, math.log10(abs(case.worst.expected)) if case.worst.expected else -math.inf)
             for case in cases if case.worst is not None and case.worst.expected is not None
             and (case.fraction is not None or case.state == "fail")]
    finite = [size for _, size in shown if math.isfinite(size)]
    if not shown or not finite:
        return None
    low, high = math.floor(max(min(finite), -12)), math.ceil(min(max(finite), 12))
    high = max(high, low + 1)
    top, foot = height * 0.24, height - 3.0
    dots: dict[str, str] = {}
    over = ""
    for case, size in shown:
        x = 4 + (width - 8) * (min(max(size, low), high) - low) / (high - low)
        if case.state == "fail":
            over += f"M{x:.1f} 1l3 5h-6z"
        elif case.fraction is not None:
            y = foot - (foot - top) * min(case.fraction, 1.0)
            dots[case.dtype] = dots.get(case.dtype, "") + _mark(case.dtype, x, y)
    failed = sum(case.state == "fail" for case, _ in shown)
    says = f"{len(shown)} cases by the size of their answer, 10^{low} to 10^{high}; " + (
        f"{failed} beyond the bound" if failed else "all within the bound")
    return Picture(width, height, top, tuple(sorted(dots.items())), over, low, high, says)


def _mark(dtype: str, x: float, y: float) -> str:
    """A dot, a bar or a dash: the dtypes differ in more than colour."""
    if dtype == "fp16":
        return f"M{x:.1f} {y - 2:.1f}v4"
    if dtype == "bf16":
        return f"M{x - 2:.1f} {y:.1f}h4"
    return f"M{x:.1f} {y:.1f}h0"


@frozen
class Row:
    """An equation of the run."""

    op: str
    record: spec.Equation | None
    cases: tuple[Case, ...]

    @property
    def latex(self) -> str:
        """The formula as printed, or typeset from its machine form; empty where that is longer than a row."""
        if self.record is None:
            return ""
        forms = [form.latex for form in self.record.forms] or typeset.formulas(self.record)
        return min((latex for latex in forms if len(latex) < LONG), key=len, default="")

    @property
    def says(self) -> str:
        return self.record.says if self.record else ""

    @property
    def fractions(self) -> list[tuple[str, Fraction]]:
        return [(dtype, worst(case for case in self.cases if case.dtype == dtype)) for dtype in DTYPES]

    @property
    def picture(self) -> Picture | None:
        return picture(self.cases)

    @property
    def states(self) -> list[tuple[str, str, int]]:
        """State, what to print, how many."""
        found = Counter(case.state for case in self.cases)
        order = [*STATES, *sorted(set(found) - set(STATES))]
        return [(state, f"{MARKS.get(state, '!')} {found[state]} {WORDS.get(state, state)}", found[state])
                for state in order if found[state]]

    @property
    def classes(self) -> str:
        return " ".join(f"has-{state}" for state, _, _ in self.states if state in STATES)

    @property
    def covers(self) -> str:
        """What the cases vary, counted from their ids."""
        label = [(case.tier, case.label) for case in self.cases]
        sizes = {one.split("/")[0] for tier, one in label
                 if tier in ("T0", "T1") and not one.startswith(("row-", "levels-"))}
        kinds = {one.partition("/")[2] for tier, one in label if tier in ("T0", "T1") and "/" in one}
        parts = [(len(sizes), "size", "sizes"), (len(kinds), "kind of data", "kinds of data"),
                 *((len({one for _, one in label if one.startswith(start)}), singular, plural)
                   for start, singular, plural in (("layout-", "layout", "layouts"), ("row-", "row", "rows"),
                                                   ("levels-", "choice of levels", "choices of levels"),
                                                   ("trap-", "trap", "traps"), ("refuses-", "refusal", "refusals")))]
        return " · ".join(f"{n} {singular if n == 1 else plural}" for n, singular, plural in parts if n)


def rows(ids: Iterable[str], cases: Iterable[Case]) -> list[Row]:
    """A row for each of these ids that the run has cases of."""
    by_op: dict[str, list[Case]] = {}
    for case in cases:
        by_op.setdefault(case.op, []).append(case)
    return [Row(id, spec.load().get(id), tuple(by_op[id])) for id in ids if id in by_op]
