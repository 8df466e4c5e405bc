"""Autotuners, and those that others derive from them: nothing can be timed here, so the first configuration that a
tuner would try is the best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import active


def run(original: Any) -> Any:
    """`Autotuner.run`, given the original; what it remembers of a simulation ends with it."""

    def tuned(self: Any, *args: Any, **kwargs: Any) -> Any:
        active.sim().keep(self)
        return original(self, *args, **kwargs)

    return tuned


def bench(self: Any, *args: Any, config: Any, **meta: Any) -> list[float]:
    """`Autotuner._bench`: all take as long as each other, and of equals the first is taken."""
    active.sim().keep(self)
    return [0.0, 0.0, 0.0]


def check_disk_cache(self: Any, key: Any, configs: Any, benchmark: Callable[[], None]) -> bool:
    """`Autotuner.check_disk_cache`: what was measured elsewhere is not read, and nothing is written."""
    benchmark()
    return False
