"""Deliberately wrong formulas, by op and by name; importing a family's module registers its faults."""

from . import (
    activations,
    attention,
    bands,
    convolution,
    convolution_layers,
    embedding,
    losses,
    networks,
    pooled_layers,
    rows,
    steps,
    training,
    updates,
)
from .activations import PRIME, VALUE
from .base import FAULTS, Fault, every

__all__ = ["FAULTS", "PRIME", "VALUE", "Fault", "activations", "attention", "bands", "convolution",
           "convolution_layers", "embedding", "every", "losses", "networks", "pooled_layers", "rows", "steps",
           "training", "updates"]
