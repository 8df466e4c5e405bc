"""Training code as it stands, every kernel it runs judged where it runs.

    with simulate() as sim, watched("simulated") as judged:
        loss = criterion(net(input), target)
        loss.backward()
        optimizer.step()
    assert judged.launches == sim.launches        # no kernel ran unjudged

Anybody's functions, a plain dict by op id or a Backend, stand in for our kernels of these ops, and are judged there:

    with watched("host", {"net.layer.affine": my_layer, "opt.adam": my_adam}) as judged:
        ...                     # the same loop, on CPU tensors; of Triton kernels, in simulate() with "simulated"

The nodes behind `functional` and `nn` ask one function for their kernels; while watched, it answers with the same
kernels behind a judge, which knows of each which op it computes (`known`). A kernel that it does not know is an error;
so is `make_step(fused=True)`, whose kernels the suite judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from torch import Tensor

from ..triton_kernels import optim
from ..triton_kernels.layers import nodes as layers
from ..triton_kernels.normed import nodes as normed
from ..triton_kernels.runtime import launch, rooms
from .backend import Backend, Function, load
from .judging.bounds import declared, limit
from .judging.cases import Case
from .judging.comparing import compare
from .judging.numbers.bounded import FLOAT32, FLOAT64, Arithmetic, Bounded
from .judging.numbers.formats import FORMATS, Format
from .judging.operations import evaluate, operation_of, stable
from .judging.oracle import Truth
from .judging.running import adding
from .training import known, known_normed
from .training.chains import DTYPE, ChainFault, Judged, as_array
from .training.known import RULES, Number
from .training.sequences import SEQUENCES
from .training.theirs import Ops, asked, backend_of

JUDGES: dict[tuple[str, str], Callable[..., None]] = {**known.KNOWN, **known_normed.KNOWN, **SEQUENCES}
BEFORE: dict[tuple[str, str], Callable[..., Any]] = {**known.BEFORE, **known_normed.BEFORE}


class Watch(Judged):
    """Judged, fed with what training code has already computed; `launches` is how many launches that took."""

    def __init__(self, mode: str, functions: Backend | Mapping[str, Function] | None = None) -> None:
        super().__init__(load("triton") if functions is None else backend_of(functions), mode)
        self.theirs = None if functions is None else Ops(self.backend)
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
        exact = _values(compute, FLOAT64)
        plain, rounded = (_values(compute, arithmetic, FORMATS[lead]) for arithmetic in (FLOAT32, rounding))
        for (name, out), true, one, other in zip(outputs.items(), exact, plain, rounded, strict=True):
            dtype, shape = DTYPE[out.dtype], tuple(out.shape)
            case = Case(f"{id}/chain/call {self.calls[id]}", id, "T1", dtype, dict)
            value, error, more, v, radius = (
                np.broadcast_to(a, shape) for a in (one.v, one.error, other.error, true.v, true.error))
            bound = limit(value, error, more, dtype)
            self.note(case, compare(name, as_array(out), Truth(v, radius), bound, case))


def _values(
    compute: Callable[[Number], Any], arithmetic: Arithmetic, form: Format | None = None
) -> tuple[Bounded, ...]:
    """`form` is what a kernel rounds to between its products, as `narrowed` wants to know."""
    def number(t: Any) -> Bounded:
        v = np.asarray(as_array(t), dtype=np.float64)
        return Bounded(v, arithmetic, e=arithmetic.input_u * np.abs(v))

    number.format = form                # type: ignore[attr-defined]
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
            if key not in JUDGES:
                if self._watch.mode == "host":
                    return function(*args)
                raise ChainFault(f"{self._name}.{name} is asked for, and nothing here knows which op it is")
            before = {"before": BEFORE[key](*args)} if key in BEFORE else {}
            launches = self._watch.ran()
            found = None if self._watch.theirs is None else asked(self._watch.theirs, key, *args)
            if found is None:
                found = function(*args)
                if self._watch.mode == "host":          # torch's own, whom nobody asked about
                    return found
            self._watch.launches += self._watch.ran() - launches
            JUDGES[key](self._watch, found, *args, **before)
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
            id, D = f"opt.{rule}", -work.D if uphill else work.D
            if watch.theirs is not None and id in watch.theirs:
                D, lam = D + lam * theta if lam else D, 0.0            # what they are given is what they are judged by
                moved = watch.theirs(id, theta=theta, D=D, **states, **given)
                for mine, new in zip(outputs.values(), moved, strict=True):
                    mine.copy_(new)
            elif watch.mode == "host":
                continue
            watch.formula(id, outputs, _rule(
                watch.backend.reading_of(id), {"theta": theta, "D": D, **states}, given, lam))

    return step


def _rule(id: str, tensors: dict[str, Tensor], numbers: dict[str, Any], lam: float) -> Callable[[Number], Any]:
    """A rule's new parameter and states, of D + λθ where λ is coupled."""
    arrays = {name: as_array(t) for name, t in tensors.items()}

    def new(number: Number) -> tuple[Bounded, ...]:
        def lift(a: Any) -> Bounded:
            return number(a) + number(arrays["theta"]) * lam if lam and a is arrays["D"] else number(a)

        found = evaluate(id, lift, stable, {**arrays, **numbers})
        return tuple(found[name] for name in operation_of(id).outputs)

    return new


@contextmanager
def watched(mode: str = "simulated", functions: Backend | Mapping[str, Function] | None = None) -> Iterator[Watch]:
    """Judge every kernel that training code runs, or somebody's functions in their places; a ChainFault where one
    leaves its bound."""
    watch = Watch(mode, functions)
    entered, step, here, together = rooms.entered, optim._Fused._step, normed.here, layers.together

    def watching(module: str, name: str, by_kernels: bool) -> Any:
        found = entered(module, name, by_kernels)
        ours = found.__name__.endswith(f".{module}") or watch.mode == "host"
        judged = ours and module != "updates.kernels"
        return Room(watch, module, found) if judged else found

    rooms.entered, optim._Fused._step = watching, _stepping(watch, step)        # type: ignore[method-assign]
    if functions is not None:           # who has some of a node's parts is asked for them
        normed.here = layers.together = lambda x: False
    try:
        with launch.composites() if mode == "host" else nullcontext():
            yield watch
    finally:
        rooms.entered, optim._Fused._step = entered, step                       # type: ignore[method-assign]
        normed.here, layers.together = here, together
    if not watch.calls and functions is not None:
        raise ChainFault(f"nothing was judged: the model asked for none of {', '.join(watch.backend.ops) or 'no ops'}")
    if not watch.calls:
        raise ChainFault("nothing was judged: on a CPU kernels run inside simulate() only, and a function that was "
                         "compiled outside it runs none there either")
