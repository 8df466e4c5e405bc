"""The activations, each declared once: g and g′ in ATen, its parameter, what is kept for backward, whether it rises.

`kernels` has the same g and g′ as scalar functions of the same names. Everything else that has to know which
activations there are, or what one needs, asks here.

Kept for the backward pass is a = g(z) or z, by evidence, not by habit. a costs nothing where the next layer keeps it
anyway, but g′ read off a rounded a can be far off: where g saturates, a has no digits left to tell 1 − a. The rule: a
is kept if g′ recomputed from it has at least half the digits of the dtype, a relative error of at most √u for every
|z| ≤ 6. Otherwise z is.

    largest relative error of g′ recomputed from the stored a, |z| ≤ 6
              float32            float16            bfloat16
    √u        2.4e-04            2.2e-02            6.2e-02
    sigmoid   1.2e-05   keep a   9.0e-02   keep z   5.8e-01   keep z
    tanh      2.4e-03   keep z   1.0e+00   keep z   1.0e+00   keep z
    relu      0.0e+00   keep a   0.0e+00   keep a   0.0e+00   keep a
    leaky     0.0e+00   keep a   0.0e+00   keep a   0.0e+00   keep a

ELU keeps z whatever the error: α(eᶻ − 1) rounds to −0 for tiny z < 0, and −0 does not say whether g′ is 1
or α. Leaky ReLU with a negative slope keeps z too: there a > 0 on both sides. GELU falls and rises again, and so
keeps z. float64 follows float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

#: g or g′ of an array, with the activation's parameter p.
Scalar: TypeAlias = Callable[[Tensor, float], Tensor]


def _sigmoid_prime(z: Tensor, p: float) -> Tensor:
    e = torch.exp(-z.abs())
    return e / (1 + e).square()


def _tanh_prime(z: Tensor, p: float) -> Tensor:
    e = torch.exp(-2 * z.abs())
    return 4 * e / (1 + e).square()


def _relu_prime(z: Tensor, p: float) -> Tensor:
    """1 of NaN, too, as torch has it; and so below."""
    return torch.where(z <= 0, torch.zeros_like(z), torch.ones_like(z))


def _leaky_prime(z: Tensor, p: float) -> Tensor:
    return torch.where(z > 0, torch.ones_like(z), torch.full_like(z, p))


def _elu_prime(z: Tensor, p: float) -> Tensor:
    return torch.where(z < 0, p * torch.exp(z.clamp(max=0)), torch.ones_like(z))


def _normal(z: Tensor) -> Tensor:
    """Φ(z), through erfc: 1 + erf has no digits left far below 0."""
    tail: Tensor = torch.special.erfc(z * -math.sqrt(0.5))
    return 0.5 * tail


def _gelu_prime(z: Tensor, p: float) -> Tensor:
    return _normal(z) + z * torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)


def _cubic(z: Tensor) -> Tensor:
    """u with tanh's GELU = z σ(u)."""
    return math.sqrt(8 / math.pi) * (z + 0.044715 * z**3)


def _gelu_tanh_prime(z: Tensor, p: float) -> Tensor:
    u = _cubic(z)
    part = z * _sigmoid_prime(u, p)                         # 0 far out, where z² alone would overflow
    return torch.sigmoid(u) + (part + part * z * z * (3 * 0.044715)) * math.sqrt(8 / math.pi)


def _never(p: float) -> bool:
    return False


def _always(p: float) -> bool:
    return True


@dataclass(frozen=True)
class Activation:
    """g, g′ of z, and where a may be kept g′ of a; `times_prime` is d ⊙ g′(a) in one ATen call, not three or four.

    `parameter` is the keyword of p and `default` the value it has where none is given; `legal` says which p there are
    where not all are, `rises` for which p g nowhere falls, so that the largest z has the largest a. `errors` is what
    the table above says: the largest relative error of g′ recomputed from a stored a.
    """

    value: Scalar
    prime: Scalar
    prime_of_a: Scalar | None = None
    times_prime: Callable[[Tensor, Tensor, float], Tensor] | None = None
    parameter: str = ""
    default: float = 0.0
    legal: tuple[Callable[[float], bool], str] | None = None
    rises: Callable[[float], bool] = _always
    heavy: bool = False             # beside large tiles its registers spill: no kernel that moves boxes has it
    errors: dict[torch.dtype, float] = field(default_factory=dict)
    tells: Callable[[float], bool] = _always        # for which p does a tell on which side of 0 z lay?
    two_sided: bool = False                         # is g′ one number above 0, and one at and below it?
    kept_in: frozenset[torch.dtype] = field(init=False)         # the dtypes in which a may be kept

    def __post_init__(self) -> None:
        kept = {dtype for dtype, error in self.errors.items() if error <= ROOT_U[dtype]}
        kept |= {torch.float64} if torch.float32 in kept else set()
        object.__setattr__(self, "kept_in", frozenset(kept))

    def keeps_a(self, dtype: torch.dtype, p: float) -> bool:
        return dtype in self.kept_in and self.tells(p)


#: √u, half the digits.
ROOT_U = {torch.float32: 2.0**-12, torch.float16: 2.0**-5.5, torch.bfloat16: 2.0**-4}


def _errors(fp32: float, fp16: float, bf16: float) -> dict[torch.dtype, float]:
    return {torch.float32: fp32, torch.float16: fp16, torch.bfloat16: bf16}


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(
        lambda z, p: torch.sigmoid(z), _sigmoid_prime, lambda a, p: a * (1 - a),
        lambda d, a, p: torch.ops.aten.sigmoid_backward.default(d, a), errors=_errors(1.2e-05, 9.0e-02, 5.8e-01)),
    "tanh": Activation(
        lambda z, p: torch.tanh(z), _tanh_prime, lambda a, p: 1 - a * a, errors=_errors(2.4e-03, 1.0, 1.0)),
    "relu": Activation(
        lambda z, p: torch.relu(z), _relu_prime, _relu_prime,
        lambda d, a, p: torch.ops.aten.threshold_backward.default(d, a, 0), errors=_errors(0.0, 0.0, 0.0),
        two_sided=True),
    "leaky": Activation(
        lambda z, p: F.leaky_relu(z, p), _leaky_prime, _leaky_prime,
        lambda d, a, p: torch.ops.aten.leaky_relu_backward.default(d, a, p, False), parameter="slope", default=0.1,
        legal=(lambda p: 0 <= p <= 1, "max(slope z, z) is a leaky ReLU for 0 <= slope <= 1 only"),
        rises=lambda p: p >= 0, errors=_errors(0.0, 0.0, 0.0), tells=lambda p: p >= 0,
        two_sided=True),
    "elu": Activation(
        lambda z, p: torch.where(z >= 0, z, p * torch.expm1(z.clamp(max=0))), _elu_prime, parameter="alpha",
        default=1.0, rises=lambda p: p >= 0),
    "gelu": Activation(lambda z, p: z * _normal(z), _gelu_prime, rises=_never, heavy=True),
    "gelu.tanh": Activation(lambda z, p: z * torch.sigmoid(_cubic(z)), _gelu_tanh_prime, rises=_never, heavy=True),
    "identity": Activation(
        lambda z, p: z.clone(), lambda z, p: torch.ones_like(z), lambda a, p: torch.ones_like(a)),
}
