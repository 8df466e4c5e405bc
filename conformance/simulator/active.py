"""The simulation that is running. Patched Triton functions are the interpreter's, so they find it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sim import Launch, Sim

_stack: list[Sim] = []


def push(sim: Sim) -> None:
    _stack.append(sim)


def pop() -> None:
    _stack.pop()


def depth() -> int:
    return len(_stack)


def sim() -> Sim:
    return _stack[-1]


def launch() -> Launch:
    running = _stack[-1].launch
    assert running is not None, "no kernel is running"
    return running
