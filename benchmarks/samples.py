"""Medians, ratios and intervals, from raw samples alone: whoever has the samples gets the same numbers.

Implementations are timed in rounds, each round all of them in shuffled order. A ratio is formed within a round, so
that what drifts over minutes (clocks, heat) cancels; what is reported is the median of the rounds' ratios.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

RESAMPLES = 2000
COVERED = 0.95


@attrs.frozen
class Ratio:
    """How many times faster `ours` was than a peer: above 1 we win."""

    median: float
    low: float              # of the interval that covers 95 % of the resampled medians
    high: float
    wins: int
    rounds: int
    noise: float            # half-width of the same interval of ours against ours

    @property
    def tie(self) -> bool:
        """Nothing to tell the two apart: the interval covers 1, or the distance drowns in ours against ours."""
        return self.low <= 1 <= self.high or abs(self.median - 1) < self.noise


def median(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("no samples, no median")
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap interval of the median. The generator is the standard library's, so it can be redone."""
    generator = random.Random(seed)
    medians = sorted(median(generator.choices(values, k=len(values))) for _ in range(RESAMPLES))
    outside = int(RESAMPLES * (1 - COVERED) / 2)
    return medians[outside], medians[-1 - outside]


def ratio(ours: Sequence[float], again: Sequence[float], peer: Sequence[float]) -> Ratio:
    """`ours` and `again` are two timings of ours, one of each a round, and `peer` one timing of the peer."""
    if not len(ours) == len(again) == len(peer):
        raise ValueError(f"{len(ours)}, {len(again)} and {len(peer)} samples; a ratio needs one of each a round")
    ratios = [theirs / mine for mine, theirs in zip(ours, peer)]
    low, high = interval(ratios)
    own_low, own_high = interval([b / a for a, b in zip(ours, again)])
    return Ratio(median(ratios), low, high, sum(r > 1 for r in ratios), len(ratios),
                 max(abs(own_low - 1), abs(own_high - 1)))
