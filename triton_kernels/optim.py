"""torch.optim's optimizers, each step one launch over all tensors of a dtype (LAMB: two), and one for their counts.

They subclass their torch twins: constructor, repr and `state_dict` are torch's, so a checkpoint of either loads
into the other and torch's schedulers work unchanged. The states are float32, whatever the parameters are. All that a
step reads it looks up in the state: nothing else is remembered of a parameter. η and the steps taken live on the
device: nothing is compiled anew when they change, and a CUDA graph can capture `step` after one ordinary step. An
option without a kernel (`amsgrad`, `differentiable`, sparse or complex gradients) leaves the step to torch.
torch.compile ends its graph before a step and begins another after it. On a CPU, in float32 and float64, torch's own
rule takes the step, fused where it can be.

`param_groups(model, lam)` regularises as the deck does: weights, neither intercepts nor norm parameters. Names that are
not here are torch.optim's (`torch_names`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.compiler import is_compiling
from torch.nn.utils import parametrize
from torch.optim import Optimizer as Optimizer
from torch.optim import lr_scheduler as lr_scheduler

from .runtime import torch_names
from .runtime.launch import PLAIN, by_torch, fall_back
from .runtime.library import room
from .runtime.resolved import is_settled, resolved
from .runtime.wide import NARROW
from .updates import composite
from .updates import ops as _declared  # noqa: F401  the room that a step asks for

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
TABLES = 8                               # gradients that are allocated anew mostly come back to an old place
NUMBERS = ("eta", "lam", "beta1", "share", "beta2", "eps", "slowing")


def _end_of_graph() -> bool:
    """Has torch.compile end its graph before a step and begin another after it."""
    import torch._dynamo

    if not hasattr(_Fused._now, "_torchdynamo_disable"):
        _Fused._now = torch._dynamo.disable(_Fused._now, reason=(     # type: ignore[method-assign, no-untyped-call]
            "a step of chainrule's optimizers is one launch over a table of addresses, which a graph has not; it runs "
            "between graphs, so leave it out of fullgraph=True"))
    return True


_end_of_graph._dynamo_marked_constant = True      # type: ignore[attr-defined]        # see library.ready


def param_groups(model: nn.Module, lam: float) -> list[dict[str, Any]]:
    """alg.average's λ for an optimizer: weights get `weight_decay=lam`, intercepts and norm parameters none.

    A tensor is what its layer calls it, also where it is parametrized or pruned: an intercept is a bias of one number
    for each output, under any of torch's names (`bias`, `bias_ih_l0`, `in_proj_bias`, …), or a vector beside the matrix
    that it goes with. One that is a weight anywhere is a weight.
    """
    weights: dict[int, Tensor] = {}
    free: dict[int, Tensor] = {}
    for path, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        owner, called = module, ""
        if isinstance(module, parametrize.ParametrizationList):     # …parametrizations.bias, of whoever has a bias
            above, called = path.rpartition("parametrizations")[0].rstrip("."), path.rpartition(".")[2]
            owner = model.get_submodule(above)
        for name, p in own.items():
            kind = free if _is_norm(owner, p) or _is_intercept(called or name, p, own) else weights
            kind[id(p)] = p
    groups = [{"params": list(weights.values()), "weight_decay": lam},
              {"params": [p for key, p in free.items() if key not in weights], "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _is_norm(module: nn.Module, p: Tensor) -> bool:
    """γ or β of a norm: torch's, or one that says it is."""
    named = any("Norm" in kind.__name__ for kind in type(module).__mro__)
    return isinstance(module, NORMS) or (named and _is_vector(p))


def _is_intercept(name: str, p: Tensor, beside: dict[str, Tensor]) -> bool:
    words = re.findall(r"[a-z]+", name.lower())
    if not _is_vector(p) or "weight" in words:
        return False
    return "bias" in words or any(
        not _is_vector(w) and p.numel() in (w.shape[0], w.shape[-1]) for w in beside.values())


def _is_vector(p: Tensor) -> bool:
    """More than one entry along one axis at most; a lazy parameter has no shape to ask."""
    return isinstance(p, nn.UninitializedParameter) or sum(size > 1 for size in p.shape) <= 1


@frozen(eq=False)
class _Work:
    """One tensor of a step: where it is, its gradient and states, and which row of numbers is its own."""

    parameter: Tensor
    theta: Tensor
    D: Tensor
    names: tuple[str, ...]
    group: int
    fresh: bool
    key: tuple[Any, ...]        # what goes into one launch: device, dtype, rule, coupled, uphill


class _Fused(torch.optim.Optimizer):
    """The part all share: whose turn it is, the table of addresses, the numbers on the device."""

    twin: type[torch.optim.Optimizer] | None = None             # torch's optimizer of the same rule

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """GradScaler shall unscale by itself; torch's fused optimizers would take that over."""
        return False

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, _: bool) -> None:
        pass

    def _rule(self, group: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        """The rule of a group, and the names of its states."""
        raise NotImplementedError

    def _row(self, group: dict[str, Any], fresh: bool) -> dict[str, Any]:
        """The rule's numbers; `fresh` where a tensor has no state yet."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient; a closure is called first, and its loss returned."""
        if is_compiling():
            _end_of_graph()
        return self._now(closure)

    def _now(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        refused, by_torch = self._unknown_option(), self._by_torch()
        if not refused and not by_torch:
            refused = self._unknown_tensor()
        if refused and self.twin is None:
            raise TypeError(f"opt.{refused}; no optimizer of torch has this rule")
        if refused:
            fall_back(f"opt.{refused}", f"torch.optim.{self.twin.__name__}'s own step runs")    # type: ignore
        if refused or (by_torch and not self._at_once()):
            self._torchs_step()
        elif not by_torch:
            self._our_step()
        return loss

    @torch.no_grad()
    def _our_step(self) -> None:
        launches: dict[tuple[Any, ...], list[_Work]] = {}
        for work in self._works():
            launches.setdefault(work.key, []).append(work)
        for key, works in launches.items():
            self._step(key, works)

    def _unknown_option(self) -> str:
        """What a group asks for that no kernel knows, by the rule's name."""
        for group in self.param_groups:
            for option in ("amsgrad", "differentiable"):
                if group.get(option):
                    return f"{self._rule(group)[0]}: {option}=True has no kernel"
        return ""

    def _unknown_tensor(self) -> str:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and (p.grad.layout is not torch.strided or p.is_complex()):
                    return f"{self._rule(group)[0]}: sparse gradients and complex parameters have no kernel"
        return ""

    def _by_torch(self) -> bool:
        """Is this torch's optimizer, on parameters, gradients and states that torch's plain rule can take?"""
        lead = self.param_groups[0]["params"][:1]
        if self.twin is None or not lead or not by_torch(lead[0]):
            return False
        dtype, device = lead[0].dtype, lead[0].device
        for group in self.param_groups:
            if group.get("fused") or group.get("capturable"):
                return False
            _, names = self._rule(group)
            for p in group["params"]:
                D = p.grad
                if type(p) not in PLAIN or p.dtype is not dtype or p.device != device:
                    return False
                if D is not None and (D.dtype is not dtype or D.layout is not torch.strided or D.shape != p.shape):
                    return False
                if names and not _alike(p, self.state.get(p), names):
                    return False
        return True

    def _at_once(self) -> bool:
        """Has a rule that is one call over all tensors taken the step that torch's would take?"""
        return False

    def _torchs_step(self) -> None:
        """The twin's step, without the hooks around it: those around ours run already."""
        step: Any = self.twin.step                              # type: ignore[union-attr]
        while hasattr(step, "hooked"):
            step = step.__wrapped__
        fused = [group for group in self.param_groups if self._fuses(group)]
        for group in fused:
            group["fused"] = True
        try:
            step(self)
        finally:
            for group in fused:
                group["fused"] = None
                torch.autograd.graph.increment_version([p for p in group["params"] if p.grad is not None])

    def _fuses(self, group: dict[str, Any]) -> bool:
        """May torch's fused rule, in a third of the time, take a group whose user has left it open? It goes through
        memory as it lies, makes all states or none, and hides its writes from autograd."""
        _, names = self._rule(group)
        chosen = group.get("fused", False) is not None or group["foreach"] is not None
        if chosen or not names or isinstance(group["lr"], Tensor):
            return False
        moving = [p for p in group["params"] if p.grad is not None]
        states = [self.state.get(p) or {} for p in moving]
        tensors = [t for p in moving for t in (p, p.grad)]
        tensors += [state[name] for state in states for name in names if name in state]
        made = {all(name in state for name in names) for state in states}
        return len(made) == 1 and all(t.is_cpu and t.is_contiguous() and not t.is_neg() for t in tensors)

    def _works(self) -> Iterator[_Work]:
        for g, group in enumerate(self.param_groups):
            rule, names = self._rule(group)
            coupled = rule not in ("adamw", "lamb") and float(group["weight_decay"]) != 0
            for p in group["params"]:
                if p.grad is None:
                    continue
                if rule == "lamb" and hasattr(p, "to_local"):
                    raise TypeError("opt.lamb: ‖θ‖ of a sharded parameter needs all its shards; replicate it")
                fresh = self._prepare(p, names) and group.get("dampening", 0) != 0
                for name, t in (("the gradient", p.grad), *((name, self.state[p][name]) for name in names)):
                    if t.shape != p.shape:
                        raise ValueError(f"opt.{rule}: {name} has shape {tuple(t.shape)}, its parameter "
                                         f"{tuple(p.shape)}; a checkpoint of another model, or a resized parameter?")
                theta = _local(p)
                key = (theta.device, theta.dtype, rule, coupled, bool(group["maximize"]))
                yield _Work(p, theta, _local(p.grad), names, g, fresh, key)

    def _prepare(self, p: Tensor, names: tuple[str, ...]) -> bool:
        """Zeros for states that a parameter lacks; was it the first time?"""
        if not names:
            return False
        state = self.state[p]
        if "momentum_buffer" not in names and "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32)
        if "step" in state:
            state["step"] = _count(state["step"], _local(p).device)
        missing = [name for name in names if state.get(name) is None]
        for name in missing:
            state[name] = torch.zeros_like(p, dtype=torch.float32 if p.dtype != torch.float64 else None,
                                           memory_format=torch.preserve_format)
        return bool(missing)

    def _step(self, key: tuple[Any, ...], works: list[_Work]) -> None:
        device, dtype, rule, coupled, uphill = key
        kernels = room("updates.kernels", f"opt.{rule}", works[0].theta)
        if kernels is not composite:
            scattered = not all(kernels.pointwise.is_dense(work.theta) and is_settled(work.theta) for work in works)
            if scattered or any(work.D.dtype != work.theta.dtype for work in works):
                why = "a parameter's elements do not fill one stretch of memory" if scattered else (
                    "a gradient has another dtype than its parameter")
                fall_back(f"opt.{rule}: {why}")
                kernels = composite
        if kernels is composite:
            for work in works:
                self._composite(work, rule, coupled, uphill)
            return
        self._match(works, kernels.chunks)
        work = self._table(works, kernels.chunks)
        kernels.step(rule, work, self._numbers(device), dtype, coupled=coupled, uphill=uphill)
        for one in works:
            torch.autograd.graph.increment_version(one.theta)       # a kernel's write is invisible to autograd
        counts = [self.state[one.parameter]["step"] for one in works if "step" in self.state.get(one.parameter, {})]
        if counts:
            torch._foreach_add_(counts, 1)

    def _composite(self, work: _Work, rule: str, coupled: bool, uphill: bool) -> None:
        state = self.state[work.parameter] if work.names else {}
        numbers = self._row(self.param_groups[work.group], work.fresh)
        if isinstance(numbers["eta"], Tensor) and numbers["eta"].is_cpu:
            numbers["eta"] = float(numbers["eta"])          # a float32 tensor would round what it is divided by
        if "step" in state:
            state["step"] += 1
            numbers["t"] = float(state["step"])
        states = [_local(state[name]) for name in work.names]
        composite.step_(rule, work.theta, work.D, states, numbers, coupled=coupled, uphill=uphill)

    def _match(self, works: list[_Work], chunks: Any) -> None:
        """States as the kernels read them: in float32, in memory as their parameters are."""
        for work in works:
            state = self.state[work.parameter] if work.names else {}
            for name in work.names:
                if not hasattr(state[name], "to_local"):
                    t = resolved(state[name].detach()).to(work.theta.device, torch.float32)
                    state[name] = chunks.alike(t, work.theta)

    def _still(self, device: torch.device) -> Tensor:
        """What rules read that count no steps."""
        known: dict[torch.device, Tensor] = self.__dict__.setdefault("_zeros", {})
        if device not in known:
            known[device] = torch.zeros((), device=device)
        return known[device]

    def _table(self, works: list[_Work], chunks: Any) -> Any:
        """The table of these addresses: made once, and again when a tensor has moved, or in a simulation another lies
        where it lay. All that it names is looked up at each step."""
        still = self._still(works[0].theta.device)
        tensors = []
        for work in works:
            states = [_local(self.state[work.parameter][name]) for name in work.names]
            D = chunks.alike(resolved(work.D), work.theta)
            tensors.append([work.theta, work.theta, D, *(t for one in states for t in (one, one))])
        rows = [2 * work.group + work.fresh for work in works]
        own = [self.state[work.parameter].get("step", still) if work.names else still for work in works]
        known = self.__dict__.setdefault("_tables", {})
        key = (*((t.data_ptr(), t.numel(), t.element_size()) for row in (*tensors, own) for t in row), *rows)
        capturing = works[0].theta.is_cuda and torch.cuda.is_current_stream_capturing()
        if key not in known or not known[key].reaches(tensors, own):
            if capturing:
                raise RuntimeError(
                    f"{type(self).__name__}: a step with new addresses cannot be captured in a CUDA graph; take one "
                    "ordinary step with the same parameters and gradients first")
            if len(known) >= TABLES:
                known.pop(next(iter(known)))
            known[key] = chunks.cut(tensors, own, rows)
        if capturing:
            self.__dict__.setdefault("_captured", []).append(known[key])       # the graph reads it as long as it lives
        return known[key]

    def _numbers(self, device: torch.device) -> Tensor:
        """All groups' numbers on the device, copied there only when one has changed."""
        rows = [self._row(group, fresh) for group in self.param_groups for fresh in (False, True)]
        on_device = {i: row["eta"] for i, row in enumerate(rows)
                     if isinstance(row["eta"], Tensor) and row["eta"].device.type != "cpu"}
        values = [[0.0 if name == "eta" and i in on_device else float(row.get(name, 0.0)) for name in NUMBERS]
                  for i, row in enumerate(rows)]
        known = self.__dict__.setdefault("_values", {})
        if device not in known or len(known[device][0]) != len(values):
            known[device] = [values, torch.tensor(values, dtype=torch.float64, device=device)]
        numbers: Tensor = known[device][1]
        if known[device][0] != values:
            numbers.copy_(torch.tensor(values, dtype=torch.float64))
            known[device][0] = values
        for i, eta in on_device.items():
            numbers[i, 0].copy_(eta)
        return numbers

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but float32 states of a 16-bit parameter stay float32."""
        super().load_state_dict(state_dict)
        saved = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        own = chain.from_iterable(group["params"] for group in self.param_groups)
        for key, p in zip(saved, own):
            for name, value in state_dict["state"].get(key, {}).items():
                if name != "step" and isinstance(value, Tensor) and p.dtype in NARROW:
                    self.state[p][name] = value.detach().to(p.device, torch.float32, copy=True)


def _alike(p: Tensor, state: dict[str, Any] | None, names: tuple[str, ...]) -> bool:
    """Are all of a parameter's states there, of its dtype and shape, or none?"""
    if not state:
        return True
    counted = "step" in state or "momentum_buffer" in names
    return counted and all(
        isinstance(t := state.get(name), Tensor) and t.dtype == p.dtype and t.shape == p.shape for name in names)


def _local(t: Tensor) -> Tensor:
    """This rank's part of a sharded tensor."""
    part: Tensor = t.to_local() if hasattr(t, "to_local") else t
    return part


def _count(step: Any, device: torch.device) -> Tensor:
    """The steps taken, as kernels read them: one float32 number on the parameter's device."""
    found: Tensor = _local(step) if isinstance(step, Tensor) else torch.tensor(float(step))
    if found.dtype == torch.float32 and found.device == device and found.dim() == 0 and is_settled(found):
        return found
    return found.detach().reshape(()).to(device, torch.float32, copy=True)


class SGD(_Fused, torch.optim.SGD):
    """opt.sgd, opt.momentum, opt.nesterov   torch.optim.SGD's arguments and state."""

    twin = torch.optim.SGD

    def _rule(self, group: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        if not group["momentum"]:
            return "sgd", ()
        return "nesterov" if group["nesterov"] else "momentum", ("momentum_buffer",)

    def _row(self, group: dict[str, Any], fresh: bool) -> dict[str, Any]:
        share = 1.0 if fresh else 1.0 - group["dampening"]
        return {"eta": group["lr"], "lam": group["weight_decay"], "beta1": group["momentum"], "share": share}

    @torch.no_grad()
    def _at_once(self) -> bool:
        """θ − η (D + λθ), where a user has left open how torch goes about it."""
        for group in self.param_groups:
            if (group["momentum"] or group["maximize"] or group["foreach"] is not None
                    or isinstance(group["lr"], Tensor) or isinstance(group["weight_decay"], Tensor)):
                return False
        for group in self.param_groups:
            thetas = [p for p in group["params"] if p.grad is not None]
            if thetas:
                D: Any = [p.grad for p in thetas]
                if group["weight_decay"]:
                    D = torch._foreach_add(D, thetas, alpha=group["weight_decay"])
                torch._foreach_add_(thetas, D, alpha=-group["lr"])
        return True


class Adagrad(_Fused, torch.optim.Adagrad):
    """opt.adagrad   torch.optim.Adagrad's arguments and state."""

    twin = torch.optim.Adagrad

    def _prepare(self, p: Tensor, names: tuple[str, ...]) -> bool:
        fresh, state = super()._prepare(p, names), self.state[p]
        if fresh:                                                       # a parameter that was added later
            state["sum"].fill_(self.defaults["initial_accumulator_value"])
        if state["sum"].dtype in NARROW:                                # torch makes them with the optimizer
            state["sum"] = state["sum"].float()
        return fresh

    def _rule(self, group: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        return "adagrad", ("sum",)

    def _row(self, group: dict[str, Any], fresh: bool) -> dict[str, Any]:
        return {"eta": group["lr"], "lam": group["weight_decay"], "eps": group["eps"], "slowing": group["lr_decay"]}


class _Moments(_Fused):
    """What Adam, AdamW and LAMB share."""

    rule = "adam"

    def _rule(self, group: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        return self.rule, ("exp_avg", "exp_avg_sq")

    def _row(self, group: dict[str, Any], fresh: bool) -> dict[str, Any]:
        beta1, beta2 = (float(beta) for beta in group["betas"])
        return {"eta": group["lr"], "lam": group["weight_decay"], "beta1": beta1, "share": 1 - beta1,
                "beta2": beta2, "eps": group["eps"]}


class Adam(_Moments, torch.optim.Adam):
    """opt.adam   torch.optim.Adam's arguments and state; weight_decay is coupled, D ← D + λθ."""

    twin: type[torch.optim.Optimizer] | None = torch.optim.Adam

    def _rule(self, group: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        return "adamw" if group.get("decoupled_weight_decay") else "adam", ("exp_avg", "exp_avg_sq")


class AdamW(Adam, torch.optim.AdamW):
    """opt.adamw   torch.optim.AdamW's arguments and state; weight_decay shrinks θ and enters no moment."""

    twin = torch.optim.AdamW

    def _rule(self, group: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
        return "adamw", ("exp_avg", "exp_avg_sq")


class LAMB(_Moments):
    """opt.lamb   every parameter tensor is a layer with a trust ratio of its own; Adam's state.

    lr, betas, eps and weight_decay as in You et al. (2020). Raises ValueError for numbers out of range and for a
    group without parameters.
    """

    rule = "lamb"

    def __init__(
        self, params: Any, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6,
        weight_decay: float = 0.01, *, maximize: bool = False,
    ) -> None:
        for name, value, legal in (("lr", lr, float(lr) >= 0), ("eps", eps, eps >= 0),
                                   ("weight_decay", weight_decay, weight_decay >= 0),
                                   ("betas", betas, all(0 <= beta < 1 for beta in betas))):
            if not legal:
                raise ValueError(f"LAMB: {name} = {value} is out of range")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Also of older checkpoints, and of other LAMBs': what a group lacks is as it would be made now, and steps that
        were counted by group (as Apex and timm do) are each parameter's."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            taken = group.pop("step", None)
            for p in group["params"]:
                if taken is not None and p in self.state:
                    self.state[p].setdefault("step", torch.tensor(float(taken)))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        if not self.param_groups[-1]["params"]:
            self.param_groups.pop()
            raise ValueError(f"LAMB: group {len(self.param_groups)} has no parameters; leave it out")


__getattr__ = torch_names.torchs("optim", torch.optim)
__dir__ = torch_names.listed(globals(), torch.optim)
