"""patch(model): torch's modules in a model become ours, in place, by changing their class; `undo` changes it back.

No module is replaced, so parameters, hooks, `state_dict` and whoever holds a module keep working. A patched model
computes what it computed, whatever is done to it afterwards: each module still computes its own, and an `nn.Sequential`
lets neighbours go together only when it runs them and only where nobody could tell (`chains`). What another `forward`
calls one after the other (a residual block's) cannot be known from the modules, and a trace of it holds for the values,
attributes and globals that it met, none of which tells when it has changed: there nothing is fused (`nn.ResidualBlock`
is).

Tools that look for torch's exact classes pass ours by, or refuse them (captum's DeepLift, dynamic quantization and
`fuse_modules` of torch.ao, Opacus' validator):
give them the model before it is patched, or after `undo`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs
import torch
from torch import nn

from .. import sort_of
from . import nn as ours
from .nn import chains

TWINS: dict[type[nn.Module], type[nn.Module]] = {
    twin: getattr(ours, twin.__name__) for twin in (
        nn.Linear, nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
        nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Softmax, nn.LayerNorm, nn.MultiheadAttention,
        nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss,
        *([nn.LinearCrossEntropyLoss] if hasattr(nn, "LinearCrossEntropyLoss") else []))}
OURS = frozenset(TWINS.values())
#: Where a module keeps what it was: in its own `__dict__`, so that copies and slices of a model can be undone, too.
MARK = "patched_from"


@attrs.define
class Change:
    """One module: where it is, what it was, what it became (None if nothing), and why."""

    path: str
    module: nn.Module = attrs.field(repr=False)
    was: type[nn.Module]
    now: type[nn.Module] | None
    why: str = ""

    @property
    def place(self) -> str:
        return self.path or "(model)"

    def __str__(self) -> str:
        became = "unchanged" if self.now is None else "chained" if issubclass(self.now, chains.Chained) else "ours"
        return f"{self.place:30s} {self.was.__name__:18s} {became:10s} {self.why}".rstrip()


class Report:
    """What `patch` changed and what it left, and why; a context manager that undoes it at the end."""

    def __init__(self, model: nn.Module, changes: list[Change]) -> None:
        self.model, self.changes = model, changes
        self.undone = False

    @property
    def changed(self) -> list[Change]:
        return [one for one in self.changes if one.now is not None]

    def undo(self) -> None:
        """Every module its old class again, also those that have left the model; refuses, and changes nothing, where
        one's class has been changed since."""
        if self.undone:
            raise RuntimeError("patch: already undone")
        for one in self.changed:
            if type(one.module) is not one.now:
                raise RuntimeError(f"patch: {one.place} has become {sort_of(one.module)} since it was patched; "
                                   "undo that change first")
        for one in self.changed:
            _back(one.module)
        undo(self.model)                                    # and the slices of it that stand in it now
        self.undone = True

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.undone:
            self.undo()

    def __str__(self) -> str:
        return "\n".join([f"{len(self.changed)} of {len(self.changes)} modules changed", *map(str, self.changes)])


def patch(model: nn.Module, *, only: Iterable[str] | None = None, fuse: bool = True) -> Report:
    """Make a model's torch modules ours, in place; `only` names classes ("Conv2d", …), `fuse` lets Sequentials join
    neighbours when they run them.

    Only exact torch classes change: a subclass may compute something else. Raises ValueError for a model that is
    patched already and for unknown names.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"patch: the model is {sort_of(model)}; expected a torch.nn.Module")
    wanted = {twin.__name__ for twin in TWINS} if only is None else set(only)
    unknown = wanted - {twin.__name__ for twin in TWINS}
    if unknown:
        raise ValueError(f"patch: only = {', '.join(sorted(unknown))} is unknown; there are "
                         f"{', '.join(twin.__name__ for twin in TWINS)}")
    for path, module in model.named_modules():
        if MARK in vars(module) or isinstance(module, chains.Chained):
            raise ValueError(f"patch: {path or '(model)'} is patched already; undo that first")
    changes = [_change(path, module, wanted, fuse) for path, module in model.named_modules()]
    for one in changes:
        if one.now is not None:
            vars(one.module)[MARK] = one.was
            one.module.__class__ = one.now
    return Report(model, changes)


def undo(model: nn.Module) -> None:
    """Every patched module of a model, or of a copy of one, its old class again."""
    for path, module in model.named_modules():
        if MARK in vars(module) and type(module) not in OURS and not isinstance(module, chains.Chained):
            raise RuntimeError(f"patch: {path or '(model)'} has become {sort_of(module)} since it was patched; "
                               "undo that change first")
    for module in model.modules():
        _back(module)


def _back(module: nn.Module) -> None:
    was = vars(module).pop(MARK, None)
    if was is None and isinstance(module, chains.Chained):
        was = module.chained_from                           # a slice, which the class has made
    if was is not None:
        module.__class__ = was


def _change(path: str, module: nn.Module, wanted: set[str], fuse: bool) -> Change:
    was = type(module)
    if chains.runs_in_order(module):
        runs = fuse and any(True for _ in module.children())
        return Change(path, module, was, chains.chained(was) if runs else None,      # type: ignore[arg-type]
                      "joins neighbours that it runs" if runs else "runs its modules one by one")
    why = _why_not(module, wanted)
    now = None if why else TWINS[was]
    if now is not None and getattr(module, "inplace", False):
        why = "in place: torch's own, except behind a layer in a Sequential"
    return Change(path, module, was, now, why)


def _why_not(module: nn.Module, wanted: set[str]) -> str:
    kind = type(module)
    if kind in OURS or kind.__module__.startswith(ours.__name__):
        return "is ours"
    if kind not in TWINS:
        if isinstance(module, nn.modules.lazy.LazyModuleMixin):
            return "lazy: call it once before it is patched"
        if isinstance(module, tuple(TWINS)):
            return "a subclass: its forward may differ"
        if kind.__module__.startswith("torch."):
            return "there is no kernel" if not any(True for _ in module.children()) else "holds or runs other modules"
        return "not one of torch's: its forward is its own"
    if kind.__name__ not in wanted:
        return "not in only"
    return _no_kernel(module)


def _no_kernel(module: nn.Module) -> str:
    """Which option of a module has no kernel, or ""."""
    if "forward" in vars(module):
        return "has a forward of its own"
    for p in module.parameters(recurse=False):
        if not isinstance(p, nn.parameter.UninitializedParameter) and p.dtype not in (
                torch.float32, torch.float16, torch.bfloat16):
            return f"{str(p.dtype).removeprefix('torch.')} has no kernel"
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        if module.padding_mode != "zeros":
            return f"padding_mode={module.padding_mode!r} has no kernel"
        if module.padding == "same" and any(d * (k - 1) % 2 for d, k in zip(module.dilation, module.kernel_size)):
            return "padding='same' around an even filter has no kernel"
    if isinstance(module, (nn.MaxPool1d, nn.MaxPool2d)):
        return _pooling(module)
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
        if (module.weight is None) != (module.bias is None):
            return "a scale without a shift has no kernel"
        return "" if module.eps > 0 else f"eps={module.eps} has no kernel"
    if isinstance(module, nn.MultiheadAttention) and (module.bias_k is not None or module.add_zero_attn):
        return "add_bias_kv and add_zero_attn have no kernel"
    if isinstance(module, nn.BCEWithLogitsLoss):
        for option in ("weight", "pos_weight"):
            if getattr(module, option) is not None:
                return f"{option} has no kernel"
    return ""


def _pooling(pool: nn.MaxPool1d | nn.MaxPool2d) -> str:
    if pool.dilation not in (1, (1,), (1, 1)):
        return "dilation has no kernel"
    if pool.ceil_mode:
        return "ceil_mode has no kernel"
    plane = isinstance(pool, nn.MaxPool2d)
    sides = pool.kernel_size if isinstance(pool.kernel_size, (tuple, list)) else (pool.kernel_size,) * (1 + plane)
    if math.prod(sides) > 256:
        return f"a window of {' × '.join(map(str, sides))} has no kernel"
    return ""
