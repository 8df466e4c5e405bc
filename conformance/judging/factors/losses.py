"""What varies in a loss: rows, classes, where the logits lie, how sure they are, and of what; labels left out."""

from __future__ import annotations

import numpy as np

from ..numbers.formats import round_to
from ..numbers.lanes import Array
from ..recipes import Arguments, Source
from .activations import SHAPES
from .base import Levels, factors
from .networks import affordable
from .regimes import values

ROWS = (17, 1, 2, 16, 65, 129, 1025)
CLASSES = (10, 1, 2, 3, 15, 16, 17, 64, 65, 128, 129, 1024, 1025, 4099)
LOGITS = ("spread", "normal", "small", "wide", "low", "high", "ties", "constant", "one far", "minus infinity",
          "right and sure", "wrong and sure")


def rows_of(s: Source, batch: int, classes: int, kind: str) -> tuple[Array, Array]:
    """Logits and labels. A label is never a class that −∞ forbids: its loss would be infinite."""
    y = s.rng.integers(0, classes, batch)
    if kind not in ("right and sure", "wrong and sure"):
        z = values(s, (batch, classes), kind)
        y = np.where(np.isneginf(z[np.arange(batch), y]), 0, y)
    else:
        z = s.normal((batch, classes))
        z[np.arange(batch), y if kind == "right and sure" else (y + 1) % classes] = 24.0
    return z, y


@factors("loss.softmax", levels={"batch": ROWS, "classes": CLASSES, "data": LOGITS},
         rules=(affordable("batch", "classes"),))
def softmax(s: Source, at: Levels) -> Arguments:
    z, y = rows_of(s, at.batch, at.classes, at.data)
    return {"z": z, "y": y}


@factors("loss.softmax.weighted", levels={
    "batch": ROWS, "classes": CLASSES, "data": LOGITS, "w": ("given", None, "zeros"), "ignored": (-100, -1, 0, 7),
    "share": ("some", "no row", "every row"), "smoothing": (0.125, 0.0, 0.5),
}, rules=(affordable("batch", "classes"), lambda at: at.classes > at.ignored or at.ignored == 7 < at.classes,
          lambda at: at.data != "minus infinity" or at.smoothing == 0))
def weighted(s: Source, at: Levels) -> Arguments:
    z, y = rows_of(s, at.batch, at.classes, at.data)
    left_out = {"some": np.arange(at.batch) % 3 == 2, "no row": np.zeros(at.batch, bool),
                "every row": np.ones(at.batch, bool)}[at.share]
    if at.share != "every row":
        y = np.where((y == at.ignored) & ~left_out, (at.ignored + 1) % max(at.classes, 2) % at.classes, y)
    y[left_out] = at.ignored
    w = round_to(s.rng.uniform(0.25, 4.0, at.classes), s.dtype)
    if at.w == "zeros":
        w[::3] = 0.0
    return {"z": z, "y": y, "w": None if at.w is None else w, "ignored": at.ignored, "smoothing": at.smoothing}


@factors("loss.mean", levels={"batch": (43, 1, 2, 16, 17, 64, 65, 128, 129, 1024, 1025),
                              "data": ("normal", "small", "wide", "ties", "zero"),
                              "mass": ("some zero", "ones", "one only", "small")})
def mean(s: Source, at: Levels) -> Arguments:
    n = at.batch
    mass = {"some zero": s.rng.uniform(0.25, 4.0, n) * (np.arange(n) % 3 != 2), "ones": np.ones(n),
            "one only": (np.arange(n) == n - 1) * 1.0, "small": s.rng.uniform(2.0**-8, 2.0**-7, n)}[at.mass]
    return {"loss": np.abs(values(s, (n,), at.data)), "mass": round_to(mass, s.dtype)}


@factors("loss.xent.logits", levels={
    "shape": SHAPES, "data": ("spread", "normal", "small", "wide", "low", "high", "ties", "one far"),
    "labels": ("0 and 1", "soft", "zeros", "ones")})
def cross_entropy(s: Source, at: Levels) -> Arguments:
    y = {"0 and 1": (s.rng.random(at.shape) < 0.5) * 1.0, "soft": s.uniform(at.shape), "zeros": np.zeros(at.shape),
         "ones": np.ones(at.shape)}[at.labels]
    return {"z": values(s, at.shape, at.data), "y": y}


@factors("loss.square", levels={"shape": SHAPES, "data": ("normal", "small", "wide", "low", "ties", "large", "nan"),
                                "y": ("normal", "zero", "positive", "same")})
def square(s: Source, at: Levels) -> Arguments:
    yhat = values(s, at.shape, at.data)
    return {"yhat": yhat, "y": yhat.copy() if at.y == "same" else values(s, at.shape, at.y)}
