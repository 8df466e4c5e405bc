"""One module per chapter of the deck. Importing this package enters all derivations."""

from . import activations, losses, backprop, layers, bands, convolution, images, normalization, attention  # noqa: I001
from . import groups, maps, strided, sums
from ...records import load
from .register import MAKERS, OURS, Chapters

for _id, _maker in sums.makers(load()).items():                      # what no chapter derives
    MAKERS.setdefault(_id, _maker)

__all__ = [
    "MAKERS", "OURS", "Chapters", "activations", "attention", "backprop", "bands", "convolution", "groups", "images",
    "layers", "losses", "maps", "normalization", "strided", "sums",
]
