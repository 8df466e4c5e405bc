"""What a run prints: a bar on a terminal, a line per op elsewhere, the table, the failures, the counts."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .judging.cases import DTYPES
from .judging.operations import OPERATIONS
from .judging.verdict import FAIL, Verdict
from .known_failures import as_known
from .plugin import Recorder
from .report.annotations import noted, wanted
from .results import Results, device, versions
from .selection import Selection

SHOWN = 5                    # failures printed in full; the result file has them all


def worst_of(records: list[dict[str, Any]]) -> str:
    """The worst fraction of the bound over some cases; `exact` where every answer had to be and was exact."""
    if any(one["state"] == "fail" for one in records):
        known = [one["fraction"] for one in records if one["fraction"] is not None]
        return f"[bold red]{max(known):.3g}[/]" if known and max(known) > 1 else "[bold red]FAIL[/]"
    known = [one["fraction"] for one in records if one["state"] == "pass" and one["fraction"] is not None]
    if not known:
        return "[dim]–[/]"
    worst = max(known)
    return "exact" if worst == 0 else f"{worst:.2f}" if worst >= 0.01 else "<0.01"


def verdict_of(records: list[dict[str, Any]]) -> str:
    states = Counter(one["state"] for one in records)
    if states["fail"]:
        return f"[bold red]FAIL[/] {states['fail']} of {len(records)}"
    if not states["pass"]:
        return "[dim]unsupported[/]" if states["unsupported"] else "[yellow]not judged[/]"
    rest = [f"{states[name]} {name.replace('_', ' ')}" for name in ("unsupported", "not_judged") if states[name]]
    return f"[green]pass[/] {states['pass']}" + (f" [dim](+{', '.join(rest)})[/]" if rest else "")


def text_of(report: pytest.TestReport) -> str:
    """What a failure says, without the line about the process that it happened in."""
    text: str = report.longreprtext
    return text.partition("\n")[2] if text.startswith("[gw") else text


def undefined(records: list[dict[str, Any]]) -> list[str]:
    """The lines of kernels whose undefined lanes have reached a result: a fault of its own, whatever the verdicts."""
    found: dict[str, list[str]] = {}
    for record in records:
        for line in record.get("undefined", ()):
            found.setdefault(line, []).append(record["case"])
    told = [f"  {line}   {len(cases)} case{'s' if len(cases) > 1 else ''}, first {cases[0]}"
            for line, cases in sorted(found.items())]
    return told and ["\nundefined lanes: a masked load without `other` feeds a result. Compiled code of today has 0 "
                     "there, and so they were judged; `--undefined poison` fails them", *told]


class Reporter(Recorder):
    """Stands in for pytest's terminal reporter during `chainrule conform`."""

    def __init__(self, chosen: Selection, results: Results, console: Console, patience: float | None = None) -> None:
        super().__init__(results)
        self.patience = patience
        self.started: dict[str, float] = {}
        self.chosen, self.console = chosen, console
        self.failures: list[str] = []
        self.selected = len(chosen.cases)
        self.progress = Progress(TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                                 TextColumn("{task.description}"), console=console, transient=True,
                                 disable=not console.is_terminal)
        self.task = self.progress.add_task("", total=self.selected)
        self.pending = Counter(case.op for case in chosen.cases)
        self.by_id = {case.id: case for case in chosen.cases}

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        own = config.pluginmanager.getplugin("terminalreporter")
        if own is not None:
            config.pluginmanager.unregister(own)

    def pytest_sessionstart(self) -> None:
        found = versions()
        packages = " · ".join(f"{name} {found[name]}" for name in ("torch", "triton", "numpy", "python"))
        self.console.print(f"[bold]{self.chosen.backend.name}[/] · {self.chosen.mode} on {device(self.chosen.mode)}"
                           f" · {packages}", highlight=False, soft_wrap=True)
        self.progress.start()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.items = items

    def pytest_collection_finish(self) -> None:
        if hasattr(self, "items"):
            self.selected = len(self.items)
            self.pending = Counter(item.callspec.params["case"].op for item in self.items)  # type: ignore[attr-defined]
            self.progress.update(self.task, total=self.selected)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failures.append(f"the suite could not be collected:\n{report.longreprtext}")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.started[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = dict(report.user_properties).get("chainrule")
        if report.failed and not isinstance(record, dict) and (lost := self.lost(report)):
            record = lost
            self.results.add(record)
        else:
            if report.failed and report.when != "call":
                self.failures.append(text_of(report))
            super().pytest_runtest_logreport(report)
            if report.when != "call":
                return
            if not isinstance(record, dict):
                self.failures.append(text_of(report))
                return
            if report.failed:
                self.failures.append(text_of(report))
        op = record["id"]
        self.progress.update(self.task, advance=1, description=op)
        self.pending[op] -= 1
        if not self.pending[op] and not self.console.is_terminal:
            mine = [one for one in self.results.cases if one["id"] == op]
            self.console.print(f"{op:26} {verdict_of(mine)}", highlight=False)

    def lost(self, report: pytest.TestReport) -> dict[str, Any] | None:
        """The record of a case from which no verdict came back: its process died, or did not answer in time."""
        id = report.nodeid.partition("[")[2].removesuffix("]")
        case = self.by_id.get(id)
        waited = time.monotonic() - self.started.get(report.nodeid, time.monotonic())
        late = "Timeout (>" in report.longreprtext or (self.patience is not None and waited >= self.patience)
        if case is None or not (late or "crashed" in report.longreprtext):
            return None
        why = f"no answer within {self.patience:g} s" if late else "the process died while it was judged"
        backend = self.chosen.backend
        verdict = as_known(Verdict(case, backend.name, backend.target, self.chosen.mode, FAIL, reason=why),
                           self.chosen.known)
        if verdict.state == FAIL:
            self.failures.append(verdict.report())
        return verdict.record()

    def pytest_sessionfinish(self) -> None:
        self.progress.stop()
        super().pytest_sessionfinish()

    def close(self) -> None:
        """The table, the failures in full, the counts and where the results lie."""
        say = self.console.print
        by_op: dict[str, list[dict[str, Any]]] = {}
        for record in self.results.cases:
            by_op.setdefault(record["id"], []).append(record)
        if by_op:
            say("\n[dim]worst fraction of the bound (1 is the limit)[/]")
            say(self.table(by_op))
        for line in undefined(self.results.cases):
            say(line, markup=False, highlight=False, soft_wrap=True)
        for text in self.failures[:SHOWN]:
            say()
            say(escape(text), highlight=False, soft_wrap=True)
        if len(self.failures) > SHOWN:
            say(f"\n… and {len(self.failures) - SHOWN} more failures")
        say()
        say(self.totals(), highlight=False, soft_wrap=True)
        for line in noted(self.results.cases) if wanted() else ():
            print(line)                          # as it stands: a service reads it
        if self.results.path is not None:
            say(f"[dim]results: {self.results.path}[/]", highlight=False)

    def table(self, by_op: dict[str, list[dict[str, Any]]]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("id", no_wrap=True)
        for dtype in DTYPES:
            table.add_column(dtype, justify="right")
        table.add_column("cases")
        for op in sorted(by_op, key=list(OPERATIONS).index):
            records = by_op[op]
            table.add_row(op, *(worst_of([r for r in records if r["dtype"] == dtype]) for dtype in DTYPES),
                          verdict_of(records))
        return table

    def totals(self) -> str:
        """Counts that add up, and over how many ops the backend has something to judge."""
        counts, cases = self.results.counts, self.results.cases
        ops = {one["id"] for one in cases}
        supported = {one["id"] for one in cases if one["state"] in ("pass", "fail")}
        parts = [f"{counts['pass']} passed", f"{counts['fail']} failed", f"{counts['unsupported']} unsupported",
                 f"{counts['not_judged']} not judged"]
        text = f"{len(supported)} of {len(ops)} ops supported · {len(cases)} cases: " + ", ".join(parts)
        if len(cases) < self.selected:
            text += f" · {'interrupted' if self.results.ended == 'interrupted' else 'stopped early'}, " \
                    f"{self.selected - len(cases)} not run"
        if self.results.broken:
            text += f" · the suite itself failed on {self.results.broken} cases"
        verdict = {0: "[green]conforms[/]", 1: "[bold red]does not conform[/]", 3: "[yellow]nothing was judged[/]",
                   130: "[bold red]interrupted[/]"}
        return f"{verdict[self.results.exit_code()]} · {text}"
