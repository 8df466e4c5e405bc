"""Gradients of sums of products by everything they are declared by, straight from the record: no steps are typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sympy as sp

from ... import expressions
from ...records import Equation, get
from ...symbolic import sympy_names, to_sympy
from ..language import Expr, Within
from ..rules import Range, RuleError
from ..steps import Derivation, Output, sample
from .register import derives

IDS = (
    "fc.layer.grad_a", "fc.node.grad_Theta", "fc.node.grad_a", "arch.local.grad_a", "arch.shared.grad_a",
    "net.z.grad_Theta", "net.z.grad_a", "net.z.node.grad_Theta", "net.z.node.grad_a", "net.layer.grad_Theta",
    "net.layer.grad_a", "net.layer.affine.grad_x", "net.layer.affine.grad_w", "net.layer.affine.grad_b",
    "net.out.grad_Theta", "net.out.grad_a", "net.out.linear.grad_Theta", "net.out.linear.grad_a",
    "stack.one.grad_x", "stack.one.grad_K", "stack.many.grad_x", "stack.many.grad_K", "net.residual.grad_x",
    "net.residual.grad_f", "pool.global.grad_x", "loss.kl.grad_q", "norm.mean.grad_x", "norm.batch.inference.grad_x",
    "norm.batch.inference.grad_gamma", "norm.batch.inference.grad_beta", "loss.objective.grad_Theta",
    "loss.objective.corrected.grad_Theta",
)
DELTA, LETTERS = "delta", "klmnpqrstuvw"


class Names:
    """A record's names as SymPy objects: sizes are whole numbers, a layer's activation is the identity."""

    def __init__(self, of: Equation) -> None:
        found = sympy_names(of)
        self.functions = {name for name, sort in of.symbols.items() if sort == "function"}
        self.sizes = {name: sp.Symbol(name, integer=True, nonnegative=True) for name in of.sizes}
        self.all: dict[str, Any] = {**found, **self.sizes, **{name: lambda u: u for name in self.functions}}
        self.index = tuple((self.all[name], *self.ends(ranges)[0]) for name, ranges in of.index.items())
        self.form = to_sympy(of.value or "", self.all)

    def ends(self, ranges: str) -> list[tuple[Expr, Expr]]:
        """The first and last index of every axis."""
        return [(to_sympy(low, self.all), to_sympy(high, self.all)) for low, high in expressions.bounds(ranges)]

    def free_letters(self) -> Iterator[Expr]:
        taken = {*self.all, *(str(s) for s in self.form.free_symbols)} | {
            str(i) for s in self.form.atoms(sp.Sum) for i in s.variables}
        return (sp.Symbol(letter, integer=True) for letter in LETTERS if letter not in taken)


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
        relations=", ".join(dict.fromkeys(r.replace("<=", "≤").replace(">=", "≥") for r in of.sizes.values())),
        assumes=tuple(f"δ is the delta of what {name} is applied to" for name in sorted(names.functions)))
    D.chain()
    D.differentiate()
    _shorten(D)
    _arguments(D, of, names)
    return D


def _trials(of: Equation, names: Names) -> tuple[dict[Expr, int], ...]:
    relations = [expressions.compiled(r, tuple(of.sizes)) for r in of.sizes.values()]
    choices = sample(6, lambda **one: all(r(**one) for r in relations), **{
        name: (1, 2, 3) if of.sizes[name] != "h >= 0" else (0, 1, 2) for name in of.sizes})
    return tuple({names.sizes[name]: value for name, value in one.items()} for one in choices)


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


for _id in IDS:
    derives(_id)(derive)
