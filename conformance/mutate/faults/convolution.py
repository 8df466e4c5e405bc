"""Wrong convolutions and gradients of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...judging.numbers.lanes import Array
from .base import fault, transposed, zero_last


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


_convolutions()
