"""Gradients of sums of products by what they are declared by, straight from the record: they have no chapter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import sympy as sp

from ... import expressions
from ...records import Equation, get
from ...symbolic import sympy_names, to_sympy
from ..language import Expr, FloorDiv, Within
from ..rules import Range, RuleError
from ..steps import Derivation, Output, sample
from . import from_records

DELTA, LETTERS = "delta", "klmnpqrstuvw"


class Names:
    """A record's names as SymPy objects: sizes are whole numbers, a layer's activation is the identity."""

    def __init__(self, of: Equation) -> None:
        found = sympy_names(of)
        self.functions = {name for name, sort in of.symbols.items() if sort == "function"}
        self.sizes = {name: sp.Symbol(name, integer=True, nonnegative=True) for name in of.sizes}
        self.all: dict[str, Any] = {**found, **self.sizes, **{name: lambda u: u for name in self.functions}}
        self.index = tuple((self.all[name], *self.ends(ranges)[0]) for name, ranges in of.index.items())
        self.form = _brackets(_floors(to_sympy(of.value or "", self.all)), set(self.sizes.values()))

    def ends(self, ranges: str) -> list[tuple[Expr, Expr]]:
        """The first and last index of every axis."""
        return [(_floors(to_sympy(low, self.all)), _floors(to_sympy(high, self.all)))
                for low, high in expressions.bounds(ranges)]

    def free_letters(self) -> Iterator[Expr]:
        taken = {*self.all, *(str(s) for s in self.form.free_symbols)} | {
            str(i) for s in self.form.atoms(sp.Sum) for i in s.variables}
        return (sp.Symbol(letter, integer=True) for letter in LETTERS if letter not in taken)


def _floors(e: Expr) -> Expr:
    """⌊a/b⌋ as the rules know it."""
    return e.replace(sp.floor, lambda quotient: FloorDiv(*sp.fraction(sp.together(quotient))))


def _brackets(e: Expr, sizes: set[Expr]) -> Expr:
    """What is 0 outside some ranges, as a product with their brackets."""
    def outside_is_zero(part: Expr) -> bool:
        return isinstance(part, sp.Piecewise) and len(part.args) == 2 and part.args[1][0] == 0

    def with_brackets(part: Expr) -> Expr:
        value, condition = part.args[0]
        found = _ranges(condition, sizes)
        return part if found is None else value * sp.Mul(*found)

    return e.replace(outside_is_zero, with_brackets)


def _ranges(condition: Expr, sizes: set[Expr]) -> list[Expr] | None:
    """low ≤ e and e ≤ high as [low ≤ e ≤ high], pair by pair; None where the condition says something else."""
    relations = sp.And.make_args(condition)
    if not all(isinstance(one, sp.Ge | sp.Le) for one in relations):
        return None
    distances = [sp.expand(one.gts - one.lts) for one in relations]   # e − low, and high − e
    found = []
    while distances:
        one = distances.pop()
        other = next((d for d in distances if sp.expand(one + d).free_symbols <= sizes), None)
        if other is None:
            return None
        distances.remove(other)
        rising = next(d for d in (one, other) if not any(d.coeff(i).is_negative for i in d.free_symbols - sizes))
        found.append(Within(rising, 0, sp.expand(one + other)))
    return found


def _sizes(relations: Iterable[str]) -> str:
    """The relations as they are printed. A size that ends at a number does so for the trials' sake alone."""
    printed = (r.replace("<=", "≤").replace(">=", "≥") for r in relations)
    return ", ".join(dict.fromkeys(re.sub(r"^(\d+) ≤ (\w+) ≤ \d+$", r"\2 ≥ \1", r) for r in printed))


def derive(id: str) -> Derivation:
    """Differentiate the form, leave one term of every sum, and make the ranges of what remains."""
    own = get(id)
    of, names = get(own.of), Names(get(own.of))
    by = names.all[own.wrt[0]]
    letters, axes = names.free_letters(), names.ends(of.arrays.get(own.wrt[0], ""))
    over: tuple[Range, ...] = tuple((next(letters), low, high) for low, high in axes)
    at = [i for i, _, _ in names.index]
    delta, z = (sp.IndexedBase(name)[tuple(at)] if at else sp.Symbol(name, real=True) for name in (DELTA, "z"))
    shapes = {names.all[name]: names.ends(ranges) for name, ranges in of.arrays.items()}
    shapes |= {names.all[name]: () for name in of.symbols if name not in names.functions}
    shapes[delta.base if at else delta] = [(low, high) for _, low, high in names.index]
    D = Derivation(
        id=id, title=f"{own.says[0].upper()}{own.says[1:]}.",
        output=Output(entry=z, means=names.form, over=names.index, delta=delta),
        wrt=by[tuple(i for i, _, _ in over)] if over else by, over=over, shapes=shapes, python=(), lengths={},
        trials=_trials(of, names), order=(DELTA, *of.symbols, *of.arrays),
        relations=_sizes(of.sizes.values()),
        assumes=tuple(f"δ is the delta of what {name} is applied to" for name in sorted(names.functions)))
    D.chain()
    D.differentiate()
    _shorten(D)
    _arguments(D, of, names)
    return D


def _trials(of: Equation, names: Names) -> tuple[dict[Expr, int], ...]:
    return tuple({names.sizes[name]: value for name, value in one.items()} for one in choices(of, 6))


def choices(of: Equation, most: int) -> tuple[dict[str, int], ...]:
    """Small sizes for which a record's relations hold."""
    relations = [expressions.compiled(r, tuple(of.sizes)) for r in of.sizes.values()]
    return tuple(sample(most, lambda **one: all(r(**one) for r in relations), **small_values(of)))


def small_values(of: Equation) -> dict[str, tuple[int, ...]]:
    """The three smallest values that the relation of each size admits, where the sizes that it names are small."""
    found: dict[str, tuple[int, ...]] = {}
    by_need = sorted(of.sizes.items(), key=lambda one: len(expressions.names_of(one[1])))
    for name, relation in by_need:
        others = sorted(expressions.names_of(relation) - {name})
        holds = expressions.compiled(relation, (name, *others))
        beside = list(product(*(found.get(other, (1, 2, 3)) for other in others)))
        found[name] = tuple(v for v in range(8) if any(holds(v, *values) for values in beside))[:3]
    return {name: found[name] for name in of.sizes}


def _shorten(D: Derivation) -> None:
    """Collapse every sum that a bracket leaves one term of, drop what the ranges say, absorb what is left."""
    for index in sorted({i for s in D.last.atoms(sp.Sum) for i in s.variables}, key=str):
        _if_it_applies(partial(D.collapse, index))
    if D.last.atoms(Within):
        _if_it_applies(partial(D.holds, why="free indices are in their ranges"))
    for index in sorted({i for s in D.last.atoms(sp.Sum) for i in s.variables}, key=str):
        _if_it_applies(partial(D.absorb, index))


def _if_it_applies(step: Callable[[], None]) -> None:
    try:
        step()
    except RuleError:
        return


def _arguments(D: Derivation, of: Equation, names: Names) -> None:
    """The printed function takes δ, the arrays and scalars that the result has, and sizes that those do not tell."""
    used = D.last.free_symbols | {s for _, low, high in D.over for s in (low + high).free_symbols}
    arrays = [DELTA, *(name for name in of.arrays if D.last.has(names.all[name]))]
    scalars = [name for name in of.symbols if name not in names.functions and names.all[name] in used]
    told: dict[Expr, str] = {}
    for name in arrays:
        base = next(base for base in D.shapes if str(base) == name)
        path = name
        for low, high in D.shapes[base]:
            size = high + 1 - low if low == 0 else high
            for one in (size, size - 1):
                if one.is_Symbol and one in names.sizes.values():
                    more = 0 if one == high + 1 else 1
                    told.setdefault(one, f"len({path})" if more == 0 else f"len({path}) - {more}")
            path += f"[{low}]"
    needed = [s for name, s in names.sizes.items() if s in used]
    D.lengths = {s: told[s] for s in needed if s in told}
    asked = [s for s in needed if s not in told]
    D.python = (*arrays, *scalars, *map(str, asked))
    D.values = {str(s): s for s in asked}


def makers(records: Mapping[str, Equation]) -> dict[str, Callable[[str], Derivation]]:
    """What derives by itself: gradients without a machine form whose record has one, of scalars or of such a sum."""
    return {own.id: from_records.derive if from_records.scalar(of) else derive
            for own, of in from_records.pairs(records)}
