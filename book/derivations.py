"""A committed derivation, read back from its Markdown page: what is given, every step, the result, the Python."""

from __future__ import annotations

from functools import cache

from attrs import frozen
from markupsafe import Markup

from ..conformance.report.formulas import mathml
from ..spec.derivations import derivation_page, derived_ids
from ..spec.page import StepText
from ..spec.page import read as text_of


@frozen
class Derivation:
    """A derivation as it is shown. `given` and `result` are HTML."""

    title: str
    given: Markup
    steps: tuple[StepText, ...]
    remarks: str
    python: str
    checked: str

    @property
    def result(self) -> str:
        """The left side of the first step with the right side of the last."""
        left = self.steps[0].latex.partition(" = ")[0]
        return self.steps[0].latex if len(self.steps) == 1 else f"{left} {self.steps[-1].latex}"


@cache
def derivation(id: str) -> Derivation | None:
    """None where nothing is derived under this id."""
    return read(derivation_page(id)) if id in derived_ids() else None


def standalone(page: str) -> str:
    """A derivation's page as HTML that needs nothing else."""
    from .site import alone

    also = text_of(page)
    return alone("derivation.html", id=also.id, one=read(page), remarks=also.remarks,
                 along=(("JVP", also.jvp), ("Hessian-vector product", also.hvp)))


def read(page: str) -> Derivation:
    """What a page of spec/derived shows."""
    one, given = text_of(page), page.partition("## Given\n")[2].partition("\n## ")[0]
    return Derivation(one.title, _given(given), one.steps, "\n\n".join(one.remarks), one.python, one.checked)


def _given(text: str) -> Markup:
    """The list of what is given; a formula that stands in LaTeX too is shown as one."""
    shown, fenced, opened = Markup(""), False, False
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("```"):
            fenced = not fenced
        elif line.startswith("$$"):
            shown += Markup('<div class="formula" tabindex="0" role="group" aria-label="formula">{}</div>').format(
                mathml(line.strip("$").strip()))
        elif line.startswith("- "):
            shown += Markup("</li><li>" if opened else "<li>") + inline(line[2:])
            opened = True
        elif line and not fenced:
            shown += Markup(" ") + inline(line)
    return Markup("<ul>{}</li></ul>").format(shown) if opened else shown


def inline(text: str) -> Markup:
    """Text with `code` in it."""
    shown = Markup("")
    for i, part in enumerate(text.split("`")):
        shown += Markup("<code>{}</code>").format(part) if i % 2 else Markup("{}").format(part)
    return shown
