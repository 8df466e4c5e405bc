"""One record as a page: as printed, read, derived, computed, broken by others, and worked in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from . import typeset
from .records import Equation, Erratum, UnknownId, findings, get, load
from .show_text import WIDTH, code, entry, latex, lines, matrix, number, python, relation, span, steps, table, wrapped

Section = tuple[str, list[RenderableType]]
STATUS = {"printed": "printed", "corrected": "not printed: a correction", "derived": "not printed: derived",
          "external": "not printed: from its source"}


def page(id: str, *, reference: str | None = None, kernel: str | None = None) -> RenderableType:
    """Everything known about an id, or about a finding such as E05. UnknownId names near ids."""
    if id in findings():
        return _finding(findings()[id])
    if id not in load():
        raise UnknownId(id, [*load(), *findings()])
    equation = get(id)
    parts: list[RenderableType] = [Rule(Text(f" {id} ", style="bold"), align="left", characters="─"), _head(equation)]
    for title, body in _sections(equation, reference, kernel):
        parts += [Text(f"\n{title}", style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in body)]
    return Group(*parts, Text())


def readings() -> RenderableType:
    """Every formula that can be read in two ways, and how it is read here."""
    grid = Table(width=WIDTH, title="readings", title_justify="left", show_lines=True)
    grid.add_column("id", no_wrap=True)
    grid.add_column("reading", ratio=2)
    grid.add_column("is taken to mean", ratio=5)
    grid.add_column("because", ratio=5)
    for equation in load().values():
        for reading in equation.readings:
            grid.add_row(equation.id, reading.name, reading.says, reading.because)
    return grid


def _head(equation: Equation) -> RenderableType:
    where = f"{equation.kind} · {STATUS[equation.status]}"
    if equation.slide:
        where += f" · slide “{equation.slide}”"
    return Group(*wrapped(equation.says), Text(where, style="dim"))


def _sections(equation: Equation, reference: str | None, kernel: str | None) -> Iterator[Section]:
    found: list[Section] = [
        ("as printed" if equation.deck_lines else "formula", _printed(equation)),
        ("readings", _readings(equation)),
        ("sizes and shapes", _shapes(equation)),
        ("machine form", _form(equation)),
        ("stable form", [*_labelled("value", equation.stable), *_labelled("derivative", equation.stable_prime)]),
        ("derivation", _derivation(equation.id)),
        ("gradients", _gradients(equation)),
        ("reference", [] if reference is None else [python(reference)]),
        ("kernel", [] if kernel is None else [Text(kernel)]),
        ("traps", _traps(equation)),
        ("worked numbers", _examples(equation)),
        ("findings", _findings(equation)),
        ("source", list(wrapped(equation.source)) if equation.source else []),
    ]
    yield from ((title, body) for title, body in found if body)


def _printed(equation: Equation) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for form in equation.forms:
        parts += [Text(line, style="cyan") for line in latex(form.latex)]
        if form.lines:
            parts.append(Text(lines(form.lines), style="dim"))
    for made in typeset.formulas(equation) if not equation.forms else []:
        parts += [Text(line, style="cyan") for line in latex(made)]
    if equation.lines:
        parts.append(Text(("text, " if equation.forms else "") + lines(equation.lines), style="dim"))
    if equation.code:
        parts.append(python(equation.code))
    return parts


def _readings(equation: Equation) -> list[RenderableType]:
    return [entry(reading.name, f"{reading.says} ", f"because {reading.because}") for reading in equation.readings]


def _shapes(equation: Equation) -> list[RenderableType]:
    rows = [("sizes", ", ".join(map(relation, equation.sizes.values())))] if equation.sizes else []
    rows += [(name, span(ranges)) for name, ranges in equation.arrays.items()]
    rows += [(name, sort + (f", {equation.defaults[name]} by default" if name in equation.defaults else ""))
             for name, sort in equation.symbols.items()]
    rows += [("requires", relation(requirement)) for requirement in equation.assumes]
    return [table(rows)] if rows else []


def _form(equation: Equation) -> list[RenderableType]:
    if equation.value is None:
        return [Text(f"derived from {equation.of}, by {', '.join(equation.wrt)}")] if equation.of else []
    index = ", ".join(f"{name} = {span(ranges)}" for name, ranges in equation.index.items())
    form: list[RenderableType] = [Text(line, style="green") for line in code(equation.value)]
    return [*form, Text(f"for {index}", style="dim")] if index else form


def _labelled(label: str, form: str | None) -> list[RenderableType]:
    return [] if form is None else [table([(label, Text("\n".join(code(form)), style="green"))])]


def _derivation(id: str) -> list[RenderableType]:
    """The steps of spec/derived/<id>.md, in plain text."""
    parts: list[RenderableType] = []
    inside = False
    for line in _derived_page(id).partition("## Steps")[2].partition("## Python")[0].splitlines():
        text = line.strip()
        if text.startswith("```"):
            inside = not inside
        elif inside:
            parts += steps(line.removeprefix("   "), indent=3)
        elif text.startswith("## "):
            parts.append(Text(text[3:].lower()))
        elif text and not text.startswith("$$"):
            parts += wrapped(text.replace("**", ""))
    return parts


def _derived_page(id: str) -> str:
    path = files(__package__) / "derived" / f"{id.replace('.', '_')}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _gradients(equation: Equation) -> list[RenderableType]:
    """The derived gradients of a record, each with the last line of its derivation."""
    parts: list[RenderableType] = []
    for gradient in load().values():
        result = _derived_page(gradient.id).partition("## Result")[2].partition("```text\n")[2].partition("```")[0]
        if gradient.of == equation.id and result:
            parts.append(Text(gradient.id, style="yellow"))
            parts += [part for line in result.splitlines() for part in steps(line, indent=2)]
    return parts


def _traps(equation: Equation) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for trap in equation.traps:
        at = ", ".join(f"{name} = {number(value)}" for name, value in trap.at.items())
        seen = f"seen in {', '.join(trap.seen)}" if trap.seen else ""
        kind = " (a convention, not an error)" if trap.kind == "convention" else ""
        parts.append(entry(trap.name, f"at {at}{kind}: {trap.why}", seen))
    gradients = [id for id in load() if id.startswith(f"{equation.id}.") and load()[id].traps]
    return [*parts, *([Text(f"more: {', '.join(gradients)}", style="dim")] if gradients else [])]


def _examples(equation: Equation) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for example in equation.examples:
        rows = [(name, matrix(value)) for name, value in example.inputs.items()]
        parts += [*wrapped(example.source, style="dim"), table([*rows, ("gives", matrix(example.output))])]
    return parts


def _findings(equation: Equation) -> list[RenderableType]:
    known: Mapping[str, Erratum] = findings()
    parts: list[RenderableType] = [entry(f"{id} {known[id].severity}", known[id].says, "")
                                   for id in equation.errata if id in known]
    others = [id for id in equation.errata if id not in known]
    return [*parts, *([Text(f"and {', '.join(others)}: docs/errata.md", style="dim")] if others else [])]


def _finding(erratum: Erratum) -> RenderableType:
    """A finding as a page; its proof runs with the tests."""
    rows = [("says", erratum.says), ("otherwise", erratum.otherwise), ("here", erratum.resolution),
            ("touches", ", ".join(erratum.touches)), ("where", lines(erratum.lines)),
            ("proof", erratum.unprovable or _proof(erratum))]
    severity = "verified" if erratum.severity == "verified" else f"severity {erratum.severity}"
    title = Text(f" {erratum.id} · {severity} ", style="bold")
    return Group(Rule(title, align="left", characters="─"), table(rows), Text())


def _proof(erratum: Erratum) -> str:
    """The claims that the proof shows, where it can run here."""
    from . import errata

    if erratum.id not in errata.PROOFS:
        return f"runs in the tests ({erratum.proof})"
    return "\n".join(f"· {claim}" for claim in errata.demonstrate(erratum.id))
