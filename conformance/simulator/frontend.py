"""Compile first: before a kernel's first run with a signature, Triton's own front end takes it, for the target.

What it refuses, a simulation refuses, in its words; nothing here repeats its rules. What it makes of the source is
looked at for values that are undefined when compiled, such as a loop's variable after the loop.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import triton
import triton.compiler.code_generator  # this and two more it imports when first needed: before anything is changed
import triton.experimental.gluon
import triton.language.extra.libdevice
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend
from triton.compiler.errors import CompilationError
from triton.runtime.jit import create_function_from_signature

from ...triton_kernels.gate import machine_code
from ...triton_kernels.gate.offline import target_of
from . import active, internals, once, taken, undefined
from .fault import KernelFault

#: What it refuses a kernel with, beside its own error.
REFUSALS = AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError


class Handle:
    """What a launch and `warmup` return. Nothing has been compiled to machine code; who asks for it has it compiled."""

    def __init__(self, source: Any, target: GPUTarget, options: Any, given: dict[str, Any]) -> None:
        self.src, self.target, self.options, self.given = source, target, options, given
        self.name = source.name

    def __getitem__(self, grid: Any) -> Callable[..., Handle]:
        """Start the kernel that was taken; what is known at compile time need not be passed again."""
        kernel = self.src.fn
        known = {kernel.arg_names[path[0]]: value for path, value in self.src.constants.items() if len(path) == 1}

        def start(*args: Any, stream: Any = None) -> Handle:
            left = {name: known[name] for name in kernel.arg_names[len(args):] if name in known}
            handle: Handle = kernel.run(*args, grid=grid, warmup=False, **left, **self.given)
            return handle

        return start

    @cached_property
    def compiled(self) -> Any:
        """The kernel as Triton compiles it for this target, ahead of time."""
        with active.lifted():
            return triton.compile(self.src, target=self.target, options=self.options.__dict__)

    @cached_property
    def _facts(self) -> Any:
        with active.lifted():
            (facts,) = machine_code.facts([self.compiled], {})
        return facts

    @property
    def n_regs(self) -> int:
        return int(self._facts.registers)

    @property
    def n_spills(self) -> int:
        return int(self._facts.spills or 0)

    @property
    def n_max_threads(self) -> int:
        return 1024

    def _init_handles(self) -> None:
        """On a GPU this loads the kernel; here there is nothing to load it on."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.compiled, name)


class Kernel:
    """One kernel for one target: how its arguments are typed, and with which types it has been taken already."""

    def __init__(self, kernel: Any, target: str) -> None:
        self.target = target_of(target)
        self.backend = make_backend(self.target)
        self.binder = create_function_from_signature(kernel.signature, kernel.params, self.backend)
        self.taken: dict[Any, Any] = {}               # types -> a handle, or why not
        self.kept: list[Any] = []                     # what keys name by identity stays alive


_kernels: WeakKeyDictionary[types.FunctionType, dict[str, Kernel]] = WeakKeyDictionary()


def typed(kernel: Any, target: str) -> Kernel:
    """A kernel for a target: one and the same whenever it is asked for."""
    of_targets = _kernels.setdefault(kernel.fn, {})
    if target not in of_targets:
        of_targets[target] = Kernel(kernel, target)
    return of_targets[target]


def checked(kernel: Any, bound: dict[str, Any], options: dict[str, Any], target: str) -> Handle:
    """The handle of a launch with these arguments; KernelFault if Triton does not compile it for this target."""
    one = typed(kernel, target)
    values, specialization, _ = one.binder(**bound)
    kinds = [kind for kind, *_ in specialization]
    known = tuple(_key(values[p.name], one.kept) for p, kind in zip(kernel.params, kinds) if kind == "constexpr")
    key = (str(kinds), known, *sorted((k, repr(v)) for k, v in options.items()))
    if key not in one.taken:
        with active.lifted(), warnings.catch_warnings():
            warnings.simplefilter("ignore")                # what the compiler recommends is said when it compiles
            one.taken[key] = _take(kernel, one, values, specialization, options)
    found = one.taken[key]
    if isinstance(found, str):
        fault = KernelFault(f"{kernel.__name__} {found}", check="compile")
        fault.kernel = kernel.__name__
        raise fault
    return found  # type: ignore[no-any-return]


def _key(value: Any, kept: list[Any]) -> Any:
    """A constexpr by its value where that is plain, else by its identity."""
    if isinstance(value, tuple | list):
        return tuple(_key(v, kept) for v in value)
    value = getattr(value, "value", value)
    if value is None or isinstance(value, bool | int | float | str):
        return type(value), repr(value)
    if isinstance(value, internals.DTYPE):
        return str(value)
    kept.append(value)
    return id(value)


def _take(kernel: Any, one: Kernel, values: dict[str, Any], specialization: Any, given: dict[str, Any]) -> Handle | str:
    """The kernel through Triton's front end: a handle, or what is wrong with it."""
    where = f"does not compile for {_named(one.target)} with Triton {triton.__version__}"
    try:
        options, signature, constexprs, attrs = kernel._pack_args(one.backend, dict(given), values, specialization, {})
        source = ASTSource(kernel, signature, constexprs, attrs)
        name = taken.name_of(kernel, signature, constexprs, one.target, given)
        if taken.known(name):
            return Handle(source, one.target, options, given)
        lowering = once.Lowering(f"{one.target} {options}")
        module, use = said(lambda: front(one, source, options, lowering)), ""
        if undefined.passed_on(module):
            if lowering.declared:                          # what a function does with it is asked of its body
                module = said(lambda: front(one, source, options))
            use = undefined.use(module, one.backend, options)
        else:
            lowering.keep()
    except CompilationError as error:
        return f"{where}: {' '.join(_words(error))}"
    except REFUSALS as error:
        return f"{where}: {error}"
    if use:
        return (f"uses a value that is undefined when compiled, {use}: a loop's variable has no value after its "
                "`range` loop; keep what is needed in a variable of its own")
    taken.remember(name)
    return Handle(source, one.target, options, given)


def front(one: Kernel, source: Any, options: Any, lowering: once.Lowering | None = None) -> Any:
    """The intermediate representation, before anything is done with it; with `lowering` only declarations of device
    functions that are known."""
    context = internals.ir.context()
    internals.ir.load_dialects(context)
    one.backend.load_dialects(context)
    functions = one.backend.get_codegen_implementation(options)
    with once.each(lowering), redirect_stdout(io.StringIO()):            # it prints a module that it refuses
        return source.make_ir(one.target, options, functions, one.backend.get_module_map(), context)


def said(make: Callable[[], Any]) -> Any:
    """What `make` returns; if it raises, with what the compiler's own libraries say to the terminal meanwhile."""
    with tempfile.TemporaryFile() as words:
        terminal = os.dup(2)
        os.dup2(words.fileno(), 2)
        try:
            return make()
        except RuntimeError as error:
            words.seek(0)
            said = re.findall(r"error: (.*)", words.read().decode(errors="replace"))
            raise RuntimeError("; ".join(said) or str(error)) from error
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _named(target: GPUTarget) -> str:
    return f"sm_{target.arch}" if target.backend == "cuda" else str(target.arch)


def _words(error: BaseException) -> Iterator[str]:
    """The compiler's words from the innermost function outwards: the message, then the lines that led to it."""
    chain: list[CompilationError] = []
    inner: BaseException | None = error
    while isinstance(inner, CompilationError):
        chain.append(inner)
        inner = inner.__cause__
    message = next((e.error_message for e in reversed(chain) if e.error_message), None) or str(inner or error)
    yield message.strip()
    lines = [source[e.node.lineno - 1].strip() for e in reversed(chain) if e.src and hasattr(e.node, "lineno")
             if e.node.lineno <= len(source := e.src.split("\n"))]         # a caller's line may come with the callee
    yield from (f"(in `{line}`)" for line in dict.fromkeys(lines))
