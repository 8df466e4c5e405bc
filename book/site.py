"""The templates' environment: everything is escaped, names that are not there are errors."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from .. import spec
from ..conformance.report.formulas import mathml
from ..conformance.report.page import font, style, thread
from ..spec.show_text import lines, number
from .numbers import grid, letter, text


def environment() -> Environment:
    made = Environment(loader=PackageLoader(__package__), autoescape=select_autoescape(default=True),
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals |= {"mathml": mathml, "lines": lines, "grid": grid, "findings": spec.findings()}
    made.filters |= {"thread": thread, "python": python, "letter": letter, "number": number, "minus": text,
                     "sentence": sentence}
    return made


def alone(template: str, **context: Any) -> str:
    """A page of its own: style and font in it, and no address."""
    own = (files(__package__) / "templates/book.css").read_text(encoding="utf-8")
    found = environment().get_template(template).render(style=style() + Markup(own), font=font(), **context)
    return found.strip() + "\n"


def python(source: str) -> Markup:
    """Python with its tokens marked; colours are the style sheet's affair."""
    marked = highlight(source.strip("\n"), PythonLexer(), HtmlFormatter(nowrap=True))
    return Markup('<pre class="python" tabindex="0"><code>{}</code></pre>').format(Markup(marked.rstrip("\n")))


def sentence(words: str) -> str:
    """With a capital, if it begins with a word: δ and a^(l) stay what they are."""
    first = words.partition(" ")[0]
    return words[:1].upper() + words[1:] if len(first) > 2 and first.isascii() and first.isalpha() else words
