"""The activations and their derivatives, elementwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numbers.lanes import Array
from .base import ACTIVATIONS, PARAMETERS, Form, Lift, Outputs, elementwise, operation


def _activation(name: str) -> None:
    def given(parameters: dict[str, float]) -> dict[str, float]:
        return {**PARAMETERS.get(name, {}), **parameters}

    @operation(f"act.{name}", "a", axes=elementwise("z", "a"))
    def value(lift: Lift, form: Form, z: Array, **parameters: Any) -> Outputs:
        return {"a": form(f"act.{name}")(lift(z), **given(parameters))}

    @operation(f"act.{name}.prime", "g_prime", axes=elementwise("z", "g_prime"))
    def prime(lift: Lift, form: Form, z: Array, **parameters: Any) -> Outputs:
        g_prime = form(f"act.{name}.prime")(lift(z), **given(parameters))
        return {"g_prime": g_prime + lift(np.zeros_like(z))}      # a constant g′ (identity) still has z's shape


for _name in ACTIVATIONS:
    _activation(_name)
