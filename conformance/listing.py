"""`chainrule conform --list`: what a run would judge, and with `--coverage` what of the arguments has been varied."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from rich.table import Table

from .judging.cases import Case
from .judging.factors import FACTORS, excluded, pairs, uncovered
from .judging.operations import OPERATIONS
from .selection import Selection

DETAILED = 3                 # ops whose levels are spelled out


def listing(chosen: Selection, keyword: str) -> Any:
    """The ops with the arguments of a plain case and the number of cases; with a keyword, the ids of the cases."""
    if keyword:
        return "\n".join(case.id for case in chosen.cases)
    table = _table("id", "arguments", "outputs", "dtypes", "cases")
    for op, cases in by_op(chosen).items():
        plain = next((case for case in cases if not case.refused), cases[0])
        dtypes = dict.fromkeys(case.dtype for case in cases)
        table.add_row(op, ", ".join(arguments(op, plain)), ", ".join(OPERATIONS[op].outputs), " ".join(dtypes),
                      str(len(cases)))
    return table


def by_op(chosen: Selection) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in chosen.cases:
        found.setdefault(case.op, []).append(case)
    return found


def arguments(op: str, case: Case) -> list[str]:
    """Each argument of an op: the shape of an array, what else it may be, the default of a number."""
    given = case.arguments()
    named = {p.name: p for p in OPERATIONS[op].parameters if p.kind is not p.VAR_KEYWORD}
    return [one_argument(name, given.get(name), named.get(name)) for name in dict.fromkeys((*given, *named))]


def one_argument(name: str, value: Any, parameter: inspect.Parameter | None) -> str:
    optional = parameter is not None and "None" in str(parameter.annotation)
    if isinstance(value, np.ndarray):
        kind = "" if value.dtype.kind == "f" else f" {value.dtype}"
        return f"{name} {'×'.join(map(str, value.shape)) or 'number'}{kind}" + (" or None" if optional else "")
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return f"{name} {value}"
    return f"{name}={parameter.default!r}"


def coverage(chosen: Selection) -> Any:
    """How many pairs of levels the chosen cases have, of how many there are; the levels too, of few ops."""
    table = _table("id", "factors", "levels", "pairs", "covered", "ruled out", "cases")
    ops = by_op(chosen)
    for op, cases in ops.items():
        if op not in FACTORS:
            continue
        rows = {case.row for case in cases if case.row is not None}
        lacking, all_pairs = uncovered(op, sorted(rows)), len(pairs(op))
        levels = FACTORS[op].all
        table.add_row(op, str(len(levels)), str(sum(map(len, levels.values()))), str(all_pairs),
                      str(all_pairs - len(lacking)), str(excluded(op)), str(len(rows)))
        for name, own in levels.items() if len(ops) <= DETAILED else ():
            table.add_row("", f"  {name}", ", ".join(map(str, own)))
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, justify="right" if name in ("pairs", "covered", "ruled out", "cases") else "left",
                         overflow="fold")
    return table
