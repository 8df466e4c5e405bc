"""Running one launch: arguments typed as by the compiler, and every program of the grid."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime.interpreter import TensorHandle
from triton.tools.tensor_descriptor import TensorDescriptor

from ..field.elements import Exact
from . import active, internals, passes
from .fault import KernelFault
from .frontend import Handle, checked
from .memory import Memory
from .rewrite import rewrite
from .values import ORDINARY, Array

GRID_LIMITS = (2**31 - 1, 65535, 65535)       # CUDA's, per axis


def run(self: Any, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> Handle:
    """`JITFunction.run`: what `kernel[grid](...)` calls, and `kernel.warmup(...)`."""
    sim = active.sim()
    for hook in self.pre_run_hooks:
        hook(*args, **kwargs)
    bound, options = bind(self, args, kwargs)
    shape = None if warmup else _grid(grid(bound) if callable(grid) else grid, self.__name__)
    with torch._C.DisableTorchFunction():                  # whatever tensors pretend to be, they are taken as they are
        handle = checked(self, bound, options, sim.target)
        if shape is not None and 0 not in shape:           # as Triton's launcher: else nothing to run
            _launch(self, bound, shape, sim, sim.fp_fusion and handle.options.enable_fp_fusion)
    return handle


def _launch(self: Any, bound: dict[str, Any], shape: tuple[int, int, int], sim: Any, fuses: bool) -> None:
    function = rewrite(self.fn)
    programs = sim.programs(shape)
    internals.machine.set_grid_dim(*shape)

    def start() -> tuple[Any, dict[str, Any]]:
        launch = sim.begin(self.__name__, shape, _tensors(bound))
        launch.fuses = fuses
        return launch, {p.name: _typed(p, bound[p.name], launch.memory) for p in self.params}

    try:
        with np.errstate(all="ignore"):
            launch = passes.together(start, function, programs) if sim.order == "forward" else None
            if launch is None:
                launch, values = start()
                _one_by_one(function, values, programs, launch)
    finally:
        sim.launch = None
    sim.finish(launch)


def _one_by_one(function: Any, values: dict[str, Any], programs: Array, launch: Any) -> None:
    for i in range(len(programs)):
        launch.enter(programs[i:i + 1])
        program = tuple(programs[i].tolist())
        try:
            function(**values)
        except KernelFault as fault:
            raise fault.at(launch.kernel, program) from None
        except AssertionError as error:
            raise KernelFault(str(error), check="assert").at(launch.kernel, program) from error
        except Exception as error:
            error.add_note(f"while simulating {launch.kernel}, program {program}")
            raise


def call(self: Any, *args: Any, **kwargs: Any) -> Any:
    """`JITFunction.__call__`: a device function called from a kernel; the exact field takes some whole."""
    exact = active.sim().exact
    if exact is not None and self.src in exact.whole:
        (x,) = args
        return tl.tensor(TensorHandle(exact.function(exact.whole[self.src], x.handle.data), x.dtype.scalar), x.type)
    return rewrite(self.fn)(*args, **kwargs)


def bind(kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The kernel's arguments by name, and the compiler's options; unknown names are refused as Triton does."""
    names = [p.name for p in kernel.params]
    bound = dict(zip(names, args, strict=False))
    options = {}
    for name, value in kwargs.items():
        if name in names:
            bound[name] = value
        elif name in internals.launch_options():
            options[name] = value
        else:
            raise KeyError(f"Keyword argument {name} was specified but unrecognised")
    for p in kernel.params:
        if p.name not in bound:
            if not p.has_default:
                raise TypeError(f"{kernel.__name__}() missing a required argument: {p.name!r}")
            bound[p.name] = p.default
    return bound, options


def _grid(grid: Any, kernel: str) -> tuple[int, int, int]:
    sizes = [operator.index(n) for n in (grid if isinstance(grid, tuple | list) else (grid,))]
    x, y, z = (*sizes, 1, 1, 1)[:3]
    for axis, size, limit in zip("xyz", (x, y, z), GRID_LIMITS):
        if not 0 <= size <= limit:
            raise KernelFault(f"{kernel}: grid axis {axis} is {size}, a GPU takes 0 to {limit}", check="grid")
    return x, y, z


def _tensors(bound: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in bound.items():
        yield from _tensors_in(name, value)


def _tensors_in(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from _tensors_in(f"{name}[{i}]", item)
    elif isinstance(value, TensorDescriptor):
        yield from _tensors_in(name, value.base)
    elif isinstance(value, internals.TensorWrapper):
        yield name, value.base
    elif isinstance(value, torch.Tensor):
        if value.device.type != "cpu":
            raise KernelFault(f"argument {name} is on {value.device}; the simulator runs on CPU tensors")
        yield name, value


def _typed(parameter: Any, value: Any, memory: Memory) -> Any:
    if parameter.is_constexpr:
        return value.value if isinstance(value, tl.constexpr) else value
    if parameter.do_not_specialize and type(value) is int:
        return internals.implicit(value)
    return convert(value, memory, parameter.annotation_type)


def convert(value: Any, memory: Memory, annotated: str = "") -> Any:
    """A launch argument as the value that the kernel sees, typed as the compiler types it."""
    if type(value) is int and value == 1 and not annotated:
        return 1                               # Triton compiles a 1 in: no tensor, so `n.to(tl.int64)` is an error
    if isinstance(value, bool | int | float):
        name = annotated or {bool: "u1", float: "fp32"}.get(type(value))
        return scalar(value, internals.named_type(name)) if name else internals.implicit(value)
    if isinstance(value, tuple):
        items = [convert(v, memory) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, TensorDescriptor):
        return _descriptor(value, memory)
    if hasattr(value, "data_ptr"):
        tensor = value.base if isinstance(value, internals.TensorWrapper) else value
        kind = internals.argument_type(value)
        view = memory.views.get(id(tensor))
        if view is None and not isinstance(tensor, torch.Tensor):
            view = memory.at(value.data_ptr(), value.dtype)
        handle = TensorHandle(np.array([value.data_ptr()], np.uint64), kind, {"view": view} if view else {})
        return tl.tensor(handle, kind)
    return internals.implicit(value)


def scalar(value: Any, kind: Any) -> Any:
    data: Any = np.array([value], ORDINARY[kind])
    if active.sim().exact is not None and kind.is_floating():
        data = Exact.of(data)
    return tl.tensor(TensorHandle(data, kind), kind)


def _descriptor(value: Any, memory: Memory) -> Any:
    for axis, (n, s) in enumerate(zip(value.shape, value.strides)):
        if n > 1 and s < 1:
            raise KernelFault(f"a descriptor of shape {list(value.shape)} has stride {s} along axis {axis}; an "
                              "expanded tensor has no boxes", check="descriptor")
    strides = [internals.implicit(s) for s in value.strides[:-1]]
    assert value.strides[-1] == 1, "a descriptor's last stride must be 1"
    box = internals.semantic.make_tensor_descriptor(
        base=convert(value.base, memory), shape=[internals.implicit(s) for s in value.shape],
        strides=[*strides, tl.constexpr(1)], block_shape=[tl.constexpr(b) for b in value.block_shape],
        padding_option=value.padding)
    box.handle.to_tf32 = getattr(value, "round_f32_to_tf32", False)
    return box
