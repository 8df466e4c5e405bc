"""A derivation as data: what is given, every step in words, text and LaTeX, the result, the Python.

Read from its page in spec/derived, so that no SymPy is needed; a page of somebody's own equation reads the same.
"""

from __future__ import annotations

import re
from typing import Any

import attrs


@attrs.frozen
class StepText:
    """One line: the rule, what it did here, and the formula in both ways of writing."""

    rule: str
    why: str
    text: str
    latex: str


@attrs.frozen
class AlongText:
    """A JVP or a Hessian-vector product: the rates that it names, formula and Python."""

    says: str
    given: tuple[str, ...]
    text: str
    latex: str
    python: str

    @property
    def call(self) -> str:
        """How it is called."""
        return _call(self.python)


@attrs.frozen
class DerivationText:
    """A whole derivation. `target` is what is derived, ∂ℒ/∂x_p; `given` the definitions and assumptions before it.

    `jvp` says how fast the output moves along a direction, `hvp` how fast the gradient does.
    """

    id: str
    title: str
    given: tuple[str, ...]
    steps: tuple[StepText, ...]
    target: str
    result: str
    remarks: tuple[str, ...]
    python: str
    checked: str
    jvp: AlongText
    hvp: AlongText

    @property
    def call(self) -> str:
        """How the derived function is called."""
        return _call(self.python)

    def json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        both = {which: {**attrs.asdict(one), "call": one.call} for which, one in (("jvp", self.jvp), ("hvp", self.hvp))}
        return {**attrs.asdict(self), "call": self.call, **both}

    def latex(self) -> str:
        """All steps as one aligned formula."""
        target = self.steps[0].latex.partition(" = ")[0]
        rows = [step.latex.partition("= ")[2] for step in self.steps]
        lines = [rf"{target} &= {rows[0]}", *(f"&= {row}" for row in rows[1:])]
        new_line = " \\\\\n  "
        return f"\\begin{{aligned}}\n  {new_line.join(lines)}\n\\end{{aligned}}"

    def markdown(self) -> str:
        """The steps as Markdown with formulas between dollars: what a notebook sets where it can."""
        target = self.steps[0].latex.partition(" = ")[0]
        rows = [f"{k}. **{step.rule}**{f' · {step.why}' if step.why else ''}\n\n   $${target} = {right}$$"
                for k, step in enumerate(self.steps, 1) for right in [step.latex.partition("= ")[2]]]
        return "\n\n".join([f"**{self.id}** · {self.title}", *rows])

    def _repr_markdown_(self) -> str:
        """What a notebook shows where it sets Markdown."""
        return self.markdown()

    def _repr_latex_(self) -> str:
        """What a notebook shows."""
        return f"$$\n{self.latex()}\n$$"


def _call(python: str) -> str:
    """The signature of the last function."""
    found = re.findall(r"^def (\w+\([^)]*\)):", python, re.M)
    return found[-1] if found else ""


def read(page: str) -> DerivationText:
    """The derivation that a Markdown page shows."""
    head, parts = page.partition("## ")[0], _sections(page)
    titles = re.findall(r"^\d+\. \*\*(.*?)\*\*(?: · (.*))?$", parts["Steps"], re.M)
    texts = [joined(block) for block in blocks(parts["Steps"])]
    formulas = [latex.strip() for latex in re.findall(r"^ *\$\$(.*)\$\$$", parts["Steps"], re.M)]
    result, *remarks = [piece.strip() for piece in re.split(r"\n\n", parts["Result"].strip()) if piece.strip()]
    name, title = (line for line in head.splitlines() if line)
    return DerivationText(
        name.removeprefix("# "), title, tuple(_given(parts["Given"])),
        tuple(StepText(rule, why, text, latex)
              for (rule, why), text, latex in zip(titles, texts, formulas, strict=True)),
        texts[0].partition(" = ")[0], joined(blocks(result)[0]), tuple(remarks),
        _code(parts["Python"]), parts["Checked"].strip(), _along(parts["JVP"]), _along(parts["HVP"]))


def _code(text: str) -> str:
    return text.partition("```python\n")[2].rpartition("\n```")[0]


def _along(text: str) -> AlongText:
    latex = re.findall(r"^\$\$(.*)\$\$$", text, re.M)
    return AlongText(text.strip().partition("\n")[0], tuple(re.findall(r"^- `(.*?)`$", text, re.M)),
                     joined(blocks(text)[0]), latex[0], _code(text))


def _sections(page: str) -> dict[str, str]:
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^## ", page, flags=re.M)[1:]}


def blocks(text: str) -> list[str]:
    """The ```text blocks of a part."""
    return re.findall(r"```text\n(.*?)\n *```", text, re.S)


def joined(block: str) -> str:
    """A folded formula on one line; its ranges, which may stand on a line of their own, behind three spaces."""
    *rows, last = block.split("\n")
    if rows and re.fullmatch(r"[^\[\]Σ]*≤[^\[\]Σ]*", last):
        return " ".join(" ".join(rows).split()) + ",   " + last.strip()
    return re.sub(r"(?<![, ]) {2,}", " ", " ".join(row.strip() for row in [*rows, last]))


def _given(text: str) -> list[str]:
    """Each definition, array, size and assumption as one line of text."""
    found: list[str] = []
    for piece in re.split(r"^- ", text, flags=re.M)[1:]:
        head = piece.partition("\n")[0].replace("`", "")
        found.append("\n".join([head, *(joined(block) for block in blocks(piece))]))
    return found
