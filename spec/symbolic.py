"""The machine form as a SymPy expression, over declared names only: never sympify."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import sympy

from .expressions import BINARY, COMPARE, FormError, cases, limits, parse
from .records import Equation

RELATION = {"==": sympy.Eq, "!=": sympy.Ne, "<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge}
OPERATION: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_,
}
MEANING: dict[str, Callable[..., Any]] = {
    **{name: getattr(sympy, name) for name in ("exp", "log", "sqrt", "tanh", "erf", "erfc", "sin", "cos")},
    "abs": sympy.Abs, "min": sympy.Min, "max": sympy.Max,
    "pi": lambda like: sympy.pi,
    "number": lambda like, n: n,
    "expm1": lambda x: sympy.exp(x) - 1,
    "log1p": lambda x: sympy.log(1 + x),
    # not Max: the first argument owns a tie, and with it the derivative there
    "maximum": lambda a, b: sympy.Piecewise((a, a >= b), (b, True)),
}


def to_sympy(form: str, names: Mapping[str, Any]) -> Any:
    """The form over the given names (symbols, indexed bases, functions) and no others."""
    return _sympy(parse(form), dict(names))


def _sympy(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=bool() as truth):
            return sympy.true if truth else sympy.false
        case ast.Constant(value=int() as number):
            return sympy.Integer(number)
        case ast.Name(id=name):
            if name not in names:
                raise FormError(f"the name {name!r} is not declared by the record")
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_sympy(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return OPERATION[BINARY[type(op)]](_sympy(left, names), _sympy(right, names))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
            return RELATION[COMPARE[type(op)]](_sympy(left, names), _sympy(right, names))
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=parts)):
            return names[name][tuple(_sympy(part, names) for part in parts)]
        case ast.Subscript(value=ast.Name(id=name), slice=part):
            return names[name][_sympy(part, names)]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _sympy_call(name, args, names)
    raise FormError(f"not part of the language: {ast.unparse(node)!r}")


def _sympy_call(name: str, args: list[ast.expr], names: Mapping[str, Any]) -> Any:
    if name == "Sum":
        ranges = list(limits(args[1:]))
        inner = {**names, **{v: sympy.Symbol(v, integer=True) for v, _, _ in ranges}}
        triples = [(inner[v], _sympy(first, inner), _sympy(last, inner)) for v, first, last in ranges]
        return sympy.Sum(_sympy(args[0], inner), *triples)
    if name == "Piecewise":
        pairs = [(_sympy(value, names), _sympy(condition, names)) for value, condition in cases(args)]
        return sympy.Piecewise(*pairs)
    if name in names:
        return names[name](*(_sympy(arg, names) for arg in args))
    if name not in MEANING:
        raise FormError(f"SymPy has no unevaluated {name}")
    return MEANING[name](*(_sympy(arg, names) for arg in args))


def sympy_names(equation: Equation) -> dict[str, Any]:
    """The declared names of a record as SymPy objects: sizes and indices are integers, arrays are indexed."""
    integers = {name: sympy.Symbol(name, integer=True) for name in (*equation.sizes, *equation.index)}
    arrays = {name: sympy.IndexedBase(name) for name in equation.arrays}
    return {**integers, **arrays, **{name: _symbol(name, sort) for name, sort in equation.symbols.items()}}


def _symbol(name: str, sort: str) -> Any:
    if sort == "function":
        return sympy.Function(name)
    return sympy.Symbol(name, real=True, **({"positive": True} if sort == "positive" else {}))


def expression(equation: Equation, which: str = "value") -> Any:
    """A form of the record as a SymPy expression over its own names."""
    form = getattr(equation, which)
    if form is None:
        raise FormError(f"{equation.id} has no machine form {which!r}")
    return to_sympy(form, sympy_names(equation))
