"""The machine form of a record as LaTeX: what is not printed in the deck is typeset from the form, never typed."""

from __future__ import annotations

import ast
import re
from importlib.resources import files

from .expressions import OVER, cases, limits, parse
from .letters import latex_name
from .records import Equation

AND, MODULO, SUM, PRODUCT, POWER, ATOM = range(6)
BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: (" + ", SUM), ast.Sub: (" - ", SUM), ast.Mult: (r"\, ", PRODUCT),
    ast.BitAnd: (r" \text{ and } ", AND), ast.BitOr: (r" \text{ or } ", AND),
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: r"\le", ast.Gt: ">", ast.GtE: r"\ge", ast.Eq: "=", ast.NotEq: r"\ne",
}
Piece = tuple[str, int]


def formulas(equation: Equation) -> list[str]:
    """The LaTeX of a record that the deck does not print: its result where it is derived, else its machine form."""
    page = files(__package__) / "derived" / f"{equation.id.replace('.', '_')}.md"
    if equation.value is None and page.is_file():
        return [derived_formula(page.read_text(encoding="utf-8"))]
    if equation.value is not None and equation.status != "printed":
        return [latex(equation.value)]
    return []


def derived_formula(page: str) -> str:
    """The first side of a derivation's first line, and the second side of its last."""
    lines = re.findall(r"^ *\$\$(.*)\$\$$", page.partition("## Steps")[2].partition("\n## ")[0], re.M)
    return f"{lines[0].partition(' = ')[0]} = {lines[-1].partition('= ')[2]}"


def latex(form: str) -> str:
    """A machine form in LaTeX."""
    return _piece(parse(form))[0]


def _inside(node: ast.expr, at_least: int) -> str:
    text, binds = _piece(node)
    return text if binds >= at_least else rf"\left({text}\right)"


def _piece(node: ast.expr) -> Piece:
    match node:
        case ast.Constant(value=value):
            return (r"\text{otherwise}" if value is True else str(value)), ATOM
        case ast.Name(id=name):
            return _single(latex_name(name)), ATOM
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return "-" + _inside(operand, PRODUCT), SUM
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return rf"\frac{{{_piece(left)[0]}}}{{{_piece(right)[0]}}}", PRODUCT
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            return rf"\lfloor \frac{{{_piece(left)[0]}}}{{{_piece(right)[0]}}} \rfloor", ATOM
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return rf"{_inside(left, PRODUCT)} \bmod {_inside(right, PRODUCT)}", MODULO
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_inside(left, ATOM)}^{{{_piece(right)[0]}}}", POWER
        case ast.BinOp(left=left, op=op, right=right):
            sign, binds = BINARY[type(op)]
            after = binds if isinstance(op, ast.Add | ast.Mult) else binds + 1
            return f"{_inside(left, binds)}{sign}{_inside(right, after)}", binds
        case ast.Compare(left=left, ops=ops, comparators=others):
            signs = "".join(f" {COMPARE[type(op)]} {_inside(other, SUM)}" for op, other in zip(ops, others))
            return _inside(left, SUM) + signs, SUM
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            parts = index.elts if isinstance(index, ast.Tuple) else [index]
            return f"{_based(latex_name(name))}_{{{', '.join(_piece(part)[0] for part in parts)}}}", ATOM
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, args)
    raise ValueError(f"not part of the language: {ast.unparse(node)!r}")


def _single(name: str) -> str:
    """A name of several letters is one name and no product."""
    return rf"\mathrm{{{name}}}" if len(name) > 1 and name.isalpha() else name


def _based(name: str) -> str:
    """A name that carries an index; one that has an index of its own is set apart."""
    return f"{{{name}}}" if "_" in name else _single(name)


def _call(name: str, args: list[ast.expr]) -> Piece:
    match name:
        case "Sum":
            return f"{_signs(args[1:])} {_inside(args[0], PRODUCT)}", PRODUCT
        case "MaxOver" | "ArgMaxOver":
            under = r", \; ".join(rf"{_piece(low)[0]} \le {v} \le {_piece(high)[0]}"
                                  for v, low, high in limits(args[OVER[name]:]))
            largest = rf"\max_{{{under}}} {_inside(args[0], PRODUCT)}"
            place = rf"{_piece(args[1])[0]} \quad \text{{at}} \quad " if name == "ArgMaxOver" else ""
            return place + largest, SUM
        case "Piecewise":
            rows = NEW_LINE.join(rf"{_piece(value)[0]} & {_piece(condition)[0]}" for value, condition in cases(args))
            return rf"\begin{{cases}} {rows} \end{{cases}}", ATOM
        case "exp":
            return f"e^{{{_piece(args[0])[0]}}}", POWER
        case "expm1":
            return f"e^{{{_piece(args[0])[0]}}} - 1", SUM
        case "log1p":
            inside = _piece(args[0])[0]
            return rf"\log\left(1 {inside if inside.startswith('-') else '+ ' + inside}\right)", ATOM
        case "sqrt":
            return rf"\sqrt{{{_piece(args[0])[0]}}}", ATOM
        case "abs":
            return rf"\left|{_piece(args[0])[0]}\right|", ATOM
        case "pi":
            return r"\pi", ATOM
        case "number":
            return _piece(args[1])
    command = COMMANDS.get(name) or _single(latex_name(name))
    inside = ", ".join(_piece(arg)[0] for arg in args)
    return rf"{command}\left({inside}\right)", ATOM


NEW_LINE = r" \\ "
COMMANDS = {"maximum": r"\max", "max": r"\max", "min": r"\min", "erf": r"\operatorname{erf}",
            "erfc": r"\operatorname{erfc}", **{name: "\\" + name for name in ("log", "tanh", "sin", "cos")}}


def _signs(ranges: list[ast.expr]) -> str:
    return " ".join(rf"\sum_{{{v}={_piece(low)[0]}}}^{{{_piece(high)[0]}}}" for v, low, high in limits(ranges))
