"""What varies in the arguments of each op, one module per family; `rows` covers every pair of levels."""

from . import (
    activations,
    attention,
    bands,
    convolution,
    embedding,
    images,
    losses,
    networks,
    norms,
    optimizers,
    rowwise,
    steps,
    updates,
)
from .base import (
    FACTORS,
    Factors,
    Levels,
    brief,
    design,
    drawn,
    excluded,
    mixed_in,
    pairs,
    read,
    rows,
    uncovered,
    word,
)

__all__ = ["FACTORS", "Factors", "Levels", "activations", "attention", "bands", "brief", "convolution", "design",
           "drawn", "embedding", "excluded", "images", "losses", "mixed_in", "networks", "norms", "optimizers",
           "pairs", "read", "rows", "rowwise", "steps", "uncovered", "updates", "word"]
