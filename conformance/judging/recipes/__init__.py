"""How each family of ops draws its data: exact ones for T0, real ones on several distributions for T1."""

from . import attention, bands, convolution, convolution_layers, embedding, networks, rows, steps, training, updates
from .base import DISTRIBUTIONS, Arguments, Family, Recipe, Source, source

FAMILIES: dict[str, Family] = {**networks.FAMILIES, **convolution.FAMILIES, **convolution_layers.FAMILIES,
                              **bands.FAMILIES, **training.FAMILIES, **updates.FAMILIES, **steps.FAMILIES,
                              **rows.FAMILIES, **attention.FAMILIES, **embedding.FAMILIES}

__all__ = ["DISTRIBUTIONS", "FAMILIES", "Arguments", "Family", "Recipe", "Source", "source"]
