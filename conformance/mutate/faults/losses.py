"""Wrong losses and output deltas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...judging.numbers.lanes import Array
from .activations import sigmoid
from .base import Outputs, fault


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
    fault(op, "averaged over the batch", with_softmax(
        lambda z, hot, p, loss: (loss / len(z), (p - hot) / len(z))), False)
    fault(op, "class off by one", with_softmax(
        lambda z, hot, p, loss: (loss + (hot * z).sum(1) - (np.roll(hot, 1, 1) * z).sum(1), p - np.roll(hot, 1, 1))),
        False)
    fault(op, "normalised over the batch", with_softmax(
        lambda z, hot, p, loss: (loss, np.exp(z) / np.exp(z).sum(0, keepdims=True) - hot)), False)
    fault(op, "log Σ e^z missing", with_softmax(lambda z, hot, p, loss: (-(hot * z).sum(1), p - hot)), False)
    fault(op, "last class unwritten", with_softmax(
        lambda z, hot, p, loss: (loss, (p - hot) * (np.arange(z.shape[1]) < z.shape[1] - 1))), False)


def _weighted_losses() -> None:
    def rows(labels: Callable[..., Array], mass: Callable[..., Array] = lambda own, hot, K: (own * hot).sum(1),
             counts: bool = False) -> Callable[..., Outputs]:
        def outputs(z: Array, y: Array, w: Array | None = None, ignored: int = -100, smoothing: float = 0.0) -> Outputs:
            K = z.shape[1]
            hot = (y[:, None] == np.arange(K)).astype(float)
            own = np.where((counts | (y != ignored))[:, None], np.ones(K) if w is None else w, 0.0)
            e = np.exp(z - z.max(1, keepdims=True))
            gaps = np.log(e.sum(1, keepdims=True)) + z.max(1, keepdims=True) - z
            T = labels(own, hot, smoothing, K)
            delta = e / e.sum(1, keepdims=True) * T.sum(1, keepdims=True) - T
            return (T * gaps).sum(1), delta, mass(own, hot, K)
        return outputs

    op = "loss.softmax.weighted"

    def right(own: Array, hot: Array, s: float, K: int) -> Array:
        return np.asarray(own * ((1 - s) * hot + s / K))

    fault(op, "an ignored row counted", rows(right, counts=True), False)
    fault(op, "weights missing", rows(lambda own, hot, s, K: (own.sum(1, keepdims=True) > 0) * ((1 - s) * hot + s / K)),
          False)
    fault(op, "weight of the wrong class", rows(lambda own, hot, s, K: np.roll(own, 1, 1) * ((1 - s) * hot + s / K)),
          False)
    fault(op, "the label's weight on the smoothed part too", rows(
        lambda own, hot, s, K: (own * hot).sum(1, keepdims=True) * ((1 - s) * hot + s / K)), False)
    fault(op, "smoothing unweighted", rows(
        lambda own, hot, s, K: own * (1 - s) * hot + (own.sum(1, keepdims=True) > 0) * s / K), False)
    fault(op, "smoothing missing", rows(lambda own, hot, s, K: own * hot), False)
    fault(op, "1 − ε missing", rows(lambda own, hot, s, K: own * (hot + s / K)), False)
    fault(op, "ε for ε/K", rows(lambda own, hot, s, K: own * ((1 - s) * hot + s)), False)
    fault(op, "ε/(K − 1) to the others only", rows(
        lambda own, hot, s, K: own * ((1 - s) * hot + (1 - hot) * s / max(K - 1, 1))), False)
    fault(op, "smoothing on the first class only", rows(
        lambda own, hot, s, K: own * ((1 - s) * hot + s * (np.arange(K) == 0))), False)
    fault(op, "every example weighs 1 in the mean", rows(right, lambda own, hot, K: np.ones(len(own))), False)
    fault(op, "the smoothed label's weight in the mean", rows(right, lambda own, hot, K: own.sum(1) / K), False)
    op = "loss.mean"
    fault(op, "mean over n, not over Σ m", lambda loss, mass: loss.mean())
    fault(op, "Σ m missing", lambda loss, mass: loss.sum())
    fault(op, "mean of L / m", lambda loss, mass: (loss / np.where(mass == 0, 1, mass)).mean())
    fault(op, "weighted once more", lambda loss, mass: (loss * mass).sum() / mass.sum())
    fault(op, "last example dropped", lambda loss, mass: loss[:-1].sum() / mass.sum())
    fault(op, "a second block of examples lost", lambda loss, mass: loss[: len(loss) // 2].sum() / mass.sum())


def _by_hand(z: Array, y: Array) -> Outputs:
    a = (1 / (1 + np.exp(-z))).astype(np.float32)
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).astype(float), (-y / a + (1 - y) / (1 - a)) * (a * (1 - a))


_losses()
_weighted_losses()
