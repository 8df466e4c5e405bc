"""Training code as it stands, every kernel it runs judged where it runs.

    with simulate() as sim, watched("simulated") as judged:
        loss = criterion(net(input), target)
        loss.backward()
        optimizer.step()
    assert judged.launches == sim.launches        # no kernel ran unjudged

The nodes behind `functional` and `nn` ask one function for their kernels; while watched, it answers with the same
kernels behind a judge, which knows of each which op it computes (`known`). A kernel that it does not know is an error;
so is `make_step(fused=True)`, whose kernels the suite judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from ..triton_kernels import optim
from ..triton_kernels.runtime import launch, rooms
from .backend import load
from .judging.bounds import declared, limit
from .judging.cases import Case
from .judging.comparing import compare
from .judging.numbers.bounded import FLOAT32, FLOAT64, Arithmetic, Bounded
from .judging.operations import OPERATIONS, evaluate, stable
from .judging.oracle import Truth
from .judging.running import adding
from .training.chains import DTYPE, ChainFault, Judged, as_array
from .training.known import BEFORE, KNOWN, RULES, Number


class Watch(Judged):
    """Judged, fed with what training code has already computed; `launches` is how many launches that took."""

    def __init__(self, mode: str) -> None:
        super().__init__(load("triton"), mode)
        self.launches = 0

    def ran(self) -> int:
        """How many launches there have been."""
        return int(getattr(launch.simulation.get(), "launches", 0))

    def op(self, id: str, outputs: tuple[Tensor | None, ...], **given: Any) -> None:
        """These outputs came from these arguments; one that is None was not asked for."""
        self.seen(id, given, outputs)

    def formula(self, id: str, outputs: dict[str, Tensor], compute: Callable[[Number], Any], dot: bool = False) -> None:
        """What no op of the suite has alone, judged by the error that the formula itself may have. It gives one value,
        or one an output; `dot`: matrix products are in it, whose operands may be rounded first."""
        self.calls[id] += 1
        lead = DTYPE[next(iter(outputs.values())).dtype]
        rounding = declared(self.backend.arithmetic, lead, adding(self.mode)) if dot else FLOAT32
        exact, plain, rounded = (_values(compute, arithmetic) for arithmetic in (FLOAT64, FLOAT32, rounding))
        for (name, out), true, one, other in zip(outputs.items(), exact, plain, rounded, strict=True):
            dtype, shape = DTYPE[out.dtype], tuple(out.shape)
            case = Case(f"{id}/chain/call {self.calls[id]}", id, "T1", dtype, dict)
            value, error, more, v, radius = (
                np.broadcast_to(a, shape) for a in (one.v, one.error, other.error, true.v, true.error))
            bound = limit(value, error, more, dtype)
            self.note(case, compare(name, as_array(out), Truth(v, radius), bound, case))


def _values(compute: Callable[[Number], Any], arithmetic: Arithmetic) -> tuple[Bounded, ...]:
    def number(t: Any) -> Bounded:
        v = np.asarray(as_array(t), dtype=np.float64)
        return Bounded(v, arithmetic, e=arithmetic.input_u * np.abs(v))

    with np.errstate(all="ignore"):
        found = compute(number)
    return found if isinstance(found, tuple) else (found,)


class Room:
    """A module of kernels whose functions are judged as they return."""

    def __init__(self, watch: Watch, name: str, module: Any) -> None:
        self._watch, self._name, self._module = watch, name, module
        self.__name__ = module.__name__

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        return self._judged(name, found) if callable(found) else found

    def _judged(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            key = self._name, name
            if key not in KNOWN:
                raise ChainFault(f"{self._name}.{name} is asked for, and nothing here knows which op it is")
            before = {"before": BEFORE[key](*args)} if key in BEFORE else {}
            launches = self._watch.ran()
            found = function(*args)
            self._watch.launches += self._watch.ran() - launches
            KNOWN[key](self._watch, found, *args, **before)
            return found

        return run


def _stepping(watch: Watch, original: Callable[..., None]) -> Callable[..., None]:
    """`_Fused._step`, every parameter's step judged from what was there before it."""
    def step(self: Any, key: Any, works: list[Any]) -> None:
        _, _, rule, coupled, uphill = key
        letters, numbers = RULES[rule]
        if any(self.param_groups[work.group].get("dampening") for work in works if letters):
            raise ChainFault(f"opt.{rule} with dampening: the suite has no op of it")
        before = [(work.theta.clone(), {k: self.state[work.parameter][n].clone() for k, n in letters.items()})
                  for work in works]
        launches = watch.ran()
        original(self, key, works)
        watch.launches += watch.ran() - launches
        for work, (theta, states) in zip(works, before):
            group, state = self.param_groups[work.group], self.state[work.parameter] if letters else {}
            given = {name: float(group[option]) for name, option in numbers.items()}
            if "betas" in group:
                given |= {"beta1": group["betas"][0], "beta2": group["betas"][1], "t": int(state["step"])}
            if group.get("lr_decay"):
                given["eta"] /= 1 + (float(state["step"]) - 1) * group["lr_decay"]
            lam = float(group["weight_decay"]) if coupled else 0.0
            outputs = {"theta": work.theta, **{k: state[n] for k, n in letters.items()}}
            watch.formula(f"opt.{rule}", outputs, _rule(
                rule, {"theta": theta, "D": -work.D if uphill else work.D, **states}, given, lam))

    return step


def _rule(rule: str, tensors: dict[str, Tensor], numbers: dict[str, Any], lam: float) -> Callable[[Number], Any]:
    """A rule's new parameter and states, of D + λθ where λ is coupled."""
    arrays = {name: as_array(t) for name, t in tensors.items()}

    def new(number: Number) -> tuple[Bounded, ...]:
        def lift(a: Any) -> Bounded:
            return number(a) + number(arrays["theta"]) * lam if lam and a is arrays["D"] else number(a)

        found = evaluate(f"opt.{rule}", lift, stable, {**arrays, **numbers})
        return tuple(found[name] for name in OPERATIONS[f"opt.{rule}"].outputs)

    return new


@contextmanager
def watched(mode: str = "simulated") -> Iterator[Watch]:
    """Judge every kernel that training code runs; a ChainFault where one leaves its bound."""
    watch = Watch(mode)
    room, step = rooms.eager_room, optim._Fused._step

    def watching(module: str, name: str, t: Tensor) -> Any:
        found = room(module, name, t)
        judged = found.__name__.endswith(f".{module}") and module != "updates.kernels"
        return Room(watch, module, found) if judged else found

    rooms.eager_room, optim._Fused._step = watching, _stepping(watch, step)     # type: ignore[method-assign]
    try:
        yield watch
    finally:
        rooms.eager_room, optim._Fused._step = room, step                       # type: ignore[method-assign]
    if not watch.calls:
        raise ChainFault("nothing was judged: on a CPU kernels run inside simulate() only, and a function that was "
                         "compiled outside it runs none there either")
