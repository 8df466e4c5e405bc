"""Data for the printed convolutions and their gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .base import Arguments, Family, Recipe, Source, drawn, exact_pair


def _pair(first: str, second: str, shapes: Callable[[tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]],
          extra: Callable[[tuple[int, ...]], Arguments] = lambda size: {}) -> Recipe:
    """A recipe for an op with two array arguments whose sums have as many terms as the smaller one has elements."""
    def recipe(s: Source, size: tuple[int, ...], kind: str) -> Arguments:
        one, two = shapes(size)
        if kind.startswith("exact"):
            a, b = exact_pair(s, one, two, min(int(np.prod(one)), int(np.prod(two))))
        else:
            a, b = drawn(s, one, kind), s.normal(two)
        return {first: a, second: b, **extra(size)}
    return recipe


conv1d = _pair("x", "theta", lambda n: ((n[0],), (n[1],)))
conv1d_grad_x = _pair("d", "theta", lambda n: ((n[0] - n[1] + 1,), (n[1],)))
conv1d_grad_theta = _pair("x", "d", lambda n: ((n[0],), (n[0] - n[1] + 1,)))
centred = _pair("a", "theta", lambda n: ((n[0],), (n[1],)))
centred_grad_a = _pair("d", "theta", lambda n: ((n[0],), (n[1],)))
centred_grad_theta = _pair("a", "d", lambda n: ((n[0],), (n[0],)), lambda n: {"m": n[1]})
conv2d = _pair("I", "K", lambda n: ((n[0], n[1]), (n[2], n[3])))
conv2d_grad_I = _pair("d", "K", lambda n: ((n[0] - n[2] + 1, n[1] - n[3] + 1), (n[2], n[3])))
conv2d_grad_K = _pair("I", "d", lambda n: ((n[0], n[1]), (n[0] - n[2] + 1, n[1] - n[3] + 1)))


FAMILIES: dict[str, Family] = {
    "conv1d.valid": Family(conv1d, ((43, 5), (7, 7), (130, 4))),
    "conv1d.valid.grad_x": Family(conv1d_grad_x, ((43, 5), (7, 7), (130, 4))),
    "conv1d.valid.grad_theta": Family(conv1d_grad_theta, ((43, 5), (7, 7), (130, 4))),
    "conv1d.centred": Family(centred, ((43, 5), (5, 7), (130, 3))),
    "conv1d.centred.grad_a": Family(centred_grad_a, ((43, 5), (5, 7), (130, 3))),
    "conv1d.centred.grad_theta": Family(centred_grad_theta, ((43, 5), (5, 7), (130, 3))),
    "conv2d.valid": Family(conv2d, ((9, 14, 2, 3), (5, 3, 5, 3), (18, 35, 3, 1))),
    "conv2d.valid.grad_I": Family(conv2d_grad_I, ((9, 14, 2, 3), (5, 3, 5, 3), (18, 35, 3, 1))),
    "conv2d.valid.grad_K": Family(conv2d_grad_K, ((9, 14, 2, 3), (5, 3, 5, 3), (18, 35, 3, 1))),
}
