"""An outside witness for every equation: an implementation nobody here wrote.

torch in float64 and its autograd, and numbers worked by hand. A formula and its kernel can share a mistake of
ours; they cannot share one with these.
"""

from __future__ import annotations

from .judge import disagreement, table
from .row import Witness

__all__ = ["Witness", "disagreement", "table"]
