"""What the page of an equation says, in its fixed order."""

from __future__ import annotations

import textwrap
from functools import cache

from attrs import frozen

from .. import spec
from ..spec import typeset
from .derivations import Derivation, derivation
from .numbers import shapes
from .sources import kernel_source, reference_source, scalar_source

STATUS = {"printed": "printed in the deck", "corrected": "a correction: the deck prints something else",
          "derived": "derived here, the deck does not print it", "external": "not in the deck: from its source"}


@frozen
class Page:
    """The parts of a page; an empty one is left out."""

    record: spec.Equation
    status: str
    typeset: list[str]          # the formula, where nobody printed one
    symbols: list[tuple[str, str]]
    derivation: Derivation | None
    gradients: list[tuple[str, Derivation]]
    headline: str
    reference: str
    scalar: str
    kernel: str
    findings: list[spec.Erratum]
    others: list[str]
    touched: list[spec.Erratum]


def page(id: str) -> Page:
    """Everything known about an id."""
    record = spec.get(id)
    code = reference_source(id) or ""
    known = spec.findings()
    own = [known[name] for name in record.errata if name in known]
    unprinted = typeset.formulas(record) if record.value is not None and not record.forms else []
    return Page(record, STATUS[record.status], unprinted, shapes(record), derivation(id),
                [(one, found) for one in gradients().get(id, ()) if one != id and (found := derivation(one))],
                headline(code), textwrap.dedent(code), scalar_source(id) or "", kernel_source(id) or "", own,
                [name for name in record.errata if name not in known],
                [finding for finding in known.values() if id in finding.touches and finding not in own])


@cache
def gradients() -> dict[str, tuple[str, ...]]:
    """Which derived gradients belong to an equation."""
    found: dict[str, tuple[str, ...]] = {}
    for id, record in spec.load().items():
        if record.of:
            found[record.of] = (*found.get(record.of, ()), id)
    return found


def headline(code: str) -> str:
    """The formula in the first line of a docstring, after the id."""
    line = code.partition('"""')[2].partition("\n")[0].strip().removesuffix('"""')
    return line.partition("   ")[2].strip()
