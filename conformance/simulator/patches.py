"""Every name of Triton that the simulator replaces while it runs; the private ones that it reads: `internals.py`."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import triton.language as tl
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter
from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

from . import arithmetic, blocks, internals, launch, libdevice, passes, pointers, reductions, scaled, shortcuts, tuners
from .values import numpy_type

BUILDER = {
    "create_get_program_id": blocks.program_id,
    "create_make_range": blocks.indices,
    "create_cat": blocks.cat,
    "create_join": blocks.join,
    "create_gather": blocks.gather,
    "create_histogram": blocks.histogram,
    "create_descriptor_gather": blocks.rows_loaded,
    "create_descriptor_scatter": blocks.rows_stored,
    "create_load": pointers.load_all,
    "create_store": pointers.store_all,
    "create_masked_load": pointers.load,
    "create_masked_store": pointers.store,
    "create_addptr": pointers.move,
    "create_advance": pointers.advance,
    "create_splat": pointers.splat,
    "create_unsplat": pointers.unsplat,
    "create_broadcast": pointers.broadcast,
    "create_expand_dims": pointers.expand,
    "create_reshape": pointers.reshape,
    "create_trans": pointers.transpose,
    "create_bitcast": pointers.bitcast,
    "create_int_to_ptr": pointers.from_address,
    "create_ptr_to_int": pointers.bitcast,
    "cast_impl": arithmetic.cast,
    "create_fp_to_fp": arithmetic.float_to_float,
    "get_bf16": arithmetic.bf16_constant,
    "binary_op": arithmetic.binary,
    "create_add": arithmetic.watched("+", np.add),
    "create_sub": arithmetic.watched("-", np.subtract),
    "create_mul": arithmetic.watched("*", np.multiply),
    "create_fmul": arithmetic.product,
    "create_fadd": arithmetic.fused(1, np.add),
    "create_fsub": arithmetic.fused(-1, np.subtract),
    "create_select": arithmetic.select,
    "create_dot": arithmetic.dot,
    "create_dot_scaled": scaled.product,
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
    "create_inline_asm": libdevice.inline_assembly,
}


class Scope(interpreter._LangPatchScope):  # type: ignore[misc]
    """Triton's own would give an owner back, as its own, what it had inherited."""

    _changes: list[tuple[Any, str, Any]]

    def set_attr(self, obj: Any, name: str, value: Any) -> None:
        self._changes.append((obj, name, vars(obj).get(name, interpreter._MISSING)))
        setattr(obj, name, value)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Everything as before the simulation, for as long as something is compiled."""
        changes = list(self._changes)
        now = [(obj, name, vars(obj)[name]) for obj, name, _ in changes]
        self.restore()
        try:
            yield
        finally:
            self._changes = changes
            for obj, name, value in now:
                setattr(obj, name, value)


@contextmanager
def patched() -> Iterator[Scope]:
    """Kernels run in Triton's interpreter with the operations above; afterwards everything is as before."""
    builder = interpreter.InterpreterBuilder
    rmw, cas, say = builder.create_atomic_rmw, builder.create_atomic_cas, builder.create_print
    scope = Scope()
    set_ = scope.set_attr
    try:
        interpreter._patch_builtin(tl.tensor, internals.machine, scope)       # operators; for calls see `calls`
        interpreter._patch_lang_tensor(tl.tensor, scope)
        classes = {name: getattr(tl, name) for name in ("dtype", "condition") if hasattr(tl, name)}
        interpreter._patch_lang_core(types.SimpleNamespace(**classes), scope)
        set_(interpreter, "_get_np_dtype", numpy_type)
        for name, function in BUILDER.items():
            set_(builder, name, function)
        set_(builder, "create_atomic_rmw", pointers.atomic_update(rmw))
        set_(builder, "create_atomic_cas", pointers.atomic_exchange_if(cas))
        set_(builder, "create_descriptor_load", pointers.box_loaded(builder.create_descriptor_load))
        set_(builder, "create_print", blocks.told(say))
        if hasattr(interpreter, "BlockPointerHandle"):                        # until Triton 3.8
            set_(interpreter.BlockPointerHandle, "materialize_pointers", pointers.block_pointers)
        set_(interpreter.TensorDescHandle, "materialize_pointers", pointers.descriptor_pointers)
        machine = internals.machine
        for attribute in ("grid_dim", "grid_idx"):
            set_(machine, attribute, getattr(machine, attribute, None))
        set_(machine, "options", interpreter.InterpreterOptions(debug=True, sanitize_overflow=False))
        set_(machine, "codegen_fns", {**machine.codegen_fns, "min_dot_size": internals.least_dot()})
        for module in (tl, tl.core):
            set_(module, "reduce", reductions.reduce)
            set_(module, "associative_scan", reductions.scan)
        set_(tl.tensor, "__index__", lambda self: int(passes.common(self.handle.data.reshape(-1))))
        set_(tl.tensor, "__bool__", passes.truth)
        set_(tl.tensor, "T", property(pointers.transposed))
        set_(tl.block_type, "__init__", shortcuts.shared_block_type(tl.block_type.__init__))
        set_(tl.tensor, "__init__", shortcuts.shared_tensor(tl.tensor.__init__))
        set_(TritonSemantic, "binary_op_type_checking_impl",
             shortcuts.quick_operands(TritonSemantic.binary_op_type_checking_impl))
        if internals.RELEASE >= (3, 9):
            set_(TritonSemantic, "truediv", arithmetic.by_reciprocal(TritonSemantic.truediv))
        set_(TritonSemantic, "load", passes.of_presence(TritonSemantic.load))
        set_(TritonSemantic, "store", passes.of_presence(TritonSemantic.store))
        set_(TritonSemantic, "broadcast_impl_value",
             shortcuts.quick_broadcast(TritonSemantic.broadcast_impl_value))
        set_(JITFunction, "run", launch.run)
        set_(JITFunction, "__call__", launch.call)
        set_(Autotuner, "run", tuners.run(Autotuner.run))
        set_(Autotuner, "_bench", tuners.bench)
        set_(Autotuner, "check_disk_cache", tuners.check_disk_cache)
        yield scope
    finally:
        scope.restore()

