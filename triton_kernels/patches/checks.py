"""What an embedding of patches asks of its arguments: images that divide, one vector for each token."""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongType, WrongValue

NAME = "vit.embed"


def divided(name: str, H: int, W: int, P: int) -> int:
    """How many patches of P × P an image has."""
    if P < 1 or H % P or W % P:
        raise WrongValue(f"{name}: an image of {H} × {W} does not divide into patches of {P} × {P}")
    return H // P * (W // P)


def _filters(name: str, shapes: str, w: Tensor) -> None:
    (W,) = checks.called(name, "w")
    checks.rank(name, 4, **{W: w})
    if w.shape[2] != w.shape[3]:
        raise WrongValue(f"{name}: {W} has shape {tuple(w.shape)}; expected square patches, {shapes}")


def embed(name: str, x: Tensor, w: Tensor, b: Tensor | None, token: Tensor, position: Tensor) -> None:
    """x (B, C, H, W), w (D, C, P, P), b (D,) or None; token (D,) and position (N + 1, D) alike, of the same dtype or
    float32."""
    X, W, B = checks.called(name, "x", "w", "b")
    checks.floating(name, **{X: x, W: w, B: b})
    checks.floating(name, token=token, position=position)
    checks.rank(name, 4, **{X: x})
    shapes = f"{X} (B, C, H, W), {W} (D, C, P, P), {B} (D,), token (D,), position (N + 1, D)"
    _filters(name, shapes, w)
    N, D = divided(name, x.shape[2], x.shape[3], w.shape[2]), w.shape[0]
    checks.rank(name, 1, token=token, **({} if b is None else {B: b}))
    checks.rank(name, 2, position=position)
    checks.sizes(name, shapes, **{
        f"channels of {X} and of {W}": (x.shape[1], w.shape[1]), f"rows of {W} and entries of token": (D, len(token)),
        f"rows of {W} and columns of position": (D, position.shape[1]),
        "tokens (a patch each, and the class token) and rows of position": (N + 1, position.shape[0]),
        **({} if b is None else {f"rows of {W} and entries of {B}": (D, len(b))})})
    if token.dtype not in (x.dtype, torch.float32) or token.device != x.device:
        raise WrongType(f"{name}: token and position are {checks.short(token)} on {token.device}, {X} is "
                        f"{checks.short(x)} on {x.device}; expected {X}'s dtype or float32, on one device")


def gradient(name: str, d: Tensor, H: int, W: int, P: int, **other: Tensor) -> None:
    """d (B, N + 1, D), one row for each patch of P × P and one before them."""
    checks.floating(name, d=d, **other)
    checks.rank(name, 3, d=d)
    N = divided(name, H, W, P)
    checks.sizes(name, "d (B, N + 1, D)", **{"rows of d and tokens (a patch each, and the class token)":
                                             (d.shape[1], N + 1)})


def to_patch(name: str, d: Tensor, w: Tensor, H: int, W: int) -> None:
    checks.floating(name, d=d, w=w)
    _filters(name, "w (D, C, P, P)", w)
    gradient(name, d, H, W, w.shape[2], w=w)
    checks.sizes(name, "d (B, N + 1, D), w (D, C, P, P)", **{"columns of d and rows of w": (d.shape[2], w.shape[0])})


def to_theta(name: str, d: Tensor, x: Tensor, P: int) -> None:
    checks.floating(name, d=d, x=x)
    checks.rank(name, 4, x=x)
    gradient(name, d, x.shape[2], x.shape[3], P, x=x)
    checks.sizes(name, "d (B, N + 1, D), x (B, C, H, W)", **{"rows of d and of x": (d.shape[0], x.shape[0])})


def tokens(name: str, d: Tensor) -> None:
    checks.floating(name, d=d)
    checks.rank(name, 3, d=d)
    if not d.shape[1]:
        raise WrongValue(f"{name}: d has shape {tuple(d.shape)}; a sequence has at least its class token")
