"""Three ways to write an expression: a line of Unicode, LaTeX, and Python that runs.

SymPy's own printers change between releases and write −j + p for p − j; these know only the words of a derivation
and put them in the order a reader expects: positive terms first, factors as δ, Θ, a.
"""

from .latex import Latex
from .plain import Plain
from .python import Python

__all__ = ["Latex", "Plain", "Python"]
