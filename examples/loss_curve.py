"""One picture of a training: the loss falling, the errors on unseen images vanishing; a line per head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from image_pictures import INK, dress
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

COLOURS = ("#0b6e99", "#d1495b", "#66a182")
Runs = Sequence[tuple[Sequence[float], Sequence[float]]]          # per split: loss and accuracy after every epoch


def draw(curves: Mapping[str, Runs], path: Path) -> None:
    """Mean over the splits as a line, their range as a band."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    loss, error = figure.subplots(1, 2)
    for colour, (name, runs) in zip(COLOURS, curves.items()):
        _band(loss, [losses for losses, _ in runs], colour, name)
        _band(error, [[100 * (1 - one) for one in accuracies] for _, accuracies in runs], colour, name)
    _dress(loss, "training loss per image")
    _dress(error, "test images read wrongly, %")
    error.axhline(4, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    error.annotate("96 % right", (1, 4), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
                   ha="right", color=INK, fontsize=9)
    loss.legend(frameon=False, labelcolor=INK)
    splits = len(next(iter(curves.values())))
    figure.suptitle(f"1,797 handwritten digits, 64-128-128-10, the deck's algorithm: mean and range of {splits} split"
                    f"{'s' if splits > 1 else ''}", color=INK, fontsize=11, x=0.01, ha="left")
    figure.savefig(path, dpi=160)


def _band(axes: Any, runs: Sequence[Sequence[float]], colour: str, name: str) -> None:
    columns = list(zip(*runs))
    epochs = range(1, len(columns) + 1)
    low, high = [min(c) for c in columns], [max(c) for c in columns]
    axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(epochs, [sum(c) / len(c) for c in columns], color=colour, linewidth=1.8, label=name)


def _dress(axes: Any, title: str) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    dress(axes, title)
