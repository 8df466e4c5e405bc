"""One picture: the gradient's norm in every layer, with the bound ¼ a layer, and the loss while training."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from pathlib import Path
from typing import Any

import torch
from image_pictures import INK, dress
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

COLOURS, MARKS = ("#d1495b", "#3f8f63", "#e09f1f", "#0b6e99"), "osD^"
WIDTHS = (3.2, 2.4, 2.0, 1.6)           # what lies on top leaves an edge of what lies below
DASHES = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 1.5}


def draw(seen: Mapping[str, Any], depth: int, eta: float, name: str, path: Path) -> None:
    """`seen`: norms (layer, norm) and losses of each network."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    norm, loss = figure.subplots(1, 2)
    for colour, mark, width, (kind, one) in zip(COLOURS, MARKS, WIDTHS, seen.items()):
        norm.plot(*zip(*one.norms), f"{mark}-", color=colour, linewidth=1.6, markersize=4, label=kind)
        losses = torch.tensor(one.losses)
        smooth = losses.unfold(0, min(20, len(losses)), 1).mean(1)
        loss.plot(range(len(losses) - len(smooth) + 1, len(losses) + 1), smooth.tolist(), color=colour, linewidth=width)
    norm.plot([0, depth], [0.25**depth, 1], **DASHES)
    norm.annotate("the bound: ¼ a layer", (depth / 2, 0.5**depth), (-6, 6), textcoords="offset points", ha="right",
                  color=INK, fontsize=9)
    norm.set_yscale("log")
    norm.yaxis.set_major_locator(LogLocator(numticks=10))
    norm.yaxis.set_minor_locator(NullLocator())
    norm.set_xticks(range(0, depth + 1, max(1, depth // 5)))
    dress(norm, "before training: ‖∂ℒ/∂a‖ behind each layer, that behind the last = 1", "layer, from the image on")
    loss.axhline(log(10), **DASHES)
    loss.annotate("knows nothing: log 10", (1, log(10)), (-2, 4), xycoords=("axes fraction", "data"),
                  textcoords="offset points", ha="right", color=INK, fontsize=9)
    loss.set_ylim(0, 3)
    dress(loss, f"training loss, mean of 20 steps; lr = {eta:g} for all", "step")
    figure.legend(*norm.get_legend_handles_labels(), frameon=False, labelcolor=INK, fontsize=9, ncols=len(seen),
                  loc="outside lower center")               # one for both halves, on no curve
    figure.suptitle(f"{depth} layers on {name}: “gradients can blow up or go to zero”", color=INK, fontsize=11, x=0.01,
                    ha="left")
    figure.savefig(path, dpi=160)
