"""Plant a fault in a backend and see whether the suite notices, how soon, and what it says it looks like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from attrs import frozen

from ..backend import Backend
from ..judging.cases import Case, cases_of, field_cases
from ..judging.judge import judge
from ..judging.operations import OPERATIONS
from ..judging.verdict import FAIL
from .faults import Fault


def backend_with(fault: Fault) -> Backend:
    """A torch backend whose one op computes the wrong formula, carefully."""
    backend = Backend("planted")

    @backend.op(fault.op)
    def wrong(**arguments: Any) -> list[torch.Tensor]:
        floats = [v for v in arguments.values() if isinstance(v, torch.Tensor) and v.is_floating_point()]
        arrays = {k: v.double().numpy() if isinstance(v, torch.Tensor) and v.is_floating_point()
                  else v.numpy() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
        kinds = [torch.uint8 if name in OPERATIONS[fault.op].integers else floats[0].dtype
                 for name in OPERATIONS[fault.op].outputs]
        return [torch.from_numpy(one.copy()).to(kind) for one, kind in zip(fault.outputs(**arrays), kinds)]

    return backend


@frozen
class Finding:
    """What the suite said of one planted fault."""

    fault: Fault
    case: str = ""
    tier: str = ""
    looks_like: str = ""

    @property
    def caught(self) -> bool:
        return bool(self.case)

    @property
    def named(self) -> bool:
        return self.looks_like.partition(" or: ")[0] == self.fault.name


def hunt(fault: Fault, tiers: Iterable[str] = ("T0", "T1", "T3"), dtypes: tuple[str, ...] = ("fp32",)) -> Finding:
    """The first case on which the planted fault gives a wrong number; exact data come first."""
    backend = backend_with(fault)
    for case in ordered(fault.op, tuple(tiers), dtypes):
        verdict = judge(case, backend, "host")
        if verdict.state == FAIL and verdict.worst is not None:      # a fault these shapes cannot have raises instead
            return Finding(fault, case.id, case.tier, verdict.looks_like)
    return Finding(fault)


def ordered(op: str, tiers: tuple[str, ...], dtypes: tuple[str, ...]) -> list[Case]:
    assert op in OPERATIONS
    every = (*cases_of(op, dtypes), *field_cases(op, dtypes))
    chosen = [c for c in every if c.tier in tiers and not c.refused and not c.convention]
    return sorted(chosen, key=lambda c: c.tier)
