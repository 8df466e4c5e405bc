"""patch(model): torch's modules in a model become ours, in place, by changing their class; `undo` changes it back.

No module is replaced, so parameters, hooks, `state_dict` and whoever holds a module keep working. Neighbours in an
`nn.Sequential` are fused: Linear → activation, Conv2d → activation → MaxPool2d(2), Conv2d → BatchNorm2d → ReLU,
BatchNorm → ReLU; the module that has nothing left to do passes its input on. What a `forward` calls one after the other
cannot be known from the modules, so it is fused nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from . import functional as F
from . import nn as ours

TWINS: dict[type[nn.Module], type[nn.Module]] = {
    twin: getattr(ours, twin.__name__) for twin in (
        nn.Linear, nn.Conv1d, nn.Conv2d, nn.MaxPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Sigmoid, nn.Tanh, nn.ReLU,
        nn.LeakyReLU, nn.ELU, nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss)}
ACTIVATIONS: dict[type[nn.Module], tuple[str, str]] = {
    nn.Sigmoid: ("sigmoid", ""), nn.Tanh: ("tanh", ""), nn.ReLU: ("relu", ""),
    nn.LeakyReLU: ("leaky", "negative_slope"), nn.ELU: ("elu", "alpha")}
_PARAMETER = {"leaky": "slope", "elu": "alpha"}


class FusedLinear(ours.Linear):
    """A Linear with the activation of its neighbour."""

    fused: tuple[str, dict[str, Any], bool]

    def forward(self, input: Tensor) -> Tensor:
        act, parameter, _ = self.fused
        return F.linear_act(input, self.weight, self.bias, act, **parameter)


class FusedConv2d(ours.Conv2d):
    """A Conv2d with the activation, and perhaps the pooling, of its neighbours."""

    fused: tuple[str, dict[str, Any], bool]

    def forward(self, input: Tensor) -> Tensor:
        act, parameter, pool = self.fused
        return F.conv2d_act(input, self.weight, self.bias, act, *ours.geometry(self), pool=pool, **parameter)


class FusedConvNorm2d(ours.Conv2d):
    """A Conv2d with the batch norm, and perhaps the ReLU, of its neighbours.

    In training the norm needs the whole of what is convolved, so that is two steps, the ReLU in the second. In
    evaluation, where nothing is recorded and float32 stays float32, the norm is a scale and a shift per filter, which
    the filters take in: one step. (Rounding scaled 16-bit filters once more would cost digits.)
    """

    fused: tuple[nn.BatchNorm2d, str]

    def forward(self, input: Tensor) -> Tensor:
        norm, act = self.fused
        mu, var, own, shift = norm.running_mean, norm.running_var, norm.weight, norm.bias
        if norm.training or mu is None or var is None or _needs_its_own_step(input, self.weight, own):
            return ours.normalized(norm, super().forward(input), act=act)
        scale = (var + norm.eps).rsqrt()
        scale = scale if own is None else scale * own
        b = -mu * scale if self.bias is None else (self.bias - mu) * scale
        w = self.weight * scale[:, None, None, None]
        return F.conv2d_act(input, w, b if shift is None else b + shift, act, *ours.geometry(self))


def _needs_its_own_step(input: Tensor, *parameters: Tensor | None) -> bool:
    tensors = [input, *(p for p in parameters if p is not None)]
    recorded = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    narrow = any(t.dtype != torch.float32 for t in tensors) or torch.is_autocast_enabled(input.device.type)
    return recorded or narrow


class FusedBatchNorm1d(ours.BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return ours.normalized(self, input, act="relu")


class FusedBatchNorm2d(ours.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return ours.normalized(self, input, act="relu")


class PassedOn(nn.Module):
    """A module whose work its neighbour does."""

    def forward(self, input: Tensor) -> Tensor:
        return input


class PassedOnNorm2d(ours.BatchNorm2d):
    """The same, still a norm to whoever asks (`param_groups`, say): its neighbour reads what it holds."""

    def forward(self, input: Tensor) -> Tensor:
        return input


FUSED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: FusedLinear, nn.Conv2d: FusedConv2d, nn.BatchNorm1d: FusedBatchNorm1d, nn.BatchNorm2d: FusedBatchNorm2d}
PASSED = (PassedOn, PassedOnNorm2d)
OURS = {*TWINS.values(), *FUSED.values(), FusedConvNorm2d, *PASSED}


@attrs.define
class Change:
    """One module: where it is, what it was, what it became ("" if nothing), and why."""

    path: str
    module: nn.Module = attrs.field(repr=False)
    was: type[nn.Module]
    now: type[nn.Module] | None
    why: str = ""

    @property
    def place(self) -> str:
        return self.path or "(model)"

    def __str__(self) -> str:
        became = "unchanged" if self.now is None else self.now.__name__
        return f"{self.place:30s} {self.was.__name__:18s} {became:18s} {self.why}".rstrip()


class Report:
    """What `patch` changed and what it left, and why; a context manager that undoes it at the end."""

    def __init__(self, model: nn.Module, changes: list[Change]) -> None:
        self.model, self.changes = model, changes
        self.undone = False

    @property
    def changed(self) -> list[Change]:
        return [one for one in self.changes if one.now is not None]

    def undo(self) -> None:
        """Every module its old class again; refuses, and changes nothing, if the model has changed since."""
        if self.undone:
            raise RuntimeError("patch: already undone")
        held = {id(module) for module in self.model.modules()}
        for one in self.changed:
            if type(one.module) is not one.now:
                raise RuntimeError(f"patch: {one.place} has become a {type(one.module).__name__} since it was patched; "
                                   "undo that change first")
            if id(one.module) not in held:
                raise RuntimeError(f"patch: {one.place} is not in the model any more; put the patched "
                                   f"{one.now.__name__} back first")
        for one in self.changed:
            one.module.__class__ = one.was
            one.module.__dict__.pop("fused", None)
        self.undone = True

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.undone:
            self.undo()

    def __str__(self) -> str:
        return "\n".join([f"{len(self.changed)} of {len(self.changes)} modules changed", *map(str, self.changes)])


def patch(model: nn.Module, *, only: Iterable[str] | None = None, fuse: bool = True) -> Report:
    """Make a model's torch modules ours, in place; `only` names classes ("Conv2d", …), `fuse` joins neighbours.

    Only exact torch classes change: a subclass may compute something else. Raises ValueError for a model that is
    patched already and for unknown names.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"patch: the model is a {type(model).__name__}; expected a torch.nn.Module")
    wanted = {twin.__name__ for twin in TWINS} if only is None else set(only)
    unknown = wanted - {twin.__name__ for twin in TWINS}
    if unknown:
        raise ValueError(f"patch: only = {', '.join(sorted(unknown))} is unknown; there are "
                         f"{', '.join(twin.__name__ for twin in TWINS)}")
    for path, module in model.named_modules():
        if "fused" in module.__dict__ or type(module) in (*FUSED.values(), *PASSED):
            raise ValueError(f"patch: {path or '(model)'} is patched already; undo that first")
    changes = [_change(path, module, wanted) for path, module in model.named_modules() if _concerns(module)]
    if changes and all(type(one.module) in TWINS.values() for one in changes):
        raise ValueError("patch: this model is patched already; undo that first")
    known = {id(one.module): one for one in changes}
    if fuse:
        for module in model.modules():
            if type(module) is nn.Sequential:
                _fuse(list(module), known, _uses(model))
    for one in changes:
        if one.now is not None:
            one.module.__class__ = one.now
    return Report(model, changes)


def _concerns(module: nn.Module) -> bool:
    return isinstance(module, tuple(TWINS))


def _change(path: str, module: nn.Module, wanted: set[str]) -> Change:
    was = type(module)
    why = _why_not(module, wanted)
    return Change(path, module, was, None if why else TWINS[was], why)


def _why_not(module: nn.Module, wanted: set[str]) -> str:
    kind = type(module)
    if kind in OURS:
        return "is ours"
    if kind not in TWINS:
        return "a subclass: its forward may differ"
    if kind.__name__ not in wanted:
        return "not in only"
    if any(p.dtype == torch.float64 for p in module.parameters(recurse=False)):
        return "float64 has no kernel"
    if isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.padding_mode != "zeros":
        return f"padding_mode={module.padding_mode!r} has no kernel"
    if isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.padding == "same" and any(
            d * (k - 1) % 2 for d, k in zip(module.dilation, module.kernel_size)):
        return "padding='same' around an even filter has no kernel"
    if isinstance(module, nn.MaxPool2d) and module.dilation not in (1, (1, 1)):
        return "dilation has no kernel"
    if isinstance(module, nn.MaxPool2d) and module.ceil_mode:
        return "ceil_mode has no kernel"
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and (module.weight is None) != (module.bias is None):
        return "a scale without a shift has no kernel"
    if isinstance(module, nn.BCEWithLogitsLoss):
        for option in ("weight", "pos_weight"):
            if getattr(module, option) is not None:
                return f"{option} has no kernel"
    return ""


def _uses(model: nn.Module) -> Counter[int]:
    """How often each module is held: one that stands in two places must not change its work for one of them."""
    return Counter(id(child) for module in model.modules() for child in module._modules.values() if child is not None)


def _fuse(row: list[nn.Module], known: dict[int, Change], uses: Counter[int]) -> None:
    def free(i: int, *kinds: type[nn.Module]) -> bool:
        if i >= len(row) or type(row[i]) not in kinds or known[id(row[i])].now in (None, *PASSED):
            return False
        return uses[id(row[i])] == 1 and not (row[i]._forward_hooks or row[i]._forward_pre_hooks
                                              or row[i]._backward_hooks)

    for i, module in enumerate(row):
        if free(i, nn.Conv2d) and free(i + 1, nn.BatchNorm2d):
            relu = free(i + 2, nn.ReLU)
            module.fused = (row[i + 1], "relu" if relu else "identity")     # type: ignore[assignment]
            _join(known, module, row[i + 1: i + 2 + relu], FusedConvNorm2d, PassedOnNorm2d)
        elif free(i, nn.Linear, nn.Conv2d) and free(i + 1, *ACTIVATIONS):
            act, attribute = ACTIVATIONS[type(row[i + 1])]
            slope = float(getattr(row[i + 1], attribute)) if attribute else 0.0
            if act == "leaky" and not 0 <= slope <= 1:
                continue
            pool = isinstance(module, nn.Conv2d) and free(i + 2, nn.MaxPool2d) and _two_by_two(row[i + 2])
            parameter = {_PARAMETER[act]: slope} if attribute else {}
            module.fused = (act, parameter, pool)               # type: ignore[assignment]
            _join(known, module, row[i + 1: i + 2 + pool])
        elif free(i, nn.BatchNorm1d, nn.BatchNorm2d) and free(i + 1, nn.ReLU):
            _join(known, module, row[i + 1: i + 2])


def _join(known: dict[int, Change], first: nn.Module, rest: list[nn.Module], now: type[nn.Module] | None = None,
          norm: type[nn.Module] = PassedOn) -> None:
    """`now` does the work of all; a norm among the rest becomes `norm`."""
    names = " → ".join(type(module).__name__ for module in (first, *rest))
    one = known[id(first)]
    one.now, one.why = now or FUSED[one.was], names
    for module in rest:
        other: Any = known[id(module)]
        other.now = norm if isinstance(module, nn.BatchNorm2d) else PassedOn
        other.why = f"done by {one.place}"


def _two_by_two(pool: nn.Module) -> bool:
    plain = {"kernel_size": 2, "stride": 2, "padding": 0}
    same = all(getattr(pool, name) in (value, (value, value)) for name, value in plain.items())
    return same and not pool.ceil_mode and not pool.return_indices
