"""Every argument varies: the factors of an op, their levels, and cases that cover every pair of levels.

    FACTORS["act.elu"] = Factors(
        levels={"shape": ((1,), (2, 3), (1025,)), "alpha": (1.0, 0.25, 3.0), "data": ("normal", "low", "nan")},
        make=lambda s, at: {"z": values(s, at.shape, at.values), "alpha": at.alpha},
    )

A factor is anything that a kernel can get wrong by never having seen it: a size, a stride, a λ of 0, a missing
intercept, a regime of values. How the tensors lie in memory is a factor of every op. `rules` leave out what has no
answer (a filter larger than its image). Of the rest every pair of levels meets in some case, found by allpairspy from
an order that the op's name seeds.
"""

from __future__ import annotations

import json
import math
import re
import string
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from allpairspy import AllPairs
from attrs import evolve, field, frozen

from ..recipes import Arguments, Source

DESIGNS = Path(__file__).with_name("designs.json")        # written by `python -m` of this package
DIGITS = string.digits + string.ascii_letters
MIXED = "dtypes"              # the factor of arguments in another dtype than the others
LAYOUTS = ("contiguous", "transposed", "strided", "expanded", "offset")
SIZE = 16                    # a factor with such a whole number among its levels is a size
LARGE = 100                  # a size that a case need not have twice
DRAWN = 20                   # legal rows, of which the one that covers most is taken
TRIES = 400                  # rows drawn to complete a pair that the covering design left out


class Levels(dict[str, Any]):
    """One level of each factor, by name: `at.stride`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@frozen
class Mixed:
    """A level of the factor MIXED: these arguments in `kind`, all others in `dtype`, as torch allows."""

    dtype: str
    names: tuple[str, ...]
    kind: str = "fp32"

    def __str__(self) -> str:
        return f"{' and '.join(self.names)} in {self.kind} beside {self.dtype}"


def beside(*names: str) -> dict[str, tuple[Any, ...]]:
    """The factor of an op that takes these in float32 where the rest has 16 bits."""
    return {MIXED: ("alike", Mixed("fp16", names), Mixed("bf16", names))}


def mixed_in(at: Mapping[str, Any]) -> Mixed | None:
    level = at.get(MIXED)
    return level if isinstance(level, Mixed) else None


def apart(s: Source, at: Levels) -> Source:
    """What the arguments are drawn from that have a dtype of their own."""
    mixed = mixed_in(at)
    return s if mixed is None else evolve(s, dtype=mixed.kind)


Make = Callable[[Source, Levels], Arguments]
Rule = Callable[[Levels], bool]
Row = tuple[int, ...]                            # the number of each factor's level
Pair = tuple[int, int, int, int]                 # a factor, its level; another factor, its level


@frozen
class Factors:
    """What varies of an op, how one level of each becomes its arguments, and which levels cannot meet."""

    levels: Mapping[str, tuple[Any, ...]]
    make: Make
    rules: tuple[Rule, ...] = ()
    layouts: tuple[str, ...] = field(default=LAYOUTS)

    @property
    def all(self) -> dict[str, tuple[Any, ...]]:
        return {**self.levels, "layout": self.layouts}

    def levels_of(self, row: Row) -> Levels:
        return Levels((name, levels[i]) for (name, levels), i in zip(self.all.items(), row))

    def legal(self, chosen: Mapping[str, Any]) -> bool:
        """Whether no rule forbids these levels; a rule about a factor that is not chosen yet says nothing."""
        def allows(rule: Rule) -> bool:
            try:
                return bool(rule(Levels(chosen)))
            except AttributeError:
                return True
        return all(allows(rule) for rule in self.rules)


FACTORS: dict[str, Factors] = {}


def factors(*ops: str, levels: Mapping[str, tuple[Any, ...]], rules: tuple[Rule, ...] = (),
            layouts: tuple[str, ...] = ()) -> Callable[[Make], Make]:
    """Declare the factors of ops; the function below makes their arguments."""
    def register(make: Make) -> Make:
        for op in ops:
            FACTORS[op] = Factors(levels, make, rules, (*LAYOUTS, *layouts))
        return make
    return register


@cache
def rows(op: str) -> tuple[Levels, ...]:
    """The covering design of one op: every pair of levels that may meet, in some row. The first is plain: the first
    level of each factor."""
    return tuple(FACTORS[op].levels_of(row) for row in design(op))


def word(op: str, levels: Mapping[str, Any]) -> str:
    """The levels of a row as digits, one for each factor in its order: what a case is called by. A size that is no
    level stands there itself, between lines: `03_137_2`."""
    return "".join(known.get(repr(levels[name])) or f"_{levels[name]}_" for name, known in _digits(op))


@cache
def _digits(op: str) -> list[tuple[str, dict[str, str]]]:
    """The digit of each level of each factor; a level is known by how it is written."""
    return [(name, {repr(level): digit for level, digit in zip(reversed(among), reversed(DIGITS[:len(among)]))})
            for name, among in FACTORS[op].all.items()]


def read(op: str, text: str) -> Levels | None:
    """The levels that a word stands for; None if it is none, or a rule forbids them."""
    one, digits = FACTORS[op], re.findall(r"_\d+_|[0-9a-zA-Z]", text)
    if "".join(digits) != text or len(digits) != len(one.all):
        return None
    row = Levels()
    for (name, among), digit in zip(one.all.items(), digits):
        if digit.startswith("_"):
            row[name] = int(digit.strip("_"))
            if not is_size(among) or row[name] not in between(among):
                return None
        elif DIGITS.index(digit) < len(among):
            row[name] = among[DIGITS.index(digit)]
        else:
            return None
    return row if one.legal(row) else None


def is_size(levels: tuple[Any, ...]) -> bool:
    """Whether a factor is a size, so that what lies between its levels is one of it, too."""
    return all(type(level) is int and level > 0 for level in levels) and max(levels) >= SIZE


def between(levels: tuple[int, ...]) -> range:
    """The sizes from the smallest level to the largest, in steps that all levels share: odd ones where all are odd."""
    return range(min(levels), max(levels) + 1, math.gcd(*(level - min(levels) for level in levels)) or 1)


def drawn(op: str, rng: np.random.Generator) -> Levels:
    """Levels at random: of a size any number between its levels, small ones as often as large ones."""
    one = FACTORS[op]
    for _ in range(TRIES):
        row = Levels((name, _size(levels, rng) if is_size(levels) else levels[rng.integers(len(levels))])
                     for name, levels in one.all.items())
        if one.legal(row):
            return row
    return rows(op)[rng.integers(len(rows(op)))]


def _size(levels: tuple[int, ...], rng: np.random.Generator) -> int:
    sizes = between(levels)
    return sizes[int(math.exp(rng.uniform(0, math.log(len(sizes) + 1)))) - 1]


@cache
def design(op: str) -> tuple[Row, ...]:
    """The rows by the numbers of their levels: as `designs.json` keeps them, else found now."""
    kept = _kept().get(op)
    if kept is None:
        return found(op)
    return tuple(tuple(DIGITS.index(digit) for digit in row) for row in kept)


@cache
def _kept() -> dict[str, list[str]]:
    return dict(json.loads(DESIGNS.read_text(encoding="utf-8"))) if DESIGNS.exists() else {}


def written() -> str:
    """The text of `designs.json`: a digit for each level, a word for each row."""
    words = {op: ["".join(DIGITS[i] for i in row) for row in found(op)] for op in FACTORS}
    return json.dumps(words, indent=0, separators=(",", ": ")) + "\n"


def found(op: str) -> tuple[Row, ...]:
    one, rng = FACTORS[op], np.random.default_rng(zlib.crc32(op.encode()))
    names, numbers = list(one.all), [range(len(levels)) for levels in one.all.values()]

    def legal(row: Sequence[int]) -> bool:
        return one.legal({name: one.all[name][i] for name, i in zip(names, row)})

    rows = [(0,) * len(names)]
    # first without what may be left out (None): whoever does not take that has seen every other pair
    present = [[i for i in n if levels[i] is not None or levels[0] is None]
               for n, levels in zip(numbers, one.all.values())]
    alike = [n[:1] if name == MIXED else n for name, n in zip(names, numbers)]
    plain = [[i for i in n if i in some] for n, some in zip(alike, present)]
    rows += [tuple(map(int, row)) for row in AllPairs([rng.permutation(n).tolist() for n in plain],
                                                      filter_func=legal)]
    rows = [row for row in rows if legal(row)]
    mixed = {pair for pair in pairs(op) for at in (0, 2) if names[pair[at]] == MIXED and pair[at + 1]}
    rows += _missing(set(pairs(op)) - mixed - covered(rows), alike, legal, rng)       # because of a rule about several
    rows = _varied(one, list(dict.fromkeys(rows)), legal, rng)
    rows += _missing(mixed, numbers, legal, rng)       # beside every pair of levels where all arguments are alike
    return tuple(dict.fromkeys(rows))


Legal = Callable[[Row], bool]


def _missing(missing: set[Pair], numbers: Sequence[Sequence[int]], legal: Legal, rng: np.random.Generator) -> list[Row]:
    """Rows with these pairs."""
    rows = []
    while missing:
        row = _with(min(missing), missing, numbers, legal, rng)
        rows += [] if row is None else [row]
        missing = missing - (covered([row]) if row is not None else {min(missing)})
    return rows


def _with(pair: Pair, missing: set[Pair], numbers: Sequence[Sequence[int]], legal: Legal,
          rng: np.random.Generator) -> Row | None:
    """A legal row with this pair of levels, and of those drawn the one with most other pairs that are missing."""
    a, i, b, j = pair
    drawn: list[Row] = []
    for _ in range(TRIES):
        row = [n[int(rng.integers(len(n)))] for n in numbers]
        row[a], row[b] = i, j
        drawn += [tuple(row)] if legal(tuple(row)) else []
        if len(drawn) == DRAWN:
            break
    return max(drawn, key=lambda row: len(missing & set(_pairs(row))), default=None)


def _varied(one: Factors, rows: list[Row], legal: Legal, rng: np.random.Generator) -> list[Row]:
    """Where a row's level of a factor meets nothing that other rows lack, any level will do: a small one, drawn."""
    names, large = list(one.all), [[_large(level) for level in levels] for levels in one.all.values()]
    count = Counter(pair for row in rows for pair in _pairs(row))
    for k, row in enumerate(rows[1:], 1):
        for a in range(len(row)):
            mine = _pairs(row, a)
            if names[a] == MIXED or any(count[pair] == 1 for pair in mine):
                continue
            order = sorted(rng.permutation(len(large[a])).tolist(), key=large[a].__getitem__)
            row = next(other for i in order if legal(other := (*row[:a], i, *row[a + 1:])))
            count.subtract(mine)
            count.update(_pairs(row, a))
        rows[k] = row
    return rows


def _large(level: Any) -> bool:
    """Whether a level is a size of more than a hundred."""
    sizes = level if isinstance(level, tuple) else (level,)
    return all(isinstance(n, int) for n in sizes) and math.prod(sizes) > LARGE


def _pairs(row: Row, only: int | None = None) -> list[Pair]:
    """The pairs of levels in a row; those of one factor, where it is named."""
    if only is None:
        return [(a, row[a], b, row[b]) for a, b in combinations(range(len(row)), 2)]
    ordered = [sorted((a, only)) for a in range(len(row)) if a != only]
    return [(a, row[a], b, row[b]) for a, b in ordered]


@cache
def pairs(op: str) -> frozenset[Pair]:
    """Every pair of levels, by their numbers, that no rule forbids."""
    one = FACTORS[op]
    named = list(one.all.items())
    return frozenset((a, i, b, j) for a, b in combinations(range(len(named)), 2)
                     for i, x in enumerate(named[a][1]) for j, y in enumerate(named[b][1])
                     if one.legal({named[a][0]: x, named[b][0]: y}))


def excluded(op: str) -> int:
    """How many pairs of levels cannot meet."""
    sizes = [len(levels) for levels in FACTORS[op].all.values()]
    return sum(a * b for a, b in combinations(sizes, 2)) - len(pairs(op))


def covered(rows: Iterable[Row]) -> set[Pair]:
    return {pair for row in rows for pair in _pairs(row)}


def uncovered(op: str, numbers: Iterable[int] | None = None) -> list[str]:
    """The pairs of levels that no row has, in words; of the rows of these numbers, where some are named."""
    some = design(op) if numbers is None else [design(op)[k] for k in numbers]
    named = list(FACTORS[op].all.items())
    return [f"{named[a][0]} {named[a][1][i]} with {named[b][0]} {named[b][1][j]}"
            for a, i, b, j in sorted(pairs(op) - covered(some))]


@cache
def brief(op: str) -> tuple[int, ...]:
    """The numbers of few rows in which every level occurs once: what a second dtype is judged on."""
    held = [set(enumerate(row)) for row in design(op)]
    missing = set().union(*held)
    chosen: list[int] = []
    while missing:
        chosen.append(max(range(len(held)), key=lambda k: len(held[k] & missing)))
        missing -= held[chosen[-1]]
    return tuple(sorted(chosen))
