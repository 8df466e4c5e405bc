"""Nothing the deck prints is lost: every formula is claimed by exactly one record, verbatim, at its lines.

With the deck at hand `judge` compares it with the records. Without it `recall` compares the records with what
was written down when the deck was last read: for each line, a digest of the formulas on it (spec/deck.toml).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.resources import files

import attrs

from .records import Equation

DISPLAY = re.compile(r"\$\$(.+?)\$\$")
INLINE = re.compile(r"(?<!\$)\$([^$]+)\$(?!\$)")


@attrs.frozen
class Coverage:
    """What a deck prints and how much of it the records claim."""
    formulas: int
    places: int
    claimed: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.claimed} of {self.formulas} formulas claimed, in {self.places} places"
        return "\n".join([head, *self.problems])


def normal(latex: str) -> str:
    """White space is not part of a formula."""
    return re.sub(r"\s+", " ", latex.strip())


def printed(text: str) -> Iterator[tuple[int, str]]:
    """Every place: (line, formula)."""
    for number, line in enumerate(text.split("\n"), 1):
        for match in DISPLAY.finditer(line):
            yield number, normal(match[1])
        for match in INLINE.finditer(DISPLAY.sub("", line)):
            yield number, normal(match[1])


def formulas(text: str) -> dict[str, list[int]]:
    """Each distinct formula of a deck and the lines it stands on, a line once per occurrence."""
    found: dict[str, list[int]] = {}
    for number, latex in printed(text):
        found.setdefault(latex, []).append(number)
    return found


def claims(records: Mapping[str, Equation]) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """Each formula that a record says is printed: (id, lines) of every claimant."""
    found: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for record in records.values():
        for form in record.forms:
            if form.lines:
                found.setdefault(normal(form.latex), []).append((record.id, form.lines))
    return found


def judge(text: str, records: Mapping[str, Equation]) -> Coverage:
    """Compare a deck with the records."""
    deck, claimed = formulas(text), claims(records)
    problems = [*_formula_problems(deck, claimed), *_text_problems(text.split("\n"), records)]
    once = sum(len(claimed.get(latex, ())) == 1 for latex in deck)
    return Coverage(len(deck), sum(map(len, deck.values())), once, tuple(problems))


def _formula_problems(deck: Mapping[str, list[int]],
                      claimed: Mapping[str, list[tuple[str, tuple[int, ...]]]]) -> Iterator[str]:
    for latex, lines in deck.items():
        claimants = claimed.get(latex, [])
        if not claimants:
            yield f"line {lines[0]}: no record claims {latex}"
        if len(claimants) > 1:
            yield f"line {lines[0]}: {' and '.join(id for id, _ in claimants)} both claim {latex}"
        for id, own in claimants:
            if more := sorted((Counter(lines) - Counter(own)).elements()):
                yield f"{id}: {latex} stands on lines {more} too"
            if fewer := sorted((Counter(own) - Counter(lines)).elements()):
                yield f"{id}: {latex} does not stand on lines {fewer}"
    for latex, claimants in claimed.items():
        if latex not in deck:
            yield f"{claimants[0][0]}: the deck does not print {latex}"


def _text_problems(deck: list[str], records: Mapping[str, Equation]) -> Iterator[str]:
    titles = {normal(line) for line in deck}
    for record in records.values():
        if record.slide and not any(line.startswith(record.slide) for line in titles):
            yield f"{record.id}: no slide is called {record.slide!r}"
        for form in record.forms:
            if absent := [line for line in form.lines if form.latex not in "".join(deck[line - 1:line])]:
                yield f"{record.id}: {form.latex} does not stand verbatim on lines {absent}"
        for line in record.lines:
            if line > len(deck) or not deck[line - 1].strip():
                yield f"{record.id}: deck line {line} is empty"
        code = [normal(line) for line in record.code.split("\n") if line.strip()]
        if code and code != [normal(deck[line - 1]) for line in record.lines]:
            yield f"{record.id}: its code is not what stands on its lines"


# ------------------------------------------------------------------------------------------ without the deck

def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def remember(text: str) -> str:
    """The content of spec/deck.toml: the sha256 of the deck, and of the formulas on each of its lines."""
    lines: dict[int, list[str]] = {}
    for number, latex in printed(text):
        lines.setdefault(number, []).append(latex)
    deck = formulas(text)
    return "\n".join([
        "# Made by `python -m chainrule.spec.coverage DECK`: what the deck printed when it was last read.",
        "# A digest is the start of the sha256 of the formulas on that line.",
        f'sha256 = "{hashlib.sha256(text.encode()).hexdigest()}"',
        f"formulas = {len(deck)}",
        f"places = {sum(map(len, deck.values()))}",
        "", "[lines]",
        *(f'{number} = "{_digest(sorted(found))}"' for number, found in sorted(lines.items())),
    ]) + "\n"


def recall(records: Mapping[str, Equation]) -> Coverage:
    """Compare the records with what was remembered; for use where the deck is not at hand."""
    memory = tomllib.loads((files(__package__) / "deck.toml").read_text(encoding="utf-8"))
    lines: dict[str, list[str]] = {}
    claimed = claims(records)
    for latex, claimants in claimed.items():
        for _, own in claimants:
            for line in own:
                lines.setdefault(str(line), []).append(latex)
    problems = [f"line {line}: what the records claim is not what the deck printed"
                for line in sorted({*lines, *memory["lines"]}, key=int)
                if _digest(sorted(lines.get(line, []))) != memory["lines"].get(line)]
    once = sum(len(claimants) == 1 for claimants in claimed.values())
    return Coverage(memory["formulas"], sum(map(len, lines.values())), once, tuple(problems))


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from .records import load

    deck = Path(sys.argv[1]).read_text(encoding="utf-8")
    (Path(__file__).parent / "deck.toml").write_text(remember(deck), encoding="utf-8")
    print(judge(deck, load()))
