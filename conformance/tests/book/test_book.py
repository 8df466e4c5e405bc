"""The book: a page per equation, links that lead somewhere, the same bytes again, formulas as mathematics."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import chainrule
from chainrule import spec
from chainrule.book.derivations import derivation, standalone
from chainrule.book.sources import reference_source
from chainrule.spec import derivation_page
from chainrule.spec.derivations import derived_ids


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.tags, self.text, self.loads = [], set(), [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        if given.get("id"):
            assert given["id"] not in self.ids, given["id"]
            self.ids.add(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        elif tag in ("link", "script", "img"):
            self.loads += [given[name] for name in ("href", "src") if name in given]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="session")
def pages(book):
    return {path.relative_to(book).as_posix(): Page(path.read_text(encoding="utf-8"))
            for path in sorted(book.rglob("*.html"))}


def test_every_equation_has_a_page(pages):
    assert {f"eq/{id}.html" for id in spec.load()} == {name for name in pages if name.startswith("eq/")}


def test_links_lead_somewhere(pages, book):
    for name, page in pages.items():
        for link in page.links + page.loads:
            if link.startswith(("https://github.com/", "data:,")):
                continue
            file, _, anchor = link.partition("#")
            target = ((book / name).parent / file).resolve() if file else (book / name).resolve()
            assert target.is_file(), (name, link)
            if anchor:
                assert anchor in pages[target.relative_to(book.resolve()).as_posix()].ids | {"main"}, (name, link)


def test_nothing_is_loaded_from_elsewhere(pages):
    assert not [load for page in pages.values() for load in page.loads if "//" in load]


def test_formulas_are_mathematics(pages):
    for id, record in spec.load().items():
        page = pages[f"eq/{id}.html"]
        steps = derivation(id).steps if id in derived_ids() else ()
        assert page.tags.count("math") >= len(record.forms) + len(steps), id
        assert "tex" not in re.findall(r'class="([^"]+)"', page.text), id
    assert "merror" not in {tag for page in pages.values() for tag in page.tags}


def test_a_page_says_what_the_record_says(pages):
    for id, record in spec.load().items():
        text = pages[f"eq/{id}.html"].text
        for part in (record.says, *(one.because for one in record.readings), *(one.why for one in record.traps)):
            assert part in text, id
        if reference_source(id):
            assert f"def {reference_source(id).partition('def ')[2].partition('(')[0]}(" in text, id


def test_every_derivation_is_read_back_whole(pages):
    for id in derived_ids():
        found = derivation(id)
        assert found.steps, id
        assert all(step.latex for step in found.steps), id
        assert f"def {id.replace('.', '_')}(" in found.python, id


def test_the_readme_s_picture_is_the_one_drawn_today():
    """Its words and numbers; the outlines depend on matplotlib's version."""
    from chainrule.book import drawings  # noqa: F401  (enters the pictures)
    from chainrule.book.pictures import standalone

    root = Path(chainrule.__file__).resolve().parents[2]
    committed = root / "docs/backward.svg"
    if not committed.is_file():
        pytest.skip("not in a checkout")
    drawn, kept = (re.findall(r"<text[^>]*>([^<]*)</text>", text)
                   for text in (standalone("backward"), committed.read_text(encoding="utf-8")))
    assert drawn == kept, "draw it again: python -m chainrule.book"
    assert "docs/backward.svg" in (root / "README.md").read_text(encoding="utf-8")


def test_a_derivation_alone_is_a_page(capsys):
    from xml.etree import ElementTree

    for id in ("conv2d.layer.grad_x", "act.elu.prime", "norm.batch.grad_x"):
        page = standalone(derivation_page(id))
        assert page.startswith("<!doctype html>")
        assert not re.search(r"(src|href)=|url[(](?!data:)", page)
        tree = ElementTree.fromstring(page.partition("\n")[2])
        assert [h.text for h in tree.iter("h2")] == ["Given", "Steps", "Result", "Python", "JVP",
                                                     "Hessian-vector product", "Checked"]
        steps = next(iter(tree.iter("ol")))
        assert len(steps) == len(derivation(id).steps)
        assert all(one.find(".//math") is not None for one in steps)


def test_the_same_bytes_again(book, tmp_path):
    again = tmp_path / "again"
    done = subprocess.run([sys.executable, "-m", "chainrule.cli", "book", "-o", str(again)], text=True, check=True,
                          capture_output=True, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "4711"})
    assert "pages" in done.stdout
    first, second = ({path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
                     for root in (book, again))
    assert first == second


def test_measured_errors_lie_within_their_bounds():
    from chainrule.book.measured import measured

    found = measured("act.tanh")
    assert (found.error <= found.bound).all()
    assert (found.error > 0).any()
    assert "dots" in found.says
    assert measured("net.layer.affine") is None
    assert measured("act.identity") is None


def test_the_sources_of_live_pages_hide_nothing():
    """A folder of them is called as a function of its package is; imported, it would stand in that function's place."""
    from chainrule.book import live

    assert any(name.startswith("derived/") for name in live._sources())
    assert callable(spec.derived), "spec.derived is a module: who imports chainrule.spec.derived?"
