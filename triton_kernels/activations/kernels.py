"""The deck's activations g and their derivatives g′, as scalar functions (z, p) → number.

act.sigmoid   1 / (1 + e⁻ᶻ)                 g′ = g (1 − g)
act.tanh      (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)       g′ = 1 − g²
act.relu      max(0, z)                     g′ = 1 if z > 0 else 0
act.leaky     max(p z, z), 0 ≤ p ≤ 1        g′ = 1 if z > 0 else p
act.elu       z if z ≥ 0 else p (eᶻ − 1)    g′ = 1 if z ≥ 0 else p eᶻ
act.gelu      z Φ(z)                        g′ = Φ(z) + z φ(z), of the normal distribution
act.gelu.tanh z σ(u), u = √(8/π)(z + c z³)  g′ = σ(u) + z σ′(u) u′,  c = 0.044715
act.identity  z                             g′ = 1

p is the slope of leaky, the α of elu, and unused elsewhere: one signature, so that any of them is an
epilogue.

Traps: no exponential sees a positive argument, so nothing overflows (e⁻ᶻ at z = −100, the discarded
branch of elu at 89); tanh and elu near 0 go through expm1; g′ of sigmoid and tanh is written in e^(−|z|),
because 1 − g cancels where g saturates; Φ far below 0 is no 1 + erf, which has no digits there; g of NaN is
NaN (a maximum would drop it); g′ there is torch's: NaN of sigmoid, tanh and GELU, 1 of relu and elu, p of leaky.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from collections.abc import Callable
from functools import partial
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from ..blocks import pointwise
from ..blocks.elementary import density, exp, expm1, mills
from ..runtime import checks
from .checks import activation
from .table import ACTIVATIONS

ROOT = tl.constexpr(1.5957691216057308)             # √(8/π)
CUBIC = tl.constexpr(0.044715)


@triton.jit
def identity(z, p):
    return z


@triton.jit
def identity_prime(z, p):
    return tl.zeros_like(z) + 1.0


@triton.jit
def sigmoid(z, p):
    e = exp(-tl.abs(z))
    return tl.where(z >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def sigmoid_prime(z, p):
    e = exp(-tl.abs(z))
    return e / ((1.0 + e) * (1.0 + e))


@triton.jit
def sigmoid_prime_of_a(a, p):
    return a * (1.0 - a)


@triton.jit
def tanh(z, p):
    t = expm1(-2.0 * tl.abs(z))
    return tl.where(z >= 0, -t, t) / (2.0 + t)


@triton.jit
def tanh_prime(z, p):
    e = exp(-2.0 * tl.abs(z))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


@triton.jit
def relu(z, p):
    return tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def relu_prime(z, p):
    return tl.where(z <= 0, 0.0, 1.0)


@triton.jit
def leaky(z, p):
    return tl.where(z > 0, z, p * z)


@triton.jit
def leaky_prime(z, p):
    return tl.where(z > 0, 1.0, p)


@triton.jit
def elu(z, p):
    return tl.where(z >= 0, z, p * expm1(tl.where(z >= 0, 0.0, z)))


@triton.jit
def elu_prime(z, p):
    return tl.where(z < 0, p * exp(tl.where(z < 0, z, 0.0)), 1.0)


@triton.jit
def normal(z, phi):
    """Φ(z) from φ(z), whichever side of 0."""
    below = phi * mills(tl.abs(z))
    return tl.where(z >= 0, 1.0 - below, below)


@triton.jit
def gelu(z, p):
    return z * normal(z, density(z))


@triton.jit
def gelu_prime(z, p):
    phi = density(z)
    return normal(z, phi) + z * phi


@triton.jit
def gelu_tanh(z, p):
    return z * sigmoid((z + z * z * z * CUBIC) * ROOT, p)


@triton.jit
def gelu_tanh_prime(z, p):
    u = (z + z * z * z * CUBIC) * ROOT
    part = z * sigmoid_prime(u, p)                              # 0 far out, where z² alone would overflow
    return sigmoid(u, p) + (part + part * z * z * (3.0 * CUBIC)) * ROOT


#: g and g′ by name: each activation of the table stands above, as `name` and `name_prime`.
VALUE: dict[str, Any] = {act: globals()[act.replace(".", "_")] for act in ACTIVATIONS}
PRIME: dict[str, Any] = {act: globals()[f"{act.replace('.', '_')}_prime"] for act in ACTIVATIONS}
#: g′ written in a = g(z), where the table lets a be kept: `name_prime_of_a`, or where there is none a has z's sign.
PRIME_OF_A: dict[str, Any] = {
    act: globals().get(f"{act}_prime_of_a", PRIME[act]) for act, g in ACTIVATIONS.items()
    if act == "identity" or any(g.keeps_a(dtype, g.default) for dtype in g.errors)}


def derivative(act: str, form: str) -> Any:
    """The scalar function for g′ as a function of what was saved: `a`, or `z`."""
    return (PRIME_OF_A if form == "a" else PRIME)[act]


@triton.jit
def _times(grad, saved, p, G: tl.constexpr):
    return grad * G(saved, p)


def value(z: Tensor, act: str, p: float) -> Tensor:
    """g(z)."""
    return pointwise.unary(VALUE[act], z, p)


def backward(grad: Tensor, saved: Tensor, act: str, form: str, p: float) -> Tensor:
    """grad ⊙ g′, g′ read off what was saved."""
    return pointwise.binary(_times, grad, saved, p, G=derivative(act, form))


def _unary(name: str, functions: dict[str, Any], act: str, z: Tensor, **parameter: float) -> Tensor:
    p = activation(name, act, **parameter)
    checks.floating(name, z=z)
    checks.kernel_dtype(name, z)
    return pointwise.unary(functions[act], z, p)


OPS: dict[str, Callable[..., Tensor | tuple[Tensor, ...]]] = {}
for _act in VALUE:
    OPS[f"act.{_act}"] = partial(_unary, f"act.{_act}", VALUE, _act)
    OPS[f"act.{_act}.prime"] = partial(_unary, f"act.{_act}.prime", PRIME, _act)
