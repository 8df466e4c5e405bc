"""Rounds: every implementation once a round, in shuffled order, ours twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

OURS, AGAIN = "ours", "ours again"
Timer = Callable[[], float]


def rounds(timers: Mapping[str, Timer], count: int, seed: int = 0, left: Callable[[], float] = lambda: float("inf")
           ) -> dict[str, list[float]]:
    """`count` samples of each timer. Stops after a whole round where no time is left, but not before three."""
    order, generator = [*timers, AGAIN], random.Random(seed)
    samples: dict[str, list[float]] = {name: [] for name in order}
    for done in range(count):
        if done >= 3 and left() <= 0:
            break
        generator.shuffle(order)
        for name in order:
            samples[name].append(timers[OURS if name == AGAIN else name]())
    return samples
