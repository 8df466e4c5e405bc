"""Where an equation stands in Python: its reference function, its kernel, the scalar function inside the kernel."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from .. import reference


def reference_source(id: str) -> str | None:
    """The Python of the reference function with this id."""
    function = reference.FUNCTIONS.get(id)
    return inspect.getsource(function) if function is not None else None


@cache
def _kernel_files() -> tuple[tuple[str, str], ...]:
    with as_file(files("chainrule.triton_kernels")) as folder:
        return tuple((file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8"))
                     for file in sorted(Path(folder).rglob("*.py")))


def kernel_source(id: str) -> str | None:
    """Which kernel file speaks of this id, and the line of its docstring that does."""
    for file, text in _kernel_files():
        if "@triton.jit" in text:
            for line in text.partition('"""')[2].partition('"""')[0].splitlines():
                if id in line.split():
                    return f"triton_kernels/{file}: {' '.join(line.split())}"
    return None


@cache
def _scalar_functions() -> dict[str, str]:
    """The `@triton.jit` function of each record that was proved to be it; nothing where Triton is absent."""
    try:
        from ..conformance.proofs.symbolic_execution import claims
    except ModuleNotFoundError:
        return {}
    found: dict[str, str] = {}
    for claim in claims():
        found.setdefault(claim.name.partition(",")[0], inspect.getsource(claim.function.fn))
    return found


def scalar_source(id: str) -> str | None:
    """The scalar body of an equation's kernel."""
    return _scalar_functions().get(id)
