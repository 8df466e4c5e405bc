"""What the examples share: one console, a bar on a terminal only, tables, one sentence where something is missing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

console = Console(highlight=False)


def refuse(example: str, why: str) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"{example}: {why}", markup=False, soft_wrap=True)
    raise typer.Exit(2)


def needed(example: str, module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        refuse(example, f"{package} is not installed; pip install {package}")


def pictures(module: str) -> Any:
    """The module that draws; None and a sentence where matplotlib is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        console.print(f"no picture: {missing.name} is not installed; pip install matplotlib")
        return None


def picture_file(example: str, path: Path) -> Path:
    """Where a picture goes, its folder made: PNG unless the name says something else that matplotlib can write."""
    formats = needed(example, "matplotlib.backend_bases", "matplotlib").FigureCanvasBase.get_supported_filetypes()
    if not path.suffix:
        path = path.with_name(f"{path.name}.png")
    if path.suffix[1:].lower() not in formats:
        refuse(example, f"--out {path}: {path.suffix} is no format of pictures; one of {', '.join(sorted(formats))} is")
    if path.is_dir():
        refuse(example, f"--out {path} is a folder; name a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def progress(label: str) -> Progress:
    """A bar, on a terminal only."""
    return Progress(TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                    TextColumn("{task.description}"), console=console, transient=True, disable=not console.is_terminal)


def columns(*names: str, words: int = 2) -> Table:
    """An empty table: the first columns are words, the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i < words else "right", no_wrap=True)
    return table


def judgements(judged: Any) -> Table:
    """Every op of a judged chain, how often it ran, and the worst fraction of its bound."""
    table = columns("op", "", "calls", "worst fraction")
    for id, worst in judged.worst.items():
        table.add_row(id, worst.output, str(judged.calls[id]), f"{worst.fraction:.3f}")
    return table
