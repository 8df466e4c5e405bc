"""What a run judges: the backend, its mode, and the cases chosen on the command line."""

from __future__ import annotations

from functools import cache
from typing import Any

from attrs import frozen

from .backend import Backend, BackendError, load
from .cases import DTYPES, Case, cases, find


@frozen
class Selection:
    backend: Backend
    mode: str
    cases: tuple[Case, ...]


@cache
def select(target: str | None = None, *, ops: tuple[str, ...] = (), dtypes: tuple[str, ...] = (), quick: bool = False,
           replay: tuple[str, ...] = (), mode: str = "auto") -> Selection:
    """The cases of a run. Functions given as --op restrict it to their ids when no backend is named."""
    unknown = [d for d in dtypes if d not in DTYPES]
    if unknown:
        raise BackendError(f"--dtype {','.join(unknown)}: the dtypes are {', '.join(DTYPES)}")
    backend = load(target, ops)
    if replay:
        try:
            chosen = tuple(find(id) for id in replay)
        except KeyError as error:
            raise BackendError(str(error.args[0]) + "; `chainrule conform --list` shows the cases") from error
    else:
        only = tuple(backend.ops) if target is None and ops else None
        chosen = tuple(cases(only, dtypes or DTYPES, quick))
    return Selection(backend, where(backend, mode), chosen)


def where(backend: Backend, mode: str) -> str:
    """native on a GPU, simulated for kernels without one, host for plain functions on the CPU."""
    import torch

    gpu = torch.cuda.is_available()
    if mode == "native" and not gpu:
        raise BackendError("--native: torch sees no GPU on this machine; leave the flag out to simulate")
    if mode == "native" or (mode == "auto" and gpu and backend.device == "cuda"):
        return "native"
    return "simulated" if backend.device == "cuda" or mode == "simulated" else "host"


def of(config: Any) -> Selection:
    """The selection of a pytest run."""
    option = config.getoption
    return select(option("--chainrule-backend"), ops=tuple(option("--chainrule-op")),
                  dtypes=tuple(d for d in option("--chainrule-dtype").split(",") if d),
                  quick=option("--chainrule-quick"), replay=tuple(option("--chainrule-case")),
                  mode=option("--chainrule-mode"))
