"""`chainrule conform`: one run of the suite through pytest, with our own reporter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from . import plugin
from .console import Reporter
from .report.page import write
from .results import Results
from .selection import Selection, select

RESULTS = Path("build/conformance/results.jsonl")


def conform(target: str | None, *, ops: tuple[str, ...] = (), dtypes: tuple[str, ...] = (), quick: bool = False,
            replay: tuple[str, ...] = (), mode: str = "auto", keyword: str = "", first: bool = False, workers: int = 0,
            json: Path | None = None, console: Console | None = None) -> int:
    """Judge a backend; the exit code. Raises BackendError for a run that cannot be started."""
    chosen = select(target, ops=ops, dtypes=dtypes, quick=quick, replay=replay, mode=mode)
    path = (json or RESULTS).absolute()
    results = Results(chosen.backend.name, chosen.mode, len(chosen.cases), path)
    reporter = Reporter(chosen, results, console or Console(highlight=False))
    arguments = ["--pyargs", "chainrule.conformance.suite", "-c", os.devnull, "--rootdir", str(Path.cwd()),
                 "-p", plugin.__name__, "-p", "no:cacheprovider", "-q",
                 f"--junitxml={path.with_name('junit.xml')}", "-o", "junit_logging=no", "-o", "junit_family=xunit1",
                 *_options(target, ops, dtypes, quick, replay, mode)]
    if keyword:
        arguments += ["-k", keyword]
    if first:
        arguments.append("-x")
    if workers:
        arguments += ["-n", str(workers)]
    path.parent.mkdir(parents=True, exist_ok=True)
    status = pytest.main(arguments, plugins=[reporter])
    reporter.close()
    if status in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        return 1
    page = write([path], path.with_suffix(".html") if json else path.with_name("index.html"))
    reporter.console.print(f"[dim]report:  {page}[/]", highlight=False, soft_wrap=True)
    return results.exit_code() if status != pytest.ExitCode.INTERRUPTED or results.cases else 1


def _options(target: str | None, ops: tuple[str, ...], dtypes: tuple[str, ...], quick: bool,
             replay: tuple[str, ...], mode: str) -> list[str]:
    """The same selection for pytest's workers."""
    options = [f"--chainrule-mode={mode}", *(f"--chainrule-op={one}" for one in ops),
               *(f"--chainrule-case={one}" for one in replay)]
    if target is not None:
        options.append(f"--chainrule-backend={target}")
    if dtypes:
        options.append(f"--chainrule-dtype={','.join(dtypes)}")
    if quick:
        options.append("--chainrule-quick")
    return options


def listing(chosen: Selection, keyword: str) -> Any:
    """The ops with their arguments and number of cases; with a keyword, the ids of the cases it names."""
    from collections import Counter

    from rich.table import Table

    from .judging.operations import OPERATIONS

    if keyword:
        return "\n".join(case.id for case in chosen.cases if keyword in case.id)
    count = Counter(case.op for case in chosen.cases)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("id", "arguments", "outputs"):
        table.add_column(name)
    table.add_column("cases", justify="right")
    for op in OPERATIONS:
        case = next((c for c in chosen.cases if c.op == op), None)
        if case is not None:
            table.add_row(op, ", ".join(case.arguments()), ", ".join(OPERATIONS[op].outputs), str(count[op]))
    return table
