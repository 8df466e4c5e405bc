"""LaTeX as MathML. Whatever the converter returns is read as XML and only known elements and attributes are kept.

math-core is the converter that keeps the structure of every formula of the deck and of every derivation step; it names
some invisible operators by HTML entities, which XML does not have, so they become characters here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from xml.etree import ElementTree

from markupsafe import Markup

ELEMENT = re.compile("math|mrow|mi|mo|mn|mtext|mspace|mfrac|msqrt|mroot|msub|msup|msubsup|munder|mover|munderover"
                     "|mtable|mtr|mtd|mstyle|mpadded|mphantom")
ATTRIBUTE = re.compile("display|accent|accentunder|stretchy|lspace|rspace|mathvariant|width|height|depth|minsize"
                       "|maxsize|symmetric|fence|separator|form|linethickness|displaystyle|scriptlevel|movablelimits|largeop")
STYLE = re.compile(r"(?:(?:text-align|justify-items|padding-left|padding-right):\s?[a-z0-9.]+;?)*")
ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z]+;")


@cache
def _converter() -> Callable[[str, bool], str | None]:
    """LaTeX to MathML text; None where math-core does not know the formula, or is not installed."""
    try:
        from math_core import LatexError, LatexToMathML
    except ModuleNotFoundError:
        return lambda latex, block: None
    convert = LatexToMathML().convert_with_local_state

    def converted(latex: str, block: bool) -> str | None:
        try:
            return str(convert(latex, displaystyle=block))
        except LatexError:
            return None

    return converted


@cache
def mathml(latex: str, block: bool = True) -> Markup:
    """A formula as a `math` element; one that cannot be converted stays LaTeX, as text."""
    tree = element(latex, block)
    if tree is None:
        return Markup('<code class="tex">{}</code>').format(latex)
    return Markup(ElementTree.tostring(tree, encoding="unicode"))


def element(latex: str, block: bool = True) -> ElementTree.Element | None:
    """The same as a tree, None where there is none."""
    text = _converter()(latex, block)
    if text is None:
        return None
    return _known(ElementTree.fromstring(ENTITY.sub(lambda name: html.unescape(name[0]), text)))


def _known(tree: ElementTree.Element) -> ElementTree.Element:
    for node in tree.iter():
        if not ELEMENT.fullmatch(node.tag):
            node.tag = "mrow"
        node.attrib = {name: value for name, value in node.attrib.items()
                       if ATTRIBUTE.fullmatch(name) or (name == "style" and STYLE.fullmatch(value))}
    return tree
