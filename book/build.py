"""Writes the book: the same records give the same bytes, wherever and whenever it is built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrs import frozen

from .. import spec
from ..conformance.report.chapters import Chapter, chapters
from ..conformance.report.formulas import mathml
from ..spec import typeset
from . import drawings as _entered  # noqa: F401
from . import essays
from .equation import page
from .live import assets, data
from .measured import measured
from .pictures import pictures, pictures_of
from .site import environment

Advance = Callable[[str, int, int], None]


@frozen
class Written:
    """What a build wrote."""

    pages: int
    size: int


@frozen
class Book:
    """The order of the pages: every equation knows its neighbours."""

    chapters: tuple[Chapter, ...]

    @property
    def ids(self) -> list[str]:
        return [id for chapter in self.chapters for id in chapter.ids]

    def around(self) -> Iterator[tuple[Chapter, str | None, str, str | None]]:
        order = [None, *self.ids, None]
        home = {id: chapter for chapter in self.chapters for id in chapter.ids}
        for before, id, after in zip(order, order[1:-1], order[2:], strict=False):
            assert id is not None
            yield home[id], before, id, after


def build(out: Path, advance: Advance = lambda name, done, total: None, *, pyodide: Path | None = None) -> Written:
    """The whole book into a folder; with Pyodide's npm package at hand, its pages compute."""
    book = Book(chapters())
    (out / "eq").mkdir(parents=True, exist_ok=True)
    (out / "assets").mkdir(exist_ok=True)
    templates = environment()
    wrote: dict[str, str] = {}

    def put(name: str, template: str, **context: Any) -> None:
        depth = "../" * name.count("/")
        wrote[name] = templates.get_template(template).render(root=depth, book=book, **context) + "\n"
        advance(name, len(wrote), len(book.ids) + len(book.chapters) + len(ESSAYS) + 1)

    put("index.html", "home.html", title="The deck, made executable", counts=essays.counts(), pictures=pictures())
    for chapter in book.chapters:
        put(f"{chapter.name}.html", "chapter.html", title=chapter.title, chapter=chapter,
            records=[spec.load()[id] for id in chapter.ids], typeset=typeset.formulas)
    for chapter, before, id, after in book.around():
        put(f"eq/{id}.html", "equation.html", title=id, chapter=chapter, before=before, after=after,
            page=page(id), drawn=pictures_of(id), bound=measured(id),
            live_data=data(id) if pyodide is not None else None)
    for name, (title, context) in ESSAYS.items():
        put(f"{name}.html", f"{name}.html", title=title, **context())
    for name, text in wrote.items():
        (out / name).write_text(text, encoding="utf-8")
    _assets(out, book)
    if pyodide is not None:
        assets(out, pyodide)
    return Written(len(wrote), sum(file.stat().st_size for file in out.rglob("*") if file.is_file()))


ESSAYS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "notation": ("Notation", lambda: {"letters": essays.letters()}),
    "rules": ("Rule sheet", lambda: {"results": essays.results(), "rules": essays.rules(), "mathml": mathml}),
    "readings": ("Readings", lambda: {"records": [r for r in spec.load().values() if r.readings]}),
    "errata": ("What the deck gets wrong", lambda: {"findings": essays.findings(), "small": essays.small_findings()}),
    "products": ("How far a product may be from the exact one", lambda: {"table": essays.products()}),
    "pictures": ("Pictures", lambda: {"pictures": pictures()}),
    "all": ("Index", lambda: {"entries": essays.index()}),
    "search": ("Search", dict),
}


def _assets(out: Path, book: Book) -> None:
    """The style sheet, the font and its licence, the words that search looks through."""
    report = files("chainrule.conformance.report")
    own = files(__package__) / "templates"
    style = (report / "templates/report.css").read_text(encoding="utf-8") + (own / "book.css").read_text("utf-8")
    (out / "assets/book.css").write_text(
        '@font-face{font-family:"STIX Two Math";src:url(stix-two-math.woff2)}\n' + style, encoding="utf-8")
    for name in ("stix-two-math.woff2", "OFL.txt"):
        with (report / name).open("rb") as source, (out / "assets" / name).open("wb") as target:
            shutil.copyfileobj(source, target)
    words = json.dumps(essays.search_words(book.ids), ensure_ascii=False, sort_keys=True)
    (out / "assets/words.js").write_text(f"const WORDS = {words};\n", encoding="utf-8")
    (out / "assets/search.js").write_text((own / "search.js").read_text(encoding="utf-8"), encoding="utf-8")
