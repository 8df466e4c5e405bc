"""The cases of every op: data that show a fault if there is one.

T0  exact: integers and dyadic fractions; the verdict is equality.
T1  bound: real numbers on several distributions, judged by the derived bound.
T2  statistics: the same on sums of 256 terms and more, with a thousand outputs that are judged together, too.
TF  over an exact field, where floats carry elements of GF(2⁶¹ − 1): equality at real sizes, in the simulator only.
T3  specials, traps from the records, empties, layouts a kernel must survive, and arguments it must refuse.

A case is data alone: id, op, dtype, arguments as float64 arrays that the dtype holds exactly. Everything is seeded by
the case id, so an id replays its case on any machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from attrs import field, frozen

from .edges import EMPTY, POINTS, REFUSED, SPECIAL, traps
from .factors import FACTORS, Levels, brief, drawn, mixed_in, read, rows, word
from .numbers.formats import FORMATS, round_to
from .operations import OPERATIONS, Kept, evaluate, literal
from .oracle import Answered
from .recipes import DISTRIBUTIONS, FAMILIES, Arguments, Recipe, source

DTYPES = ("fp32", "fp16", "bf16")
FIELD = "TF"                  # the tier over the exact field
THINNEST = 8
STRIPES = "stripes"           # the kind of real data of which whole lanes are −∞


@frozen
class Case:
    """One check of one op in one dtype. `layout` says how its tensors lie in memory, `refused` that it must raise,
    `convention` that the deck leaves the answer open, `pin` which of its configurations a backend uses."""

    id: str
    op: str
    tier: str
    dtype: str
    make: Callable[[], Arguments] = field(repr=False)
    layout: str = "contiguous"
    refused: bool = False
    quick: bool = False
    trap: str = ""
    convention: bool = False
    pin: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext, repr=False)
    row: int | None = None       # of the op's covering design
    kinds: Mapping[str, str] = field(factory=dict, eq=False)       # arguments with a dtype of their own

    def __str__(self) -> str:
        return self.id

    def arguments(self) -> Arguments:
        return self.make()


def _sized(op: str, dtype: str) -> Iterator[Case]:
    """T0 and T1: every size with exact data; every distribution on the first size, plain data on the others."""
    family = FAMILIES[op]
    for tier, kinds in (("T0", family.exact), ("T1", family.real)):
        for i, size in enumerate(family.sizes):
            for j, kind in enumerate(kinds if i == 0 or tier == "T0" else kinds[:1]):
                label = "x".join(map(str, size))
                yield _case(op, tier, f"{label}/{kind}", dtype, family.recipe, size, kind, quick=i == 0 and j == 0)


def _case(op: str, tier: str, label: str, dtype: str, recipe: Recipe, size: tuple[int, ...], kind: str,
          **more: Any) -> Case:
    id = f"{op}/{tier}/{label}/{dtype}"

    def make() -> Arguments:
        for thin in range(THINNEST if tier == "T0" else 0):
            arguments = Answered(op, recipe(source(id, dtype, thin), size, kind))
            if representable(op, arguments, dtype):
                return arguments
        return recipe(source(id, dtype), size, kind)

    return Case(id, op, tier, dtype, make, **more)


def representable(op: str, arguments: Answered, dtype: str) -> bool:
    """Whether the dtype holds every output of exact data, and what is kept on the way there, so that the only right
    answer is the exact one."""
    right = {name: one.value for name, one in arguments.answer(op).items()}
    if not all(np.array_equal(round_to(value, dtype), value) for value in right.values()):
        return False
    kept = evaluate(op, Kept(FORMATS[dtype]), literal, arguments) if OPERATIONS[op].keeps else right
    return all(np.array_equal(kept[name], value) for name, value in right.items())


def long_sums(op: str, dtype: str, draw: str = "") -> Iterator[Case]:
    """T2, and exact data, on sums of many terms; `draw` asks for other data."""
    family = FAMILIES[op]
    spread = [kind for kind in family.real if kind in (*DISTRIBUTIONS, "shifted", "flat")]
    for size in family.long:
        for tier, kinds in (("T0", family.exact[:1]), ("T2", spread)):
            for kind in kinds:
                yield _case(op, tier, f"{'x'.join(map(str, size))}/{kind}{draw}", dtype, family.recipe, size, kind)


COVERING = "levels-"          # the tag of a case whose label is a row of levels, one digit for each factor


def _covering(op: str, dtype: str, thorough: bool) -> Iterator[Case]:
    """Every pair of levels of the op's factors; every level alone where another dtype has seen the pairs."""
    if op not in FACTORS:
        return
    for k in range(len(rows(op))) if thorough else brief(op):
        yield case_at(op, rows(op)[k], dtype, k)


def case_at(op: str, levels: Levels, dtype: str, row: int | None = None, draw: str = "") -> Case:
    """The case of an op at these levels of its factors, one of which may say its dtype; `draw` asks for other data."""
    mixed = mixed_in(levels)
    dtype = dtype if mixed is None else mixed.dtype
    kinds = {} if mixed is None else dict.fromkeys(mixed.names, mixed.kind)
    id = f"{op}/T1/{COVERING}{word(op, levels)}{draw and '.'}{draw}/{dtype}"
    return Case(id, op, "T1", dtype, lambda: FACTORS[op].make(source(id, dtype), levels), layout=levels.layout, row=row,
                kinds=kinds)


def levels_of(id: str) -> tuple[Levels, str] | None:
    """The levels that a case is named by, and which draw of its data; None for a case that is named otherwise."""
    op, _, label, _ = id.split("/") if id.count("/") == 3 else ("", "", "", "")
    digits, _, draw = label.removeprefix(COVERING).partition(".")
    levels = read(op, digits) if op in FACTORS and label.startswith(COVERING) else None
    return None if levels is None or not (draw or "0").isdecimal() else (levels, draw)


def case_of(id: str) -> Case | None:
    """The case at the levels that an id names, whether or not the covering design has that row."""
    found, op, dtype = levels_of(id), id.partition("/")[0], id.rpartition("/")[2]
    return None if found is None or dtype not in DTYPES else case_at(op, found[0], dtype, draw=found[1])


def fuzzed(ops: tuple[str, ...], dtypes: tuple[str, ...], seed: int) -> Iterator[Case]:
    """Cases without end, one op after the other, at levels drawn at random. What an op gets does not depend on which
    others there are."""
    for k in count():
        for op in ops:
            rng = np.random.default_rng([seed, zlib.crc32(op.encode()), k])
            dtype = dtypes[rng.integers(len(dtypes))]
            case = case_at(op, drawn(op, rng), dtype, draw=str(rng.integers(10**6)))
            yield from (case,) if case.dtype in dtypes else ()


LAYOUTS = ("transposed", "strided", "expanded", "offset")       # and a family's own


def _layouts(op: str, dtype: str) -> Iterator[Case]:
    if op in FACTORS:                     # of which the layout is one
        return
    family = FAMILIES[op]
    for layout in (*LAYOUTS, *family.layouts):
        size, kind = family.sizes[0], family.real[0]
        yield _case(op, "T3", f"layout-{layout}", dtype, family.recipe, size, kind, layout=layout)


def far(op: str, dtype: str) -> Iterator[Case]:
    """Tensors that reach beyond 2³¹ elements along one axis."""
    recipe, size, kind = FAMILIES[op].recipe, FAMILIES[op].sizes[0], FAMILIES[op].real[0]
    axes = max((v.ndim for v in recipe(source(op, dtype), size, kind).values() if isinstance(v, np.ndarray)), default=0)
    for axis in range(axes):
        yield _case(op, "T3", f"far-{axis}", dtype, recipe, size, kind, layout=f"far-{axis}")


def _fits(value: float, dtype: str) -> bool:
    """Whether the dtype has a number near this one: rounding must neither overflow nor vanish."""
    rounded = float(round_to(np.array([value]), dtype)[0])
    return bool(np.isfinite(rounded)) and (rounded != 0 or value == 0)


def _special(op: str, dtype: str) -> Iterator[Case]:
    """Special values, and the largest and smallest of the dtype."""
    special, form = SPECIAL[op], FORMATS[dtype]

    def make() -> Arguments:
        points = [*POINTS, form.largest, -form.largest, form.smallest, -form.smallest]
        z = round_to(np.array([p for p in points if special.legal(p)]), dtype)
        return {special.argument: z, **{k: np.full_like(z, v) for k, v in special.others.items()}}

    yield Case(f"{op}/T3/special/{dtype}", op, "T3", dtype, make, quick=True)


def _traps(op: str, dtype: str) -> Iterator[Case]:
    """The points that have broken real code; a record's letter for its argument becomes the op's."""
    for trap in traps(op):
        at = {k: v for k, v in trap.at.items() if k not in ("alpha", "slope")}
        parameters = {k: v for k, v in trap.at.items() if k in ("alpha", "slope")}
        if not at or not all(_fits(v, dtype) for v in at.values()):
            continue
        first = next(iter(at))
        named = {SPECIAL[op].argument if k == first else k: round_to(np.array([v]), dtype) for k, v in at.items()}

        def make(arguments: Arguments = {**named, **parameters}) -> Arguments:                      # noqa: B006
            return dict(arguments)

        yield Case(f"{op}/T3/trap-{trap.name}/{dtype}", op, "T3", dtype, make, quick=True, trap=trap.name,
                   convention=trap.kind == "convention")


def _edges(op: str, dtype: str) -> Iterator[Case]:
    if op in EMPTY:
        yield Case(f"{op}/T3/empty/{dtype}", op, "T3", dtype, EMPTY[op])
    for name, make in REFUSED.get(op, {}).items() if dtype == "fp32" else ():
        yield Case(f"{op}/T3/refuses-{name}/{dtype}", op, "T3", dtype, make, refused=True)


def cases_of(op: str, dtypes: tuple[str, ...] = DTYPES, thorough: str = "", quick: bool = False) -> Iterator[Case]:
    """Every case of one op, T0 first. The dtype `thorough`, the first if none is named, sees every pair of levels."""
    seen: set[str] = set()                # a row that says its dtype is met with every dtype
    for dtype in dtypes:
        yield from _sized(op, dtype)
        if not quick:
            covering = {case.id: case for case in _covering(op, dtype, dtype == (thorough or dtypes[0]))}
            yield from (case for id, case in covering.items() if id not in seen)
            seen |= covering.keys()
            yield from _layouts(op, dtype)
        if op in SPECIAL:
            yield from _special(op, dtype)
            yield from _traps(op, dtype)
        yield from _edges(op, dtype)


def beyond(op: str, dtypes: tuple[str, ...] = DTYPES) -> Iterator[Case]:
    """What only a complete run judges: long sums, and tensors beyond 2³¹ elements."""
    for dtype in dtypes:
        yield from long_sums(op, dtype)
    yield from far(op, dtypes[0])


def cases(ops: tuple[str, ...] | None = None, dtypes: tuple[str, ...] = DTYPES, quick: bool = False,
          thorough: str = "") -> Iterator[Case]:
    for op in ops if ops is not None else tuple(FAMILIES):
        yield from (c for c in cases_of(op, dtypes, thorough, quick) if c.quick or not quick)


def field_cases(op: str, dtypes: tuple[str, ...] = DTYPES) -> Iterator[Case]:
    """The cases of one op over the exact field: in the first dtype every size and every kind of argument, in the others
    one. How numbers are distributed does not matter here; a draw whose comparisons are close is replaced by another."""
    family, kinds = FAMILIES[op], _plain(op)
    for dtype in dtypes:
        first = dtype == dtypes[0]
        for i, size in enumerate(family.sizes if first else family.sizes[:1]):
            for kind in kinds if first and i == 0 else kinds[:1]:
                id = f"{op}/{FIELD}/{'x'.join(map(str, size))}/{kind}/{dtype}"
                yield Case(id, op, FIELD, dtype, partial(_draw, family.recipe, id, size, kind, dtype),
                           quick=i == 0 and kind == kinds[0])


def _plain(op: str) -> list[str]:
    """The kinds of an op's real data that differ in more than how numbers are distributed."""
    others, real = (*DISTRIBUTIONS[1:], "special"), FAMILIES[op].real
    return [kind for kind in real if kind.partition("-")[0] not in others] or list(real[:1])


def _draw(recipe: Recipe, id: str, size: tuple[int, ...], kind: str, dtype: str, draw: int = 0) -> Arguments:
    return recipe(source(f"{id}#{draw}" if draw else id, dtype), size, kind)


def pinned(op: str, label: str, dtype: str, size: tuple[int, ...],
           pin: Callable[[], AbstractContextManager[Any]], layout: str = "contiguous",
           exact: int | None = 0, least: bool = False, over_field: bool = False,
           real: str | None = None) -> Iterator[Case]:
    """An op on one of its backend's own configurations, at a size with ragged edges: exact data of the kind with this
    number, if any, and real ones, of the first kind or the one named; on the `least` of those that are alike also real
    ones of which whole lanes are −∞, and, where it is asked for, those of the field."""
    family = FAMILIES[op]
    exactly = () if exact is None else family.exact[exact:][:1]
    for tier, kinds in (("T0", exactly), ("T1", (*((real,) if real else family.real[:1]), *_striped(op, least)))):
        for kind in kinds:
            yield _case(op, tier, _row(kind, label), dtype, family.recipe, size, kind, pin=pin, layout=layout,
                        quick=least)
    for kind in (_plain(op)[0], *_striped(op)) if over_field else ():
        id = f"{op}/{FIELD}/{_row(kind, label)}/{dtype}"
        make = partial(_draw, family.recipe, id, size, kind, dtype)
        yield Case(id, op, FIELD, dtype, make, layout, pin=pin, quick=True)


def _striped(op: str, wanted: bool = True) -> tuple[str, ...]:
    return tuple(kind for kind in FAMILIES[op].real if kind == STRIPES and wanted)


def _row(kind: str, label: str) -> str:
    return f"row-stripes-{label}" if kind == STRIPES else f"row-{label}"
