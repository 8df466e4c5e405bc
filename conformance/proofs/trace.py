"""Traceability as a gate: every formula, record, function, derivation and kernel knows the others.

Each function returns complaints, one sentence each, and takes what it judges as arguments, so that a test can show
every kind of complaint.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from ... import reference, spec, triton_kernels
from ...spec import Equation, coverage, derivations
from ..judging.operations import OPERATIONS
from ..judging.recipes import FAMILIES
from ..witnesses import table
from . import certify_forms
from .certify import CLAIMS

FORMAL = ("definition", "derivation", "algorithm")
ID = re.compile(r"(?<![\w.])[a-z][a-z0-9]*(?:\.[A-Za-z0-9_]+)+(?![\w(])")
ROOTS = ("act.", "alg.", "bp.", "conv1d.", "conv2d.", "loss.", "net.", "opt.", "pool.", "norm.", "attn.", "vit.")


def printed(text: str | None, records: Mapping[str, Equation]) -> list[str]:
    """A deck formula claimed by no record or by two; without the deck, against what it was when last read."""
    judged = coverage.recall(records) if text is None else coverage.judge(text, records)
    return list(judged.problems)


def unfounded(records: Mapping[str, Equation], functions: Collection[str], derived: Collection[str],
              exact: Collection[str], bounded: Collection[str]) -> Iterator[str]:
    """A formal record without a function, a gradient without a derivation, a formula without an exact or bound case."""
    for id, record in records.items():
        if record.kind not in FORMAL:
            continue
        if id not in functions and id not in derived:
            yield f"{id}: a {record.kind} without a reference function and without a derivation"
        if record.kind == "derivation" and record.status == "derived" and id not in derived:
            yield f"{id}: a gradient that the deck does not print, without a derivation"
        if id not in exact:
            yield f"{id}: no exact case: no machine form, worked example, certificate or T0 data"
        if id in OPERATIONS and id not in bounded:
            yield f"{id}: an op without a bound case"


def strangers(what: str, ids: Collection[str], records: Collection[str]) -> Iterator[str]:
    """Ids that something names and no record has."""
    for id in sorted(set(ids) - set(records)):
        yield f"{id}: {what} names it, but there is no such record"


def exact_ids() -> set[str]:
    """Ids judged without any tolerance: over the exact field, by a worked example, or on exact data."""
    examples = {id for id, record in spec.load().items() if record.examples}
    data = {id for id, family in FAMILIES.items() if family.exact}
    return {*certify_forms.with_forms(), *CLAIMS, *examples, *data}


def bounded_ids() -> set[str]:
    return {id for id, family in FAMILIES.items() if family.real}


def kernel_ids(folder: Path | None = None) -> set[str]:
    """The ids that kernel files name in their first docstring."""
    place = folder if folder is not None else Path(str(triton_kernels.__file__)).parent
    found: set[str] = set()
    for path in sorted(place.rglob("*.py")):
        found |= named(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    return found


def named(text: str) -> set[str]:
    """The ids of the deck's families in a text."""
    return {id for id in ID.findall(text) if id.startswith(ROOTS) and not id.endswith((".py", ".md", ".toml"))}


def complaints(text: str | None = None) -> list[str]:
    """Everything that is not traceable."""
    records, functions, derived = spec.load(), reference.FUNCTIONS, derivations.derived_ids()
    checks: list[Callable[[], Iterator[str] | list[str]]] = [
        lambda: printed(text, records),
        lambda: unfounded(records, functions, derived, exact_ids(), bounded_ids()),
        lambda: strangers("a reference function", functions, records),
        lambda: strangers("a derivation", derived, records),
        lambda: strangers("an op", OPERATIONS, records),
        lambda: strangers("a kernel", kernel_ids(), records),
        lambda: (f"{id}: a kernel that no op judges" for id in triton_kernels.OPS if id not in OPERATIONS),
        lambda: strangers("an outside witness", {row.id for row in table()}, records),
    ]
    return [one for check in checks for one in check()]
