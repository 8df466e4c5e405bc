"""The Python that a kernel's source becomes in the simulator.

Triton's interpreter runs the source with each assigned value turned into a Triton value. Python's `and`, `or`
and `not` know nothing of blocks, so they become functions that do. The rewritten copy sees the globals of the
kernel's module as they are at each use, and adds nothing to them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import triton.language as tl

from . import internals
from .fault import KernelFault

_rewritten: WeakKeyDictionary[types.FunctionType, Callable[..., Any]] = WeakKeyDictionary()


class _Names(dict[str, Any]):
    """Names of a rewritten function: one of the interpreter's, the closure's, then the module's, live."""

    def __init__(self, fn: types.FunctionType) -> None:
        super().__init__(inspect.getclosurevars(fn).nonlocals, **_ADDED)
        self.module = fn.__globals__

    def __missing__(self, name: str) -> Any:
        return self.module[name]


class _Logic(ast.NodeTransformer):
    """`a and b` to `_and(lambda: a, lambda: b)`, likewise `or` and `not`; chained comparisons are refused."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        name = "_chainrule_and" if isinstance(node.op, ast.And) else "_chainrule_or"
        return _call(name, [_later(value) for value in node.values])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return _call("_chainrule_not", [node.operand]) if isinstance(node.op, ast.Not) else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) > 1:
            raise KernelFault(
                f"a kernel chains comparisons, which Triton's compiler refuses: {ast.unparse(node)}",
                check="language")
        return node


def _call(name: str, args: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), args, [])


def _later(value: ast.expr) -> ast.Lambda:
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(nothing, value)


def _and(*values: Callable[[], Any]) -> Any:
    """As the compiler: blocks are combined lane by lane, anything else stops at the first that decides."""
    result = values[0]()
    for value in values[1:]:
        if _is_block(result):
            result = result.logical_and(value())
        elif result:
            result = value()
    return result


def _or(*values: Callable[[], Any]) -> Any:
    result = values[0]()
    for value in values[1:]:
        if _is_block(result):
            result = result.logical_or(value())
        elif not result:
            result = value()
    return result


def _not(value: Any) -> Any:
    return value == 0 if _is_block(value) else not value


def _is_block(value: Any) -> bool:
    return isinstance(value, tl.tensor) and value.type.is_block()


_ADDED = {
    "interpreter_semantic": internals.semantic,
    "_chainrule_and": _and, "_chainrule_or": _or, "_chainrule_not": _not,
}


def rewrite(fn: types.FunctionType) -> Callable[..., Any]:
    """The interpreter's form of a kernel or device function; made once."""
    if fn not in _rewritten:
        _rewritten[fn] = _rewrite(fn)
    return _rewritten[fn]


def _rewrite(fn: types.FunctionType) -> Callable[..., Any]:
    lines, first = inspect.getsourcelines(fn)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    _strip(definition)
    tree = ast.fix_missing_locations(internals.Assignments().visit(_Logic().visit(tree)))
    ast.increment_lineno(tree, first - 1)
    space: dict[str, Any] = {}
    exec(compile(tree, inspect.getfile(fn), "exec"), {}, space)
    code = space[fn.__name__].__code__
    copy = types.FunctionType(code, _Names(fn), fn.__name__, fn.__defaults__)
    copy.__kwdefaults__ = fn.__kwdefaults__
    return copy


def _strip(definition: ast.FunctionDef) -> None:
    """Decorators, annotations and defaults have been evaluated already; they must not be again."""
    definition.decorator_list, definition.returns = [], None
    arguments = definition.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    arguments.defaults, arguments.kw_defaults = [], [None] * len(arguments.kwonlyargs)
