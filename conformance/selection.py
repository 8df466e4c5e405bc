"""What a run judges: the backend, its mode, and the cases chosen on the command line."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

from attrs import frozen

from .backend import Backend, BackendError, load
from .judging.cases import DTYPES, Case, cases
from .judging.recipes import FAMILIES


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
    only = tuple(backend.ops) if target is None and ops else tuple(FAMILIES)
    if replay:
        return Selection(backend, where(backend, mode), found(replay, [*cases(), *backend.extra]))
    chosen = [one for op in only for one in (*cases((op,), dtypes or DTYPES, quick), *backend.extra_of(op, quick))]
    return Selection(backend, where(backend, mode), tuple(c for c in chosen if not dtypes or c.dtype in dtypes))


def found(ids: tuple[str, ...], everything: list[Case]) -> tuple[Case, ...]:
    """The cases of these ids."""
    by_id = {case.id: case for case in everything}
    for id in ids:
        if id not in by_id:
            near = get_close_matches(id, by_id, n=3, cutoff=0.5)
            raise BackendError(f"no case {id!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
                               + " `chainrule conform --list -k WORD` shows them")
    return tuple(by_id[id] for id in ids)


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
