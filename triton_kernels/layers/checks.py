"""What the products of a layer ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongValue


def layer(input: Tensor, weight: Tensor, bias: Tensor | None, name: str) -> None:
    """input (…, I), weight (O, I), bias (O,) or None."""
    if weight is not None and checks.alike(input, weight, bias):
        x, w = input.shape, weight.shape
        if x and len(w) == 2 and w[1] == x[-1] and (bias is None or bias.shape == w[:1]):
            return
    checks.floating(name, input=input, weight=weight, bias=bias)
    if input.dim() == 0:
        raise WrongValue(f"{name}: input has shape (); expected (…, I)")
    affine(input if input.dim() == 2 else input.new_empty((0, input.shape[-1])), weight, bias, name)


def layers(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], name: str) -> None:
    """x (B, n₁), weights[l] (n_{l+1}, n_l), biases[l] (n_{l+1},) or None."""
    if are_layers(x, weights, biases):
        return
    for l, (w, b) in enumerate(zip(weights, biases)):
        affine(x, w, b, f"{name}, layer {l + 1}")
        x = x.new_empty((0, w.shape[0]))


def are_layers(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> bool:
    """Is all well, as `layers` asks it? Without words."""
    if not checks.alike(x, *weights, *biases) or x.dim() != 2:
        return False
    inputs = x.shape[1]
    for w, b in zip(weights, biases):
        shape = () if w is None else w.shape
        if len(shape) != 2 or shape[1] != inputs or (b is not None and b.shape != shape[:1]):
            return False
        inputs = shape[0]
    return True


def affine(x: Tensor, w: Tensor, b: Tensor | None, name: str = "net.layer.affine") -> None:
    if are_layers(x, (w,), (b,)):
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
