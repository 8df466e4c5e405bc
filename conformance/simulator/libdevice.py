"""Stand-ins for the device library: `libdevice.tanh(x)` and its like in NumPy or torch.

Triton itself chooses the symbol by the argument types (`__nv_tanhf`, `__ocml_tanh_f32`); the table is by
the name in it. float32 functions are evaluated in float64 and rounded once. A function without a stand-in
is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from triton.runtime.interpreter import TensorHandle

from ..field.elements import Exact
from .arithmetic import aligned, erf
from .values import Array, numpy_type

Function = Callable[..., Any]


def _torch(function: Callable[..., torch.Tensor]) -> Function:
    """A torch function on NumPy arrays."""
    return lambda *args: np.asarray(function(*(torch.from_numpy(np.ascontiguousarray(a)) for a in args)))


def _round_half_away(x: Array) -> Array:
    away: Array = np.copysign(np.floor(np.abs(x) + 0.5), x)
    return away


_special = torch.special
FUNCTIONS: dict[str, Function] = {
    "abs": np.abs, "fabs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin,
    "asinh": np.arcsinh, "atan": np.arctan, "atan2": np.arctan2, "atanh": np.arctanh, "cbrt": np.cbrt,
    "ceil": np.ceil, "copysign": np.copysign, "cos": np.cos, "cosh": np.cosh,
    "cospi": lambda x: np.cos(np.pi * x),
    "exp": np.exp, "exp10": lambda x: np.power(10.0, x), "exp2": np.exp2, "expm1": np.expm1,
    "fdim": lambda x, y: np.maximum(x - y, 0), "floor": np.floor, "fma": lambda x, y, z: x * y + z,
    "fmod": np.fmod, "hypot": np.hypot, "isfinite": np.isfinite, "finite": np.isfinite, "isinf": np.isinf,
    "isnan": np.isnan, "ldexp": np.ldexp, "llrint": np.rint, "llround": _round_half_away, "log": np.log,
    "log10": np.log10, "log1p": np.log1p, "log2": np.log2, "nearbyint": np.rint, "pow": np.power,
    "powi": np.power, "pown": np.power, "rint": np.rint, "remainder": lambda x, y: x - y * np.rint(x / y),
    "round": _round_half_away, "rsqrt": lambda x: 1 / np.sqrt(x), "rcbrt": lambda x: 1 / np.cbrt(x),
    "saturate": lambda x: np.clip(x, 0, 1), "scalbn": np.ldexp, "signbit": np.signbit, "sin": np.sin,
    "sinh": np.sinh, "sinpi": lambda x: np.sin(np.pi * x), "sqrt": np.sqrt, "tan": np.tan, "tanh": np.tanh,
    "trunc": np.trunc, "erf": erf, "erfc": _torch(_special.erfc),
    "erfcx": _torch(_special.erfcx), "erfinv": _torch(_special.erfinv), "lgamma": _torch(torch.lgamma),
    "normcdf": _torch(_special.ndtr), "normcdfinv": _torch(_special.ndtri), "j0": _torch(_special.bessel_j0),
    "j1": _torch(_special.bessel_j1), "y0": _torch(_special.bessel_y0), "y1": _torch(_special.bessel_y1),
    "cyl_bessel_i0": _torch(_special.i0), "cyl_bessel_i1": _torch(_special.i1),
    "fast_cos": np.cos, "fast_exp": np.exp, "fast_exp10": lambda x: np.power(10.0, x),
    "fast_fdivide": np.divide, "fast_log": np.log, "fast_log10": np.log10, "fast_log2": np.log2,
    "fast_pow": np.power, "fast_sin": np.sin, "fast_tan": np.tan, "fast_tanh": np.tanh,
}
# These look at the bits of their argument, so it may not be widened.
BITWISE: dict[str, Function] = {
    "nextafter": np.nextafter, "float_as_int": lambda x: x.view(np.int32),
    "float_as_uint": lambda x: x.view(np.uint32), "int_as_float": lambda x: x.view(np.float32),
    "uint_as_float": lambda x: x.view(np.float32),
}
for _letter in ("f", "d"):
    FUNCTIONS |= {
        f"{_letter}add_rn": np.add, f"{_letter}sub_rn": np.subtract, f"{_letter}mul_rn": np.multiply,
        f"{_letter}div_rn": np.divide, f"{_letter}sqrt_rn": np.sqrt, f"{_letter}rcp_rn": lambda x: 1 / x,
    }
FUNCTIONS |= {"frsqrt_rn": FUNCTIONS["rsqrt"], "fma_rn": FUNCTIONS["fma"]}


def stand_in(symbol: str) -> Function:
    """The stand-in for a library symbol; NotImplementedError by name where there is none."""
    for name in _names(symbol):
        if name in BITWISE:
            return BITWISE[name]
        if name in FUNCTIONS:
            return _in_float64(FUNCTIONS[name])
    raise NotImplementedError(f"the simulator has no stand-in for the device library's {symbol}")


def _names(symbol: str) -> Iterator[str]:
    name = re.sub(r"^__(nv|ocml)_|_f(32|64)$", "", symbol)
    yield name
    yield re.sub(r"[fd](_r[nuzd])?$", r"\1", name)       # C's suffix for the type: tanhf, isnand, fmaf_rn


def _in_float64(function: Function) -> Function:
    return lambda *args: function(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in args))


def inline_assembly(self: Any, *given: Any) -> Any:
    """`create_inline_asm` of the builder."""
    raise NotImplementedError("the simulator does not know a GPU's own instructions (tl.inline_asm_elementwise): write "
                              "it in Triton's language, or run the kernel on a GPU")


def extern_elementwise(
    self: Any, library: str, path: str, symbol: str, args: list[Any], result: Any, is_pure: bool
) -> Any:
    """`create_extern_elementwise` of the builder."""
    out = stand_in(symbol)(*aligned(*args))
    out = out if isinstance(out, Exact) else np.asarray(out)
    return TensorHandle(out.astype(numpy_type(result), copy=False), result.scalar)
