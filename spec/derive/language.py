"""The words derivations are written in: SymPy sums over indexed arrays, and Iverson's brackets.

A bracket is a factor, 1 where its condition holds and 0 elsewhere. As factors, conditions move through sums like
everything else, and a sum over an empty range is 0 (SymPy's own convention for reversed limits is never used).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

Expr = Any                                      # SymPy has no type stubs; expressions are annotated by this name


class Same(sp.Function):                        # type: ignore[misc]
    """[a = b]"""

    is_integer = True

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr:
        difference = sp.expand(a - b)
        if difference.is_Integer:
            return sp.Integer(int(difference == 0))
        return None


class Within(sp.Function):                      # type: ignore[misc]
    """[low ≤ e ≤ high]"""

    is_integer = True


class Divides(sp.Function):                     # type: ignore[misc]
    """[a ∣ e] for a > 0"""

    is_integer = True

    @classmethod
    def eval(cls, a: Expr, e: Expr) -> Expr:
        return sp.Integer(1) if a == 1 else None


class CeilDiv(sp.Function):                     # type: ignore[misc]
    """⌈e / a⌉ for a > 0"""

    is_integer = True

    @classmethod
    def eval(cls, e: Expr, a: Expr) -> Expr:
        return e if a == 1 else None


class FloorDiv(sp.Function):                    # type: ignore[misc]
    """⌊e / a⌋ for a > 0"""

    is_integer = True

    @classmethod
    def eval(cls, e: Expr, a: Expr) -> Expr:
        return e if a == 1 else None


class Prime(sp.Function):                       # type: ignore[misc]
    """g′(u): the derivative of the scalar function named by the first argument, at the second."""


BRACKETS = (Same, Within, Divides)


def negative(e: Expr) -> bool:
    """Does the number in front of e carry a minus sign?"""
    return bool(e.as_coeff_Mul()[0].is_negative)


def indices(names: str) -> Any:
    """Summation indices and free indices."""
    return sp.symbols(names, integer=True)


def sizes(names: str) -> Any:
    """Sizes: at least 1."""
    return sp.symbols(names, integer=True, positive=True)


def scalars(names: str) -> Any:
    """Real numbers without an index."""
    return sp.symbols(names, real=True)


def arrays(names: str) -> Any:
    """Indexed arrays."""
    found = [sp.IndexedBase(name) for name in names.split()]
    return found[0] if len(found) == 1 else found


def function(name: str) -> Any:
    """A scalar function that is applied node by node."""
    return sp.Function(name)
