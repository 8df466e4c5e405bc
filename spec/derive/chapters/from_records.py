"""Scalar equations, straight from their records: activations and losses derive by themselves, with no chapter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy as sp

from ... import expressions
from ...field import Dual, Field
from ...records import Equation, get, load
from ...symbolic import sympy_names, to_sympy
from ..language import Expr
from ..steps import Derivation

side = sp.Symbol("side", integer=True)
TRIALS = tuple({side: k} for k in (-1, 0, 1, -20, 20, -1000, 1000))
POSITIVE = tuple({side: k} for k in (1, 1, 20, 20, 1000))       # where what we differentiate by has no other side
Draw = Callable[[Field, dict[Expr, int]], Dual]


def value_of(id: str, **names: Expr) -> Expr:
    """The machine form of a scalar record, its names replaced by these."""
    record = get(id)
    assert record.value is not None, id
    return to_sympy(record.value, {**sympy_names(record), **names})


def pairs(records: Mapping[str, Equation]) -> Iterator[tuple[Equation, Equation]]:
    """Every gradient without a machine form of its own, and its record, which has one."""
    for own in records.values():
        of = load().get(own.of)
        if own.kind == "derivation" and own.value is None and of is not None and of.value:
            yield own, of


def scalar_pairs(records: Mapping[str, Equation]) -> Iterator[tuple[Equation, Equation]]:
    """Those whose record is a formula of scalars."""
    return ((own, of) for own, of in pairs(records) if scalar(of))


def scalar(record: Equation) -> bool:
    return not record.arrays and not record.sizes and not record.index and "function" not in record.symbols.values()


def start(id: str, **more: Any) -> Derivation:
    """The derivative of a scalar record as far as its definition; its own record says the order of arguments."""
    own = get(id)
    of = get(own.of)
    names = {name: sp.Symbol(name, real=True) for name in of.symbols}
    if rounded := expressions.rounded(of.value or ""):
        raise expressions.FormError(f"{of.id}: {rounded} is a float; written of a number of x's kind, as in "
                                    "log(number(x, 2)), it has as many digits as x")
    wrt, kind, name = names[own.wrt[0]], of.id.partition(".")[0], of.id.partition(".")[2]
    defaults = {name: value if "/" not in value else f"number({wrt}, {value.replace('/', ') / ')}"
                for name, value in own.defaults.items()}
    activation: dict[str, Any] = {
        "lhs": (f"{name}′({wrt})", rf"\mathrm{{{name}}}'({wrt})"),
        "of": ("the function", f"{name}({wrt})", rf"\mathrm{{{name}}}({wrt})")} if kind == "act" else {}
    return Derivation(**{
        "id": id, "title": f"{own.says[0].upper()}{own.says[1:]}.",
        "loss": to_sympy(of.value or "", names), "wrt": wrt, "over": (), "shapes": dict.fromkeys(names.values(), ()),
        "python": tuple(own.symbols or of.symbols), "lengths": {}, "trials": _trials(of, own.wrt[0]),
        "draws": {s: _draw(of, name, s == wrt) for name, s in names.items()}, "order": tuple(names),
        "assumes": tuple(_printed(a) for a in of.assumes), "defaults": defaults,
        "remarks": tuple(f"{r.says[0].upper()}{r.says[1:]}." for r in of.readings if r.name == "kink"),
        **activation, **more})


def _trials(of: Equation, by: str) -> tuple[dict[Expr, int], ...]:
    """At 0, too, where the formula has a value there."""
    if of.symbols[by] == "positive":
        return POSITIVE
    with Field(0) as field:
        at_zero = {name: _draw(of, name, name == by)(field, {side: 0}) for name in of.symbols}
        try:
            expressions.function(of)(**at_zero)
        except ZeroDivisionError:
            return tuple(one for one in TRIALS if one[side])
        except (ArithmeticError, TypeError):                         # no root at this point; it may have one at another
            return TRIALS
    return TRIALS


def _printed(relation: str) -> str:
    return relation.replace("<=", "≤").replace(">=", "≥")


def _draw(record: Equation, name: str, by_sides: bool) -> Draw:
    """A random number that the record admits; what we differentiate by is left of 0, on it, and right of it."""
    relations = [a for a in record.assumes if _names_only(a, name)]

    def draw(field: Field, sizes: dict[Expr, int]) -> Dual:
        for attempt in range(400):                                   # wider and wider, until the relations hold
            number = field.draw()
            number.w *= 1 + attempt // 40
            if by_sides:
                sign = sizes[side]
                number = Dual(number.v if sign else 0, 0, sign * (abs(number.w) + 0.01))
            elif record.symbols[name] == "positive":
                number = Dual(number.v, 0, abs(number.w) * 0.9 + 0.05)
            if all(expressions.compiled(a, (name,))(number) for a in relations) or by_sides:
                return number
        raise expressions.FormError(f"{record.id}: no number was found that is {' and '.join(relations)}")
    return draw


def _names_only(relation: str, name: str) -> bool:
    """Is this a relation on that one name, and not a sentence?"""
    try:
        return bool(re.search("[<>=]", relation)) and expressions.names_of(relation) == {name}
    except expressions.FormError:
        return False


def derive(id: str) -> Derivation:
    """The whole derivation of a scalar record: its definition, differentiated."""
    D = start(id)
    D.chain()
    D.differentiate(why=_rules(D))
    return D


FUNCTIONS = {
    sp.exp: "(eᵘ)′ = eᵘ u′", sp.log: "(log u)′ = u′/u", sp.tanh: "tanh′ = 1 − tanh²", sp.erf: "erf′(u) = 2/√π e^(−u²)",
    sp.erfc: "erfc′(u) = −2/√π e^(−u²)", sp.sin: "sin′ = cos", sp.cos: "cos′ = −sin", sp.Abs: "|u|′ = u′ |u|/u",
}


def _rules(D: Derivation) -> str:
    """The derivatives of the functions that stand in the definition."""
    found = [text for function, text in FUNCTIONS.items()
             if any(part.has(D.wrt) for part in D.loss.atoms(function))]     # type: ignore[union-attr]
    return ", ".join(found)
