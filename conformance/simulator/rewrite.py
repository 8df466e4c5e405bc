"""The Python that a kernel's source becomes in the simulator.

Triton's interpreter runs the source with each assigned value turned into a Triton value. Python's `and`, `or`, `not`
and chained comparisons know nothing of blocks, so they become functions that do; calls go where the compiler would send
them (`calls.py`). The rewritten copy sees the globals of the kernel's module as they are at each use, and adds nothing
to them.
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

from . import calls, internals

_rewritten: WeakKeyDictionary[types.FunctionType, Callable[..., Any]] = WeakKeyDictionary()


class _Names(dict[str, Any]):
    """Names of a rewritten function: one of the interpreter's, the closure's, then the module's, live."""

    def __init__(self, fn: types.FunctionType) -> None:
        super().__init__(inspect.getclosurevars(fn).nonlocals, **_ADDED)
        self.module = fn.__globals__

    def __missing__(self, name: str) -> Any:
        return self.module[name]


class _Language(ast.NodeTransformer):
    """What Triton means by Python's syntax, in functions: logic, comparisons in a chain, calls, and `.value`."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        name = "_chainrule_and" if isinstance(node.op, ast.And) else "_chainrule_or"
        return _call(name, [_later(value) for value in node.values])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return _call("_chainrule_not", [node.operand]) if isinstance(node.op, ast.Not) else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1:
            return node
        left, right = (ast.Name(n, ast.Load()) for n in ("a", "b"))
        steps: list[ast.expr] = [_function(["a", "b"], ast.Compare(left, [op], [right])) for op in node.ops]
        return _call("_chainrule_chain", [ast.Tuple(steps, ast.Load()), node.left, *map(_later, node.comparators)])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            name, first = "_chainrule_method", [node.func.value, ast.Constant(node.func.attr)]
        else:
            name, first = "_chainrule_call", [node.func]
        return ast.Call(ast.Name(name, ast.Load()), [*first, *node.args], node.keywords)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        wanted = node.attr == "value" and isinstance(node.ctx, ast.Load)
        return _call("_chainrule_value", [node.value]) if wanted else node


def _call(name: str, args: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), args, [])


def _function(names: list[str], value: ast.expr) -> ast.Lambda:
    args = [ast.arg(name) for name in names]
    return ast.Lambda(ast.arguments(posonlyargs=[], args=args, kwonlyargs=[], kw_defaults=[], defaults=[]), value)


def _later(value: ast.expr) -> ast.Lambda:
    return _function([], value)


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


def _both(a: Any, b: Any) -> Any:
    return a.logical_and(b) if _is_block(a) else b


def _chain(steps: tuple[Callable[[Any, Any], Any], ...], left: Any, *others: Callable[[], Any]) -> Any:
    """`a < b < c`, each operand evaluated once: blocks are compared lane by lane."""
    result: Any = True
    for step, other in zip(steps, others, strict=True):
        right = other()
        holds = step(left, right)
        result = holds if result is True else _both(result, holds)
        if not _is_block(result) and not result:
            return result
        left = right
    return result


def _is_block(value: Any) -> bool:
    return isinstance(value, tl.tensor) and value.type.is_block()


_ADDED = {
    "interpreter_semantic": internals.semantic,
    "_chainrule_and": _and, "_chainrule_or": _or, "_chainrule_not": _not, "_chainrule_chain": _chain,
    "_chainrule_call": calls.call, "_chainrule_method": calls.method, "_chainrule_value": calls.value_of,
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
    tree = ast.fix_missing_locations(internals.Assignments().visit(_Language().visit(tree)))
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
