"""The deck's six filters on a photograph, through conv2d.layer: one grey image in, six channels out.

    python examples/filters.py                   on the CPU: build/filters.png
    python examples/filters.py --simulate        the Triton kernel in the simulator, on a smaller photograph

None of the six changes when it is turned or mirrored, so these pictures cannot tell a convolution from a correlation.
"""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from common import console, needed, picture_file
from torch import Tensor

from chainrule import reference
from chainrule.triton_kernels import functional as F

NAMES = ("edge1", "edge2", "edge3", "sharpen", "box", "gauss")
INK = "#222222"


def filters() -> Tensor:
    """The six as one layer's w (6, 1, 3, 3)."""
    return torch.tensor([[[float(k) for k in row] for row in reference.FUNCTIONS[f"filter.{name}"]()]
                         for name in NAMES])[:, None]


def photograph(name: str) -> Tensor:
    """Grey, 0 … 1, as x (1, 1, H, W): the mean of red, green and blue."""
    from sklearn.datasets import load_sample_image

    return torch.tensor(load_sample_image(f"{name}.jpg") / 255, dtype=torch.float32).mean(2)[None, None]


def shown(y: Tensor) -> Tensor:
    """What a screen can show: an edge filter's weights sum to 0, so its answer is shown by its magnitude."""
    edges = y[:3].abs()
    edges = edges / edges.flatten(1).quantile(0.99, dim=1)[:, None, None]
    return torch.cat([edges, y[3:]]).clamp(0, 1)


def main(
    name: Annotated[str, typer.Argument(help="china or flower")] = "china",
    simulate: Annotated[bool, typer.Option("--simulate", help="through the Triton kernel, in the simulator")] = False,
    out: Annotated[Path, typer.Option(help="where the picture goes")] = Path("build/filters.png"),
) -> None:
    """Apply the deck's six filters to a photograph that scikit-learn ships."""
    if name not in ("china", "flower"):
        raise typer.BadParameter(f"{name}: scikit-learn has china and flower")
    needed("filters", "sklearn.datasets", "scikit-learn")
    needed("filters", "matplotlib.figure", "matplotlib")
    out = picture_file("filters", out)
    x = photograph(name)
    if simulate:
        x = x[:, :, ::5, ::5]
    with place(simulate):
        y = F.conv2d(x, filters(), padding=1)[0]
    draw(x[0, 0].numpy(), shown(y).numpy(), out)
    console.print(f"{x.shape[2]} × {x.shape[3]} pixels, six filters: {out}")


def place(simulate: bool) -> Any:
    if not simulate:
        return nullcontext()
    from chainrule.conformance.simulator import simulate as simulated

    return simulated()


def printed(K: list[list[Any]]) -> str:
    """1/16 [1 2 1;  2 4 2;  1 2 1]"""
    one = lcm(*(Fraction(k).denominator for row in K for k in row))
    rows = ";  ".join(" ".join(str(k * one).replace("-", "−") for k in row) for row in K)
    return f"[{rows}]" if one == 1 else f"1/{one} [{rows}]"


def draw(x: Any, channels: Any, path: Path) -> None:
    """The photograph, and what each filter makes of the part in the frame."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    H, W = x.shape
    top, left, height, width = H // 8, W // 8, H * 3 // 8, W * 3 // 8
    figure = Figure(figsize=(14, 5.2), layout="constrained")
    axes = figure.subplot_mosaic([["photograph", *NAMES[:3]], ["photograph", *NAMES[3:]]], width_ratios=(1.5, 1, 1, 1))
    axes["photograph"].imshow(x, cmap="gray", vmin=0, vmax=1)
    axes["photograph"].add_patch(Rectangle((left, top), width, height, fill=False, color="#d1495b", linewidth=1.5))
    axes["photograph"].set_title("the photograph", loc="left", color=INK, fontsize=11)
    for name, channel in zip(NAMES, channels):
        axes[name].imshow(channel[top : top + height, left : left + width], cmap="gray", vmin=0, vmax=1)
        axes[name].set_title(f"{name}   {printed(reference.FUNCTIONS[f'filter.{name}']())}", loc="left", color=INK,
                             fontsize=9)
    for one in axes.values():
        one.set_axis_off()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    typer.run(main)
