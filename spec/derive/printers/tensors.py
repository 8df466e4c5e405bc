"""torch and JAX: the Python of a derivation over tensors, its result stacked into one."""

from __future__ import annotations

from ..language import Expr
from .base import ATOM
from .python import Python

FRAMEWORKS = {"torch": ("import torch", "torch"), "jax": ("import jax.numpy as jnp\nimport jax.scipy.special", "jnp")}
SPECIAL = {"torch": "torch.special", "jax": "jax.scipy.special"}


class Tensors(Python):
    """Entries are 0-d tensors, sums are Python's, functions are the framework's."""

    def __init__(self, order: tuple[str, ...], framework: str) -> None:
        super().__init__(order)
        self.framework = framework
        self.module = FRAMEWORKS[framework][1]

    def applied(self, e: Expr) -> tuple[str, int]:
        name = e.func.__name__
        if name in ("erf", "erfc"):
            return f"{SPECIAL[self.framework]}.{name}({self(e.args[0])})", ATOM
        if name in ("exp", "log", "tanh", "sin", "cos"):
            inside = self(e.args[0])
            return (f"math.{name}({inside})" if e.args[0].is_number else f"{self.module}.{name}({inside})"), ATOM
        return super().applied(e)

    def power(self, e: Expr) -> tuple[str, int]:
        text, binds = super().power(e)
        if text.startswith("sqrt("):
            return (f"math.{text}" if e.base.is_number else f"{self.module}.{text}"), binds
        return text, binds

    def cases(self, e: Expr) -> tuple[str, int]:
        *cases, (otherwise, _) = e.args
        text = self(otherwise)
        for value, condition in reversed(cases):
            chosen = f"{self(value)} if {self.condition(condition)} else {text}"
            of_data = f"{self.module}.where({self.condition(condition)}, {self(value)}, {text})"
            text = f"({chosen})" if all(s.is_integer for s in condition.free_symbols) else of_data
        return text, ATOM

    def lanes(self, condition: str, body: str) -> str:
        return f"{self.module}.where({condition}, {body}, 0.0)"

    def pi(self) -> str:
        return "math.pi"

    def constant(self, n: Expr) -> str:
        return str(n)

    def product(self, e: Expr) -> tuple[str, int]:
        like, self.like = self.like, ""
        found = super().product(e)
        self.like = like
        return found

    def list_of(self, body: str, loops: str, from_one: bool) -> str:
        return f"stack([{body} {loops}]{', 1' if from_one else ''})"

    def head(self) -> str:
        return f"import math\n\n{FRAMEWORKS[self.framework][0]}\n\n\n{self._stack()}"

    def _stack(self) -> str:
        m = self.module
        tensor = "torch.as_tensor(part, dtype=torch.float64)" if m == "torch" else "jnp.asarray(part, dtype=float)"
        return f'''def stack(parts, unused=0):
    """One tensor of numbers or of tensors of one shape; a range from 1 leaves slot 0 unused."""
    parts = [{tensor} for part in parts]
    return {m}.stack([{m}.zeros_like(parts[0])] * unused + parts)'''
