"""Many programs of a grid as one array.

Every value that a kernel computes has a leading axis of programs: of length 1 where it is the same in all programs of a
pass, else with an entry for each. One pass of Python over the kernel's source then runs them all. What Python itself
must know, where to branch and how often to go round a loop, has to be the same in all of them: where it is not, the
pass's stores are undone and its programs split by what they decided.

Programs that can notice each other (atomics), and every fault, undo the whole launch: then all programs run one after
the other, each a pass of its own, and what is found and said is found and said there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from . import active
from .fault import KernelFault
from .values import Array

AT_ONCE = 1 << 17                       # lanes of one value in a pass: larger arrays leave the processor's cache
UNKNOWN = 64                            # programs of a pass of a kernel whose blocks have not been seen yet

_widest: WeakKeyDictionary[Callable[..., Any], int] = WeakKeyDictionary()       # lanes of a kernel's largest access
_alone: WeakSet[Callable[..., Any]] = WeakSet()                                 # kernels whose programs run one by one


class Split(Exception):
    """The programs of a pass go different ways: those with equal labels stay together."""

    def __init__(self, labels: Array) -> None:
        self.labels = labels


class OneByOne(Exception):
    """A program does what others may notice, so the order of programs shows."""


def common(data: Array) -> Any:
    """The number that a scalar is in all programs of the pass."""
    if data.size > 1 and (data != data[0]).any():
        raise Split(data)
    return data.reshape(-1)[0].item()


def truth(self: Any) -> bool:
    """`bool` of a value of the language: of a scalar its own, of a block true, as Triton's interpreter has it."""
    data = self.handle.data
    return bool(common(data.reshape(-1).astype(bool))) if _asked_for_presence == 0 and data[0].size == 1 else True


_asked_for_presence = 0


def of_presence(original: Callable[..., Any]) -> Callable[..., Any]:
    """Triton's own `load` and `store`, given the original: they ask for a mask's truth to know whether there is one."""

    def access(*args: Any, **kwargs: Any) -> Any:
        global _asked_for_presence
        _asked_for_presence += 1
        try:
            return original(*args, **kwargs)
        finally:
            _asked_for_presence -= 1

    return access


def ordered() -> None:
    """What follows shows the order of programs."""
    if active.launch().together:
        raise OneByOne


def narrow(launch: Any, lanes: int) -> None:
    """Split a pass whose blocks have turned out to be too large for so many programs at once."""
    launch.widest = max(launch.widest, lanes)
    programs = len(launch.group)
    if programs > 1 and lanes * programs > 4 * AT_ONCE:
        raise Split(np.arange(programs) // max(1, AT_ONCE // lanes))


def together(start: Callable[[], tuple[Any, dict[str, Any]]], function: Callable[..., Any], programs: Array) -> Any:
    """Run all programs in as few passes as they need; None, and nothing done, if they must run one by one."""
    if len(programs) == 1 or function in _alone:
        return None
    launch, values = start()
    launch.together = True
    launch.widest = _widest.get(function, 0)
    try:
        _passes(launch, function, values, programs)
    except KernelFault:
        launch.undo()
        return None
    except Exception:                   # atomics, or nothing for many programs: one by one it runs, or says what it is
        _alone.add(function)
        launch.undo()
        return None
    _widest[function] = launch.widest
    return launch


def _passes(launch: Any, function: Callable[..., Any], values: dict[str, Any], programs: Array) -> None:
    waiting = [programs]                # groups of programs, the next one last
    while waiting:
        group = waiting.pop()
        most = max(1, AT_ONCE // launch.widest) if launch.widest else UNKNOWN
        if len(group) > most:
            waiting.append(group[most:])
            group = group[:most]
        before = launch.enter(group)
        try:
            function(**values)
        except Split as split:
            launch.undo(before)
            _, first, which = np.unique(split.labels, return_index=True, return_inverse=True)
            waiting += [group[which == i] for i in np.argsort(-first)]
