"""The pages themselves: templates filled in; every string from outside is text to them."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ... import spec, write_whole
from ..judging.messages import slide
from ..mutate.kernel_rates import wrong_kernels
from .chapters import chapters
from .failures import LISTED, TOLD, causes, replay
from .formulas import mathml
from .reading import MARKS, STATES, WORDS, Case, Run, read
from .rows import Row, picture, rows, worst

THREAD = re.compile(r"([\w.-]+/[\w.-]+)#(\d+)")


def environment() -> Environment:
    """Templates that escape everything and know every name they use."""
    made = Environment(loader=PackageLoader(__package__), autoescape=select_autoescape(default=True),
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals |= {"mathml": mathml, "slide": slide, "picture": picture, "MARKS": MARKS, "WORDS": WORDS,
                     "style": style(), "font": font(), "LISTED": LISTED, "STATES": STATES}
    made.filters |= {"thread": thread, "short": short}
    return made


def style() -> Markup:
    return Markup((files(__package__) / "templates/report.css").read_text(encoding="utf-8"))


def font() -> Markup:
    """The mathematical font, cut down to the characters of the formulas, as it stands in a style sheet."""
    return Markup(base64.b64encode((files(__package__) / "stix-two-math.woff2").read_bytes()).decode("ascii"))


def thread(name: str) -> Markup | str:
    """owner/repository#number as a link to that thread; anything else as text."""
    match = THREAD.fullmatch(name)
    if match is None:
        return name
    return Markup('<a href="https://github.com/{}/issues/{}">{}</a>').format(match[1], match[2], name)


def short(value: float | None) -> str:
    return "not a finite number" if value is None else f"{value:.6g}"


def report(run: Run) -> str:
    """The page of one run."""
    found, table = causes(run.cases), tables(run.cases)
    return environment().get_template("report.html").render(
        run=run, causes=found, told=[(one, replay(one.plain)) for one in found[:TOLD]], tables=table,
        rows_by_op={row.op: row for _, some in table for row in some}, open=open_reasons(run.cases),
        ops=len({case.op for case in run.cases}), faults=known_faults({case.op for case in run.cases}),
        kernels=wrong_kernels({case.op for case in run.cases}),
        supported=len({case.op for case in run.cases if case.state in ("pass", "fail")}))


def tables(cases: Sequence[Case]) -> list[tuple[str, list[Row]]]:
    """The rows by chapter; ops without a record last."""
    found = [(chapter.title, rows(chapter.ids, cases)) for chapter in chapters()]
    others = sorted({case.op for case in cases} - set(spec.load()))
    return [(title, some) for title, some in (*found, ("Without a record", rows(others, cases))) if some]


def open_reasons(cases: Iterable[Case]) -> list[tuple[str, str, int, list[str]]]:
    """What was not judged or is unsupported: state, reason, how many cases, of which ops."""
    found: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if case.state not in ("pass", "fail"):
            found.setdefault((case.state, case.reason or "no reason given"), []).append(case)
    return [(state, reason, len(some), sorted({case.op for case in some}))
            for (state, reason), some in sorted(found.items(), key=lambda item: -len(item[1]))]


def known_faults(ops: Iterable[str]) -> int:
    """How many wrong formulas of these ops the tests plant."""
    from ..mutate.faults import FAULTS

    return sum(len(FAULTS.get(op, ())) for op in ops)


def board(runs: Sequence[Run]) -> str:
    """The scoreboard: a row an equation, a column an implementation."""
    names = Counter(run.backend for run in runs)
    heads = [run.backend if names[run.backend] == 1 else f"{run.backend}, {run.mode}" for run in runs]
    asked = {case.op for run in runs for case in run.cases}
    every = {case.op for run in runs for case in run.cases if case.state != "unsupported"}
    order = [(chapter.title, [id for id in chapter.ids if id in every]) for chapter in chapters()]
    order.append(("Without a record", sorted(every - set(spec.load()))))
    by_op = [{op: [case for case in run.cases if case.op == op] for op in every} for run in runs]
    table = [(title, [(id, [_cell(run[id]) for run in by_op]) for id in ids]) for title, ids in order if ids]
    return environment().get_template("board.html").render(runs=list(zip(heads, runs, strict=True)), table=table,
                                                           unasked=sorted(asked - every))


def _cell(cases: list[Case]) -> tuple[str, str]:
    """The state of an op in a run, and what to print."""
    count = Counter(case.state for case in cases)
    if not cases:
        return "none", "not in this run"
    if count["fail"]:
        return "fail", f"✗ {count['fail']} of {len(cases)} failed"
    if count["pass"]:
        used = worst(cases).text
        return "pass", f"✓ {used}" + (f", {len(cases) - count['pass']} open" if count["pass"] < len(cases) else "")
    state = max(count, key=lambda name: count[name])
    return (state if state in STATES else "not_judged"), f"{MARKS.get(state, '!')} {WORDS.get(state, state)}"


def write(results: Sequence[Path], out: Path) -> Path:
    """The page of a result file, or the scoreboard of several."""
    runs = [read(path) for path in results]
    text: Any = report(runs[0]) if len(runs) == 1 else board(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, text)
    return out
