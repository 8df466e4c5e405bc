"""Readings that have the deck's own value and round elsewhere on the way to it, as most libraries do.

A derivative taken from the output that is kept cannot be exact where the output is nearly constant: 1 − g is what two
large numbers leave. Declared, the bound is that of the formula as it is computed; the oracle stays the op's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....scalar import exp, log1p, where
from ..numbers.formats import FORMATS
from ..numbers.lanes import Array
from .base import OPERATIONS, Form, Lift, Outputs, literal, narrowed, reading, stable


def rounded(op: str, name: str, output: str, careful: Callable[..., Any]) -> None:
    """A reading whose bound is that of careful(lift, form, z), and whose value is the op's."""
    @reading(op, name)
    def evaluate(lift: Lift, form: Form, z: Array) -> Outputs:
        return {output: careful(lift, form, z)} if form is stable else OPERATIONS[op].evaluate(lift, form, z)


def _from_output(act: str, slope: Callable[..., Any]) -> None:
    """g′ from a = g(z) as it is kept, in the tensors' own dtype."""
    rounded(f"act.{act}.prime", "from its output", "g_prime",
            lambda lift, form, z: slope(narrowed(form(f"act.{act}")(lift(z)), lift)))


_from_output("sigmoid", lambda a: a * (1 - a))
_from_output("tanh", lambda a: 1 - a * a)

# x/2 (1 + erf(…)) and its derivative as they are printed: left of 0 the sum leaves nothing
for _act, _name in (("gelu", "through 1 + erf"), ("gelu.tanh", "through 1 + tanh")):
    for _op, _output in ((f"act.{_act}", "a"), (f"act.{_act}.prime", "g_prime")):
        rounded(_op, _name, _output, lambda lift, form, z, op=_op: literal(op)(lift(z)))


def _flushed(op: str, at: float = 0.0) -> None:
    @reading(op, "subnormals are 0")
    def evaluate(lift: Lift, form: Form, z: Array, **parameters: Any) -> Outputs:
        """z that is subnormal in float32 counts as `at`: where subnormals are flushed, it is 0 before it is asked."""
        return OPERATIONS[op].evaluate(lift, form, np.where(np.abs(z) < FORMATS["fp32"].smallest, at, z), **parameters)


for _op in ("act.relu", "act.elu", "act.relu.prime"):
    _flushed(_op)
_flushed("act.leaky.prime", 1.0)             # the slope at 0 of where(z ≥ 0, z, 0.1 z)


def _softplus(z: Any) -> Any:
    return where(z >= 0, lambda: z + log1p(exp(-z)), lambda: log1p(exp(z)))


@reading("loss.xent.logits", "through softplus")
def cross_entropy(lift: Lift, form: Form, z: Array, y: Array) -> Outputs:
    """y s(−z) + (1 − y) s(z) with s = log(1 + e^z), and δ by s' = e^(z − s(z)), as automatic differentiation has it."""
    if form is not stable:
        return OPERATIONS["loss.xent.logits"].evaluate(lift, form, z, y)
    on, off, label = _softplus(lift(z)), _softplus(lift(-z)), lift(y)
    return {"loss": label * off + (1 - label) * on,
            "delta": (1 - label) * exp(lift(z) - on) - label * exp(lift(-z) - off)}
