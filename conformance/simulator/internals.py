"""Every private name of Triton that the simulator reads; the ones it replaces stand in `patches.py`.

A new Triton release is judged by `features()`; when it moves one of these, these two files are the ones to look at.
"""

from __future__ import annotations

import functools
from typing import Any

import triton
import triton.language as tl
from triton.runtime import interpreter, jit

#: The installed release, as (3, 7).
RELEASE = tuple(int(part) for part in triton.__version__.split(".")[:2])

#: The compiled module that loads and stores at addresses, lane by lane.
memory = interpreter._interpreter
#: The rounding that `fp_downcast_rounding="rtz"` asks for.
TOWARDS_ZERO = interpreter._ir.ROUNDING_MODE.RTZ
#: The combine functions of tl.sum, tl.max and tl.min, which have a reduction of their own in NumPy.
SUM = tl.standard._sum_combine
MAX = tl.standard._elementwise_max
MIN = tl.standard._elementwise_min
#: Turns assigned values into Triton values: `x = 1` to `x = interpreter_semantic.to_tensor(1, False)`.
Assignments = interpreter.ASTTransformer
semantic = interpreter.interpreter_semantic
#: The state that all operations of the interpreter share: grid, program, options.
machine = interpreter.interpreter_builder
#: A Python integer, None or a string as the interpreter passes it to a kernel.
implicit = interpreter._implicit_cvt
TensorWrapper = jit.TensorWrapper
#: The compiled module of the intermediate representation, and the class of number formats.
ir = interpreter._ir
DTYPE = tl.dtype
#: The attribute that marks functions of the language, the class of all its values, and the module whose functions stand
#: for those of the target's device library.
BUILTIN = tl.core.TRITON_BUILTIN
VALUE = tl.core.base_value
STANDARD = tl.standard.__name__
LIBRARY = "triton.language.extra.libdevice"


def device_library(target: str) -> Any:
    """The module of device functions of an architecture."""
    from triton.language.extra import cuda, hip

    return hip.libdevice if target.startswith("gfx") else cuda.libdevice


def argument_type(tensor: Any) -> Any:
    """Triton's type of a tensor argument: a pointer to its elements."""
    return tl.str_to_ty(jit.mangle_type(tensor), None)


def named_type(name: str) -> Any:
    """`fp32`, `i64`, `u1` as Triton types."""
    return tl.str_to_ty(name, None)


@functools.cache
def launch_options() -> frozenset[str]:
    """What may be passed to a launch besides the kernel's own arguments."""
    from triton.backends.nvidia.compiler import CUDAOptions

    return frozenset(CUDAOptions.__dataclass_fields__) | {
        "debug", "device", "stream", "waves_per_eu", "matrix_instr_nonkdim", "kpack", "instrumentation_mode"}


def least_dot() -> Any:
    """The least tl.dot that the CUDA compiler takes, given the operands' types; the interpreter takes any."""
    from triton.backends.compiler import GPUTarget
    from triton.backends.nvidia.compiler import min_dot_size

    return min_dot_size(GPUTarget("cuda", 90, 32))
