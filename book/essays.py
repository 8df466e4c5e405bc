"""What the pages between the equations are made of; every list is generated from the records."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from attrs import frozen

from .. import reference, spec
from ..spec.derivations import derived_ids
from ..spec.show_text import span
from .derivations import Derivation, derivation
from .numbers import letter


def counts() -> dict[str, int]:
    """What the first page says how much there is of."""
    return {"records": len(spec.load()), "derivations": len(derived_ids()), "functions": len(reference.FUNCTIONS),
            "findings": len(spec.findings()), "examples": sum(len(one.examples) for one in spec.load().values())}


@frozen
class Letter:
    """A name and what it stands for, place by place."""

    name: str
    typed: str
    uses: tuple[tuple[str, tuple[str, ...]], ...]


def letters() -> list[Letter]:
    """Every letter of the machine forms: its ranges and sorts, and the equations where it has them."""
    found: dict[str, dict[str, list[str]]] = {}
    for id, record in spec.load().items():
        kinds = [*((name, f"indices {span(ranges)}" if ranges else "a number") for name, ranges in
                   record.arrays.items()), *record.symbols.items(), *((name, "a size") for name in record.sizes)]
        for name, kind in kinds:
            found.setdefault(name, {}).setdefault(kind, []).append(id)
    return [Letter(letter(name), name, tuple((kind, tuple(ids)) for kind, ids in uses.items()))
            for name, uses in sorted(found.items(), key=lambda item: (letter(item[0]).lower(), item[0]))]


def results() -> list[tuple[str, Derivation]]:
    """Every derived gradient with its last line."""
    return [(id, found) for id in derived_ids() if (found := derivation(id))]


def rules() -> list[tuple[str, int, str, str]]:
    """The rules the steps are named by: how often each is used, and where it is first, with its reason there."""
    count: Counter[str] = Counter()
    first: dict[str, tuple[str, str]] = {}
    for id, found in results():
        for step in found.steps:
            count[step.rule] += 1
            first.setdefault(step.rule, (id, step.why))
    return [(rule, n, *first[rule]) for rule, n in count.most_common() if "." not in rule]


def findings() -> list[tuple[str, str, list[spec.Erratum]]]:
    """The findings by how much they matter."""
    known = spec.findings().values()
    return [(title, says, [one for one in known if one.severity == severity]) for severity, title, says in (
        ("A", "Wrong if implemented as printed", "Type what the slide says, and the program does something else."),
        ("B", "Two slides disagree, or a convention is missing", "Each can be lived with, once it is said."),
        ("verified", "Checked, and right", "Numbers the deck prints that hold."))]


def small_findings() -> str:
    """The ids of the findings that are matters of notation, typing and lost figures."""
    return ", ".join(sorted({id for record in spec.load().values() for id in record.errata} - set(spec.findings())))


def index() -> list[tuple[str, str, str]]:
    """Ids and the words that describe them, in alphabetical order."""
    return sorted((id, record.says, record.slide) for id, record in spec.load().items())


def search_words(ids: list[str]) -> list[list[str]]:
    """What search looks through: page, heading, text."""
    found = []
    for id in ids:
        record = spec.get(id)
        text = [record.says, record.slide, *(f"{one.name} {one.says}" for one in record.readings),
                *(f"{one.name} {one.why}" for one in record.traps), record.source]
        found.append([f"eq/{id}.html", id, " ".join(part for part in text if part)])
    found += [[f"errata.html#{id}", id, f"{one.says} {one.otherwise}"] for id, one in spec.findings().items()]
    return found


@frozen
class Product:
    """A layer with k terms in each sum, in one number type: how far every answer may be from the exact one."""

    dtype: str
    k: int
    bound: float
    size: float

    @property
    def units(self) -> str:
        return f"{self.bound / self.size:.1e}"


def products() -> list[Product]:
    """The bound of a product of k terms, over the size of Σ|x||w|, for plain data in each dtype."""
    from ..conformance.backend import Backend
    from ..conformance.judging.bounds import bound, declared
    from ..conformance.judging.numbers.formats import round_to

    found = []
    for k in (16, 128, 1024, 8192):
        rng = np.random.default_rng(k)
        for dtype in ("fp32", "fp16", "bf16"):
            x, w = (round_to(rng.standard_normal((2, k)), dtype) for _ in range(2))
            arguments: dict[str, Any] = {"x": x, "w": w, "b": np.zeros(2), "act": "identity"}
            limit = bound("net.layer.affine", arguments, dtype, declared(Backend("book").arithmetic, dtype))
            total = next(iter(limit.values())).total
            found.append(Product(dtype, k, float(np.max(total)), float(np.max(np.abs(x) @ np.abs(w).T))))
    return found
