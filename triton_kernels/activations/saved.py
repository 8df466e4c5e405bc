"""What is kept for the backward pass: a = g(z), z, or nothing. Decided by evidence, not by habit.

a costs nothing where the next layer keeps it anyway, but g′ read off a rounded a can be far off: where g
saturates, a has no digits left to tell 1 − a. The rule: a is kept if g′ recomputed from it has at least half
the digits of the dtype, a relative error of at most √u for every |z| ≤ 6. Otherwise z is.

    largest relative error of g′ recomputed from the stored a, |z| ≤ 6
              float32            float16            bfloat16
    √u        2.4e-04            2.2e-02            6.2e-02
    sigmoid   1.2e-05   keep a   9.0e-02   keep z   5.8e-01   keep z
    tanh      2.4e-03   keep z   1.0e+00   keep z   1.0e+00   keep z
    relu      0.0e+00   keep a   0.0e+00   keep a   0.0e+00   keep a
    leaky     0.0e+00   keep a   0.0e+00   keep a   0.0e+00   keep a

ELU keeps z whatever the error: α(eᶻ − 1) rounds to −0 for tiny z < 0, and −0 does not say whether g′ is 1
or α. Leaky ReLU with a negative slope keeps z too: there a > 0 on both sides. float64 follows float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..layers.composite import Scalar

#: The same, for the program: what is kept, and the error it was decided on.
TABLE: dict[str, dict[torch.dtype, tuple[str, float]]] = {
    "sigmoid": {torch.float32: ("a", 1.2e-05), torch.float16: ("z", 9.0e-02), torch.bfloat16: ("z", 5.8e-01)},
    "tanh": {torch.float32: ("z", 2.4e-03), torch.float16: ("z", 1.0), torch.bfloat16: ("z", 1.0)},
    "relu": {torch.float32: ("a", 0.0), torch.float16: ("a", 0.0), torch.bfloat16: ("a", 0.0)},
    "leaky": {torch.float32: ("a", 0.0), torch.float16: ("a", 0.0), torch.bfloat16: ("a", 0.0)},
}


def form(act: str, dtype: torch.dtype, p: float) -> str:
    """`a`, `z` or `nothing`."""
    if act == "identity":
        return "nothing"
    if act == "elu" or (act == "leaky" and p < 0):
        return "z"
    return TABLE[act][torch.float32 if dtype == torch.float64 else dtype][0]


def shown(act: str, dtype: torch.dtype, p: float, pooled: bool = False) -> str:
    """`form`, where a is handed out, and may be written over afterwards wherever torch allows that: behind a leaky
    ReLU, which torch reads off z, and behind a pooling."""
    if act == "leaky" or (pooled and act != "identity"):
        return "z"
    return form(act, dtype, p)


def points(dtype: torch.dtype) -> Tensor:
    """Every 16-bit number of |z| ≤ 6; for float32 a grid that is fine where g′ is small."""
    if dtype == torch.float32:
        return torch.cat([torch.linspace(-6, 6, 200_001), torch.linspace(-1e-3, 1e-3, 1001)])
    every = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(dtype)
    return every[every.abs() <= 6]


def error(act: str, dtype: torch.dtype, p: float = 0.1) -> float:
    """The largest relative error of g′ recomputed from a rounded to dtype, |z| ≤ 6; all else in float64."""
    z = points(dtype).double()
    value, prime, prime_of_a = _EXACT[act]
    wanted = prime(z, p)
    got = prime_of_a(value(z, p).to(dtype).double(), p)
    return float(torch.where(wanted == got, 0.0, (got - wanted).abs() / wanted.abs()).max())


def _step(x: Tensor, p: float) -> Tensor:
    return torch.where(x > 0, 1.0, p).double()


#: act: (g of z, g′ of z, g′ of a), in float64.
_EXACT: dict[str, tuple[Scalar, Scalar, Scalar]] = {
    "sigmoid": (
        lambda z, p: torch.sigmoid(z),
        lambda z, p: torch.sigmoid(z) * torch.sigmoid(-z),
        lambda a, p: a * (1 - a),
    ),
    "tanh": (lambda z, p: torch.tanh(z), lambda z, p: torch.cosh(z) ** -2, lambda a, p: 1 - a * a),
    "relu": (lambda z, p: torch.relu(z), lambda z, p: _step(z, 0.0), lambda a, p: _step(a, 0.0)),
    "leaky": (lambda z, p: torch.where(z > 0, z, p * z), _step, _step),
}
