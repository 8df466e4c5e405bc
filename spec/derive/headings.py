"""What a derivation is about, in both ways of writing: ∂ℒ/∂x_p, and the ranges of its indices."""

from __future__ import annotations

from .language import Expr
from .printers import Latex, Plain
from .steps import Derivation


def writers(derivation: Derivation) -> tuple[Plain, Latex]:
    return Plain(derivation.order, derivation.notation), Latex(derivation.order, derivation.notation)


def target(derivation: Derivation, write: Plain) -> str:
    """What the derivation is about: ∂ℒ/∂x_p, or tanh′(x)."""
    if derivation.lhs is not None:
        return derivation.lhs[isinstance(write, Latex)]
    below = write(derivation.wrt)
    if isinstance(write, Latex):
        return rf"\frac{{\partial \mathcal{{L}}}}{{\partial {below}}}"
    return f"∂ℒ/∂{below}"


def ranges(over: tuple[tuple[Expr, Expr, Expr], ...], write: Plain) -> str:
    if not over:
        return ""
    if isinstance(write, Latex):
        return r",\quad " + r",\ ".join(rf"{write(low)} \le {write(i)} \le {write(high)}" for i, low, high in over)
    return ",   " + ", ".join(f"{write(low)} ≤ {write(i)} ≤ {write(high)}" for i, low, high in over)
