"""The machine form of an equation: a small language, read by Python's parser, walked over a closed list.

    Sum(theta[j]*x[i + j], (j, 0, m - 1))
    Piecewise((x, x >= 0), (alpha*(exp(x) - 1), True))

Bounds are inclusive, as in print. pi(x) is π and number(x, 2) is 2, as
numbers of x's kind: √2 is as exact as x. The tree becomes a function over any number type here (through
chainrule.scalar), and a SymPy expression in `symbolic`; no text is ever evaluated as it stands.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from .. import scalar
from .records import Equation

OVER = {"Sum": 1, "MaxOver": 1, "ArgMaxOver": 2}         # how many arguments stand before the ranges
ELEMENTARY = ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "erf", "erfc", "sin", "cos", "pi", "number")
BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|",
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}


class FormError(ValueError):
    """A machine form that cannot be read; the message shows the part."""


@cache
def parse(form: str) -> ast.expr:
    """The tree of a machine form."""
    try:
        return ast.parse(form, mode="eval").body
    except SyntaxError as error:
        raise FormError(f"{form!r} is not an expression: {error.msg}") from None


def python(node: ast.expr) -> str:
    """The tree as Python source: sums become generators, cases become `where` with thunks."""
    match node:
        case ast.Constant(value=bool() | int()) | ast.Name():
            return ast.unparse(node)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"(-{python(operand)})"
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return python(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return f"({python(left)} {BINARY[type(op)]} {python(right)})"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
            return f"({python(left)} {COMPARE[type(op)]} {python(right)})"
        case ast.Compare(left=left, ops=[op, *ops], comparators=[middle, *rest]):        # 1 <= m <= n
            return f"({python(ast.Compare(left, [op], [middle]))} & {python(ast.Compare(middle, ops, rest))})"
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=indices)):
            return f"{name}[{', '.join(map(python, indices))}]"
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            return f"{name}[{python(index)}]"
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _python_call(name, args)
    raise FormError(f"not part of the language: {ast.unparse(node)!r}")


def _python_call(name: str, args: list[ast.expr]) -> str:
    match name:
        case "Sum":
            return f"sum({python(args[0])}{_python_loops(args[1:])})"
        case "MaxOver":
            return f"largest(({python(args[0])}, {python(args[0])}){_python_loops(args[1:])})"
        case "ArgMaxOver":
            return f"largest(({python(args[0])}, {python(args[1])}){_python_loops(args[2:])})"
        case "Piecewise":
            return _python_cases(cases(args))
        case "abs":
            return f"maximum({python(args[0])}, -({python(args[0])}))"
    return f"{name}({', '.join(map(python, args))})"


def _python_loops(args: list[ast.expr]) -> str:
    return "".join(f" for {v} in range({python(low)}, {python(high)} + 1)" for v, low, high in limits(args))


def limits(args: list[ast.expr]) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """The (variable, first, last) of a sum."""
    for limit in args:
        match limit:
            case ast.Tuple(elts=[ast.Name(id=variable), first, last]):
                yield variable, first, last
            case _:
                raise FormError(f"a sum runs over (variable, first, last), not {ast.unparse(limit)!r}")


def cases(args: list[ast.expr]) -> list[tuple[ast.expr, ast.expr]]:
    """The (value, condition) pairs of a Piecewise."""
    pairs = [tuple(pair.elts) for pair in args if isinstance(pair, ast.Tuple) and len(pair.elts) == 2]
    if len(pairs) != len(args):
        raise FormError("a Piecewise is made of (value, condition) pairs")
    return [(value, condition) for value, condition in pairs]


def _python_cases(pairs: list[tuple[ast.expr, ast.expr]]) -> str:
    value, condition = pairs[0]
    if isinstance(condition, ast.Constant) and condition.value is True:
        return python(value)
    if len(pairs) == 1:
        raise FormError("the last case of a Piecewise must be True")
    return f"where({python(condition)}, lambda: {python(value)}, lambda: {_python_cases(pairs[1:])})"


def _largest(pairs: Iterator[tuple[Any, Any]]) -> Any:
    """The second of the pair whose first is largest: the first of equals, or the last NaN."""
    first = next(pairs, None)
    if first is None:
        raise ValueError("an empty range has no largest entry")
    best, label = first
    for value, other in pairs:
        label = scalar.where(value != value, other, scalar.where(value > best, other, label))
        best = scalar.where(value != value, value, scalar.where(value > best, value, best))
    return label


_NAMESPACE: dict[str, Any] = {
    "__builtins__": {}, "sum": sum, "range": range, "min": min, "max": max, "largest": _largest,
    "where": scalar.where, "maximum": scalar.maximum, **{name: getattr(scalar, name) for name in ELEMENTARY},
}


def names_of(form: str) -> set[str]:
    """Every name in a form that is neither a function of the language nor bound by a sum."""
    tree = parse(form)
    bound: set[str] = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (skip := OVER.get(ast.unparse(call.func))):
            bound |= {variable for variable, _, _ in limits(call.args[skip:])}
    language = {*_NAMESPACE, *OVER, "Piecewise", "abs"}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - bound - language


def rounded(form: str) -> str:
    """The first function that is taken of numbers alone, and so loses digits; empty if there is none."""
    for call in ast.walk(parse(form)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ELEMENTARY[:-2] \
                and not any(isinstance(node, ast.Name) and node.id not in _NAMESPACE for node in ast.walk(call)):
            return ast.unparse(call)
    return ""


@cache
def compiled(form: str, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """The form as a function of these arguments, over any number type."""
    return compiled_tree(parse(form), arguments)


def compiled_tree(tree: ast.expr, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """As `compiled`, from a tree."""
    source = f"lambda {', '.join(arguments)}: {python(tree)}"
    function: Callable[..., Any] = eval(source, dict(_NAMESPACE))   # made by `python`, never read from a file
    return function


def function(equation: Equation, which: str = "value") -> Callable[..., Any]:
    """A scalar record as a Python function; the arguments are `symbols`, in order.

    A record without a stable form is careful as printed: its value takes that place.
    """
    form = getattr(equation, which, None) if which in ("value", "stable", "stable_prime") else None
    if form is None and which == "stable":
        form = equation.value
    if form is None:
        raise FormError(f"{equation.id} has no machine form {which!r}")
    if equation.arrays:
        raise FormError(f"{equation.id} is not a scalar record: it reads {', '.join(equation.arrays)}")
    return compiled(form, tuple(equation.symbols))


def bounds(ranges: str) -> list[tuple[str, str]]:
    """'1..q, 0..p' -> [('1', 'q'), ('0', 'p')]; a bare size counts from 0: 'n' -> [('0', 'n - 1')]."""
    pairs = []
    for part in filter(None, (p.strip() for p in ranges.split(","))):
        low, dots, high = part.partition("..")
        pairs.append((low, high) if dots else ("0", f"{part} - 1"))
    return pairs


def indices(ranges: str, sizes: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    """Every index of an array of this shape."""
    names = tuple(sizes)
    ends = [[compiled(end, names)(**sizes) for end in pair] for pair in bounds(ranges)]
    return itertools.product(*(range(first, last + 1) for first, last in ends))
