"""What Triton's front end does again for each kernel, and need not: parsing a function, and lowering a device function
that it has lowered for the same types, constants, options and target. A kernel that calls it again gets a declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import triton.language as tl
from triton.compiler.code_generator import CodeGenerator
from triton.runtime.jit import JITCallable

from . import taken

_trees: WeakKeyDictionary[FunctionType, tuple[str, Any]] = WeakKeyDictionary()
_lowered: dict[Any, tuple[Any, Any]] = {}             # a device function -> what it returns


class Lowering:
    """The device functions that one kernel calls: which were declared, and which were lowered for it."""

    def __init__(self, setting: str) -> None:
        self.setting, self.declared, self.new = setting, False, dict[Any, tuple[Any, Any]]()

    def keep(self) -> None:
        """What was lowered need not be again; it uses nothing that is undefined."""
        _lowered.update(self.new)


@contextmanager
def each(lowering: Lowering | None) -> Iterator[None]:
    """Inside, functions are parsed once, and with `lowering` device functions are lowered once."""
    parse, define = JITCallable.parse, CodeGenerator.visit_FunctionDef
    JITCallable.parse = _parsed(parse)
    if lowering is not None:
        CodeGenerator.visit_FunctionDef = _defined(define, lowering)
    try:
        yield
    finally:
        JITCallable.parse, CodeGenerator.visit_FunctionDef = parse, define


def _parsed(genuine: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`JITCallable.parse`, which would parse a function again for every kernel that calls it."""

    def parse(self: Any) -> Any:
        if self.fn not in _trees or _trees[self.fn][0] != self.src:
            _trees[self.fn] = self.src, genuine(self)
        return _trees[self.fn][1]

    return parse


def _defined(genuine: Callable[[Any, Any], Any], lowering: Lowering) -> Callable[[Any, Any], Any]:
    """`CodeGenerator.visit_FunctionDef`: of a function that is known, only what it takes and returns."""

    def define(self: Any, node: Any) -> Any:
        key = None if self.is_kernel else _key(self, lowering.setting)
        if key not in _lowered:
            result = genuine(self, node)
            if key is not None:
                lowering.new[key] = self.ret_type, self.prototype.ret_types
            return result
        lowering.declared = True
        self.ret_type, self.prototype.ret_types = _lowered[key]
        kind = self.prototype.serialize(self.builder)
        self.fn = self.builder.get_or_insert_function(self.module, self.function_name, kind, "private", self.noinline)
        return self.module.push_back(self.fn)

    return define


def _key(generator: Any, setting: str) -> Any:
    """A device function with its types and constants; None if one is nothing plain, or they lie elsewhere."""
    prototype = generator.prototype
    if hasattr(prototype, "constants") or generator.caller_context is not None:       # Triton 3.6; Gluon
        return None
    try:
        return setting, generator.jit_fn.cache_key, generator.function_name, *map(_typed, prototype.arg_types)
    except (RuntimeError, TypeError):
        return None


def _typed(kind: Any) -> str:
    if isinstance(kind, tl.tuple_type):
        return f"({','.join(map(_typed, kind.types))}){kind.fields}"
    if isinstance(kind, tl.core.constexpr_type):
        return taken.plain(kind.value)
    if isinstance(kind, tl.dtype):
        return str(kind)
    raise TypeError(f"{kind!r} is nothing plain")
