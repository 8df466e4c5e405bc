"""What no implementation can beat: the arithmetic that must be done and the bytes that must move, over what the device
can do of either."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

#: The datasheet of one GPU, to plan with; a run measures its own. Bytes and floating-point operations a second.
DATASHEET = {"copy": 4.8e12, "bf16": 989e12, "fp16": 989e12, "tf32": 495e12, "fp32": 67e12, "launch": 2e-6}
DATASHEET_OF = "NVIDIA H200 SXM"


@attrs.frozen
class Floor:
    """Operations, bytes that must move at least once, and the unit that does the arithmetic."""

    flops: float
    bytes: float
    unit: str = "bf16"

    def seconds(self, ceilings: Mapping[str, float]) -> float:
        return max(self.flops / ceilings[self.unit], self.bytes / ceilings["copy"])

    def bound(self, ceilings: Mapping[str, float]) -> str:
        return "arithmetic" if self.flops / ceilings[self.unit] > self.bytes / ceilings["copy"] else "memory"


def layer(B: int, I: int, O: int, size: int, unit: str) -> Floor:
    """a = g(x wᵀ + b): read x, w, b, write a."""
    return Floor(2 * B * I * O, size * (B * I + I * O + O + B * O), unit)


def delta(B: int, I: int, O: int, size: int, unit: str) -> Floor:
    """δ_prev = (δ w) ⊙ g′ and its batch sum: read δ, w and what was kept, write δ_prev and the sum."""
    return Floor(2 * B * I * O, size * (B * O + I * O + 2 * B * I + I), unit)


def average(B: int, I: int, O: int, size: int, unit: str) -> Floor:
    """D = δᵀ a / n + λ w: read δ, a, w, write D and the intercepts'."""
    return Floor(2 * B * I * O, size * (B * O + B * I + 2 * I * O + O), unit)


def update(B: int, I: int, O: int, size: int, unit: str, states: int = 0, theta: int = 4) -> Floor:
    """D and the step on Θ together, D never in memory: read δ, a, Θ and its states, write Θ and the states."""
    return Floor(2 * B * I * O, size * (B * O + B * I) + 2 * theta * (1 + states) * (I * O + O), unit)


def elementwise(elements: int, read: int, written: int, size: int) -> Floor:
    return Floor(0, elements * size * (read + written))


def rows(B: int, K: int, size: int) -> Floor:
    """A loss over B rows of K logits: read each once, write δ, the loss and read the class."""
    return Floor(0, 2 * B * K * size + B * (size + 8))
