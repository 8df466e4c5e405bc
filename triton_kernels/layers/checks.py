"""What the products of a layer ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongValue


def _follows(x: Tensor, inputs: int, w: Tensor, b: Tensor | None) -> bool:
    """May a layer w, b follow upon so many inputs alike x? Again without words."""
    return (
        checks.alike(w, x, b) and w.dim() == 2 and w.size(1) == inputs
        and (b is None or (b.dim() == 1 and b.size(0) == w.size(0)))
    )


def layer(input: Tensor, weight: Tensor, bias: Tensor | None, name: str) -> None:
    """input (…, I), weight (O, I), bias (O,) or None."""
    if isinstance(input, torch.Tensor) and input.dim() and _follows(input, input.size(-1), weight, bias):
        return
    checks.floating(name, input=input, weight=weight, bias=bias)
    if input.dim() == 0:
        raise WrongValue(f"{name}: input has shape (); expected (…, I)")
    affine(input if input.dim() == 2 else input.new_empty((0, input.shape[-1])), weight, bias, name)


def layers(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], name: str) -> None:
    """x (B, n₁), weights[l] (n_{l+1}, n_l), biases[l] (n_{l+1},) or None."""
    affine(x, weights[0], biases[0], f"{name}, layer 1")
    for l in range(1, len(weights)):
        inputs, w, b = weights[l - 1].shape[0], weights[l], biases[l]
        if not _follows(x, inputs, w, b):
            affine(x.new_empty((0, inputs)), w, b, f"{name}, layer {l + 1}")


def affine(x: Tensor, w: Tensor, b: Tensor | None, name: str = "net.layer.affine") -> None:
    if isinstance(x, torch.Tensor) and x.dim() == 2 and _follows(x, x.shape[1], w, b):
        return
    X, W, B = checks.called(name, "x", "w", "b")
    checks.floating(name, **{X: x, W: w, B: b})
    checks.rank(name, 2, **{X: x, W: w})
    shapes = f"{X} (B, I), {W} (O, I), {B} (O,)"
    checks.sizes(name, shapes, **{f"columns of {X} and of {W}": (x.shape[1], w.shape[1])})
    if b is not None:
        checks.rank(name, 1, **{B: b})
        checks.sizes(name, shapes, **{f"entries of {B} and rows of {W}": (b.shape[0], w.shape[0])})


def delta(name: str, delta: Tensor, w: Tensor, saved: Tensor, label: str) -> None:
    checks.floating(name, delta=delta, w=w, **{label: saved})
    checks.rank(name, 2, delta=delta, w=w, **{label: saved})
    shapes = f"delta (B, O), w (O, I), {label} (B, I)"
    checks.sizes(name, shapes, **{
        "columns of delta and rows of w": (delta.shape[1], w.shape[0]),
        f"columns of {label} and of w": (saved.shape[1], w.shape[1]),
        f"rows of delta and of {label}": (delta.shape[0], saved.shape[0]),
    })
