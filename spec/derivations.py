"""The gradients that SymPy derived, as functions: `derived("conv1d.valid.grad_x")(d, theta)`.

They are the Python of spec/derived/, over any number type; the steps that lead to each stand beside it as Markdown.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .page import DerivationText, read

FOLDER = Path(__file__).resolve().parent / "derived"


class NotDerived(KeyError):
    """No derivation with this id is in spec/derived."""

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def derived_ids() -> tuple[str, ...]:
    """The ids of all derived gradients."""
    digests = json.loads((FOLDER / "digests.json").read_text(encoding="utf-8"))
    return tuple(digests["digests"])


WHICH = ("gradient", "jvp", "hvp")


def derived(id: str, folder: str | Path | None = None, which: str = "gradient") -> Callable[..., Any]:
    """The derived gradient with this id, as a function; somebody's own, from the folder it was written into.

    `which`: "jvp" is how fast the output moves along a direction, "hvp" how fast the gradient does; both take the rates
    (x_dot …) first. ValueError if it is another word.
    """
    if which not in WHICH:
        raise ValueError(f"derived: which is {' or '.join(WHICH)}, not {which!r}")
    if folder is None:
        _known(id)
    name = id.replace(".", "_")
    return _function_in(FOLDER if folder is None else Path(folder).resolve(), name,
                        name if which == "gradient" else f"{name}_{which}")


@cache
def _function_in(folder: Path, name: str, function: str) -> Callable[..., Any]:
    """The function that a generated file defines. Imported as a module it would hide `derived` in the package."""
    path = folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{__package__}.derived.{name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise NotDerived(f"there is no {path}; `chainrule derive module:chapters --out {folder}` writes it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., Any] = getattr(module, function)
    return found


def derivation(id: str) -> DerivationText:
    """The derivation with this id as data: given, steps, result, Python; `.json()` and `.latex()` say it whole."""
    return read(derivation_page(id))


def derivation_page(id: str) -> str:
    """The Markdown page of this derivation: assumptions, steps, result, Python."""
    _known(id)
    page: str = (FOLDER / f"{id.replace('.', '_')}.md").read_text(encoding="utf-8")
    return page


def _known(id: str) -> None:
    if id not in derived_ids():
        near = difflib.get_close_matches(id, derived_ids(), n=3, cutoff=0.5)
        raise NotDerived(f"no derivation {id!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))
