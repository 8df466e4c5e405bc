"""Other people's conventions: the same op with another formula, which a backend may declare and is then judged by.

    backend = Backend("mine", readings={"opt.adam": "eps in the correction"})

A backend that declares none is judged by the deck's own; a failure says which reading it would fulfil.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import convolution, normalization, optimizers, pooling
from ....scalar import exp, log, log1p, sqrt, where
from ..numbers.bounded import Bounded
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, gathered, reading, scalars, stable
from .convolution_layers import local_places, pixels_last
from .training import named, rows


def _moments(D: Any, m: Any, v: Any, beta1: Any, beta2: Any) -> tuple[Any, Any]:
    return beta1 * m + (1 - beta1) * D, beta2 * v + (1 - beta2) * D * D


def _left(beta: Any, t: int, like: Any) -> Any:
    """1 − βᵗ where β is a float32 like all else: of 1 − 0.999 four digits are left."""
    if not isinstance(like, Bounded) or beta in (0, 1):
        return 1 - beta**t
    return 1 - exp(t * log(like.number(beta)))


def _adam(name: str, root: Any) -> None:
    """Adam and AdamW with another r = root(m, v, t, β₁, β₂, ε)."""
    @reading("opt.adam", name)
    def adam(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, beta1: Any,
             beta2: Any, eps: Any) -> Outputs:
        new_m, new_v = _moments(lift(D), lift(m), lift(v), beta1, beta2)
        return named((lift(theta) - eta * root(new_m, new_v, t, beta1, beta2, eps), new_m, new_v), "m", "v")

    @reading("opt.adamw", name)
    def adamw(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
              beta1: Any, beta2: Any, eps: Any) -> Outputs:
        new_m, new_v = _moments(lift(D), lift(m), lift(v), beta1, beta2)
        r = root(new_m, new_v, t, beta1, beta2, eps)
        return named((lift(theta) - eta * (r + lam * lift(theta)), new_m, new_v), "m", "v")


def _lamb(name: str, root: Any) -> None:
    """LAMB with u = root(m, v, t, β₁, β₂, ε) + λθ."""
    @reading("opt.lamb", name)
    def lamb(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
             beta1: Any, beta2: Any, eps: Any) -> Outputs:
        lists = (scalars(lift, x.ravel()) for x in (D, m, v))
        new = [_moments(D_i, m_i, v_i, beta1, beta2) for D_i, m_i, v_i in zip(*lists)]
        params = scalars(lift, theta.ravel())
        u = [root(m_i, v_i, t, beta1, beta2, eps) + lam * theta_i for (m_i, v_i), theta_i in zip(new, params)]
        ratio = where(optimizers.norm(params) * optimizers.norm(u) > 0,
                      lambda: optimizers.norm(params) / optimizers.norm(u), 1)
        moved = [theta_i - eta * ratio * u_i for theta_i, u_i in zip(params, u)]
        flat = moved, [m_i for m_i, _ in new], [v_i for _, v_i in new]
        return named(tuple(_shaped(lift, one, theta) for one in flat), "m", "v")


def _shaped(lift: Lift, flat: list[Any], like: Array) -> Any:
    if not flat:
        return lift(like)
    return gathered(flat)[np.arange(like.size).reshape(like.shape)]


_adam("eps inside the root", lambda m, v, t, b1, b2, eps: m / (1 - b1**t) / sqrt(v / (1 - b2**t) + eps))
# Kingma and Ba, end of section 2: the corrections go into η, and ε beside the root that has none
_adam("eps in the correction", lambda m, v, t, b1, b2, eps: m * ((1 - b2**t) ** 0.5 / (1 - b1**t)) / (sqrt(v) + eps))
for _rules in (_adam, _lamb):                                  # LAMB's first version has no correction
    _rules("no correction", lambda m, v, t, b1, b2, eps: m / (sqrt(v) + eps))
    _rules("betas in float32",
           lambda m, v, t, b1, b2, eps: m / _left(b1, t, m) / (sqrt(v / _left(b2, t, v)) + eps))
_adam("eps in the correction, betas in float32",
      lambda m, v, t, b1, b2, eps: m * (sqrt(_left(b2, t, v)) / _left(b1, t, m)) / (sqrt(v) + eps))


@reading("opt.adamw", "decay first")
def adamw_decayed(lift: Lift, form: Form, theta: Array, D: Array, m: Array, v: Array, t: int, eta: Any, lam: Any,
                  beta1: Any, beta2: Any, eps: Any) -> Outputs:
    """θ(1 − ηλ) − ηr, as torch takes it: the same value, with θ's own rounding once more."""
    new_m, new_v = _moments(lift(D), lift(m), lift(v), beta1, beta2)
    r = new_m / (1 - beta1**t) / (sqrt(new_v / (1 - beta2**t)) + eps)
    return named((lift(theta) * (1 - eta * lam) - eta * r, new_m, new_v), "m", "v")


@reading("opt.adagrad", "eps inside the root")
def adagrad(lift: Lift, form: Form, theta: Array, D: Array, G: Array, eta: Any, eps: Any) -> Outputs:
    new = lift(G) + lift(D) * lift(D)
    return named((lift(theta) - eta * lift(D) / sqrt(new + eps), new), "G")


@reading("opt.momentum", "eta in the velocity")
def momentum(lift: Lift, form: Form, theta: Array, D: Array, v: Array, eta: Any, mu: Any) -> Outputs:
    """v ← μv + ηD, θ ← θ − v"""
    new = mu * lift(v) + eta * lift(D)
    return named((lift(theta) - new, new), "v")


@reading("norm.batch.running", "biased variance")
def running(lift: Lift, form: Form, x: Array, mu: Array, var: Array, rho: Any) -> Outputs:
    lines = rows(lift, x)
    return {"mu": (1 - rho) * lift(mu) + rho * normalization.mean(lines),
            "var": (1 - rho) * lift(var) + rho * normalization.variance(lines)}


@reading("norm.batch.running", "rho weighs the old")
def running_kept(lift: Lift, form: Form, x: Array, mu: Array, var: Array, rho: Any) -> Outputs:
    """ρ is what is kept, not what is taken in."""
    return dict(zip(("mu", "var"), normalization.batch_norm_running(rows(lift, x), lift(mu), lift(var), 1 - rho)))


@reading("loss.xent.logits", "through log sigmoid")
def cross_entropy(lift: Lift, form: Form, z: Array, y: Array) -> Outputs:
    """(1 − y) z − log g(z), as torch takes it: the same value, but a small loss is what two large numbers leave."""
    delta = form("loss.xent.logits.delta")(y=lift(y), z=lift(z))
    if form is not stable:
        return {"loss": form("loss.xent.logits")(y=lift(y), z=lift(z)), "delta": delta}
    log_sigmoid = lift(np.minimum(z, 0.0)) - log1p(exp(lift(-np.abs(z))))
    return {"loss": (1 - lift(y)) * lift(z) - log_sigmoid, "delta": delta}


@reading("loss.square", "half")
def square(lift: Lift, form: Form, yhat: Array, y: Array) -> Outputs:
    """½(y − ŷ)², δ = ŷ − y"""
    return {"loss": (lift(y) - lift(yhat)) * (lift(y) - lift(yhat)) / 2, "delta": lift(yhat) - lift(y)}


@reading("conv1d.valid", "flipped filter")
def conv1d(lift: Lift, form: Form, theta: Array, x: Array) -> Outputs:
    """A convolution as mathematics has it; the deck's is a correlation."""
    return {"y": gathered(convolution.conv1d(scalars(lift, theta[::-1]), scalars(lift, x)))}


@reading("conv2d.valid", "flipped filter")
def conv2d(lift: Lift, form: Form, I: Array, K: Array) -> Outputs:
    return {"y": gathered(convolution.conv2d(scalars(lift, I), scalars(lift, K[::-1, ::-1])))}


def _pool(name: str, wins: Any) -> None:
    """Max pooling in which v takes the place of the best so far where wins(v, best)."""
    @reading("pool.max", name)
    def pool(lift: Lift, form: Form, x: Array, k: Any, stride: Any = None, padding: Any = 0) -> Outputs:
        pixels = x.transpose(2, 3, 0, 1)
        places = [[_winner(pixels, window, wins) for window in row]
                  for row in pooling.windows([list(row) for row in pixels], k, stride, padding, 1)]
        at: Array = np.array(places)                                                   # P, Q, B, C
        y = np.take_along_axis(pixels.reshape(x.shape[2] * x.shape[3], *x.shape[:2]),
                               at.reshape(at.shape[0] * at.shape[1], *x.shape[:2]), axis=0)
        return {"y": lift(pixels_last(y.reshape(at.shape))), "index": lift(local_places(at, x, k, stride, padding))}


def _winner(pixels: Array, window: list[tuple[int, int]], wins: Any) -> Array:
    width = pixels.shape[1]
    best: Array = pixels[window[0]]
    at: Array = np.full(pixels.shape[2:], window[0][0] * width + window[0][1])
    for p, q in window[1:]:
        taken = wins(pixels[p, q], best)
        best, at = np.where(taken, pixels[p, q], best), np.where(taken, p * width + q, at)
    return at


_pool("last maximum", lambda v, best: (v >= best) | np.isnan(v))
_pool("NaN skipped", lambda v, best: (v > best) | (np.isnan(best) & ~np.isnan(v)))


@reading("act.relu", "NaN skipped")
def relu(lift: Lift, form: Form, z: Array) -> Outputs:
    """The larger of 0 and z, where a number beats what is none."""
    return {"a": lift(np.fmax(z, 0.0))}


def _batch_norm(id: str) -> None:
    @reading(id, "eps outside the root")
    def outside(lift: Lift, form: Form, x: Array, gamma: Array, beta: Array, eps: Any, mu: Any = None,
                var: Any = None) -> Outputs:
        """y = γ(x − μ)/(√σ² + ε) + β"""
        from .training import shaped_rows

        lines = rows(lift, x)
        m = normalization.mean(lines) if mu is None else lift(mu)
        s = sqrt(normalization.variance(lines) if var is None else lift(var))
        return {"y": shaped_rows([lift(gamma) * (line - m) / (s + eps) + lift(beta) for line in lines], x)}


_batch_norm("norm.batch")
_batch_norm("norm.batch.inference")
