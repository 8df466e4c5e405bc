"""One record as a page: as printed, read, derived, computed, broken by others, and worked in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.resources import files
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from . import typeset
from .page import read
from .records import Equation, Erratum, Note, UnknownId, chapters, findings, get, load, notes
from .records import read as read_chapter
from .show_text import (
    code,
    columns,
    entry,
    formula,
    latex,
    lines,
    matrix,
    number,
    numbered,
    python,
    relation,
    span,
    table,
    wrapped,
)

Section = tuple[str, list[RenderableType]]
STATUS = {"printed": "printed", "corrected": "not printed: a correction", "derived": "not printed: derived",
          "external": "not printed: from its source"}


def page(id: str, *, reference: str | None = None, kernel: str | None = None, width: int = 100) -> RenderableType:
    """Everything known about an id, or about a finding such as E05, in so many columns. UnknownId names near ids."""
    with columns(width):
        return _page(id, reference, kernel)


def _page(id: str, reference: str | None, kernel: str | None) -> RenderableType:
    if id in findings():
        return _finding(findings()[id])
    if id in notes():
        return _note(notes()[id])
    if id not in load():
        raise UnknownId(id, [*load(), *findings(), *notes()])
    equation = get(id)
    parts: list[RenderableType] = [Rule(Text(f" {id} ", style="bold"), align="left", characters="─"), _head(equation)]
    for title, body in _sections(equation, reference, kernel):
        parts += [Text(f"\n{title}", style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in body)]
    return Group(*parts, Text())


def readings(width: int = 100) -> RenderableType:
    """Every formula that can be read in two ways, and how it is read here."""
    with columns(width):
        parts: list[RenderableType] = [Text("readings", style="bold")]
        for equation in load().values():
            for reading in equation.readings:
                parts += [Text(""), Text(equation.id, style="bold"),
                          entry(reading.name, reading.says, f"because {reading.because}")]
        return Group(*parts)


def listing(word: str = "", width: int = 100) -> RenderableType:
    """Every id with what it says, by chapter; with a word, those that have it in the id or in what they say."""
    with columns(width):
        parts: list[RenderableType] = []
        for name, members in _chapters(word):
            parts += [Text(name, style="bold"), table(members), Text("")]
        if not parts:
            raise UnknownId(word, [*load(), *findings(), *notes()])
        return Group(*parts)


def _chapters(word: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The chapters of the records, and the findings, as far as they have the word."""
    lists = [(chapter.name.removesuffix(".toml"), [(id, one.says) for id, one in read_chapter(chapter)[0].items()])
             for chapter in chapters()]
    found = {**{id: one.says for id, one in findings().items()}, **{id: one.says for id, one in notes().items()}}
    for name, members in [*lists, ("findings about the deck", sorted(found.items()))]:
        chosen = [(id, says) for id, says in members if word.lower() in f"{id} {says}".lower()]
        if chosen:
            yield name, chosen


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
        ("kernel", [] if kernel is None else _kernel(equation.id, kernel)),
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
    """The whole derivation: what is given, the steps, the result, the Python and how it is called."""
    text = _derived_page(id)
    if not text:
        return []
    derived = read(text)
    parts: list[RenderableType] = [Text("given")]
    for item in derived.given:
        head, *formulas = item.split("\n")
        parts += (formula if _is_formula(head) else wrapped)(head)
        parts += [row for line in formulas for row in formula(line, indent=2)]
    parts += [Text(""), Text("steps")]
    target = f"{derived.target} "
    for k, step in enumerate(derived.steps):
        parts += numbered(k + 1, f"{step.rule}{' · ' + step.why if step.why else ''}")
        parts += formula(step.text if k == 0 else " " * len(target) + step.text, indent=3)
    parts += [Text(""), Text("result"), *formula(derived.result, indent=3)]
    parts += [row for remark in derived.remarks for row in wrapped(remark)]
    parts += [Text(""), Text(f'in Python: derived("{id}"), called as {derived.call}'), python(derived.python)]
    both = " and ".join(one.call for one in (derived.jvp, derived.hvp))
    parts += [Text(""), *wrapped(f"along a direction (--jvp, --hvp): {both}")]
    return [*parts, Text(""), *wrapped(derived.checked, style="dim")]


def along(page: str, which: str, width: int = 100) -> RenderableType:
    """The JVP ("jvp") or the Hessian-vector product ("hvp") of a derivation's page: rates, formula, Python."""
    with columns(width):
        derived = read(page)
        one = getattr(derived, which)
        parts: list[RenderableType] = [Rule(Text(f" {derived.id} · {which.upper()} ", style="bold"), align="left",
                                            characters="─"), *wrapped(one.says), Text("")]
        parts += [row for line in one.given for row in formula(line, indent=2)]
        parts += [*formula(one.text, indent=2), Text("")]
        name = f'derived("{derived.id}", which="{which}")'
        return Group(*parts, Padding(Group(*wrapped(f"in Python: {name}, called as {one.call}"), python(one.python)),
                                     (0, 0, 0, 2)), Text())


def _is_formula(line: str) -> bool:
    """x̂_i = …, and not: assumed, sizes, a sentence."""
    return " = " in line and ":" not in line and not line.startswith("any ")


def _derived_page(id: str) -> str:
    if id in _own_pages.get():
        return _own_pages.get()[id]
    path = files(__package__) / "derived" / f"{id.replace('.', '_')}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


_own_pages: ContextVar[Mapping[str, str]] = ContextVar("pages made a moment ago", default=MappingProxyType({}))


@contextmanager
def with_pages(pages: Mapping[str, str]) -> Iterator[None]:
    """Show these derivations, too: somebody's own, made a moment ago."""
    token = _own_pages.set({**_own_pages.get(), **pages})
    try:
        yield
    finally:
        _own_pages.reset(token)


def _gradients(equation: Equation) -> list[RenderableType]:
    """The derived gradients of a record, each with the last line of its derivation."""
    parts: list[RenderableType] = []
    for gradient in load().values():
        text = _derived_page(gradient.id) if gradient.of == equation.id else ""
        if text:
            parts += [Text(gradient.id, style="yellow"), *formula(read(text).result, indent=2)]
    return [*parts, *(entry(f"by {name}", why, "") for name, why in equation.underived.items())]


def _kernel(id: str, source: str) -> list[RenderableType]:
    """The file, and below it what its docstring says of this id."""
    file, _, says = source.partition(f": {id} ")
    return [Text(file), *formula(says, indent=2)] if says else [Text(source)]


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
    return [*parts, *(entry(f"{id} {notes()[id].kind}", notes()[id].says, "") for id in equation.errata
                      if id in notes())]


def _note(note: Note) -> RenderableType:
    """A finding that changes nothing that is computed."""
    rows = [("says", note.says), ("where", f"deck lines {note.lines}"), ("kind", note.kind)]
    title = Text(f" {note.id} · {note.kind} ", style="bold")
    return Group(Rule(title, align="left", characters="─"), table(rows), Text())


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
