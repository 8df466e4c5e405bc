"""Is it right, before it is timed? Every implementation against the same formula in float64, on fresh random inputs."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from .problems import Outputs, Prepare, Problem, Tensors

ROUNDINGS = 8       # an unfused implementation rounds this often between its input and its output, at most


@attrs.frozen
class Check:
    """The largest relative error of an output, ‖out − exact‖ / ‖exact‖, and what it may be."""

    error: float
    limit: float
    repeats: bool           # two runs agree bit by bit; only ours must

    @property
    def passed(self) -> bool:
        return self.error <= self.limit             # NaN is not


def limit(problem: Problem, tf32: bool = False) -> float:
    """Some roundings of the output's format, and a random walk of float32 (or tf32) roundings along the sum."""
    u = torch.finfo(problem.rounded).eps / 2
    inside = 2.0**-11 if tf32 else 2.0**-24
    return float(ROUNDINGS * (u + inside * problem.terms**0.5))


def exact(problem: Problem, tensors: Tensors) -> Outputs:
    wide = {n: t.to(torch.float64 if t.is_floating_point() else t.dtype, copy=True) for n, t in tensors.items()}
    with torch.no_grad():
        return (problem.exactly or problem.eager)(wide)()


def error(outputs: Outputs, wanted: Outputs) -> float:
    """NaN wherever an output is: `max` of Python would hide one."""
    errors = [distance(out, want) for out, want in zip(outputs, wanted) if out is not None and want is not None]
    if not errors or len(outputs) != len(wanted) or any(e != e for e in errors):
        return float("nan")
    return max(errors)


def distance(out: Tensor, want: Tensor) -> float:
    if out.shape != want.shape:
        return float("nan")
    return float((out.double() - want).norm() / want.norm().clamp_min(1e-300))


def check(problem: Problem, prepare: Prepare, tensors: Tensors, wanted: Outputs, tf32: bool = False) -> Check:
    outputs = [fresh(prepare, tensors) for _ in range(2)]
    same = all(a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in zip(*outputs))
    return Check(error(outputs[0], wanted), limit(problem, tf32), same)


def fresh(prepare: Prepare, tensors: Tensors) -> Outputs:
    """Outputs on a copy of the tensors, because some implementations write theirs."""
    with torch.no_grad():
        return tuple(None if t is None else t.clone() for t in prepare({n: t.clone() for n, t in tensors.items()})())
