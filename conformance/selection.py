"""What a run judges: the backend, its mode, and the cases chosen on the command line."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any

from _pytest.mark.expression import Expression
from attrs import evolve, field, frozen

from .backend import BUILT_IN, Backend, BackendError, load
from .judging.cases import DTYPES, FIELD, Case, beyond, case_of, cases, field_cases, fuzzed
from .judging.recipes import FAMILIES
from .known_failures import listed

UNMATCHED = 100              # cases drawn for each one that is to match -k


@frozen
class Selection:
    backend: Backend
    mode: str
    cases: tuple[Case, ...]
    undefined: str = "report"    # what becomes of lanes that a mask turns off and no `other` fills (`judge`)
    known: dict[str, str] = field(factory=dict)          # failures that are known, and why


def select(target: str | None = None, *, xfail: str = "", **how: Any) -> Selection:
    """The cases of a run, and the failures that are known of its backend: found once, however it is asked for."""
    return once(target, xfail, tuple(sorted((name, value) for name, value in how.items() if value)))


@cache
def once(target: str | None, xfail: str, how: tuple[tuple[str, Any], ...]) -> Selection:
    chosen, known = _selected(target, **dict(how)), listed(xfail)
    if known:
        try:
            found(tuple(known), chosen.backend)
        except BackendError as why:
            raise BackendError(f"--xfail {xfail}: {why}") from None
    return evolve(chosen, known=known)


def _selected(target: str | None, *, ops: tuple[str, ...] = (), dtypes: tuple[str, ...] = (), quick: bool = False,
              replay: tuple[str, ...] = (), mode: str = "auto", keyword: str = "", levels: bool = False,
              exactly: bool = False, undefined: str = "", fuzz: int = 0, seed: int = 0) -> Selection:
    """The cases of a run; with `exactly` those over the exact field alone, with `fuzz` so many drawn at random from
    `seed`. Functions given as --op restrict it to their ids when no backend is named. With `levels` no dtype sees every
    pair of levels, and each sees every level."""
    wanted_by = matching(keyword)
    unknown = [d for d in dtypes if d not in DTYPES]
    if unknown:
        raise BackendError(f"--dtype {','.join(unknown)}: the dtypes are {', '.join(DTYPES)}")
    backend = load(target, ops)
    only = tuple(backend.ops) if target is None and ops else tuple(FAMILIES)
    undefined = undefined or ("poison" if ours(target, ops) else "report")
    if replay:
        return Selection(backend, where(backend, mode), found(replay, backend), undefined)
    wanted = tuple(d for d in DTYPES if d in (dtypes or DTYPES))
    if fuzz:
        random = _random(backend, only, wanted, wanted_by, fuzz, seed)
        return Selection(backend, where(backend, mode), random, undefined)
    thorough = "none" if levels else next((d for d in wanted if d in backend.dtypes), wanted[0])
    if exactly:
        whole = not (quick or levels)
        own = [one for one in backend.extra if whole and one.tier == FIELD and one.dtype in wanted]
        over_field = [one for op in only for one in (*field_cases(op, wanted), *(c for c in own if c.op == op))
                      if one.quick or whole]
        return Selection(backend, where(backend, mode), tuple(c for c in over_field if wanted_by(c.id)))
    chosen = [one for op in only for one in (*cases((op,), wanted, quick or op not in backend.ops, thorough),
                                             *(() if quick or levels or op not in backend.ops else beyond(op, wanted)),
                                             *(c for c in backend.extra_of(op, quick) if c.tier != FIELD))]
    return Selection(backend, where(backend, mode),
                     tuple(c for c in chosen if c.dtype in wanted and wanted_by(c.id)), undefined)


def _random(backend: Backend, only: tuple[str, ...], wanted: tuple[str, ...], wanted_by: Callable[[str], bool],
            fuzz: int, seed: int) -> tuple[Case, ...]:
    """The first so many cases that match, of the ops and the dtypes that the backend has."""
    ops, dtypes = tuple(op for op in only if op in backend.ops), tuple(d for d in wanted if d in backend.dtypes)
    drawn = fuzzed(ops, dtypes or wanted, seed) if ops else iter(())
    return tuple(islice((case for case in islice(drawn, UNMATCHED * fuzz) if wanted_by(case.id)), fuzz))


def ours(target: str | None, ops: tuple[str, ...]) -> bool:
    """Whether all that is judged is this package's own."""
    return not ops and (target or "triton") in BUILT_IN


def matching(keyword: str) -> Callable[[str], bool]:
    """Whether a case id matches a -k expression, read as pytest reads its own."""
    if not keyword.strip():
        return lambda id: True
    try:
        expression = Expression.compile(keyword)
    except SyntaxError as error:
        raise BackendError(f"-k {keyword!r}: {error.msg if error.msg else error}; write words with and, or, not, "
                           "as in -k 'conv2d and fp16'") from None
    return lambda id: bool(expression.evaluate(lambda word, /, **_: word.lower() in id.lower()))


def found(ids: tuple[str, ...], backend: Backend) -> tuple[Case, ...]:
    """The cases of these ids; one that names the levels of its factors need not be in the design."""
    named = {id.partition("/")[0] for id in ids}
    ops = tuple(op for op in FAMILIES if op in named) if named <= set(FAMILIES) else tuple(FAMILIES)
    by_id = {case.id: case for case in (*cases(ops), *(one for op in ops for one in (*field_cases(op), *beyond(op))),
                                *backend.extra)}
    chosen = []
    for id in ids:
        case = by_id.get(id) or case_of(id)
        if case is None:
            near = get_close_matches(id, by_id, n=3, cutoff=0.5)
            raise BackendError(f"no case {id!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
                               + " `chainrule conform --list -k WORD` shows them")
        chosen.append(case)
    return tuple(chosen)


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
                  mode=option("--chainrule-mode"), keyword=option("--chainrule-keyword"),
                  levels=option("--chainrule-levels"), exactly=option("--chainrule-field"),
                  undefined=option("--chainrule-undefined"), xfail=option("--chainrule-xfail"),
                  fuzz=option("--chainrule-fuzz"), seed=option("--chainrule-seed"))
