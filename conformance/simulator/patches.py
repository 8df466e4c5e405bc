"""Every name of Triton that the simulator replaces while it runs; the private ones that it reads: `internals.py`."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import triton.compiler.code_generator  # noqa: F401  keeps `tl.minimum` and others from its import on: before they change
import triton.language as tl
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter
from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

from . import arithmetic, internals, launch, libdevice, pointers, reductions, shortcuts
from .values import numpy_type

BUILDER = {
    "create_load": pointers.load_all,
    "create_store": pointers.store_all,
    "create_masked_load": pointers.load,
    "create_masked_store": pointers.store,
    "create_addptr": pointers.move,
    "create_splat": pointers.splat,
    "create_broadcast": pointers.broadcast,
    "create_expand_dims": pointers.expand,
    "create_reshape": pointers.reshape,
    "create_trans": pointers.transpose,
    "create_bitcast": pointers.bitcast,
    "create_int_to_ptr": pointers.bitcast,
    "create_ptr_to_int": pointers.bitcast,
    "cast_impl": arithmetic.cast,
    "create_fp_to_fp": arithmetic.float_to_float,
    "get_bf16": arithmetic.bf16_constant,
    "binary_op": arithmetic.binary,
    "create_add": arithmetic.watched("+", np.add),
    "create_sub": arithmetic.watched("-", np.subtract),
    "create_mul": arithmetic.watched("*", np.multiply),
    "create_select": arithmetic.select,
    "create_dot": arithmetic.dot,
    "create_fma": arithmetic.fused_multiply_add,
    "create_clampf": arithmetic.clamp,
    "unary_op": arithmetic.unary,
    "create_rsqrt": arithmetic.reciprocal_root,
    "create_fabs": arithmetic.magnitude,
    "create_erf": arithmetic.error_function,
    "create_maxnumf": lambda self, a, b: arithmetic.binary(self, a, b, np.fmax),   # a GPU's max drops NaN
    "create_minnumf": lambda self, a, b: arithmetic.binary(self, a, b, np.fmin),
    "create_assert": arithmetic.assertion,
    "create_extern_elementwise": libdevice.extern_elementwise,
}


class Scope(interpreter._LangPatchScope):  # type: ignore[misc]
    """Triton's own would give an owner back, as its own, what it had inherited."""

    def set_attr(self, obj: Any, name: str, value: Any) -> None:
        self._changes.append((obj, name, vars(obj).get(name, interpreter._MISSING)))
        setattr(obj, name, value)


@contextmanager
def patched() -> Iterator[None]:
    """Kernels run in Triton's interpreter with the operations above; afterwards everything is as before."""
    builder = interpreter.InterpreterBuilder
    rmw, cas = builder.create_atomic_rmw, builder.create_atomic_cas
    names = types.FunctionType((lambda: 0).__code__, {"tl": tl, "core": tl.core})
    scope = Scope()
    set_ = scope.set_attr
    try:
        set_(interpreter, "_LangPatchScope", lambda: scope)
        interpreter._patch_lang(names)                  # once per simulation, not once per call
        set_(interpreter, "_LangPatchScope", Scope)
        set_(interpreter, "_patch_lang", lambda fn: Scope())
        set_(interpreter, "_get_np_dtype", numpy_type)
        for name, function in BUILDER.items():
            set_(builder, name, function)
        set_(builder, "create_atomic_rmw", pointers.atomic_update(rmw))
        set_(builder, "create_atomic_cas", pointers.atomic_exchange_if(cas))
        set_(interpreter.TensorDescHandle, "materialize_pointers", pointers.descriptor_pointers)
        machine = internals.machine
        for attribute in ("grid_dim", "grid_idx"):
            set_(machine, attribute, getattr(machine, attribute, None))
        set_(machine, "options", interpreter.InterpreterOptions(debug=True, sanitize_overflow=False))
        set_(machine, "codegen_fns", {**machine.codegen_fns, "min_dot_size": internals.least_dot()})
        for module in (tl, tl.core):
            set_(module, "reduce", reductions.reduce)
            set_(module, "associative_scan", reductions.scan)
        set_(tl.tensor, "__index__", lambda self: int(self.handle.data.item()))
        set_(tl.block_type, "__init__", shortcuts.shared_block_type(tl.block_type.__init__))
        set_(tl.tensor, "__init__", shortcuts.shared_tensor(tl.tensor.__init__))
        set_(TritonSemantic, "binary_op_type_checking_impl",
             shortcuts.quick_operands(TritonSemantic.binary_op_type_checking_impl))
        set_(TritonSemantic, "load", pointers.load_one(TritonSemantic.load))
        set_(TritonSemantic, "broadcast_impl_value",
             shortcuts.quick_broadcast(TritonSemantic.broadcast_impl_value))
        _device_library(scope)
        set_(JITFunction, "run", launch.run)
        set_(JITFunction, "__call__", launch.call)
        set_(Autotuner, "run", launch.autotuned)
        yield
    finally:
        scope.restore()


def _device_library(scope: Any) -> None:
    """`triton.language.extra.libdevice` has only names; they stand for CUDA's, which call the builder."""
    from triton.language.extra import cuda, hip
    from triton.language.extra import libdevice as names

    for module in (cuda.libdevice, hip.libdevice):
        interpreter._patch_builtin(module, internals.machine, scope)
    for name in dir(names):
        if not name.startswith("_") and hasattr(cuda.libdevice, name):
            scope.set_attr(names, name, getattr(cuda.libdevice, name))
