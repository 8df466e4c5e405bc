"""Reading spec/*.toml: one frozen record per equation, and a refusal for every key nobody defined."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

KINDS = ("definition", "derivation", "algorithm", "notation", "shape", "count", "claim", "example",
         "convention", "composition", "prose")
STATUSES = ("printed", "corrected", "derived", "external")
SEVERITIES = ("A", "B", "verified")


class SpecError(ValueError):
    """A record that cannot be read; the message names the file, the id and the key."""


class UnknownId(KeyError):
    """No record has this id; the message names near ones."""

    def __init__(self, id: str, known: Iterable[str]):
        near = difflib.get_close_matches(id, list(known), n=3, cutoff=0.5)
        hint = f" Near: {', '.join(near)}." if near else " `chainrule show --list` lists them all."
        super().__init__(f"no record has the id {id!r}.{hint}")

    def __str__(self) -> str:
        return str(self.args[0])


def _frozen_map(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return MappingProxyType(dict(value or {}))


def _table() -> Any:
    return attrs.field(factory=dict, converter=_frozen_map)


def _list() -> Any:
    return attrs.field(default=(), converter=tuple)


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any, Any, str], None]:
    def check(instance: Any, attribute: Any, value: str) -> None:
        if value not in allowed:
            raise SpecError(f'key "{attribute.name}": {value!r} is not one of {", ".join(allowed)}')
    return check


@attrs.frozen
class Form:
    """One printed spelling, byte for byte, and its deck lines; `also`: other records it touches."""
    latex: str
    lines: tuple[int, ...] = _list()
    also: tuple[str, ...] = _list()


@attrs.frozen
class Reading:
    """What a loose formula is taken to mean, and why."""
    name: str
    says: str
    because: str


@attrs.frozen
class Trap:
    """A point that has broken real code. `kind` is "error", or "convention" where no value is wrong."""
    name: str
    at: Mapping[str, float] = _table()
    why: str = attrs.field(kw_only=True)
    seen: tuple[str, ...] = _list()
    kind: str = attrs.field(default="error", validator=_one_of(("error", "convention")))


@attrs.frozen
class Example:
    """Worked numbers: every input and the full expected output."""
    source: str
    inputs: Mapping[str, Any] = _table()
    output: Any = attrs.field(kw_only=True)
    printed: bool = False


@attrs.frozen
class Equation:
    """A record. `value` is the machine form; its free indices and their ranges are `index`.

    Each name in `wrt` has a gradient record of its own, or its reason in `underived`.
    """
    id: str
    kind: str = attrs.field(validator=_one_of(KINDS))
    status: str = attrs.field(validator=_one_of(STATUSES))
    says: str
    slide: str = ""
    lines: tuple[int, ...] = _list()
    forms: tuple[Form, ...] = _list()
    of: str = ""
    source: str = ""
    code: str = ""
    assumes: tuple[str, ...] = _list()
    sizes: Mapping[str, str] = _table()
    arrays: Mapping[str, str] = _table()
    symbols: Mapping[str, str] = _table()
    defaults: Mapping[str, str] = _table()
    index: Mapping[str, str] = _table()
    value: str | None = None
    stable: str | None = None
    stable_prime: str | None = None
    wrt: tuple[str, ...] = _list()
    underived: Mapping[str, str] = _table()
    errata: tuple[str, ...] = _list()
    readings: tuple[Reading, ...] = _list()
    traps: tuple[Trap, ...] = _list()
    examples: tuple[Example, ...] = _list()

    @property
    def deck_lines(self) -> tuple[int, ...]:
        return tuple(sorted({*self.lines, *(line for form in self.forms for line in form.lines)}))


@attrs.frozen
class Erratum:
    """A finding about the deck, with the name of the proof, or one sentence why there can be none."""
    id: str
    severity: str = attrs.field(validator=_one_of(SEVERITIES))
    lines: tuple[int, ...] = _list()
    touches: tuple[str, ...] = _list()
    says: str = attrs.field(kw_only=True)
    otherwise: str = attrs.field(kw_only=True)
    resolution: str = attrs.field(kw_only=True)
    proof: str = ""
    unprovable: str = ""


@attrs.frozen
class Note:
    """What is loose, lost or mistyped in the deck, and changes nothing that is computed."""
    id: str
    lines: str
    says: str
    kind: str


Record = TypeVar("Record", Form, Reading, Trap, Example, Equation, Erratum, Note)
# key in the file -> (field, class of its entries)
_NESTED: dict[str, tuple[str, Any]] = {
    "form": ("forms", Form), "reading": ("readings", Reading),
    "trap": ("traps", Trap), "example": ("examples", Example),
}


def _keys(cls: type) -> list[str]:
    names = [field.name for field in attrs.fields(cls)]
    singular = {field: key for key, (field, _) in _NESTED.items()}
    keys = [singular.get(name, name) for name in names]
    return [*keys, "latex"] if cls is Equation else keys


def _build(cls: type[Record], table: Mapping[str, Any], where: str) -> Record:
    """One attrs object from one TOML table."""
    known = _keys(cls)
    for key in table:
        if key not in known:
            raise SpecError(f'{where}, key "{key}" is not known. Keys: {" ".join(known)}')
    values = dict(table)
    if cls is Equation and "latex" in values:       # the usual case: one spelling, on the record's own lines
        values["form"] = [{"latex": values.pop("latex"), "lines": values.pop("lines", [])}]
    for key, (field, nested) in _NESTED.items():
        if key in values and field in {f.name for f in attrs.fields(cls)}:
            values[field] = [_build(nested, entry, f"{where}, {key}") for entry in values.pop(key)]
    try:
        return cls(**values)
    except SpecError as error:
        raise SpecError(f"{where}, {error}") from None
    except TypeError:
        needed = [f.name for f in attrs.fields(cls) if f.default is attrs.NOTHING and f.name not in values]
        raise SpecError(f"{where}, missing: {' '.join(needed)}") from None


def read(path: Path | Any) -> tuple[dict[str, Equation], dict[str, Erratum]]:
    """The equations and the errata of one chapter."""
    name = f"spec/{path.name}" if path.name in {chapter.name for chapter in chapters()} else path.name
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{name} is not TOML: {error}") from None
    for key in tables:
        if key not in ("equation", "erratum"):
            raise SpecError(f'{name}, table "{key}" is not known. Tables: equation erratum')
    equations = _careful(_gather(Equation, tables.get("equation", []), name, "equation"))
    errata = _gather(Erratum, tables.get("erratum", []), name, "erratum")
    return equations, errata


def _gather(cls: type[Record], tables: Iterable[Any], file: str, kind: str) -> dict[str, Record]:
    found: dict[str, Any] = {}
    for table in tables:
        where = f'{file}: {kind} "{table.get("id", "without an id")}"'
        record: Any = _build(cls, table, where)
        if record.id in found:
            raise SpecError(f"{where} is defined twice")
        found[record.id] = record
    return found


def _careful(equations: dict[str, Equation]) -> dict[str, Equation]:
    """A derivative that writes no careful form has the one that its record writes for it."""
    return {id: attrs.evolve(one, stable=of.stable_prime)
            if one.stable is None and (of := equations.get(one.of)) and (of.wrt, of.symbols) == (one.wrt, one.symbols)
            else one for id, one in equations.items()}


OTHERS = ("deck.toml", "notes.toml")


def chapters() -> list[Any]:
    """The TOML files of this package that hold records, in name order."""
    tables = [f for f in files(__package__).iterdir() if f.name.endswith(".toml") and f.name not in OTHERS]
    return sorted(tables, key=lambda f: f.name)


@cache
def digest() -> str:
    """What the records say, as a number in hexadecimal: verdicts under two specs are not about the same equations."""
    texts = sorted((file.name, file.read_bytes()) for file in chapters())
    return hashlib.sha256(b"".join(name.encode() + b"\0" + text for name, text in texts)).hexdigest()[:16]


@cache
def _everything() -> tuple[Mapping[str, Equation], Mapping[str, Erratum]]:
    equations: dict[str, Equation] = {}
    errata: dict[str, Erratum] = {}
    for chapter in chapters():
        more, findings = read(chapter)
        for id in {*equations} & {*more} | {*errata} & {*findings}:
            raise SpecError(f'spec/{chapter.name}: "{id}" is already defined in another chapter')
        equations.update(more)
        errata.update(findings)
    return MappingProxyType(equations), MappingProxyType(errata)


_beside: ContextVar[Mapping[str, Equation]] = ContextVar("records beside the deck's", default=MappingProxyType({}))


@contextmanager
def beside(path: Path | str) -> Iterator[Mapping[str, Equation]]:
    """While this holds, `load` and `get` know the records of this file, too: somebody's own equations.

    SpecError says what cannot be read, and which id the deck has already.
    """
    try:
        found, _ = read(Path(path))
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    taken = sorted({*found} & {*_everything()[0]})
    if taken:
        raise SpecError(f"{Path(path).name}: the deck's records have the id {taken[0]} already; take another")
    token = _beside.set(MappingProxyType({**_beside.get(), **found}))
    try:
        yield found
    finally:
        _beside.reset(token)


@cache
def notes() -> Mapping[str, Note]:
    """What is loose, lost or mistyped in the deck, by number: the findings that change nothing that is computed."""
    tables = tomllib.loads((files(__package__) / "notes.toml").read_text(encoding="utf-8"))["note"]
    return MappingProxyType(_gather(Note, tables, "spec/notes.toml", "note"))


def load() -> Mapping[str, Equation]:
    """Every record, by id."""
    own = _beside.get()
    return {**_everything()[0], **own} if own else _everything()[0]


def findings() -> Mapping[str, Erratum]:
    """Every finding of severity A or B and every verified claim, by number."""
    return _everything()[1]


def get(id: str) -> Equation:
    """The record of this id; UnknownId names near ones."""
    try:
        return load()[id]
    except KeyError:
        raise UnknownId(id, load()) from None
