"""The embedding of patches: images and a token's numbers are lanes, patches and their numbers are walked one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....reference import attention
from ..numbers.bounded import Bounded, total
from ..numbers.lanes import Array
from .base import Form, Lift, Outputs, filled, gathered, operation, rearranged
from .convolution_layers import shaped


def cut(lift: Lift, x: Array, P: int) -> list[list[Any]]:
    """x (B, C, H, W) as the reference's patches, each number of which has images for lanes: (B, 1)."""
    pixels = x.transpose(1, 2, 3, 0)
    return attention.patches([[[lift(v[:, None]) for v in row] for row in channel] for channel in pixels], P)


def tokens(lift: Lift, d: Array) -> list[list[Any]]:
    """d (B, N + 1, D) as a list of tokens, each one number with lanes (B, D, 1)."""
    return [[lift(d[:, t, :, None])] for t in range(d.shape[1])]


def laid(C: int, H: int, W: int, P: int) -> Any:
    """Patches (N, B, C P P) laid into images (B, C, H, W)."""
    def images(v: Array) -> Array:
        return v.reshape(H // P, W // P, -1, C, P, P).transpose(2, 3, 0, 4, 1, 5).reshape(-1, C, H, W)
    return images


@operation("vit.embed", "z", dot=True, axes="x B . . ., w D . . ., b D, token D, position . D -> z B . D")
def embed(lift: Lift, form: Form, x: Array, w: Array, b: Array | None, token: Array, position: Array) -> Outputs:
    D, P = len(w), w.shape[2]
    bias = np.zeros(D) if b is None else b
    Theta = [None, [lift(one[None, :]) for one in (bias, *w.reshape(D, -1).T)]]
    rows = attention.embed(cut(lift, x, P), Theta, [lift(token[None, :])], [[lift(row[None, :])] for row in position])
    whole = gathered([filled(row, lift(np.zeros((1, 1)))) for row in rows[1:]])
    first = rearranged(rows[0][0], lambda v: np.broadcast_to(v, (len(x), D)))
    return {"z": rearranged(gathered([first, *_each(whole)]), lambda v: v.transpose(1, 0, 2))}


def _each(whole: Any) -> list[Any]:
    return [whole[t, 0] for t in range((whole.v if isinstance(whole, Bounded) else whole).shape[0])]


@operation("vit.embed.grad_patch", "dx", dot=True, axes="d B . ., w . . . . -> dx B . . .")
def grad_patch(lift: Lift, form: Form, d: Array, w: Array, H: int, W: int) -> Outputs:
    """∂patch, laid where the patches lie in x."""
    C, P = w.shape[1:3]
    Theta = [None, *([0, lift(row.reshape(1, -1))] for row in w)]
    lanes = [[lift(d[:, t, e, None]) for e in range(d.shape[2])] for t in range(d.shape[1])]
    found = form("vit.embed.grad_patch")(lanes, Theta)
    whole = gathered(filled(found, lift(np.zeros((len(d), C * P * P)))))
    return {"dx": rearranged(whole, laid(C, H, W, P))}


@operation("vit.embed.grad_Theta", "dw", "db", dot=True, axes="d . . D -> dw D . . ., db D")
def grad_Theta(lift: Lift, form: Form, d: Array, x: Array, P: int) -> Outputs:
    """∂w and, of Θ's column 0, ∂b, summed over the images."""
    B, D, C = len(d), d.shape[2], x.shape[1]
    apart = x.reshape(B, C, x.shape[2] // P, P, x.shape[3] // P, P).transpose(2, 4, 0, 1, 3, 5)
    patches = [[lift(one.reshape(B, 1, C * P * P))] for row in apart for one in row]
    _, (db, dw) = form("vit.embed.grad_Theta")(tokens(lift, d), patches)
    return {"dw": shaped(total(dw, 0), (D, C, P, P)), "db": total(db, 0)[:, 0]}


@operation("vit.embed.grad_position", "dposition", axes="d . . D -> dposition . D")
def grad_position(lift: Lift, form: Form, d: Array) -> Outputs:
    rows = gathered(form("vit.embed.grad_position")(tokens(lift, d)))              # (N + 1, 1, B, D, 1)
    return {"dposition": total(rows[:, 0, :, :, 0], 1)}


@operation("vit.embed.grad_token", "dtoken", axes="d . . D -> dtoken D")
def grad_token(lift: Lift, form: Form, d: Array) -> Outputs:
    (row,) = form("vit.embed.grad_token")(tokens(lift, d))
    return {"dtoken": total(row, 0)[:, 0]}
