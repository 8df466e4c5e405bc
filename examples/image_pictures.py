"""Two pictures of a training on images: loss and error as they fall, and which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

INK, GRID = "#222222", "#e4e4e4"
COLOURS = ("#0b6e99", "#8fc1d4", "#d1495b", "#eaa8b0")


def curves(runs: Mapping[str, tuple[Sequence[float], Sequence[float]]], name: str, path: Path) -> None:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    loss, error = figure.subplots(1, 2)
    fewest = min(len(losses) for losses, _ in runs.values())
    window = max(1, min(50, fewest // 60))                  # a curve begins near its beginning
    for colour, (label, (losses, accuracies)) in zip(COLOURS, runs.items()):
        steps = len(losses) / len(accuracies)
        smooth = torch.tensor(losses).unfold(0, window, 1).mean(1)
        at = (torch.arange(len(smooth)) + len(losses) - len(smooth)) / steps
        loss.plot(at.numpy(), smooth.numpy(), color=colour, linewidth=1.6, label=label)
        wrong = [100 * (1 - a) for a in accuracies]
        error.plot(range(1, len(wrong) + 1), wrong, "o-", color=colour, linewidth=1.6)
    dress(loss, f"training loss, mean of {window} steps")
    dress(error, "test images read wrongly, %")
    error.set_ylim(bottom=0)
    for axes in (loss, error):
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    figure.legend(*loss.get_legend_handles_labels(), frameon=False, labelcolor=INK, fontsize=9, ncols=len(runs),
                  loc="outside lower center")               # one for both halves, on no curve
    figure.suptitle(name, color=INK, fontsize=11, x=0.01, ha="left")
    figure.savefig(path, dpi=160)


def dress(axes: Any, title: str, along: str = "epoch") -> None:
    """A title and a grid; no frame, no ticks."""
    axes.set_title(title, loc="left", color=INK, fontsize=10)
    axes.set_xlabel(along, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def confusion(answers: Tensor, y: Tensor, classes: Sequence[str], title: str, path: Path) -> None:
    """Row: what it is; column: what it is taken for; in per cent of the row."""
    k = len(classes)
    counts = torch.bincount(y * k + answers, minlength=k * k).view(k, k).float()
    share = 100 * counts / counts.sum(1, keepdim=True)
    figure = Figure(figsize=(5.8, 5.7), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share.sqrt().numpy(), cmap="Blues", vmin=0, vmax=10)
    for i in range(k):
        for j in range(k):
            if share[i, j] >= 0.95:
                axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=9,
                          color="white" if share[i, j] > 45 else INK)
    axes.set_xticks(range(k), classes, rotation=45, ha="right")
    axes.set_yticks(range(k), classes)
    axes.tick_params(colors=INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("taken for", color=INK)
    axes.set_ylabel("what it is", color=INK)
    accuracy = 100 * counts.trace() / counts.sum()
    axes.set_title(f"{title}: {accuracy:.1f} % right; rows in per cent", loc="left", color=INK, fontsize=11)
    figure.savefig(path, dpi=160)


def looks(x: Tensor, shares: Tensor, classes: Sequence[str], title: str, path: Path) -> None:
    """A column for each image (side × side): the image, under it the patches' shares of every head, laid over it."""
    heads = shares.shape[1]
    figure = Figure(figsize=(1.15 * len(x), 1.2 * (heads + 1) + 0.5), layout="constrained")
    every = figure.subplots(heads + 1, len(x), squeeze=False)
    tall, broad = (x.shape[k] // shares.shape[k + 1] for k in (1, 2))
    wide = shares.repeat_interleave(tall, 2).repeat_interleave(broad, 3)
    for i, column in enumerate(every.T):
        column[0].set_title(classes[i], color=INK, fontsize=9)
        for h, axes in enumerate(column):
            axes.imshow(x[i].numpy(), cmap="gray_r")
            if h:
                axes.imshow(wide[i, h - 1].numpy(), cmap="OrRd", alpha=0.7, vmin=0)
            axes.set_xticks([])
            axes.set_yticks([])
            for side in axes.spines.values():
                side.set_visible(False)
    for h, axes in enumerate(every[:, 0]):
        axes.set_ylabel(f"head {h}" if h else "image", color=INK, fontsize=9)
    figure.suptitle(title, color=INK, fontsize=11, x=0.01, ha="left")
    figure.savefig(path, dpi=160)
