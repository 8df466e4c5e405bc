"""What the deck means: one plain function per printed equation, over any number type.

`FUNCTIONS[id]` is the function of an equation. Line 1 of its docstring is the id and the formula; the body
is the formula. Nothing is stabilised: where the printed formula overflows, so does this. It needs the
standard library alone.

    >>> from fractions import Fraction
    >>> from chainrule.reference import FUNCTIONS
    >>> FUNCTIONS["conv1d.valid"]([1, 0, 1], [1, 1, 1, 0, 0])
    [2, 1, 1]
    >>> FUNCTIONS["loss.square"](Fraction(1, 3), Fraction(1, 2))
    Fraction(1, 36)
"""

from . import (
    activations,
    attention,
    backprop,
    chance,
    convolution,
    counts,
    examples,
    filters,
    layers,
    losses,
    networks,
    normalization,
    optimizers,
    pooling,
    updates,
)
from .ids import FUNCTIONS, implements

__all__ = ["FUNCTIONS", "activations", "attention", "backprop", "chance", "convolution", "counts", "examples",
           "filters", "implements", "layers", "losses", "networks", "normalization", "optimizers", "pooling",
           "updates"]
