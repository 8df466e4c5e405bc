"""Which kernels Triton's front end has taken before, in this process or another: a line a signature, in a file beside
Triton's own cache. Only what was taken is remembered; why something is refused is found anew."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import triton
from triton.runtime.jit import JITCallable

from . import internals, undefined

_known: dict[Path, set[str]] = {}
_read: dict[Path, int] = {}                       # how far: other processes add to the file

_RULES = hashlib.sha256(Path(undefined.__file__).read_bytes()).hexdigest()       # what is looked for besides


def name_of(kernel: Any, kinds: Any, constants: dict[Any, Any], target: Any, given: dict[str, Any]) -> str | None:
    """A kernel with its signature and the options given, by all that the front end looks at; None if a constant is
    nothing plain."""
    try:
        parts = [triton.__version__, _RULES, str(target), kernel.cache_key, str(kinds), repr(sorted(given.items())),
                 *(f"{path}={plain(value)}" for path, value in sorted(constants.items()))]
    except (RuntimeError, TypeError):            # Triton cannot hash what it refers to, or it is nothing plain
        return None
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({','.join(map(plain, value))})"
    value = getattr(value, "value", value)
    if isinstance(value, JITCallable):
        return str(value.cache_key)
    if value is None or isinstance(value, bool | int | float | str | internals.DTYPE):
        return f"{type(value).__name__} {value!r}"
    raise TypeError(f"{value!r} is nothing plain")


def known(name: str | None) -> bool:
    return name is not None and name in _names(_file())


def remember(name: str | None) -> None:
    if name is None or name in _names(_file()):
        return
    file = _file()
    _names(file).add(name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:               # one short line at once: processes may share the file
            out.write(name + "\n")
    except OSError:                               # a cache that cannot be written: each process finds out for itself
        return


def _file() -> Path:
    home = os.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton" / "cache"
    return Path(home) / "chainrule-front-end.txt"


def _names(file: Path) -> set[str]:
    names, so_far = _known.setdefault(file, set()), _read.get(file, 0)
    try:
        if file.stat().st_size > so_far:
            with file.open("rb") as lines:
                lines.seek(so_far)
                new = lines.read()
            whole = new[:new.rfind(b"\n") + 1]
            names.update(whole.decode("ascii", "ignore").split())
            _read[file] = so_far + len(whole)
    except OSError:                               # none yet, or none that can be read
        return names
    return names
