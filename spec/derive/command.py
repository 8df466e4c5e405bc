"""`chainrule derive` writes the derivations; `chainrule derive --check` makes them again and compares every byte."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import sympy as sp

from ... import sort_of, write_whole
from ..expressions import FormError
from . import origin, pages, second
from .proof import misprint, prove
from .report import Finding, Report
from .rules import RuleError
from .steps import Derivation

FOLDER = Path(__file__).resolve().parent.parent / "derived"
DIGESTS = "digests.json"
Progress = Callable[[str, int, int], None]                            # (id, number done, number of all)


class UnknownDerivation(KeyError):
    """No derivation has this id."""

    def __str__(self) -> str:
        return str(self.args[0])


def ours() -> Any:
    """The deck's own chapters; importing them takes a while."""
    from .chapters import OURS
    return OURS


@contextmanager
def at_door(door: str | None) -> Iterator[Any]:
    """Whose derivations: the deck's, those of module:chapters, or what a TOML file's records give by themselves."""
    from .chapters import Chapters
    if door is None:
        yield ours()
        return
    chapters = Chapters(records=door) if door.endswith(".toml") else _imported(door)
    if not isinstance(chapters, Chapters):
        raise UnknownDerivation(f"{door} is no Chapters, but {sort_of(chapters)}; make one with "
                                "chainrule.spec.derive.chapters.Chapters")
    with chapters.opened() as opened:
        if not opened.makers:
            raise UnknownDerivation(f"{door} has no derivation: no maker, and no gradient record of a scalar one")
        yield opened


def _imported(door: str) -> Any:
    """What module:attribute names, looked for in the current folder, too."""
    module, _, attribute = door.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as missing:
        raise UnknownDerivation(f"there is no module {missing.name!r} here or installed") from None
    except AttributeError:
        raise UnknownDerivation(f"the module {module} has no {attribute!r}") from None


def ids(chapters: Any = None) -> tuple[str, ...]:
    """The ids of all derivations, in the order of the chapters."""
    return tuple((chapters or ours()).makers)


def make(id: str, chapters: Any = None) -> Derivation:
    """The derivation of this id, made afresh."""
    makers = (chapters or ours()).makers
    _known(id, makers)
    derivation: Derivation = makers[id](id)
    return derivation


def page_of(id: str, chapters: Any = None) -> str:
    """The Markdown page of a derivation that proves, made afresh; UnknownDerivation says what does not hold."""
    proof = _prove(id, chapters)
    if proof.failure:
        raise UnknownDerivation(proof.failure)
    return proof.texts[f"{pages.function_name(id)}.md"]


def _known(id: str, makers: dict[str, Any]) -> None:
    if id not in makers:
        near = difflib.get_close_matches(id, makers, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`chainrule derive` makes all"
        raise UnknownDerivation(f"no derivation {id!r}; {hint}")


def derive(
    ids: Iterable[str] | None = None, out: str | Path | None = None, progress: Progress | None = None,
    chapters: Any = None,
) -> Report:
    """Make, prove and write derivations, the deck's or those of other chapters. What does not prove is not written."""
    folder = Path(out) if out is not None else FOLDER
    digests = dict(_digests(folder)["digests"])
    records = dict(_digests(folder)["records"])
    findings = []
    for id in _each(ids, progress, chapters):
        start = time.perf_counter()
        proof = _prove(id, chapters)
        state, message = ("written", "") if proof.failure is None else ("wrong", proof.failure)
        if state == "written":
            digests[id], records[id] = proof.digest, proof.records
            message = _save(id, folder, {**proof.texts, DIGESTS: _manifest(digests, records)})
            state = "wrong" if message else state
        findings.append(Finding(id, state, message, proof.compared, time.perf_counter() - start))
    return Report(tuple(findings), sp.__version__, sp.__version__)


@attrs.frozen
class Proof:
    """A derivation made afresh: its texts by file name, the digest of its steps, and what does not hold."""

    texts: dict[str, str] = attrs.field(factory=dict)
    digest: str = ""
    compared: int = 0
    failure: str | None = None
    derivation: Derivation | None = None
    records: dict[str, str] = attrs.field(factory=dict)
    moved: bool = False


def _prove(id: str, chapters: Any = None) -> Proof:
    try:
        derivation = make(id, chapters)
        name = pages.function_name(id)
        texts = {f"{name}.py": pages.module(derivation), f"{name}.md": pages.page(derivation)}
    except (RuleError, FormError, TypeError) as error:
        return Proof(failure=f"{id}: a step cannot be made: {error}")
    verdict = prove(derivation, function_of(texts[f"{name}.py"], id))
    functions = {which: function_of(texts[f"{name}.py"], id, which) for which in ("jvp", "hvp")}
    failure, compared = verdict.failure or misprint(derivation, texts[f"{name}.md"]) or None, 0
    if failure is None:
        compared, wrong = second.prove(derivation, functions, texts[f"{name}.md"])
        failure = wrong or None
    return Proof(texts, pages.digest(derivation), verdict.compared + compared, failure, derivation,
                 origin.records_of(derivation), verdict.moved)


def _save(id: str, folder: Path, texts: dict[str, str]) -> str:
    """Write the files; what went wrong, or nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(folder / name, text)
    except OSError as error:
        return f"{id}: cannot write into {folder} ({error.strerror}); name another folder with --out"
    return ""


def _manifest(digests: dict[str, str], records: dict[str, dict[str, str]]) -> str:
    """The digests of the steps, and of the machine forms of the records that each derivation rests on."""
    return json.dumps({"sympy": sp.__version__, "digests": dict(sorted(digests.items())),
                       "records": dict(sorted(records.items()))}, indent=1) + "\n"


def check(
    ids: Iterable[str] | None = None, folder: str | Path | None = None, progress: Progress | None = None,
    chapters: Any = None,
) -> Report:
    """Make derivations again in memory, prove each step, and compare with the files. Writes nothing."""
    where = Path(folder) if folder is not None else FOLDER
    committed = _digests(where)
    findings = [_check_one(id, where, committed, chapters) for id in _each(ids, progress, chapters)]
    if ids is None:
        findings += _strangers(where, chapters)
    return Report(tuple(findings), sp.__version__, committed["sympy"])


def _each(chosen: Iterable[str] | None, progress: Progress | None, chapters: Any) -> Iterator[str]:
    every = ids(chapters) if chosen is None else tuple(chosen)
    for id in every:
        _known(id, (chapters or ours()).makers)
    for number, id in enumerate(every):
        if progress is not None:
            progress(id, number, len(every))
        yield id
    if progress is not None and every:
        progress("", len(every), len(every))


def _check_one(id: str, folder: Path, manifest: dict[str, Any], chapters: Any) -> Finding:
    committed, records = manifest["digests"].get(id), manifest["records"].get(id, {})
    start = time.perf_counter()
    proof = _prove(id, chapters)
    state, message = ("same", "") if proof.failure is None else ("wrong", proof.failure)
    changed = [of for of, form in proof.records.items() if records.get(of) != form]
    if proof.moved:
        message += f": {', '.join(changed)} has moved" if changed else ": the record stands, the derivation moved"
    for name, fresh in proof.texts.items():
        if state == "same":
            state, message = _compare(id, folder / name, fresh, proof, committed)
    if state == "same" and committed != proof.digest:
        state = "form"
        message = f"{id}: {DIGESTS} has another digest of its steps; run `chainrule derive {id}`"
    if state == "same" and changed:
        state = "form"
        message = f"{id}: the machine form of {', '.join(changed)} has other words now; run `chainrule derive {id}`"
    if state != "same" and changed and not proof.moved:
        message += f" (the record {', '.join(changed)} has changed)"
    return Finding(id, state, message, proof.compared, time.perf_counter() - start)


def _compare(id: str, path: Path, fresh: str, proof: Proof, committed: str | None) -> tuple[str, str]:
    """One file with what it should be."""
    if not path.exists():
        return "wrong", f"{id}: {path.name} is missing; run `chainrule derive {id}`"
    found = path.read_text(encoding="utf-8")
    if found == fresh:
        return "same", ""
    state = _judge(id, path, proof, committed)
    what = "the same function in other words" if state == "form" else "not what the derivation gives"
    return state, f"{id}: {path.name} {_first_difference(found, fresh)} is {what}; run `chainrule derive {id}`"


def _judge(id: str, path: Path, proof: Proof, committed: str | None) -> str:
    """`form` if the committed Python still equals the last step, and, for a page, its steps were printed from others.

    A page whose steps have the committed digest and whose text differs was edited by hand: that is wrong.
    """
    if path.suffix == ".md" and committed == proof.digest:
        return "wrong"
    try:
        function = function_of(path.with_suffix(".py").read_text(encoding="utf-8"), id)
    except Exception:                                                # an edited file may fail in any way
        return "wrong"
    assert proof.derivation is not None
    both = {which: function_of(path.with_suffix(".py").read_text(encoding="utf-8"), id, which)
            for which in ("jvp", "hvp")}
    return "wrong" if prove(proof.derivation, function).failure or second.prove(proof.derivation, both)[1] else "form"


def _first_difference(found: str, fresh: str) -> str:
    """Where two texts part: the line, and the step it belongs to."""
    old, new = found.splitlines(), fresh.splitlines()
    line = next((k for k, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    step = ""
    for text in new[:line + 1]:
        title = re.match(r"(\d+)\. \*\*(.+?)\*\*", text)
        if title:
            step = f", step {title[1]} ({title[2]}),"
        elif text.startswith("## "):
            step = f", {text[3:]},"
    return f"line {line + 1}{step}"


def _strangers(folder: Path, chapters: Any = None) -> list[Finding]:
    """Files that no derivation makes."""
    expected = {pages.function_name(id) + s for id in ids(chapters) for s in (".py", ".md")} | {DIGESTS, "__init__.py"}
    present = sorted(p.name for p in folder.glob("*") if p.is_file())
    return [Finding(name, "wrong", f"{name}: no derivation makes this file; delete it")
            for name in present if name not in expected]


def function_of(source: str, id: str, which: str = "") -> Any:
    """The function that a generated module defines; `which` is "jvp" or "hvp" for those along a direction."""
    space: dict[str, Any] = {}
    exec(compile(source, f"<derivation {id}>", "exec"), space)
    return space[pages.function_name(id) + (which and f"_{which}")]


def _digests(folder: Path) -> dict[str, Any]:
    path = folder / DIGESTS
    if not path.exists():
        return {"sympy": None, "digests": {}, "records": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {"records": {}, **found}
