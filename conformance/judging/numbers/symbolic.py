"""SymPy expressions: run a formula over symbols and it prints itself.

A cases brace becomes a `Piecewise` and not a `Max`: its derivative at the kink is then that of the branch
that holds the equality, as the deck's braces say, and not a half. Importing this module registers SymPy with
`chainrule.scalar`.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy.logic.boolalg import Boolean

from .... import scalar

scalar.exp.register(sympy.Basic, sympy.exp)
scalar.log.register(sympy.Basic, sympy.log)
scalar.sqrt.register(sympy.Basic, sympy.sqrt)
for _name in ("tanh", "erf", "erfc", "sin", "cos"):
    getattr(scalar, _name).register(sympy.Basic, getattr(sympy, _name))
scalar.pi.register(sympy.Basic, lambda like: sympy.pi)
scalar.number.register(sympy.Basic, lambda like, n: sympy.Integer(n))
scalar.expm1.register(sympy.Basic, lambda x: sympy.exp(x) - 1)
scalar.log1p.register(sympy.Basic, lambda x: sympy.log(1 + x))


@scalar.where.register(Boolean)
def _piecewise(condition: Any, then: Any, otherwise: Any) -> Any:
    """Both branches of a brace, as one expression."""
    return sympy.Piecewise((branch(then), condition), (branch(otherwise), True))


def branch(value: Any) -> Any:
    """The expression of a branch, which may be a thunk (but SymPy expressions are callable too)."""
    return value() if callable(value) and not isinstance(value, sympy.Basic) else value
