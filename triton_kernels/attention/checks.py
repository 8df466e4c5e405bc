"""What attention asks of its arguments."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ... import sort_of
from ..runtime.checks import floating, rank, sizes
from ..runtime.refusals import WrongType, WrongValue


def head(name: str, Q: Tensor, K: Tensor, V: Tensor, keep: Tensor | None = None, d: Tensor | None = None) -> None:
    """Q (B, H, S, D), K (B, H, T, D), V (B, H, T, E), d (B, H, S, E), all alike; keep (B, T) of truth values."""
    floating(name, Q=Q, K=K, V=V, **({} if d is None else {"d": d}))
    rank(name, 4, Q=Q, K=K, V=V, **({} if d is None else {"d": d}))
    (B, H, S, D), E = Q.shape, V.shape[3]
    expected = "Q (B, H, S, D), K (B, H, T, D), V (B, H, T, E)"
    for label, t in {"K": K, "V": V, **({} if d is None else {"d": d})}.items():
        sizes(name, expected, **{f"batches of Q and {label}": (B, t.shape[0]),
                                 f"heads of Q and {label}": (H, t.shape[1])})
    sizes(name, expected, **{"widths of Q and K": (D, K.shape[3]),
                             "numbers of keys and values": (K.shape[2], V.shape[2])})
    if not D:
        raise WrongValue(f"{name}: queries have 0 numbers; a score needs at least one")
    if d is not None:
        sizes(name, "d (B, H, S, E)", **{"numbers of queries and of rows of d": (S, d.shape[2]),
                                         "widths of V and d": (E, d.shape[3])})
    if keep is not None:
        if not isinstance(keep, Tensor) or keep.dtype != torch.bool:
            kind = str(keep.dtype) if isinstance(keep, Tensor) else sort_of(keep)
            raise WrongType(f"{name}: keep is {kind}; expected truth values (B, T), True where a key takes part")
        if keep.shape != (B, K.shape[2]) or keep.device != Q.device:
            raise WrongValue(f"{name}: keep has shape {tuple(keep.shape)} on {keep.device}; expected "
                             f"({B}, {K.shape[2]}) on {Q.device}, one a key")


def scaled(Q: Tensor, scale: float | None) -> float:
    """c: 1/√D unless given."""
    return 1 / math.sqrt(Q.shape[3]) if scale is None else float(scale)


def apart(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, K and V (B, H, S, D) of what one product has made, (B, S, 3, H, D)."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v
