"""The losses and their deltas as ATen composites: what a CPU tensor runs. Needs no Triton."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..runtime import checks
from ..runtime.wide import rounded, wide
from . import checks as loss_checks


def weighted(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, δ, the weight of each example's class), unchecked."""
    zw, K = wide(z), z.shape[1]
    loss, delta = softmax_unchecked(zw, y)
    y = y.unsqueeze(1)
    left_out = y == ignored
    mass = (~left_out).to(zw.dtype)
    if w is not None:
        at = y.clamp(0, K - 1)
        mass = mass * torch.where(at == y, wide(w)[at], 0)
    if w is not None or smoothing:
        keep = (1 - smoothing) * mass
        loss, delta = keep * loss, delta.mul_(keep)
    if smoothing:
        weights = zw.new_ones(K) if w is None else wide(w)
        part, W = smoothing / K, weights.sum()
        gaps = zw.amax(1, keepdim=True) - zw
        e = torch.exp(-gaps)
        whole = e.sum(1, keepdim=True)
        loss = loss + part * (gaps.mul_(weights).sum(1, keepdim=True) + W * torch.log(whole))
        delta += e.div_(whole).mul_(W).sub_(weights).mul_(part)
    loss, delta = loss.masked_fill_(left_out, 0.0), delta.masked_fill_(left_out, 0.0)
    return rounded(loss.squeeze(1), z.dtype), rounded(delta, z.dtype), rounded(mass.squeeze(1), z.dtype)


def overwrite(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float, loss: Tensor, mass: Tensor
) -> None:
    """δ over the logits z; loss and mass are written where they are."""
    for out, found in zip((loss, z, mass), weighted(z, y, w, ignored, smoothing)):
        out.copy_(found)


def softmax_weighted(
    z: Tensor, y: Tensor, w: Tensor | None = None, ignored: int = -100, smoothing: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """loss.softmax.weighted   (loss, δ, w_y): z (B, K), y (B,) int64, w (K,) or None; `ignored` counts for nothing."""
    loss_checks.weighted_classes("loss.softmax.weighted", z, y, w, smoothing)
    return weighted(z, y, w, ignored, smoothing)


def averaged(loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """(Σ loss / Σ mass, Σ mass), unchecked."""
    total = wide(mass).sum()
    return rounded(wide(loss).sum() / total, loss.dtype), total


def weighted_mean(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(the mean loss, δ, Σ of the weights), unchecked."""
    loss, delta, mass = weighted(z, y, w, ignored, smoothing)
    mean, total = averaged(loss, mass)
    return mean, delta, total


def mean(loss: Tensor, mass: Tensor) -> Tensor:
    """loss.mean   Σ_i L_i / Σ_i m_i: loss (B,), mass (B,), not all of it 0."""
    checks.same("loss.mean", loss=loss, mass=mass)
    checks.rank("loss.mean", 1, loss=loss)
    return averaged(loss, mass)[0]


def shared(delta: Tensor, grad: Tensor, mass: Tensor) -> Tensor:
    """δ · grad / mass; where nothing counted, δ is 0 and stays it."""
    return share(delta, grad, mass, torch.empty_like(delta))


def share(delta: Tensor, grad: Tensor, mass: Tensor, out: Tensor) -> Tensor:
    """The same into `out`, which may be δ itself."""
    part = wide(grad) / mass.masked_fill(mass == 0, 1.0)
    if out.dtype == wide(delta).dtype:
        return torch.mul(delta, part, out=out)
    return out.copy_(wide(delta) * part)


def xent_logits(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """loss.xent.logits   (−y log g(z) − (1 − y) log(1 − g(z)), g(z) − y), per entry."""
    checks.same("loss.xent.logits", z=z, y=y)
    zw, yw = wide(z), wide(y)
    e = torch.exp(-zw.abs())
    loss = torch.where(zw >= 0, (1 - yw) * zw, -yw * zw) + torch.log1p(e)
    s = e / (1 + e)
    return loss.to(z.dtype), torch.where(zw >= 0, (1 - yw) - s, s - yw).to(z.dtype)


def square(yhat: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """loss.square   ((y − ŷ)², 2 (ŷ − y)), per entry."""
    checks.same("loss.square", yhat=yhat, y=y)
    error = wide(yhat) - wide(y)
    return error.square().to(y.dtype), (2 * error).to(y.dtype)


def softmax_unchecked(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(loss (B, 1), δ), both new and wide. The sum of the other classes never has e^z_y in it, so that nothing cancels
    where softmax(z)_y is near 1."""
    zw, y = wide(z), y.unsqueeze(1)
    at = y.clamp(0, z.shape[1] - 1)
    e = zw - zw.amax(1, keepdim=True)
    above = e.gather(1, at).masked_fill_(at != y, torch.nan)
    others = e.exp_().scatter_(1, at, 0.0).sum(1, keepdim=True)
    more = torch.expm1(above).add_(others)              # Σ e^(z − largest) − 1
    loss = torch.log1p(more).sub_(above)
    return loss, e.scatter_(1, at, others.neg_()).div_(more.add_(1))


def softmax(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """loss.softmax   (−log softmax(z)_y, softmax(z) − onehot(y)): z (B, K), y (B,) int64; any K ≥ 1."""
    loss_checks.classes(z, y)
    loss, delta = softmax_unchecked(z, y)
    return rounded(loss.squeeze(1), z.dtype), rounded(delta, z.dtype)


def scaled(delta: Tensor, grad: Tensor, n: int) -> Tensor:
    """δ · grad / n: an un-averaged delta turned into the gradient of a mean."""
    return rounded(wide(delta) * (wide(grad) / n), delta.dtype)


def loss(identity: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, δ) of one of the three that have no options."""
    found: tuple[Tensor, Tensor] = OPS[identity](input, target)
    return found


OPS: dict[str, Callable[..., Any]] = {
    "loss.xent.logits": xent_logits, "loss.square": square, "loss.softmax": softmax,
    "loss.softmax.weighted": softmax_weighted, "loss.mean": mean,
}
