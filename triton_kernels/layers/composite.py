"""Every op as an ATen composite of the same equation: what a CPU tensor runs, and the `torch` backend.

float16 and bfloat16 are widened to float32, computed there and rounded once, as the kernels do; float64
stays float64. Needs no Triton.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeAlias, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._C import _is_any_autocast_enabled as autocast_somewhere

from ..runtime import checks

#: g or g′ of an array, with the activation's parameter p.
Scalar: TypeAlias = Callable[[Tensor, float], Tensor]


NARROW = (torch.bfloat16, torch.float16)


def wide(t: Tensor) -> Tensor:
    return t.float() if t.dtype in NARROW else t


def rounded(t: Tensor, dtype: torch.dtype) -> Tensor:
    """To dtype; where t has it already, asking torch would take as long as a small product."""
    return t if t.dtype == dtype else t.to(dtype)


Op = TypeVar("Op", bound=Callable[..., Any])


def as_given(product: Op) -> Op:
    """A product in the dtypes it is given, where autocast would round it once more: `precision` has asked it before."""
    @wraps(product)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not autocast_somewhere():
            return product(*args, **kwargs)
        with torch.autocast(args[0].device.type, enabled=False):
            return product(*args, **kwargs)

    return cast(Op, run)


def _sigmoid_prime(z: Tensor, p: float) -> Tensor:
    e = torch.exp(-z.abs())
    return e / (1 + e).square()


def _tanh_prime(z: Tensor, p: float) -> Tensor:
    e = torch.exp(-2 * z.abs())
    return 4 * e / (1 + e).square()


def _step(z: Tensor, below: float) -> Tensor:
    """1 for z > 0, `below` for z ≤ 0, NaN for NaN."""
    return torch.where(z > 0, torch.ones_like(z), torch.where(z <= 0, torch.full_like(z, below), z))


def _elu_prime(z: Tensor, p: float) -> Tensor:
    return torch.where(z >= 0, torch.ones_like(z), p * torch.exp(z.clamp(max=0)))


VALUE: dict[str, Scalar] = {
    "sigmoid": lambda z, p: torch.sigmoid(z), "tanh": lambda z, p: torch.tanh(z), "relu": lambda z, p: torch.relu(z),
    "leaky": lambda z, p: F.leaky_relu(z, p),
    "elu": lambda z, p: torch.where(z >= 0, z, p * torch.expm1(z.clamp(max=0))),
    "identity": lambda z, p: z.clone(),
}
PRIME: dict[str, Scalar] = {
    "sigmoid": _sigmoid_prime, "tanh": _tanh_prime, "relu": lambda z, p: _step(z, 0.0),
    "leaky": _step, "elu": _elu_prime, "identity": lambda z, p: torch.ones_like(z),
}
PRIME_OF_A: dict[str, Scalar] = {
    "sigmoid": lambda a, p: a * (1 - a), "relu": lambda a, p: _step(a, 0.0),
    "leaky": lambda a, p: _step(a, p), "identity": PRIME["identity"],
}
#: d ⊙ g′ in one ATen call instead of three or four, for what a training step multiplies by most.
_IN_ONE_CALL: dict[Scalar, Callable[[Tensor, Tensor, float], Tensor]] = {
    PRIME_OF_A["sigmoid"]: lambda d, a, p: torch.ops.aten.sigmoid_backward.default(d, a),
    PRIME_OF_A["relu"]: lambda d, a, p: torch.ops.aten.threshold_backward.default(d, a, 0),
    PRIME_OF_A["leaky"]: lambda d, a, p: torch.ops.aten.leaky_relu_backward.default(d, a, p, False),
}


def derivative(act: str, form: str) -> Scalar:
    """g′ as a function of what was saved: `a`, or `z`."""
    return (PRIME_OF_A if form == "a" else PRIME)[act]


def _unary(name: str, functions: dict[str, Scalar], act: str, z: Tensor, **parameter: float) -> Tensor:
    p = checks.activation(name, act, **parameter)
    checks.floating(name, z=z)
    return rounded(functions[act](wide(z), p), z.dtype)


def value(z: Tensor, act: str, p: float) -> Tensor:
    return rounded(VALUE[act](wide(z), p), z.dtype)


def times(d: Tensor, saved: Tensor, G: Scalar, p: float) -> Tensor:
    call = _IN_ONE_CALL.get(G)
    return d * G(saved, p) if call is None else call(d, saved, p)


def backward(grad: Tensor, saved: Tensor, act: str, form: str, p: float) -> Tensor:
    return rounded(times(wide(grad), wide(saved), derivative(act, form), p), grad.dtype)


@as_given
def affine_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool, math: str | None = None
) -> tuple[Tensor, Tensor]:
    z = F.linear(wide(x), wide(w), None if b is None else wide(b))
    a = rounded(z if act == "identity" else VALUE[act](z, p), x.dtype)
    return a, rounded(z, x.dtype) if keep_z else a


def affine(
    x: Tensor, w: Tensor, b: Tensor | None = None, act: str = "identity", *, precision: str | None = None,
    **parameter: float,
) -> Tensor:
    """net.layer.affine   a = g(x wᵀ + b): x (B, I), w (O, I), b (O,) or None, act one of the six names."""
    checks.affine(x, w, b)
    p = checks.activation("net.layer.affine", act, **parameter)
    return affine_keeping(x, w, b, act, p, False)[0]


@as_given
def delta_partial(
    delta: Tensor, w: Tensor, saved: Tensor, G: Scalar, p: float, name: str = "",
    math: str | None = None,
) -> tuple[Tensor, Tensor]:
    d = times(wide(delta) @ wide(w), wide(saved), G, p)
    return rounded(d, delta.dtype), d.sum(0, keepdim=True)


def delta_through(
    delta: Tensor, w: Tensor, saved: Tensor, G: Scalar, p: float, name: str = "",
    math: str | None = None,
) -> tuple[Tensor, Tensor]:
    d, sums = delta_partial(delta, w, saved, G, p)
    return d, rounded(sums[0], delta.dtype)


def delta_chain(
    delta: Tensor, w: Tensor, z: Tensor, act: str, *, precision: str | None = None, **parameter: float
) -> tuple[Tensor, Tensor]:
    """bp.delta.chain   (δ_prev = (δ w) ⊙ g′(z), its batch sum): delta (B, O), w (O, I), z (B, I)."""
    checks.delta("bp.delta.chain", delta, w, z, "z")
    return delta_through(delta, w, z, PRIME[act], checks.activation("bp.delta.chain", act, **parameter))


def delta_rec(delta: Tensor, w: Tensor, a: Tensor, *, precision: str | None = None) -> tuple[Tensor, Tensor]:
    """bp.delta.rec   (δ_prev = (δ w) ⊙ a (1 − a), its batch sum): delta (B, O), w (O, I), a (B, I)."""
    checks.delta("bp.delta.rec", delta, w, a, "a")
    return delta_through(delta, w, a, PRIME_OF_A["sigmoid"], 0.0)


def average(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, *, precision: str | None = None
) -> tuple[Tensor, Tensor]:
    """alg.average   D = δᵀ a / n + λ w and Db = Σ_batch δ / n: delta (B, O), a (B, I), w (O, I), n > 0."""
    checks.average(delta, a, w, n)
    D, Db = averaged(delta, a, w, lam, n, True)
    assert Db is not None
    return D, Db


@as_given
def averaged(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, math: str | None = None
) -> tuple[Tensor, Tensor | None]:
    wide_delta = wide(delta)
    D, Db = wide_delta.t() @ wide(a), wide_delta.sum(0) if intercepts else None
    if n != 1:
        D, Db = D / n, None if Db is None else Db / n
    D = D + lam * wide(w) if lam else D
    return rounded(D, w.dtype), None if Db is None else rounded(Db, w.dtype)


def sgd(theta: Tensor, D: Tensor, eta: float) -> Tensor:
    """opt.sgd   Θ − η D, a new tensor."""
    checks.same("opt.sgd", theta=theta, D=D)
    return (wide(theta) - eta * wide(D)).to(theta.dtype)


def sgd_(theta: Tensor, D: Tensor, eta: float) -> Tensor:
    checks.same("opt.sgd", theta=theta, D=D)
    checks.writable("opt.sgd", theta=theta)
    return theta.sub_(D, alpha=eta) if wide(D) is D else theta.copy_(wide(theta) - eta * wide(D))


def xent_logits(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """loss.xent.logits   (−y log g(z) − (1 − y) log(1 − g(z)), g(z) − y), per entry."""
    checks.same("loss.xent.logits", z=z, y=y)
    zw, yw = wide(z), wide(y)
    e = torch.exp(-zw.abs())
    loss = torch.where(zw >= 0, (1 - yw) * zw, -yw * zw) + torch.log1p(e)
    s = e / (1 + e)
    return loss.to(z.dtype), torch.where(zw >= 0, (1 - yw) - s, s - yw).to(z.dtype)


def square(yhat: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """loss.square   ((y − ŷ)², 2 (ŷ − y)), per entry."""
    checks.same("loss.square", yhat=yhat, y=y)
    error = wide(yhat) - wide(y)
    return error.square().to(y.dtype), (2 * error).to(y.dtype)


def softmax_unchecked(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(loss (B, 1), δ), both new and wide. The sum of the other classes never has e^z_y in it, so that nothing cancels
    where softmax(z)_y is near 1."""
    zw, y = wide(z), y.unsqueeze(1)
    at = y.clamp(0, z.shape[1] - 1)
    e = zw - zw.amax(1, keepdim=True)
    above = e.gather(1, at).masked_fill_(at != y, torch.nan)
    others = e.exp_().scatter_(1, at, 0.0).sum(1, keepdim=True)
    more = torch.expm1(above).add_(others)              # Σ e^(z − largest) − 1
    loss = torch.log1p(more).sub_(above)
    return loss, e.scatter_(1, at, others.neg_()).div_(more.add_(1))


def softmax(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """loss.softmax   (−log softmax(z)_y, softmax(z) − onehot(y)): z (B, K), y (B,) int64; any K ≥ 1."""
    checks.classes(z, y)
    loss, delta = softmax_unchecked(z, y)
    return rounded(loss.squeeze(1), z.dtype), rounded(delta, z.dtype)


def scaled(delta: Tensor, grad: Tensor, n: int) -> Tensor:
    """δ · grad / n: an un-averaged delta turned into the gradient of a mean."""
    return rounded(wide(delta) * (wide(grad) / n), delta.dtype)


@as_given
def _correlate1d(signal: Tensor, theta: Tensor, padding: int = 0) -> Tensor:
    return F.conv1d(wide(signal)[None, None], wide(theta)[None, None], padding=padding)[0, 0].to(signal.dtype)


def conv1d_valid(theta: Tensor, x: Tensor) -> Tensor:
    """conv1d.valid   (θ ∗ x)_i = Σ_j θ_j x_{i+j}, n − m + 1 outputs."""
    checks.conv1d_valid(theta, x)
    return _correlate1d(x, theta)


def conv1d_valid_grad_x(d: Tensor, theta: Tensor) -> Tensor:
    """conv1d.valid.grad_x   Σ_j θ_j d_{t−j}, len(d) + m − 1 outputs."""
    n = checks.conv1d_valid_grad_x(d, theta)
    return _correlate1d(d, theta.flip(0), len(theta) - 1) if len(d) else d.new_zeros(n)


def conv1d_valid_grad_theta(d: Tensor, x: Tensor) -> Tensor:
    """conv1d.valid.grad_theta   Σ_i d_i x_{i+j}, n − len(d) + 1 outputs."""
    m = checks.conv1d_valid_grad_theta(d, x)
    return _correlate1d(x, d) if len(d) else d.new_zeros(m)


def conv1d_centred(theta: Tensor, a: Tensor) -> Tensor:
    """conv1d.centred   Σ_{j=−h}^{h} θ_{j+h} a_{i+j}, a = 0 outside, h = (m − 1)/2."""
    h = checks.conv1d_centred("conv1d.centred", theta, a, "a")
    return _correlate1d(a, theta, h) if len(a) else torch.empty_like(a)


def conv1d_centred_grad_a(d: Tensor, theta: Tensor) -> Tensor:
    """conv1d.centred.grad_a   Σ_j θ_j d_{t−j+h}, d = 0 outside."""
    h = checks.conv1d_centred("conv1d.centred.grad_a", theta, d, "d")
    return _correlate1d(d, theta.flip(0), h) if len(d) else torch.empty_like(d)


def conv1d_centred_grad_theta(d: Tensor, a: Tensor, m: int) -> Tensor:
    """conv1d.centred.grad_theta   Σ_i d_i a_{i+j−h}, m outputs, a = 0 outside."""
    h = checks.conv1d_centred_grad_theta(d, a, m)
    return _correlate1d(a, d, h) if len(d) else d.new_zeros(m)


@as_given
def _correlate2d(image: Tensor, K: Tensor, padding: tuple[int, int] = (0, 0)) -> Tensor:
    return F.conv2d(wide(image)[None, None], wide(K)[None, None], padding=padding)[0, 0].to(image.dtype)


def conv2d_valid(I: Tensor, K: Tensor) -> Tensor:
    """conv2d.valid   (I ∗ K)(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n)."""
    checks.conv2d_valid(I, K)
    return _correlate2d(I, K)


def conv2d_valid_grad_I(d: Tensor, K: Tensor) -> Tensor:
    """conv2d.valid.grad_I   Σ_m Σ_n d(u − m, v − n) K(m, n), d = 0 outside."""
    checks.conv2d_valid_grad_I(d, K)
    return _correlate2d(d, K.flip(0, 1), (K.shape[0] - 1, K.shape[1] - 1))


def conv2d_valid_grad_K(d: Tensor, I: Tensor) -> Tensor:
    """conv2d.valid.grad_K   Σ_i Σ_j d(i, j) I(i + m, j + n)."""
    checks.conv2d_valid_grad_K(d, I)
    return _correlate2d(I, d)


OPS: dict[str, Callable[..., Any]] = {
    **{f"act.{act}": partial(_unary, f"act.{act}", VALUE, act) for act in VALUE},
    **{f"act.{act}.prime": partial(_unary, f"act.{act}.prime", PRIME, act) for act in PRIME},
    "net.layer.affine": affine,
    "bp.delta.chain": delta_chain, "bp.delta.rec": delta_rec, "alg.average": average, "opt.sgd": sgd,
    "loss.xent.logits": xent_logits, "loss.square": square, "loss.softmax": softmax,
    "conv1d.valid": conv1d_valid, "conv1d.valid.grad_x": conv1d_valid_grad_x,
    "conv1d.valid.grad_theta": conv1d_valid_grad_theta, "conv1d.centred": conv1d_centred,
    "conv1d.centred.grad_a": conv1d_centred_grad_a, "conv1d.centred.grad_theta": conv1d_centred_grad_theta,
    "conv2d.valid": conv2d_valid, "conv2d.valid.grad_I": conv2d_valid_grad_I,
    "conv2d.valid.grad_K": conv2d_valid_grad_K,
}
