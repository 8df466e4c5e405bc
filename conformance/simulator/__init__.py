"""Triton kernels on CPU tensors, in this process, with the number formats of a GPU and a sanitizer on.

    with simulate() as sim:
        kernel[grid](x, y, n, BLOCK=64)         # any @triton.jit kernel, plain CPU tensors
    sim.launches, sim.bytes_read, sim.bytes_written, sim.stored(y)

The same process compiles kernels ahead of time before and after: nothing of Triton stays changed.

What no simulation shows: time, registers, shared memory, and the last bits of a GPU's approximate exp, log, sin and
division (here they are rounded correctly); products are summed in the order of NumPy's matmul.
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
    from .feature_table import Row

__all__ = ["KernelFault", "Sim", "features", "simulate"]


@contextmanager
def simulate(
    check: bool = True, order: str = "forward", seed: int = 0, target: str = "sm_90",
    overflow: bool | None = None, poison: bool = True,
) -> Iterator[Sim]:
    """Run every Triton kernel started inside on CPU tensors; a fault raises `KernelFault`.

    check: programs may not race, nor lanes of a store collide. Accesses out of bounds are always refused.
    order: in which order the programs of a grid run: "forward", "reverse" or "random" (by `seed`).
    target: the architecture that launchers choose their configuration for.
    overflow: signed integer arithmetic may not overflow (default: as `check`).
    poison: lanes that a mask turns off and no `other` fills hold NaN, or a far integer, instead of 0.
    """
    sim = Sim(check, order, seed, target, check if overflow is None else overflow, poison)
    with ExitStack() as stack:
        if active.depth() == 0:
            from .patches import patched  # imports Triton's interpreter: not for free

            active.changed(stack.enter_context(patched()))
        stack.callback(sim.close)
        active.push(sim)
        stack.callback(active.pop)
        token = simulation.set(sim)
        stack.callback(simulation.reset, token)
        yield sim


def features() -> list[Row]:
    """Which features of Triton behave, with the release that is installed: (feature, ok, note) each."""
    from .feature_table import rows  # its kernels need Triton

    return list(rows())
