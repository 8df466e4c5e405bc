"""Wrong activations and derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...judging.numbers.lanes import ERROR, Array
from .base import fault, zero_last


def sigmoid(z: Array) -> Array:
    return np.asarray(np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))))


def normal(z: Array) -> Array:
    """Φ(z), which has its digits far below 0."""
    return np.asarray(ERROR["erfc"](-z / np.sqrt(2)) / 2)


def _cubic(z: Array) -> Array:
    return np.asarray(np.sqrt(8 / np.pi) * (z + 0.044715 * z**3))


VALUE: dict[str, Callable[..., Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky": lambda z, slope=0.1: np.where(z > 0, z, slope * z),
    "elu": lambda z, alpha=1.0: np.where(z >= 0, z, alpha * np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * normal(z),
    "gelu.tanh": lambda z: z * sigmoid(_cubic(z)),
    "identity": lambda z: z,
}
PRIME: dict[str, Callable[..., Array]] = {
    "sigmoid": lambda z: sigmoid(z) * sigmoid(-z),
    "tanh": lambda z: 1 / np.cosh(np.clip(z, -350, 350)) ** 2,
    "relu": lambda z: (z > 0).astype(float),
    "leaky": lambda z, slope=0.1: np.where(z > 0, 1.0, slope),
    "elu": lambda z, alpha=1.0: np.where(z >= 0, 1.0, alpha * np.exp(np.minimum(z, 0))),
    "gelu": lambda z: normal(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    "gelu.tanh": lambda z: sigmoid(_cubic(z)) + z * sigmoid(_cubic(z)) * sigmoid(-_cubic(z)) * np.sqrt(8 / np.pi)
    * (1 + 3 * 0.044715 * z * z),
    "identity": lambda z: np.ones_like(z),
}
RATIONAL = ("relu", "identity")


def _activations() -> None:
    for name, value in VALUE.items():
        prime, own = PRIME[name], name in RATIONAL
        value_op, prime_op = f"act.{name}", f"act.{name}.prime"
        fault(value_op, "the derivative in place of the value", lambda z, f=prime, **p: f(z, **p), own)
        fault(prime_op, "the value in place of the derivative (σ for σ′)", lambda z, f=value, **p: f(z, **p), own)
        fault(value_op, "sign flipped", lambda z, f=value, **p: -f(z, **p), own)
        fault(prime_op, "derivative at −z", lambda z, f=prime, **p: -f(z, **p), own)
        fault(value_op, "last element unwritten", lambda z, f=value, **p: zero_last(f(z, **p)), own)
        if name in ("sigmoid", "tanh", "elu", "gelu", "gelu.tanh"):     # elsewhere g keeps z's sign: no fault
            fault(prime_op, "g′ taken at a = g(z) instead of z",
                  lambda z, f=prime, g=value, **p: f(g(z, **p), **p), False)
    fault("act.sigmoid", "saturates early: z clipped to ±8", lambda z: sigmoid(np.clip(z, -8, 8)), False)
    fault("act.leaky", "slope 0.01 for 0.1", lambda z, slope=0.1: np.where(z > 0, z, slope / 10 * z), False)
    fault("act.leaky.prime", "slope 0.01 for 0.1", lambda z, slope=0.1: np.where(z > 0, 1.0, slope / 10), False)
    fault("act.elu", "−1 missing", lambda z, alpha=1.0: np.where(z >= 0, z, alpha * np.exp(np.minimum(z, 0))), False)
    fault("act.elu.prime", "the discarded branch overflows: ∞ · 0",
          lambda z, alpha=1.0: np.where(z >= 0, 1.0, 0.0) + np.where(z < 0, 1.0, 0.0) * alpha
          * np.exp(z.astype(np.float32)).astype(float), False)
    fault("act.tanh", "cancels near 0: (e^z − e^−z)/(e^z + e^−z) in float32",
          lambda z: _printed_tanh(z.astype(np.float32)).astype(float), False)
    fault("act.gelu", "1 + erf, which has no digits far below 0",
          lambda z: z / 2 * (1 + ERROR["erf"](z / np.sqrt(2))).astype(np.float32).astype(float), False)
    fault("act.gelu", "the tanh form", VALUE["gelu.tanh"], False)
    fault("act.gelu.tanh", "the exact form", VALUE["gelu"], False)
    fault("act.gelu", "z σ(1.702 z)", lambda z: z * sigmoid(1.702 * z), False)
    fault("act.gelu.prime", "Φ alone", normal, False)
    fault("act.gelu.tanh.prime", "u′ missing", lambda z: sigmoid(_cubic(z)) + z * sigmoid(_cubic(z))
          * sigmoid(-_cubic(z)), False)
    fault("act.gelu.tanh", "0.044 for 0.044715", lambda z: z * sigmoid(np.sqrt(8 / np.pi) * (z + 0.044 * z**3)), False)
    fault("act.relu", "leaky", lambda z: np.where(z > 0, z, 0.1 * z))


def _printed_tanh(z: Array) -> Array:
    return np.asarray((np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)))


_activations()
