"""One module per chapter of the deck. Importing this package enters all derivations."""

from . import activations, convolution, losses
from .register import MAKERS

__all__ = ["MAKERS", "activations", "convolution", "losses"]
