"""`chainrule derive` writes the derivations; `chainrule derive --check` makes them again and compares every byte."""

from __future__ import annotations

import difflib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import sympy as sp

from . import pages
from .proof import prove
from .steps import Derivation

FOLDER = Path(__file__).resolve().parent.parent / "derived"
DIGESTS = "digests.json"
Progress = Callable[[str, int, int], None]                            # (id, number done, number of all)


class UnknownDerivation(KeyError):
    """No derivation has this id."""

    def __str__(self) -> str:
        return str(self.args[0])


@attrs.frozen
class Finding:
    """One derivation: `same`, `form` (equal over the field, other text), `wrong`, or `written`."""

    id: str
    state: str
    message: str = ""
    compared: int = 0
    seconds: float = 0.0


@attrs.frozen
class Report:
    """What a run found. `status` is its exit code: text that differs is excused only under another SymPy."""

    findings: tuple[Finding, ...]
    sympy: str
    committed_with: str | None = None

    @property
    def status(self) -> int:
        if not self.findings:
            return 3
        excused = {"same", "written"} | ({"form"} if self.sympy != self.committed_with else set())
        return int(any(f.state not in excused for f in self.findings))

    @property
    def ok(self) -> bool:
        return self.status == 0

    def text(self) -> str:
        """One line per derivation that is not as it should be, and the totals."""
        lines = [f"{f.state}  {f.message}" for f in self.findings if f.state in ("form", "wrong")]
        counts = {s: sum(f.state == s for f in self.findings) for s in ("written", "same", "form", "wrong")}
        totals = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
        compared = sum(f.compared for f in self.findings)
        seconds = sum(f.seconds for f in self.findings)
        lines.append(f"{len(self.findings)} derivations: {totals}; {compared:,} comparisons in {seconds:.1f} s; "
                     f"SymPy {self.sympy}")
        return "\n".join(lines)


def ids() -> tuple[str, ...]:
    """The ids of all derivations, in the order of the deck's chapters."""
    from .chapters import MAKERS
    return tuple(MAKERS)


def make(id: str) -> Derivation:
    """The derivation of this id, made afresh."""
    from .chapters import MAKERS
    if id not in MAKERS:
        near = difflib.get_close_matches(id, MAKERS, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`chainrule derive` lists all"
        raise UnknownDerivation(f"no derivation {id!r}; {hint}")
    return MAKERS[id](id)


def derive(
    ids: Iterable[str] | None = None, out: str | Path | None = None, progress: Progress | None = None
) -> Report:
    """Make, prove and write derivations. One that does not prove is not written."""
    folder = Path(out) if out is not None else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    committed = _digests(folder)
    digests = dict(committed["digests"])
    findings = []
    for id in _each(ids, progress):
        start = time.perf_counter()
        derivation = make(id)
        texts = {".py": pages.module(derivation), ".md": pages.page(derivation)}
        verdict = prove(derivation, function_of(texts[".py"], id))
        if verdict.failure is None:
            for suffix, text in texts.items():
                _write(folder / (pages.function_name(id) + suffix), text)
            digests[id] = pages.digest(derivation)
        state = "wrong" if verdict.failure else "written"
        seconds = time.perf_counter() - start
        findings.append(Finding(id, state, verdict.failure or "", verdict.compared, seconds))
    known = {"sympy": sp.__version__, "digests": dict(sorted(digests.items()))}
    _write(folder / DIGESTS, json.dumps(known, indent=1) + "\n")
    return Report(tuple(findings), sp.__version__, sp.__version__)


def check(
    ids: Iterable[str] | None = None, folder: str | Path | None = None, progress: Progress | None = None
) -> Report:
    """Make derivations again in memory, prove each step, and compare with the files. Writes nothing."""
    where = Path(folder) if folder is not None else FOLDER
    committed = _digests(where)
    findings = [_check_one(id, where, committed["digests"].get(id)) for id in _each(ids, progress)]
    if ids is None:
        findings += _strangers(where)
    return Report(tuple(findings), sp.__version__, committed["sympy"])


def _each(chosen: Iterable[str] | None, progress: Progress | None) -> Iterator[str]:
    every = ids() if chosen is None else tuple(chosen)
    for number, id in enumerate(every):
        if progress is not None:
            progress(id, number, len(every))
        yield id
    if progress is not None and every:
        progress("", len(every), len(every))


def _check_one(id: str, folder: Path, committed: str | None) -> Finding:
    start = time.perf_counter()
    derivation = make(id)
    texts = {".py": pages.module(derivation), ".md": pages.page(derivation)}
    verdict = prove(derivation, function_of(texts[".py"], id))
    state, message = ("wrong", verdict.failure) if verdict.failure else ("same", "")
    for suffix, fresh in texts.items():
        path = folder / (pages.function_name(id) + suffix)
        if state == "wrong":
            break
        found = path.read_text(encoding="utf-8") if path.exists() else None
        if found == fresh:
            continue
        state, message = "wrong", f"{id}: {path.name} is missing; run `chainrule derive {id}`"
        if found is not None:
            place = _first_difference(found, fresh)
            state = _judge(derivation, folder, suffix, committed)
            what = "the same function in other words" if state == "form" else "not what the derivation gives"
            message = f"{id}: {path.name} {place} is {what}; run `chainrule derive {id}`"
    if state == "same" and committed != pages.digest(derivation):
        state = "form"
        message = f"{id}: {DIGESTS} has another digest of its steps; run `chainrule derive {id}`"
    seconds = time.perf_counter() - start
    return Finding(id, state, message or "", verdict.compared, seconds)


def _judge(derivation: Derivation, folder: Path, suffix: str, committed: str | None) -> str:
    """`form` if the committed Python still equals the last step, and, for a page, its steps were printed from others.

    A page whose steps have the committed digest and whose text differs was edited by hand: that is wrong.
    """
    if suffix == ".md" and committed == pages.digest(derivation):
        return "wrong"
    path = folder / (pages.function_name(derivation.id) + ".py")
    try:
        function = function_of(path.read_text(encoding="utf-8"), derivation.id)
        return "wrong" if prove(derivation, function).failure else "form"
    except Exception:                                                # an edited file may fail in any way
        return "wrong"


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


def _strangers(folder: Path) -> list[Finding]:
    """Files that no derivation makes."""
    expected = {pages.function_name(id) + s for id in ids() for s in (".py", ".md")} | {DIGESTS, "__init__.py"}
    present = sorted(p.name for p in folder.glob("*") if p.is_file())
    return [Finding(name, "wrong", f"{name}: no derivation makes this file; delete it")
            for name in present if name not in expected]


def function_of(source: str, id: str) -> Any:
    """The function that a generated module defines."""
    space: dict[str, Any] = {}
    exec(compile(source, f"<derivation {id}>", "exec"), space)
    return space[pages.function_name(id)]


def _digests(folder: Path) -> dict[str, Any]:
    path = folder / DIGESTS
    if not path.exists():
        return {"sympy": None, "digests": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
