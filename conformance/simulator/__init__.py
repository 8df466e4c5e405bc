"""Triton kernels on CPU tensors, in this process, with the number formats of a GPU and a sanitizer on.

    with simulate() as sim:
        kernel[grid](x, y, n, BLOCK=64)         # any @triton.jit kernel, plain CPU tensors
    sim.launches, sim.bytes_read, sim.bytes_written, sim.stored(y)

The same process compiles kernels ahead of time before and after: nothing of Triton stays changed.

What no simulation shows: time, registers, shared memory, and the last bits of a GPU's approximate exp, log, sin and
division (here they are rounded correctly); products are summed in the order of NumPy's matmul, unless asked to be
summed as a tensor core does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ...triton_kernels.runtime.launch import simulation
from . import active
from .fault import KernelFault
from .sim import Sim

if TYPE_CHECKING:
    from ..field.memory import Memory

__all__ = ["KernelFault", "Sim", "simulate"]


@contextmanager
def simulate(
    check: bool = True, order: str = "forward", seed: int = 0, target: str | None = None,
    overflow: bool | None = None, poison: bool | str = True, accumulate: str | None = None,
    fp_fusion: bool | None = None, pretend_cuda: str | None = None, exact: Memory | None = None,
) -> Iterator[Sim]:
    """Run every Triton kernel started inside on CPU tensors; a fault raises `KernelFault`.

    check: programs may not race, nor lanes of a store collide. Accesses out of bounds are always refused.
    order: in which order the programs of a grid run: "forward", "reverse" or "random" (by `seed`).
    target: the architecture that launchers choose their configuration for, and that kernels must compile for: that of
        an enclosing simulation, else sm_90.
    accumulate: matrix products of 16 and 8 bits and of tf32 are added in "float32", in NumPy's order, or as the
        target's tensor cores add ("device"; `tensor_cores.py`); as in an enclosing simulation, else "float32".
    fp_fusion: x·y + z rounds once, as compiled, but where a launch says `enable_fp_fusion=False`; otherwise the product
        is rounded, too; as in an enclosing simulation, else otherwise.
    overflow: signed integer arithmetic may not overflow (default: as `check`).
    pretend_cuda: answer what libraries ask of a GPU while they are imported or started, as one of this architecture
        would (`pretend.py`); it is the target, too.
    exact: every float carries an element of the exact field, and these are the elements in memory (`field/`).
    poison: lanes that a mask turns off and no `other` fills hold NaN, or a far integer, instead of 0; those of one
        line alone, where it is named (`sim.open` has the lines, "file:number").
    """
    outer = active.sim() if active.depth() else None
    target = target or pretend_cuda or (outer.target if outer else "sm_90")
    accumulate = accumulate or (outer.accumulate if outer else "float32")
    if fp_fusion is None:
        fp_fusion = outer is not None and outer.fp_fusion
    sim = Sim(check, order, seed, target, check if overflow is None else overflow, poison, accumulate,
              fp_fusion and exact is None)
    sim.exact = exact
    with ExitStack() as stack:
        if active.depth() == 0:
            from .patches import patched  # imports Triton's interpreter: not for free

            active.changed(stack.enter_context(patched()))
        stack.callback(sim.close)
        active.push(sim)
        stack.callback(active.pop)
        if pretend_cuda is not None:
            from .pretend import pretending

            stack.enter_context(pretending(pretend_cuda))
        token = simulation.set(sim)
        stack.callback(simulation.reset, token)
        yield sim
