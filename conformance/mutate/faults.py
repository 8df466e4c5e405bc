"""Deliberately wrong formulas, by op and by name: each is a fault somebody once shipped.

They are plain float64 numpy over whole arrays, so that a failing kernel's output can be compared with every one of them
(`diagnose`), and planted in a backend to show that the suite catches them (`planted`). A fault of a rational op that
changes the formula itself (not just its precision) is structural: exact data alone must show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from ..numbers.lanes import Array

Outputs = tuple[Array, ...]


@frozen
class Fault:
    """A wrong formula: its op, what is wrong, and the outputs it would give."""

    op: str
    name: str
    outputs: Callable[..., Outputs]
    structural: bool = True

    def __str__(self) -> str:
        return f"{self.op}: {self.name}"


FAULTS: dict[str, list[Fault]] = {}


def fault(op: str, name: str, outputs: Callable[..., Any], structural: bool = True) -> None:
    def listed(**arguments: Any) -> Outputs:
        with np.errstate(all="ignore"):
            found = outputs(**arguments)
        return found if isinstance(found, tuple) else (found,)

    FAULTS.setdefault(op, []).append(Fault(op, name, listed, structural))


def every() -> list[Fault]:
    return [one for faults in FAULTS.values() for one in faults]


# ---- activations -----------------------------------------------------------------------------------------------------

def sigmoid(z: Array) -> Array:
    return np.asarray(np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))))


VALUE: dict[str, Callable[..., Array]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky": lambda z, slope=0.1: np.where(z > 0, z, slope * z),
    "elu": lambda z, alpha=1.0: np.where(z >= 0, z, alpha * np.expm1(np.minimum(z, 0))),
    "identity": lambda z: z,
}
PRIME: dict[str, Callable[..., Array]] = {
    "sigmoid": lambda z: sigmoid(z) * sigmoid(-z),
    "tanh": lambda z: 1 / np.cosh(np.clip(z, -350, 350)) ** 2,
    "relu": lambda z: (z > 0).astype(float),
    "leaky": lambda z, slope=0.1: np.where(z > 0, 1.0, slope),
    "elu": lambda z, alpha=1.0: np.where(z >= 0, 1.0, alpha * np.exp(np.minimum(z, 0))),
    "identity": lambda z: np.ones_like(z),
}
RATIONAL = ("relu", "identity")


def _activations() -> None:
    for name, value in VALUE.items():
        prime, own = PRIME[name], name in RATIONAL
        value_op, prime_op = f"act.{name}", f"act.{name}.prime"
        fault(value_op, "the derivative in place of the value", lambda z, f=prime, **p: f(z, **p), own)
        fault(prime_op, "the value in place of the derivative (σ for σ′)", lambda z, f=value, **p: f(z, **p), own)
        fault(value_op, "sign flipped", lambda z, f=value, **p: -f(z, **p), own)
        fault(prime_op, "derivative at −z", lambda z, f=prime, **p: -f(z, **p), own)
        fault(value_op, "last element unwritten", lambda z, f=value, **p: zero_last(f(z, **p)), own)
        if name in ("sigmoid", "tanh", "elu"):         # elsewhere g keeps the sign of z, so it is no fault
            fault(prime_op, "g′ taken at a = g(z) instead of z", lambda z, f=prime, g=value, **p: f(g(z, **p), **p), False)
    fault("act.sigmoid", "saturates early: z clipped to ±8", lambda z: sigmoid(np.clip(z, -8, 8)), False)
    fault("act.leaky", "slope 0.01 for 0.1", lambda z, slope=0.1: np.where(z > 0, z, slope / 10 * z), False)
    fault("act.leaky.prime", "slope 0.01 for 0.1", lambda z, slope=0.1: np.where(z > 0, 1.0, slope / 10), False)
    fault("act.elu", "−1 missing", lambda z, alpha=1.0: np.where(z >= 0, z, alpha * np.exp(np.minimum(z, 0))), False)
    fault("act.elu.prime", "the discarded branch overflows: ∞ · 0",
          lambda z, alpha=1.0: np.where(z >= 0, 1.0, 0.0) + np.where(z < 0, 1.0, 0.0) * alpha
          * np.exp(z.astype(np.float32)).astype(float), False)
    fault("act.tanh", "cancels near 0: (e^z − e^−z)/(e^z + e^−z) in float32",
          lambda z: _printed_tanh(z.astype(np.float32)).astype(float), False)
    fault("act.relu", "leaky", lambda z: np.where(z > 0, z, 0.1 * z))


def _printed_tanh(z: Array) -> Array:
    return np.asarray((np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)))


def zero_last(x: Array) -> Array:
    x = np.array(x, dtype=float)
    if x.size:
        x.flat[-1] = 0.0
    return x


# ---- layers and backpropagation --------------------------------------------------------------------------------------

def dropped(x: Array, block: int) -> Array:
    """x with the ragged tail of its last axis set to zero, as a loop over n // block whole blocks leaves it."""
    x = np.array(x, dtype=float)
    x[..., x.shape[-1] // block * block:] = 0.0
    return x


def transposed(w: Array) -> Array:
    """w read with its strides swapped."""
    return w.T.reshape(w.shape) if w.shape[0] != w.shape[1] else w.T


def rounded(x: Array, bits: int) -> Array:
    """x with `bits` of significand, rounded to nearest."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


def half_sum(x: Array, w: Array) -> Array:
    """x wᵀ accumulated in fp16."""
    total = np.zeros((x.shape[0], w.shape[0]), dtype=np.float16)
    for k in range(x.shape[1]):
        total = (total.astype(np.float32) + np.outer(x[:, k], w[:, k]).astype(np.float32)).astype(np.float16)
    return total.astype(float)


def _affine() -> None:
    def layer(change: Callable[..., Array]) -> Callable[..., Array]:
        return lambda x, w, b, act: change(x, w, b, VALUE[act])

    op = "net.layer.affine"
    fault(op, "Θ transposed", layer(lambda x, w, b, g: g(x @ transposed(w).T + b)))
    fault(op, "bias missing", layer(lambda x, w, b, g: g(x @ w.T)))
    fault(op, "bias twice", layer(lambda x, w, b, g: g(x @ w.T + 2 * b)))
    fault(op, "bias added after g", layer(lambda x, w, b, g: g(x @ w.T) + b))
    fault(op, "g missing", layer(lambda x, w, b, g: x @ w.T + b))
    fault(op, "first input dropped", layer(lambda x, w, b, g: g(x[:, 1:] @ w[:, 1:].T + b)))
    fault(op, "last input dropped", layer(lambda x, w, b, g: g(x[:, :-1] @ w[:, :-1].T + b)))
    for block in (16, 32, 64, 128):
        fault(op, f"last K block dropped (blocks of {block})",
              layer(lambda x, w, b, g, block=block: g(dropped(x, block) @ w.T + b)))
    fault(op, "last element unwritten", layer(lambda x, w, b, g: zero_last(g(x @ w.T + b))))
    fault(op, "rows of the batch shifted by one", layer(lambda x, w, b, g: g(np.roll(x, 1, axis=0) @ w.T + b)))
    fault(op, "bias of the wrong node", layer(lambda x, w, b, g: g(x @ w.T + np.roll(b, 1))))
    fault(op, "sign of z", layer(lambda x, w, b, g: g(-(x @ w.T + b))))
    fault(op, "fp16 accumulator", layer(lambda x, w, b, g: g(half_sum(x, w) + b)), False)
    fault(op, "tf32 for ieee", layer(lambda x, w, b, g: g(rounded(x, 11) @ rounded(w, 11).T + b)), False)
    fault(op, "inputs rounded to bf16", layer(lambda x, w, b, g: g(rounded(x, 8) @ rounded(w, 8).T + b)), False)


def _deltas() -> None:
    def chain(change: Callable[..., Array], db: Callable[[Array], Array] = lambda d: d.sum(0)) -> Callable[..., Outputs]:
        def outputs(delta: Array, w: Array, z: Array, act: str) -> Outputs:
            d = change(delta, w, z, VALUE[act], PRIME[act])
            return d, db(d)
        return outputs

    def right(d: Array, w: Array, z: Array, g: Any, p: Any) -> Array:
        return (d @ w) * p(z)

    op = "bp.delta.chain"
    fault(op, "g′ missing", chain(lambda d, w, z, g, p: d @ w))
    fault(op, "g for g′", chain(lambda d, w, z, g, p: (d @ w) * g(z)))
    fault(op, "g′ of the wrong layer: at a = g(z)", chain(lambda d, w, z, g, p: (d @ w) * p(g(z))), False)
    fault(op, "g′ of the wrong row", chain(lambda d, w, z, g, p: (d @ w) * p(np.roll(z, 1, axis=0))))
    fault(op, "Θ transposed", chain(lambda d, w, z, g, p: (d @ transposed(w)) * p(z)))
    fault(op, "sign flipped", chain(lambda d, w, z, g, p: -(d @ w) * p(z)))
    fault(op, "last k dropped", chain(lambda d, w, z, g, p: (d[:, :-1] @ w[:-1]) * p(z)))
    for block in (16, 32, 64, 128):
        fault(op, f"last K block dropped (blocks of {block})",
              chain(lambda d, w, z, g, p, block=block: (dropped(d, block) @ w) * p(z)))
    fault(op, "last element unwritten", chain(lambda d, w, z, g, p: zero_last((d @ w) * p(z))))
    fault(op, "db without the last example", chain(right, lambda d: d[:-1].sum(0)))
    fault(op, "db averaged", chain(right, lambda d: d.mean(0)))
    fault(op, "db of the first row block only", chain(right, lambda d: d[:32].sum(0)))
    fault(op, "tf32 for ieee", chain(lambda d, w, z, g, p: (rounded(d, 11) @ rounded(w, 11)) * p(z)), False)
    fault(op, "fp16 accumulator", chain(lambda d, w, z, g, p: half_sum(d, w.T) * p(z)), False)

    def rec(change: Callable[[Array, Array, Array], Array]) -> Callable[..., Outputs]:
        def outputs(delta: Array, w: Array, a: Array) -> Outputs:
            d = change(delta, w, a)
            return d, d.sum(0)
        return outputs

    op = "bp.delta.rec"
    fault(op, "a for a(1 − a)", rec(lambda d, w, a: (d @ w) * a))
    fault(op, "1 − a for a(1 − a)", rec(lambda d, w, a: (d @ w) * (1 - a)))
    fault(op, "a(1 − a) missing", rec(lambda d, w, a: d @ w))
    fault(op, "1 − a² (tanh's)", rec(lambda d, w, a: (d @ w) * (1 - a * a)))
    fault(op, "sign flipped", rec(lambda d, w, a: -(d @ w) * a * (1 - a)))
    fault(op, "Θ transposed", rec(lambda d, w, a: (d @ transposed(w)) * a * (1 - a)))
    fault(op, "last k dropped", rec(lambda d, w, a: (d[:, :-1] @ w[:-1]) * a * (1 - a)))
    fault(op, "σ applied to a again", rec(lambda d, w, a: (d @ w) * sigmoid(a) * sigmoid(-a)), False)


def _updates() -> None:
    op = "alg.average"

    def fold(change: Callable[..., Outputs]) -> Callable[..., Outputs]:
        return lambda delta, a, w, lam, n: change(delta, a, w, lam, n)

    fault(op, "1/n missing", fold(lambda d, a, w, l, n: (d.T @ a + l * w, d.sum(0))))
    fault(op, "n − 1 for n", fold(lambda d, a, w, l, n: (d.T @ a / (n - 1) + l * w, d.sum(0) / (n - 1))))
    fault(op, "2λ for λ", fold(lambda d, a, w, l, n: (d.T @ a / n + 2 * l * w, d.sum(0) / n)))
    fault(op, "λ missing", fold(lambda d, a, w, l, n: (d.T @ a / n, d.sum(0) / n)))
    fault(op, "λ/n for λ", fold(lambda d, a, w, l, n: (d.T @ a / n + l / n * w, d.sum(0) / n)))
    fault(op, "sign of λ", fold(lambda d, a, w, l, n: (d.T @ a / n - l * w, d.sum(0) / n)))
    fault(op, "intercept regularised", fold(lambda d, a, w, l, n: (d.T @ a / n + l * w, d.sum(0) / n + l * w[:, 0])))
    fault(op, "first weight unregularised (j ≠ 0 read as a column of w)",
          fold(lambda d, a, w, l, n: (d.T @ a / n + l * w * (np.arange(w.shape[1]) != 0), d.sum(0) / n)))
    fault(op, "last example dropped", fold(lambda d, a, w, l, n: (d[:-1].T @ a[:-1] / n + l * w, d[:-1].sum(0) / n)))
    fault(op, "last example only (Δ overwritten, not accumulated)",
          fold(lambda d, a, w, l, n: (d[-1:].T @ a[-1:] / n + l * w, d[-1] / n)))
    fault(op, "δ and a swapped", fold(lambda d, a, w, l, n: (transposed((a.T @ d).reshape(w.shape)) / n + l * w, d.sum(0) / n)))
    fault(op, "Θ transposed", fold(lambda d, a, w, l, n: (d.T @ a / n + l * transposed(w), d.sum(0) / n)))
    fault(op, "last element unwritten", fold(lambda d, a, w, l, n: (zero_last(d.T @ a / n + l * w), d.sum(0) / n)))
    fault(op, "batch size for n", fold(lambda d, a, w, l, n: (d.T @ a / len(d) + l * w, d.sum(0) / len(d))))
    fault(op, "tf32 for ieee", fold(lambda d, a, w, l, n: (rounded(d, 11).T @ rounded(a, 11) / n + l * w, d.sum(0) / n)), False)
    op = "opt.sgd"
    fault(op, "ascent", lambda theta, D, eta: theta + eta * D)
    fault(op, "η missing", lambda theta, D, eta: theta - D)
    fault(op, "no update", lambda theta, D, eta: theta)
    fault(op, "η twice", lambda theta, D, eta: theta - 2 * eta * D)
    fault(op, "decays θ instead", lambda theta, D, eta: theta - eta * theta)
    fault(op, "last element unwritten", lambda theta, D, eta: zero_last(theta - eta * D))


# ---- losses ----------------------------------------------------------------------------------------------------------

def _losses() -> None:
    def softplus(z: Array) -> Array:
        return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))

    def bce(z: Array, y: Array) -> Array:
        return np.asarray(softplus(z) - z * y)

    op = "loss.xent.logits"
    fault(op, "δ = y − a for a − y (the printed loss's sign)", lambda z, y: (bce(z, y), y - sigmoid(z)), False)
    fault(op, "the printed sign of the loss", lambda z, y: (-bce(z, y), sigmoid(z) - y), False)
    fault(op, "averaged over the elements", lambda z, y: (bce(z, y) / z.size, (sigmoid(z) - y) / z.size), False)
    fault(op, "(1 − y) term missing", lambda z, y: (y * softplus(-z), y * (sigmoid(z) - 1)), False)
    fault(op, "labels flipped", lambda z, y: (bce(z, 1 - y), sigmoid(z) - 1 + y), False)
    fault(op, "δ times σ′ (as for the square loss)",
          lambda z, y: (bce(z, y), (sigmoid(z) - y) * sigmoid(z) * sigmoid(-z)), False)
    fault(op, "composed by hand: log(1 − g(z)) in float32", lambda z, y: _by_hand(z.astype(np.float32), y), False)
    op = "loss.square"
    fault(op, "½ (y − ŷ)²", lambda yhat, y: (0.5 * (y - yhat) ** 2, yhat - y))
    fault(op, "δ without the 2", lambda yhat, y: ((y - yhat) ** 2, yhat - y))
    fault(op, "sign of δ", lambda yhat, y: ((y - yhat) ** 2, 2 * (y - yhat)))
    fault(op, "|y − ŷ|", lambda yhat, y: (np.abs(y - yhat), np.sign(yhat - y)))
    fault(op, "averaged over the elements", lambda yhat, y: ((y - yhat) ** 2 / y.size, 2 * (yhat - y) / y.size))
    fault(op, "y + ŷ", lambda yhat, y: ((y + yhat) ** 2, 2 * (yhat + y)))
    op = "loss.softmax"

    def with_softmax(change: Callable[..., Outputs]) -> Callable[..., Outputs]:
        def outputs(z: Array, y: Array) -> Outputs:
            e = np.exp(z - z.max(1, keepdims=True))
            p, hot = e / e.sum(1, keepdims=True), np.eye(z.shape[1])[y]
            loss = np.log(e.sum(1)) + z.max(1) - (hot * z).sum(1)
            return change(z, hot, p, loss)
        return outputs

    fault(op, "δ = y − p", with_softmax(lambda z, hot, p, loss: (loss, hot - p)), False)
    fault(op, "one-hot missing: δ = p", with_softmax(lambda z, hot, p, loss: (loss, p)), False)
    fault(op, "sign of the loss", with_softmax(lambda z, hot, p, loss: (-loss, p - hot)), False)
    fault(op, "averaged over the batch", with_softmax(lambda z, hot, p, loss: (loss / len(z), (p - hot) / len(z))), False)
    fault(op, "class off by one", with_softmax(
        lambda z, hot, p, loss: (loss + (hot * z).sum(1) - (np.roll(hot, 1, 1) * z).sum(1), p - np.roll(hot, 1, 1))), False)
    fault(op, "normalised over the batch", with_softmax(
        lambda z, hot, p, loss: (loss, np.exp(z) / np.exp(z).sum(0, keepdims=True) - hot)), False)
    fault(op, "log Σ e^z missing", with_softmax(lambda z, hot, p, loss: (-(hot * z).sum(1), p - hot)), False)
    fault(op, "last class unwritten", with_softmax(
        lambda z, hot, p, loss: (loss, (p - hot) * (np.arange(z.shape[1]) < z.shape[1] - 1))), False)


def _by_hand(z: Array, y: Array) -> Outputs:
    a = (1 / (1 + np.exp(-z))).astype(np.float32)
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).astype(float), (-y / a + (1 - y) / (1 - a)) * (a * (1 - a))


# ---- convolution -----------------------------------------------------------------------------------------------------

def valid(x: Array, theta: Array) -> Array:
    """The printed sum, a cross-correlation, in one or two dimensions."""
    windows = np.lib.stride_tricks.sliding_window_view(x, theta.shape)
    return np.asarray((windows * theta).sum(tuple(range(-theta.ndim, 0))))


def full(d: Array, theta: Array) -> Array:
    """The gradient with respect to the input: every window that touches d."""
    return valid(np.pad(d, [(s - 1, s - 1) for s in theta.shape]), np.flip(theta))


def centred(a: Array, theta: Array, before: int | None = None, mode: str = "constant") -> Array:
    h = (len(theta) - 1) // 2
    left = h if before is None else before
    return valid(np.pad(a, (left, 2 * h - left), mode=mode), theta)  # type: ignore[call-overload]


def _without(theta: Array, index: int) -> Array:
    changed = np.array(theta)
    changed.flat[index] = 0
    return changed


def _convolutions() -> None:
    for op, x, theta in (("conv1d.valid", "x", "theta"), ("conv2d.valid", "I", "K")):
        def both(change: Callable[[Array, Array], Array], x: str = x, theta: str = theta) -> Callable[..., Array]:
            return lambda **named: change(named[x], named[theta])
        fault(op, "filter flipped (a true convolution)", both(lambda x, t: valid(x, np.flip(t))))
        fault(op, "window off by one", both(lambda x, t: valid(np.roll(x, -1, axis=-1), t)))
        fault(op, "first tap dropped", both(lambda x, t: valid(x, _without(t, 0))))
        fault(op, "last tap dropped", both(lambda x, t: valid(x, _without(t, -1))))
        fault(op, "last element unwritten", both(lambda x, t: zero_last(valid(x, t))))
        fault(op, "sign flipped", both(lambda x, t: -valid(x, t)))
        gx, gt = f"{op}.grad_{x}", f"{op}.grad_{theta}"

        def back(change: Callable[[Array, Array], Array], theta: str = theta) -> Callable[..., Array]:
            return lambda **named: change(named["d"], named[theta])

        def filters(change: Callable[[Array, Array], Array], x: str = x) -> Callable[..., Array]:
            return lambda **named: change(named["d"], named[x])
        fault(gx, "filter not flipped", back(lambda d, t: full(d, np.flip(t))))
        fault(gx, "shifted by one", back(lambda d, t: np.roll(full(d, t), 1, axis=-1)))
        fault(gx, "last tap dropped", back(lambda d, t: full(d, _without(t, -1))))
        fault(gx, "the border left unwritten", back(lambda d, t: _inner(full(d, t), t.shape)))
        fault(gt, "filter gradient flipped", filters(lambda d, x: np.flip(valid(x, d))))
        fault(gt, "last output dropped", filters(lambda d, x: valid(x, _without(d, -1))))
        fault(gt, "sign flipped", filters(lambda d, x: -valid(x, d)))
        fault(gt, "averaged over the outputs", filters(lambda d, x: valid(x, d) / d.size))
    fault("conv2d.valid", "filter transposed", lambda I, K: valid(I, transposed(K)))
    fault("conv2d.valid", "filter flipped in one axis", lambda I, K: valid(I, K[::-1]))
    fault("conv2d.valid", "image read with its axes swapped", lambda I, K: valid(transposed(I), K))
    fault("conv2d.valid.grad_I", "filter transposed", lambda d, K: full(d, transposed(K)))
    fault("conv2d.valid.grad_K", "filter gradient transposed", lambda d, I: transposed(valid(I, d)))
    op = "conv1d.centred"
    fault(op, "padding on the left only", lambda theta, a: centred(a, theta, len(theta) - 1))
    fault(op, "padding on the right only", lambda theta, a: centred(a, theta, 0))
    fault(op, "filter flipped (a true convolution)", lambda theta, a: centred(a, theta[::-1]))
    fault(op, "edge padding for zero padding", lambda theta, a: centred(a, theta, mode="edge"))
    fault(op, "circular padding for zero padding", lambda theta, a: centred(a, theta, mode="wrap"))
    fault(op, "last tap dropped", lambda theta, a: centred(a, _without(theta, -1)))
    fault(f"{op}.grad_a", "filter not flipped", lambda d, theta: centred(d, theta))
    fault(f"{op}.grad_a", "padding on the left only", lambda d, theta: centred(d, theta[::-1], len(theta) - 1))
    fault(f"{op}.grad_theta", "filter gradient flipped", lambda d, a, m: _centred_filter(d, a, m)[::-1])
    fault(f"{op}.grad_theta", "padding on the left only", lambda d, a, m: valid(np.pad(a, (m - 1, 0)), d))
    fault(f"{op}.grad_theta", "last output dropped", lambda d, a, m: _centred_filter(_without(d, -1), a, m))


def _inner(x: Array, margin: tuple[int, ...]) -> Array:
    inside = np.zeros(x.shape)
    area = tuple(slice(s - 1, n - s + 1) for s, n in zip(margin, x.shape))
    inside[area] = x[area]
    return inside


def _centred_filter(d: Array, a: Array, m: int) -> Array:
    return valid(np.pad(a, (m // 2, m // 2)), d)


for _family in (_activations, _affine, _deltas, _updates, _losses, _convolutions):
    _family()
