"""A launch as a graph can hold it: Inductor writes kernels down as source, whose arguments are plain numbers.

Ours also take tuples (sizes, strides) and functions (g, g′). `written` makes of such a kernel and its arguments one
that has each number for an argument of its own and calls its functions by name; what it computes is the same.
"""

from __future__ import annotations

import ast
import linecache
from functools import cache
from typing import Any

import triton
from torch.library import wrap_triton
from triton.runtime.jit import JITFunction


def enter(kernel: Any, grid: tuple[Any, ...], args: tuple[Any, ...], meta: dict[str, Any], row: Any) -> None:
    """The launch as a node of the graph that is being traced."""
    plain, given = written(kernel, {**dict(zip(kernel.arg_names, args)), **meta})
    wrap_triton(plain)[grid](**given, num_warps=row.warps, num_stages=row.stages)


def written(kernel: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(kernel, arguments) without tuples and functions among them."""
    tuples = {name: len(value) for name, value in given.items() if isinstance(value, tuple)}
    functions = {name: value for name, value in given.items() if isinstance(value, JITFunction)}
    if not tuples and not functions:
        return kernel, given
    numbers = {f"{name}_{i}": given[name][i] for name, n in tuples.items() for i in range(n)}
    rest = {name: value for name, value in given.items() if name not in tuples and name not in functions}
    return _rewritten(kernel, tuple(tuples.items()), tuple(functions.items())), {**rest, **numbers}


class _Spelled(ast.NodeTransformer):
    """Each tuple's name as the tuple of its parts; each function's name as its own."""

    def __init__(self, tuples: dict[str, int], functions: dict[str, Any]) -> None:
        self.tuples, self.functions = tuples, functions

    def visit_arguments(self, node: ast.arguments) -> ast.arguments:
        node.args = [
            part for arg in node.args if arg.arg not in self.functions
            for part in ([ast.arg(f"{arg.arg}_{i}") for i in range(self.tuples[arg.arg])]
                         if arg.arg in self.tuples else [arg])]
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.tuples:
            parts: list[ast.expr] = [ast.Name(f"{node.id}_{i}", ast.Load()) for i in range(self.tuples[node.id])]
            return ast.Tuple(parts, ast.Load())
        return ast.Name(self.functions[node.id].__name__, node.ctx) if node.id in self.functions else node


@cache
def _rewritten(kernel: Any, tuples: tuple[tuple[str, int], ...], functions: tuple[tuple[str, Any], ...]) -> Any:
    tree = _Spelled(dict(tuples), dict(functions)).visit(ast.parse(kernel.src))
    source = ast.unparse(ast.fix_missing_locations(tree))
    named = {function.__name__: function for _, function in functions}
    file = f"<{kernel.__module__}.{kernel.__name__} of {tuples}, {', '.join(named)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    scope = {**kernel.fn.__globals__, **named}
    exec(compile(source, file, "exec"), scope)
    return triton.jit(scope[kernel.__name__])
