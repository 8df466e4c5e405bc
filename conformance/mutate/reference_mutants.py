"""Deliberately wrong references: every small change to a formula's code must be noticed by the checks.

A mutant is the reference package with one node of one module changed, loaded in this process under another name.
No mutant loops longer than the original, because the reference has no `while`.
"""

from __future__ import annotations

import ast
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from attrs import field, frozen

from ... import reference
from .edits import Edit, edits
from .reference_checks import CHECKS
from .reference_equivalents import EQUIVALENT

PRIVATE = "_mutated_reference"
Check = Callable[[Any], None]


@frozen
class Summary:
    """What became of every mutant; the four counts add up to the total."""

    killed: int
    survived: tuple[str, ...]
    equivalent: int
    error: tuple[str, ...]
    seconds: float = field(eq=False)

    @property
    def total(self) -> int:
        return self.killed + len(self.survived) + self.equivalent + len(self.error)

    @property
    def score(self) -> float:
        """The share killed of those that could be."""
        able = self.total - self.equivalent
        return self.killed / able if able else 0.0

    @property
    def passed(self) -> bool:
        return self.score >= REQUIRED and not self.error


REQUIRED = 0.99


def sources() -> dict[str, ast.Module]:
    """The reference's modules, parsed; what only prints is left out."""
    folder = Path(next(iter(reference.__path__)))
    return {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))
            if path.stem != "__main__"}


class Served(MetaPathFinder, Loader):
    """Serves compiled modules as a private package."""

    def __init__(self, codes: dict[str, CodeType]) -> None:
        self.codes = codes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package != PRIVATE or (module or "__init__") not in self.codes:
            return None
        return ModuleSpec(name, self, is_package=not module)

    def exec_module(self, module: ModuleType) -> None:
        _, _, name = module.__name__.partition(".")
        exec(self.codes[name or "__init__"], module.__dict__)


@contextmanager
def loaded(codes: dict[str, CodeType]) -> Iterator[Any]:
    """The private copy of the package, gone again afterwards."""
    finder = Served(codes)
    sys.meta_path.insert(0, finder)
    try:
        yield __import__(PRIVATE)
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] == PRIVATE]:
            del sys.modules[name]


def killer(codes: dict[str, CodeType], checks: Iterable[Check]) -> Check | str | None:
    """The first check that notices, "import" if the package does not even load, or None."""
    try:
        with loaded(codes) as R:
            for check in checks:
                try:
                    check(R)
                except Exception:
                    return check
    except Exception:
        return "import"
    return None


def run(progress: Callable[[int, int], None] | None = None, checks: Sequence[Check] = CHECKS,
        only: Callable[[Edit], bool] = lambda edit: True) -> Summary:
    """Make every mutant and let the checks look for it; those that killed a function's last mutant look first."""
    start = time.monotonic()
    trees = sources()
    codes = {name: compile(tree, f"<{name}>", "exec") for name, tree in trees.items()}
    if (found := killer(codes, checks)) is not None:
        raise AssertionError(f"the reference itself fails {found}; mutants would tell nothing")
    todo = [edit for name, tree in trees.items() for edit in edits(name, tree) if only(edit)]
    counts = {"killed": 0, "equivalent": 0}
    survived, error, recent = [], [], dict[str, list[Check]]()
    for done, edit in enumerate(todo):
        if progress:
            progress(done, len(todo))
        first = recent.setdefault(edit.function, [])
        try:
            with warnings.catch_warnings(), edit.applied():
                warnings.simplefilter("ignore")
                mutant = {**codes, edit.module: compile(trees[edit.module], f"<{edit.module}>", "exec")}
                found = killer(mutant, [*first, *(check for check in checks if check not in first)])
        except (SyntaxError, ValueError, TypeError) as problem:
            error.append(f"{edit}: {problem}")
            continue
        if found is None:
            if str(edit) in EQUIVALENT:
                counts["equivalent"] += 1
            else:
                survived.append(str(edit))
        else:
            counts["killed"] += 1
            if not isinstance(found, str) and found not in first:
                first.insert(0, found)
    return Summary(counts["killed"], tuple(survived), counts["equivalent"], tuple(error), time.monotonic() - start)
