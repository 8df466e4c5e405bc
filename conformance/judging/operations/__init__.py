"""What is judged: one entry per op id, in one module per family."""

from . import (
    activations,
    attention,
    bands,
    convolution,
    convolution_layers,
    embedding,
    losses,
    networks,
    readings,
    roundings,
    rows,
    steps,
    training,
    updates,
)
from .base import (
    ACTIVATIONS,
    LAYERED,
    OPERATIONS,
    PARAMETERS,
    READINGS,
    Form,
    Kept,
    Lift,
    Operation,
    Outputs,
    evaluate,
    literal,
    operation_of,
    reading_id,
    stable,
)

__all__ = ["ACTIVATIONS", "LAYERED", "OPERATIONS", "PARAMETERS", "READINGS", "Form", "Kept", "Lift", "Operation",
           "Outputs", "activations", "attention", "bands", "convolution", "convolution_layers", "embedding", "evaluate",
           "literal", "losses", "networks", "operation_of", "reading_id", "readings", "roundings", "rows", "stable",
           "steps", "training", "updates"]
