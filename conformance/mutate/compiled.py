"""What Triton's front end makes of a mutant: where it makes the same of everything that an op's cases start, the mutant
is the same kernel, proved, and no case need be asked.

The text compared is the intermediate representation behind the passes that every target shares: functions are inlined,
branches on constants taken, what is never used removed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cache, cached_property
from types import ModuleType
from typing import Any
from unittest import mock

from attrs import frozen
from triton.backends.compiler import Language
from triton.compiler import ASTSource
from triton.compiler.code_generator import CodeGenerator
from triton.runtime.jit import JITFunction

from ... import triton_kernels
from ..backends.triton import backend as ours
from ..judging.cases import Case
from ..judging.hygiene import HygieneFault
from ..judging.running import run
from ..simulator import active, frontend, launch

ROOT = f"{triton_kernels.__name__}."
Place = tuple[str, str, int, int]      # of an expression or a statement: module, function, line, column
_EDITED = re.compile(r"edited_\w+")


@frozen(eq=False)
class Start:
    """A kernel of ours as a case started it, with the types and constants that Triton compiles in."""

    kernel: Any
    how: frontend.Kernel
    options: Any
    signature: dict[str, Any]
    constants: dict[Any, Any]
    attributes: dict[Any, Any]

    @property
    def key(self) -> str:
        known = {path: _name(value) for path, value in self.constants.items()}
        return f"{_name(self.kernel)} {self.signature} {known} {self.attributes} {self.options}"

    @cached_property
    def functions(self) -> frozenset[tuple[str, str]]:
        """(module, name) of every function that is compiled into it."""
        every = [self.kernel, *(getattr(value, "value", value) for value in self.constants.values())]
        return frozenset().union(*(reached(one) for one in every if isinstance(one, JITFunction)))

    def runs(self, place: Place) -> bool:
        """Whether Triton looks at what stands there to make it: not if it is in a branch that is not taken."""
        return place[:2] in self.functions and place in self._made[1]

    @property
    def text(self) -> str:
        """What is made of it."""
        return self._made[0]

    @cached_property
    def _made(self) -> tuple[str, frozenset[Place]]:
        met = set[Place]()
        with mock.patch.object(CodeGenerator, "visit", _noting(met, CodeGenerator.visit)):
            return self.of({}), frozenset(met)

    def of(self, fresh: Mapping[str, ModuleType]) -> str:
        """What is made of it where these modules stand in the place of ours."""
        constants = {path: _replaced(value, fresh) for path, value in self.constants.items()}
        source = ASTSource(_replaced(self.kernel, fresh), self.signature, constants, self.attributes)
        stages: dict[str, Any] = {}
        self.how.backend.add_stages(stages, self.options, Language.TRITON)
        taken = frontend.said(lambda: frontend.front(self.how, source, self.options))
        return _EDITED.sub("", stages["ttir"](taken, {}).str_nodebug())


def _noting(met: set[Place], visit: Any) -> Any:
    """Triton's `visit` of an expression or a statement, which then enters its place, too."""
    def noted(generator: Any, node: Any) -> Any:
        if hasattr(node, "lineno"):
            met.add((*_named(generator.jit_fn), generator.begin_line + node.lineno, node.col_offset))
        return visit(generator, node)

    return noted


def _named(function: Any) -> tuple[str, str]:
    return function.fn.__module__.removeprefix(ROOT), function.fn.__name__


def _name(value: Any) -> str:
    """A function by its name, any other constant as it is written."""
    value = getattr(value, "value", value)
    return f"{value.fn.__module__}.{value.fn.__qualname__}" if isinstance(value, JITFunction) else repr(value)


def _replaced(value: Any, fresh: Mapping[str, ModuleType]) -> Any:
    inner = getattr(value, "value", value)
    home = inner.fn.__module__.removeprefix(ROOT) if isinstance(inner, JITFunction) else ""
    return getattr(fresh[home], inner.fn.__name__) if home in fresh else value


@cache
def reached(function: Any) -> frozenset[tuple[str, str]]:
    """(module, name) of a function and of all that it calls."""
    named = (function.fn.__globals__.get(name) for name in function.fn.__code__.co_names)
    called = [reached(one) for one in named if isinstance(one, JITFunction)]
    return frozenset({_named(function)}).union(*called)


_once: dict[str, Start] = {}


@cache
def starts(case: Case) -> tuple[Start, ...]:
    """Every start of a kernel of ours in a case, those that are alike as one, whichever cases they are in. Nothing is
    computed."""
    found: dict[str, Start] = {}

    def noting(kernel: Any, bound: dict[str, Any], options: dict[str, Any], target: str) -> None:
        how = frontend.typed(kernel, target)
        values, specialization, _ = how.binder(**bound)
        with active.lifted():
            packed = kernel._pack_args(how.backend, dict(options), values, specialization, {})
        one = Start(kernel, how, *packed)
        found[one.key] = _once.setdefault(one.key, one)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(launch, "checked", noting))
        stack.enter_context(mock.patch.object(launch, "_launch", return_value=None))
        stack.enter_context(suppress(HygieneFault))         # outputs that nothing was written into
        run(case, ours, "simulated", case.arguments())
    return tuple(found.values())
