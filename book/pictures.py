"""Pictures that teach, drawn from the reference with the deck's numbers; as SVG that takes the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from attrs import frozen
from markupsafe import Markup

INK, SOFT = "#111213", "#818283"                        # become the page's own ink
BLUE, RED, GREEN, VIOLET = "#3d7edb", "#d1495b", "#2f9e62", "#9b6bd3"
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "chainrule", "font.size": 10, "text.color": INK, "axes.edgecolor": SOFT,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.facecolor": "none", "axes.titlecolor": INK,
    "figure.facecolor": "none", "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "axes.titlesize": 10, "figure.constrained_layout.use": True, "path.simplify": True}


@frozen
class Picture:
    """A picture, what it shows, and the pages it belongs to."""

    name: str
    title: str
    says: str
    ids: tuple[str, ...]
    draw: Callable[[Any], None]
    size: tuple[float, float]

    @property
    def svg(self) -> Markup:
        return _svg(self.name)


PICTURES: list[Picture] = []


def picture(name: str, title: str, says: str, ids: tuple[str, ...],
            size: tuple[float, float]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def enter(draw: Callable[[Any], None]) -> Callable[[Any], None]:
        PICTURES.append(Picture(name, title, says, ids, draw, size))
        return draw
    return enter


def pictures() -> list[Picture]:
    """All of them that have been entered, in the order of the pictures' page."""
    return PICTURES


def pictures_of(id: str) -> list[Picture]:
    return [one for one in pictures() if id in one.ids]


def standalone(name: str) -> str:
    """The picture as a file of its own, on white."""
    text = str(_svg(name)).replace("currentColor", "#222222")
    head, _, body = text.partition(">")
    return f'{head}>\n <rect width="100%" height="100%" fill="#ffffff"/>{body}'


@cache
def _svg(name: str) -> Markup:
    """The picture as an element that can stand in a page: no sizes of its own, no fixed ink, no ids of others."""
    one = next(one for one in pictures() if one.name == name)
    return render(name, one.title, one.size, one.draw)


def render(name: str, title: str, size: tuple[float, float], draw: Callable[[Any], None]) -> Markup:
    """A figure as an `svg` element; the name keeps its ids apart from others' on the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=size)
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = out.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor").replace(SOFT, "currentColor").replace("'DejaVu Sans', ", "")
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1))
