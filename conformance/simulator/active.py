"""The simulation that is running. Patched Triton functions are the interpreter's, so they find it here."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .accesses import Launch
    from .patches import Scope
    from .sim import Sim

_stack: list[Sim] = []
_scope: list[Scope] = []


def changed(scope: Scope) -> None:
    """What is changed for as long as any simulation runs."""
    _scope[:] = [scope]


def lifted() -> AbstractContextManager[None]:
    """Triton as it is outside a simulation, for as long as something is compiled."""
    return _scope[0].lifted() if _stack else nullcontext()


def push(sim: Sim) -> None:
    _stack.append(sim)


def pop() -> None:
    _stack.pop()


def depth() -> int:
    return len(_stack)


def sim() -> Sim:
    return _stack[-1]


def accumulating() -> str | None:
    """The architecture whose way of adding the running simulation has; None if it has NumPy's, or there is none."""
    return _stack[-1].target if _stack and _stack[-1].core is not None else None


def launch() -> Launch:
    running = _stack[-1].launch
    assert running is not None, "no kernel is running"
    return running
