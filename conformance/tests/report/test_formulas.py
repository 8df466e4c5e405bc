"""Every formula of the records and every line of the derivations: its MathML says what its LaTeX says."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from chainrule import spec
from chainrule.conformance.report import font
from chainrule.conformance.report.formulas import element, mathml
from chainrule.spec.coverage import claims

sys.path.insert(0, str(Path(__file__).parent))
from structure import of_latex, of_mathml

FORMULAS = sorted(set(font.formulas()))


def test_the_decks_formulas_and_every_step_are_there():
    assert len(claims(spec.load())) == 111
    assert {form.latex for record in spec.load().values() for form in record.forms} <= set(FORMULAS)
    assert len(FORMULAS) > 400


def test_mathml_says_what_latex_says():
    wrong = [latex for latex in FORMULAS if (tree := element(latex)) is None or of_mathml(tree) != of_latex(latex)]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("id", spec.derived_ids())
def test_rates_are_said_too(id):
    """`show --html` sets these, in the reader's own font."""
    shown = spec.derivation(id)
    for latex in (shown.jvp.latex, shown.hvp.latex):
        assert of_mathml(element(latex)) == of_latex(latex)


@pytest.mark.parametrize(("latex", "other"), [
    (r"\frac{a}{b}", r"\frac{b}{a}"), (r"x_{i+j}", r"x_i+j"), (r"(x)_i", r"{(x)}_i"), (r"\hat{y}", r"\bar{y}"),
    (r"\begin{cases} 1 & x \\ 0 & y \end{cases}", r"\begin{cases} 1 & x \\ 0 \end{cases}"),
    (r"\mathbf{a}", "a"), (r"\delta", r"\Delta"), (r"\sqrt{ab}", r"\sqrt{a}b"), (r"\sum_{j=0}^{m}", r"\sum_{j=0}^{n}"),
    (r"a \leq b", "a < b"), (r"g'(z)", "g(z)"), (r"a^{b^c}", r"a^{b} c"), (r"\log(1-y)", r"\log 1-y"),
])
def test_the_comparison_sees_a_difference(latex, other):
    assert of_latex(latex) == of_mathml(element(latex))
    assert of_latex(latex) != of_mathml(element(other))


def test_the_font_has_every_character():
    fonts = pytest.importorskip("fontTools.ttLib")
    pytest.importorskip("brotli")
    known = set(map(chr, fonts.TTFont(font.OUT).getBestCmap()))
    drawn = {letter for letter in font.characters() if unicodedata.category(letter) not in ("Cn", "Cf", "Mn", "Zs")}
    assert not drawn - known, "make it again: python -m chainrule.conformance.report.font STIXTwoMath-Regular.otf"


def test_nothing_but_mathematics_comes_through():
    shown = str(mathml(r"\text{<img src=x onerror=alert(1)>} \mathrm{<script>}"))
    assert "<img" not in shown
    assert "<script" not in shown
    assert fromstring(shown).tag == "math"
    assert str(mathml(r"\nosuchcommand{<b>}")) == '<code class="tex">\\nosuchcommand{&lt;b&gt;}</code>'
