"""Neighbours that one kernel can do together, decided when they are called.

Who runs modules one after the other (a `Sequential`, a network of ours) may let one kernel do the work of several:
Linear → activation, Conv2d → activation → MaxPool2d(2), Conv2d → BatchNorm2d → ReLU, BatchNorm → ReLU. Linear layers
with one activation between them are one node, each δ ⊙ g′ riding on a product (`functional.mlp`); so are convolutions
with a norm and a ReLU behind each, which make what lies between them on the way (`normed`). It may so only as
long as nobody could tell: each is of our very class, nothing hangs on it, and what goes between them goes nowhere
else. Anything else is called as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _get_tracing_state
from torch.nn.modules import module as torchs

from .. import functional as F
from ..activations.table import ACTIVATIONS as TABLE
from ..layers.checks import are_layers
from ..runtime.launch import PLAIN, traced
from ..runtime.leaves import as_class
from . import layers as ours
from . import normed

LAYERS = (ours.Linear, ours.Conv2d)
NORMS = (ours.BatchNorm1d, ours.BatchNorm2d)


def run(modules: Sequence[nn.Module], input: Any) -> Any:
    """What `for module in modules: input = module(input)` computes."""
    if torchs._has_any_global_hook() or _get_tracing_state() is not None:       # type: ignore[no-untyped-call]
        return one_by_one(modules, input)
    at = 0
    while at < len(modules):
        found, taken = normed_convolutions(modules, at, input)
        if found is not None:
            input, at = found, at + taken
            continue
        taken = network(modules, at, input)
        if taken > 1:
            input = _layers(modules[at:at + taken], input)
        else:
            taken = together(modules[at:at + 3]) if type(input) in PLAIN or traced(input) else 1
            input = modules[at](input) if taken == 1 else _fused(modules[at:at + taken], input)
        at += taken
    return input


def normed_convolutions(modules: Sequence[nn.Module], at: int, input: Any) -> tuple[Tensor | None, int]:
    """What comes out of as many Conv2d → BatchNorm2d → ReLU as one node can do here, and how many modules these are."""
    pairs: list[tuple[Any, Any]] = []
    while at < len(modules) and type(modules[at]) is ours.Conv2d and together(modules[at:at + 3]) == 3:
        conv, norm, _ = modules[at:at + 3]
        if type(norm) is not ours.BatchNorm2d:
            break
        pairs.append((conv, norm))
        at += 3
    for some in (pairs, pairs[:1]):
        found = normed.together(some, input) if some else None
        if found is not None:
            return found, 3 * len(some)
    return None, 0


def network(modules: Sequence[nn.Module], at: int, input: Any) -> int:
    """How many modules from here on are Linear layers with one activation between them."""
    if type(modules[at]) is not ours.Linear or not ours.untouched(modules[at]):
        return 0
    act, taken = None, 1
    while at + taken + 1 < len(modules):
        between, layer = modules[at + taken], modules[at + taken + 1]
        if together((modules[at + taken - 1], between)) != 2 or type(layer) is not ours.Linear:
            break
        found = ours.named(between)
        if act not in (None, found) or not ours.untouched(layer):
            break
        act, taken = found, taken + 2
    if taken < 5 and together(modules[at + taken - 1:at + taken + 2]) > 1:
        return 0                    # two layers, each with an activation behind it: as good as one by one
    layers: Any = modules[at:at + taken:2]
    fit = taken > 1 and are_layers(input, [one.weight for one in layers], [one.bias for one in layers])
    return taken if fit else 0


def _layers(modules: Sequence[nn.Module], input: Tensor) -> Tensor:
    layers: Any = modules[::2]
    found = ours.named(modules[1])
    assert found is not None
    act, parameter = found
    return F.mlp(input, [one.weight for one in layers], [one.bias for one in layers], act, **parameter)


def one_by_one(modules: Sequence[nn.Module], input: Any) -> Any:
    for module in modules:
        input = module(input)
    return input


def together(modules: Sequence[nn.Module]) -> int:
    """How many of these, from the first, one call can do: 1, 2 or 3."""
    first, *rest = modules
    kind = type(first)
    if not rest or kind not in (*LAYERS, *NORMS) or not (ours.untouched(first) and ours.untouched(rest[0])):
        return 1
    then = type(rest[0])
    last = rest[1] if len(rest) > 1 and ours.untouched(rest[1]) else None
    if kind is ours.Conv2d and first.padding_mode != "zeros":
        return 1
    if kind is ours.Conv2d and then is ours.BatchNorm2d:
        return 3 if type(last) is ours.ReLU else 2
    act = ours.named(rest[0])
    if kind in LAYERS and act is not None:
        g, p = TABLE[act[0]], next(iter(act[1].values()), 0.0)
        if g.legal is not None and not g.legal[0](p):
            return 1
        if kind is ours.Conv2d and g.heavy:
            return 1
        pools = kind is ours.Conv2d and type(last) is ours.MaxPool2d and _two_by_two(last) and g.rises(p)
        return 3 if pools else 2
    return 2 if kind in NORMS and then is ours.ReLU else 1


def _fused(modules: Sequence[nn.Module], input: Tensor) -> Any:
    first: Any = modules[0]
    then: Any = modules[1]
    if type(first) in NORMS:
        first._check_input_dim(input)
        return ours.normalized(first, input, act="relu")
    if type(then) in NORMS:
        return _normalized(first, then, input, "relu" if len(modules) == 3 else "identity")
    found = ours.named(then)
    assert found is not None
    act, parameter = found
    if type(first) is ours.Linear:
        return F.linear_act(input, first.weight, first.bias, act, **parameter)
    return F.conv2d_act(input, first.weight, first.bias, act, *ours.geometry(first), pool=len(modules) == 3,
                        **parameter)


def _normalized(conv: nn.Conv2d, norm: nn.BatchNorm2d, input: Tensor, act: str) -> Tensor:
    """A convolution, its norm, and perhaps a ReLU.

    In training the norm needs the whole of what is convolved, so that is two steps, the ReLU in the second. In
    evaluation, where nothing is recorded and float32 stays float32, the norm is a scale and a shift per filter, which
    the filters take in: one step. (Rounding scaled 16-bit filters once more would cost digits.)
    """
    mu, var, own, shift = norm.running_mean, norm.running_var, norm.weight, norm.bias
    if norm.training or mu is None or var is None or _needs_its_own_step(input, conv.weight, mu, var, own):
        y = conv(input)
        norm._check_input_dim(y)
        return ours.normalized(norm, y, act=act)
    scale = (var + norm.eps).rsqrt()
    scale = scale if own is None else scale * own
    b = -mu * scale if conv.bias is None else (conv.bias - mu) * scale
    w = conv.weight * scale[:, None, None, None]
    return F.conv2d_act(input, w, b if shift is None else b + shift, act, *ours.geometry(conv))


def _needs_its_own_step(input: Tensor, *parameters: Tensor | None) -> bool:
    tensors = [input, *(p for p in parameters if p is not None)]
    recorded = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    narrow = any(t.dtype != torch.float32 for t in tensors) or torch.is_autocast_enabled(input.device.type)
    return recorded or narrow or input.dim() != 4


def _two_by_two(pool: Any) -> bool:
    plain = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1}
    same = all(getattr(pool, name) in (value, (value, value)) for name, value in plain.items())
    return same and not pool.ceil_mode and not pool.return_indices


class Chained(nn.Sequential):
    """What a Sequential becomes: it runs its modules in their order, and lets neighbours go together."""

    chained_from: type[nn.Sequential]

    def forward(self, input: Any) -> Any:
        return run(list(self._modules.values()), input)

    def __prepare_scriptable__(self) -> nn.Sequential:
        """For torch.jit.script, which compiles the code it finds: the class that this was."""
        found: nn.Sequential = as_class(self, self.chained_from)
        return found

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _empty, (self.chained_from,), self.__dict__


def _empty(kind: type[nn.Sequential]) -> Any:
    """For copies and pickles: a class that is made when it is needed has no name to be found by."""
    made = chained(kind)        # type: ignore[arg-type]
    return made.__new__(made)


@cache
def chained(kind: Any) -> type[Chained]:
    """A Sequential, or a class of somebody's that runs as one, with `Chained`'s forward."""
    inside = {"chained_from": kind, "__module__": kind.__module__, "__qualname__": kind.__qualname__,
              "__doc__": kind.__doc__}
    return type(kind.__name__, (Chained, kind), inside)


def runs_in_order(module: nn.Module) -> bool:
    """Is this a Sequential that runs its modules as torch's does?"""
    kind = type(module)
    return (
        issubclass(kind, nn.Sequential) and not issubclass(kind, Chained) and kind.forward is nn.Sequential.forward
        and kind.__iter__ is nn.Sequential.__iter__ and "forward" not in vars(module))
