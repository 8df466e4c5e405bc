"""One small change at a time to Python code: the operators of the reference's mutants."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen

SWAPPED: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
                             ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult}
COMPARED: dict[type, tuple[type, ...]] = {
    ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,)}


Change = dict[str, Any]


@frozen(eq=False)
class Edit:
    """A node, and what to put into its fields."""

    module: str
    function: str
    node: Any
    change: Change
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (text.partition("\n")[0] for text in (self.before, self.after))
        return f"{self.module}.{self.function}: {before} → {after}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        original = {field: getattr(self.node, field) for field in self.change}
        self._put(self.change)
        try:
            yield
        finally:
            self._put(original)

    def _put(self, change: Change) -> None:
        for field, value in change.items():
            setattr(self.node, field, value)


def edits(module: str, tree: ast.Module) -> Iterator[Edit]:
    """Every edit of a module's functions and constants; the code is unchanged between two of them."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            defaults = [d for d in (*statement.args.defaults, *statement.args.kw_defaults) if d is not None]
            for part in (*defaults, *statement.body):
                yield from within(module, statement.name, part)
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List | ast.Dict):
            yield from within(module, ast.unparse(statement.targets[0]), statement.value)


def within(module: str, function: str, part: ast.AST) -> Iterator[Edit]:
    """The edits of one statement, each named by what it does to the expression around it."""
    for node, around in walk(part, part):
        before = ast.unparse(around)
        for change in changes(node):
            with Edit(module, function, node, change, before, "").applied():
                ast.fix_missing_locations(node)
                after = ast.unparse(around)
            if after != before:
                yield Edit(module, function, node, change, before, after)


def walk(part: ast.AST, around: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """All nodes that compute something, each with its parent: not annotations, texts, messages of errors."""
    yield part, around
    for name, child in ast.iter_fields(part):
        if name in ("annotation", "returns") or isinstance(part, ast.JoinedStr):
            continue
        for one in child if isinstance(child, list) else [child]:
            if isinstance(one, ast.AST) and not isinstance(one, ast.Raise):
                yield from walk(one, part)


def changes(node: ast.AST) -> Iterator[Change]:
    """What can be put into which field of this node."""
    for kind, rule in RULES.items():
        if isinstance(node, kind):
            yield from rule(node)


def arithmetic(node: ast.BinOp) -> Iterator[Change]:
    if type(node.op) in SWAPPED:
        yield {"op": SWAPPED[type(node.op)]()}


def comparison(node: ast.Compare) -> Iterator[Change]:
    for k, op in enumerate(node.ops):
        for other in COMPARED.get(type(op), ()):
            yield {"ops": [*node.ops[:k], other(), *node.ops[k + 1:]]}


def constant(node: ast.Constant) -> Iterator[Change]:
    if isinstance(node.value, bool):
        yield {"value": not node.value}
    elif isinstance(node.value, int | float):
        yield {"value": node.value + 1}
        yield {"value": node.value - 1}


def sign(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.USub):
        yield {"op": ast.UAdd()}
    if isinstance(node.op, ast.Not):
        yield {"operand": ast.UnaryOp(ast.Not(), node.operand)}


def subscript(node: ast.Subscript) -> Iterator[Change]:
    """One further along, and, where two stand together, the two exchanged."""
    if isinstance(node.slice, ast.Name | ast.BinOp):
        yield {"slice": ast.BinOp(node.slice, ast.Add(), ast.Constant(1))}
    if isinstance(node.value, ast.Subscript):
        inner = node.value
        exchanged = ast.Subscript(ast.Subscript(inner.value, node.slice, ast.Load()), inner.slice, ast.Load())
        yield {"value": exchanged.value, "slice": inner.slice}


def condition(node: ast.IfExp) -> Iterator[Change]:
    yield {"test": ast.Constant(True)}
    yield {"test": ast.Constant(False)}


def guard(node: ast.If) -> Iterator[Change]:
    yield {"test": ast.Constant(True)}
    yield {"test": ast.Constant(False)}


def selection(node: ast.comprehension) -> Iterator[Change]:
    if node.ifs:
        yield {"ifs": []}


def call(node: ast.Call) -> Iterator[Change]:
    """Bounds of a range, min for max, and a check that is left out."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "range":
        for k, bound in enumerate(node.args):
            for step in (ast.Add(), ast.Sub()):
                yield {"args": [*node.args[:k], ast.BinOp(bound, step, ast.Constant(1)), *node.args[k + 1:]]}
    if name in ("min", "max"):
        yield {"func": ast.Name("max" if name == "min" else "min", ast.Load())}


def statement(node: ast.Expr) -> Iterator[Change]:
    if isinstance(node.value, ast.Call):
        yield {"value": ast.Constant(None)}


def logic(node: ast.BoolOp) -> Iterator[Change]:
    yield {"op": ast.And() if isinstance(node.op, ast.Or) else ast.Or()}


RULES: dict[type, Callable[[Any], Iterator[Change]]] = {
    ast.BinOp: arithmetic, ast.Compare: comparison, ast.Constant: constant, ast.UnaryOp: sign,
    ast.Subscript: subscript, ast.IfExp: condition, ast.If: guard, ast.comprehension: selection, ast.Call: call,
    ast.Expr: statement, ast.BoolOp: logic}
