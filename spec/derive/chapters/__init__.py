"""One module per chapter of the deck. Importing this package enters all derivations."""

from . import activations, losses, backprop, layers, bands, convolution, images, normalization, attention  # noqa: I001
from . import linear, maps, scalars
from .register import MAKERS, OURS, Chapters

__all__ = [
    "MAKERS", "OURS", "Chapters", "activations", "attention", "backprop", "bands", "convolution", "images", "layers",
    "linear", "losses", "maps", "normalization", "scalars",
]
