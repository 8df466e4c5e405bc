"""One small change at a time to Triton source: what goes wrong when kernels are written by hand.

Each mutator looks at one node of a @triton.jit function and says what could stand there instead. `structural` ones
change what is computed; the others only how precisely: in which format, or how an elementary function is approximated.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import accumulate
from typing import Any

from attrs import frozen

from .kernels import source

Changes = Iterator[tuple[str, ast.AST]]
PRECISION, APPROXIMATIONS = ("accumulator dtype", "dropped cast"), "blocks.elementary"
HINTS = {"multiple_of", "max_contiguous", "max_constancy", "static_assert", "device_assert", "device_print", "cdiv"}
COMPARED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE,), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE,), ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,)}


@frozen
class Mutant:
    """A module of kernels with one expression, or one statement, exchanged."""

    module: str
    function: str
    kind: str
    before: str
    after: str
    number: int                  # among those of the function that read alike
    splice: tuple[int, int, bytes] = (0, 0, b"")         # from which byte to which of the module, and what stands there

    @property
    def text(self) -> str:
        """The module with this change."""
        first, last, new = self.splice
        whole = source(self.module).encode()
        return (whole[:first] + new + whole[last:]).decode()

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Where the change stands: module, function, line, column."""
        before = source(self.module).encode()[:self.splice[0]]
        return self.module, self.function, before.count(b"\n") + 1, len(before) - before.rfind(b"\n") - 1

    @property
    def structural(self) -> bool:
        return self.kind not in PRECISION and self.module != APPROXIMATIONS

    def __str__(self) -> str:
        again = f" #{self.number}" if self.number else ""
        return f"{self.module}.{self.function}: {self.kind}: {self.before} → {self.after}{again}"


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module's jitted functions."""
    text = source(module)
    for function in ast.parse(text).body:
        if isinstance(function, ast.FunctionDef) and any("jit" in ast.unparse(d) for d in function.decorator_list):
            yield from _of_function(module, text, function)


def _of_function(module: str, text: str, function: ast.FunctionDef) -> Iterator[Mutant]:
    seen: dict[tuple[str, str, str], int] = {}
    first_line = cache(lambda statement: ast.unparse(statement).partition("\n")[0])
    starts = [0, *accumulate(len(line) + 1 for line in text.encode().split(b"\n"))]
    strides = [a.arg for a in function.args.args if re.fullmatch(r"\w+_\w+", a.arg)]
    for node, shown in _nodes(function):
        for kind, other in _changes(node, strides):
            before, after = ast.unparse(node), ast.unparse(other)
            if before == after:
                continue
            key = kind, before.partition("\n")[0], after.partition("\n")[0]
            number = seen[key] = seen.get(key, -1) + 1
            where = f"{key[1]} in `{first_line(shown)}`" if shown is not node else key[1]
            yield Mutant(module, function.name, kind, where, key[2], number, _splice(starts, node, other, after))


def _nodes(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Every statement and expression, each with the statement around it. Hints to the compiler are left out, and the
    cast of what is stored to the element type of its pointer, which a store does anyway."""
    def walk(node: ast.AST, statement: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        here = node if isinstance(node, ast.stmt) else statement
        if node not in converted:
            yield node, here
        if isinstance(node, ast.Call) and _called(node) in HINTS:
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, here)

    stores = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _called(node) == "store"]
    converted = {call.args[1] for call in stores
                 if len(call.args) > 1 and ast.unparse(call.args[1]).endswith("dtype.element_ty)")}

    for part in function.body:
        if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):      # the docstring
            yield from walk(part, part)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _splice(starts: list[int], node: Any, other: ast.AST, new: str) -> tuple[int, int, bytes]:
    """Where a node stands in its module, whose lines start at these bytes, and what shall stand there."""
    if isinstance(node, ast.expr) and not isinstance(other, ast.Name | ast.Constant | ast.Attribute | ast.Call):
        new = f"({new})" if not isinstance(other, ast.Slice | ast.Tuple) else new
    if isinstance(node, ast.stmt):
        new = new.replace("\n", "\n" + " " * node.col_offset)
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset, new.encode()


def _changes(node: ast.AST, strides: list[str]) -> Changes:
    for kind, mutators in MUTATORS.items():
        if isinstance(node, kind):
            for mutate in mutators:
                yield from mutate(node, strides)


def _with(node: Any, **fields: Any) -> Any:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def arithmetic(node: ast.BinOp, strides: list[str]) -> Changes:
    swapped = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mod,
               ast.Mod: ast.FloorDiv}
    if type(node.op) in swapped:
        yield "operator", _with(node, op=swapped[type(node.op)]())
    if isinstance(node.op, ast.Sub | ast.Div):
        yield "swapped operands", _with(node, left=node.right, right=node.left)
    if isinstance(node.op, ast.BitAnd):
        yield "mask", node.left
        yield "mask", node.right


def stride(node: ast.Name, strides: list[str]) -> Changes:
    """Another stride of the same tensor."""
    if node.id in strides and isinstance(node.ctx, ast.Load):
        tensor = node.id.rpartition("_")[0]
        others = [name for name in strides if name.rpartition("_")[0] == tensor and name != node.id]
        for other in others[:1]:
            yield "stride", ast.Name(other, ast.Load())


def comparison(node: ast.Compare, strides: list[str]) -> Changes:
    for other in COMPARED.get(type(node.ops[0]), ()) if len(node.ops) == 1 else ():
        yield "comparison", _with(node, ops=[other()])


def constant(node: ast.Constant, strides: list[str]) -> Changes:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return
    yield "constant", ast.Constant(node.value + 1)
    if isinstance(node.value, float) and node.value not in (0.0, float("inf")):
        yield "constant", ast.Constant(-node.value)


def call(node: ast.Call, strides: list[str]) -> Changes:
    name, args = _called(node), node.args
    given = {k.arg: k for k in node.keywords}
    if name in ("load", "store") and "mask" in given:
        kept = [k for k in node.keywords if k.arg not in ("mask", "other")]
        yield "mask", _with(node, keywords=kept)
        if "other" in given:
            yield "fill", _with(node, keywords=[k for k in node.keywords if k.arg != "other"])
    if name in ("range", "static_range") and len(args) == 3:
        first, last, step = args
        whole = ast.BinOp(ast.BinOp(last, ast.FloorDiv(), step), ast.Mult(), step)
        yield "K tail", _with(node, args=[first, whole, step])
    if name in ("range", "static_range") and len(args) < 3:
        yield "off by one", _with(node, args=[*args[:-1], ast.BinOp(args[-1], ast.Sub(), ast.Constant(1))])
    if name in ("sum", "max", "min") and len(args) == 2 and ast.unparse(args[1]) in ("0", "1"):
        yield "wrong axis", _with(node, args=[args[0], ast.Constant(1 - int(ast.unparse(args[1])))])
    if name == "where" and len(args) == 3:
        yield "swapped operands", _with(node, args=[args[0], args[2], args[1]])
    if name in ("maximum", "minimum"):
        other = "minimum" if name == "maximum" else "maximum"
        yield "comparison", _with(node, func=_with(node.func, attr=other))
    if name == "dot" and len(args) > 2:
        yield "accumulator", _with(node, args=args[:2])
    if name == "program_id" and isinstance(args[0], ast.Constant):
        yield "tile index", ast.BinOp(node, ast.Add(), ast.Constant(1))
    if name in ("zeros", "full") and "float32" in ast.unparse(node):
        yield "accumulator dtype", ast.parse(ast.unparse(node).replace("float32", "float16"), mode="eval").body
    if name == "to" and isinstance(node.func, ast.Attribute):
        yield "dropped cast", node.func.value
    if name in ("exp", "exp2", "log", "sqrt", "abs") and len(args) == 1:
        yield "operator", args[0]


def subscript(node: ast.Subscript, strides: list[str]) -> Changes:
    """`x[:, None]` for `x[None, :]`."""
    if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
        yield "wrong axis", _with(node, slice=_with(node.slice, elts=node.slice.elts[::-1]))


def guard(node: ast.If, strides: list[str]) -> Changes:
    if not node.orelse:
        yield "store guard", _with(node, test=ast.Constant(True))
        yield "store guard", _with(node, test=ast.Constant(False))


def step(node: ast.AugAssign, strides: list[str]) -> Changes:
    yield "statement", ast.Pass()


def sign(node: ast.UnaryOp, strides: list[str]) -> Changes:
    if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "operator", node.operand


MUTATORS: dict[type, tuple[Callable[[Any, list[str]], Changes], ...]] = {
    ast.BinOp: (arithmetic,), ast.Name: (stride,), ast.Compare: (comparison,), ast.Constant: (constant,),
    ast.Call: (call,), ast.Subscript: (subscript,), ast.If: (guard,), ast.AugAssign: (step,), ast.UnaryOp: (sign,)}
