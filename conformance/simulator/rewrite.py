"""The Python that a kernel's source becomes in the simulator.

Triton's interpreter runs the source with each assigned value turned into a Triton value. The rewritten copy sees the
kernel module's own globals as they are at each use, and adds nothing to them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any

from triton.runtime import interpreter

_rewritten: dict[types.FunctionType, Callable[..., Any]] = {}


class _Names(dict[str, Any]):
    """Names of a rewritten function: one of the interpreter's, the closure's, then the module's, live."""

    def __init__(self, fn: types.FunctionType) -> None:
        super().__init__(inspect.getclosurevars(fn).nonlocals, interpreter_semantic=interpreter.interpreter_semantic)
        self.module = fn.__globals__

    def __missing__(self, name: str) -> Any:
        return self.module[name]


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
    tree = ast.fix_missing_locations(interpreter.ASTTransformer().visit(tree))
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
