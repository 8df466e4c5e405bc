"""A whole training step of a feed-forward network in which no gradient of a weight is ever stored.

alg.average.sgd, alg.average.momentum, alg.average.adamw   for every layer, after the δ below it has been computed

Nothing may want to see a gradient: `refusal` says in one sentence what does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer as torchs_optimizer

from .. import sort_of
from . import functional
from .activations import saved
from .activations.nodes import through
from .runtime.leaves import alone, torchs
from .runtime.library import room
from .runtime.wide import wide
from .updates import composite as composite_training
from .updates import composite_fused as composite_updates

#: The layers' activations by torch's names: (name here, attribute that holds the parameter).
ACTIVATIONS: dict[type[nn.Module], tuple[str, str]] = {
    nn.Sigmoid: ("sigmoid", ""), nn.Tanh: ("tanh", ""), nn.ReLU: ("relu", ""), nn.Identity: ("identity", ""),
    nn.LeakyReLU: ("leaky", "negative_slope"), nn.ELU: ("elu", "alpha"),
}
LOSSES: dict[Any, str] = {
    functional.cross_entropy: "loss.softmax", functional.mse_loss: "loss.square",
    functional.binary_cross_entropy_with_logits: "loss.xent.logits",
    nn.functional.cross_entropy: "loss.softmax", nn.functional.mse_loss: "loss.square",
    nn.functional.binary_cross_entropy_with_logits: "loss.xent.logits",
}
STATES = {"sgd": (), "momentum": ("momentum_buffer",), "adamw": ("exp_avg", "exp_avg_sq")}
_UNSUPPORTED = ("nesterov", "dampening", "maximize", "amsgrad", "differentiable")


def layers_of(model: nn.Module) -> list[tuple[nn.Linear, str, float]] | None:
    """(layer, activation, its parameter) of a Sequential of Linear layers and activations, torch's or ours, else
    None."""
    if torchs(model) is not nn.Sequential:
        return None
    found: list[tuple[nn.Linear, str, float]] = []
    parts: Any = model._modules.values()                    # one that stands twice, twice
    for part in parts:
        kind = torchs(part)
        if kind is nn.Linear:
            found.append((part, "identity", 0.0))
        elif kind in ACTIVATIONS and found and found[-1][1] == "identity":
            name, attribute = ACTIVATIONS[kind]
            found[-1] = (found[-1][0], name, float(getattr(part, attribute)) if attribute else 0.0)
        else:
            return None
    return found or None


def refusal(
    model: nn.Module, loss: Any, optimizer: torch.optim.Optimizer, clip: float | None = None, accumulate: int = 1
) -> str | None:
    """Why the update cannot ride on the gradient's product, or None."""
    if clip is not None:
        return "clipping needs the length of the whole gradient before the first update"
    if accumulate != 1:
        return f"accumulation over {accumulate} batches needs a gradient that waits for the last of them"
    parallel = isinstance(model, nn.parallel.DistributedDataParallel) or type(model).__name__.startswith(
        ("FSDP", "FullyShardedDataParallel"))
    if parallel or (torch.distributed.is_available() and torch.distributed.is_initialized()
                    and torch.distributed.get_world_size() > 1):
        return "data parallelism adds up gradients of several processes before the update"
    layers = layers_of(model)
    if layers is None:
        return f"the model is {sort_of(model)}; it must be a Sequential of Linear layers and activations"
    if loss not in LOSSES:
        return "the loss is none of cross_entropy, mse_loss and binary_cross_entropy_with_logits"
    if not alone(*model.modules()):
        return "a hook, or a forward of its own, wants to see a module called"
    return _parameters(layers) or _optimizer(layers, optimizer)


def owned(layers: list[tuple[nn.Linear, str, float]]) -> list[Tensor]:
    return [p for layer, *_ in layers for p in (layer.weight, layer.bias) if p is not None]


def _parameters(layers: list[tuple[nn.Linear, str, float]]) -> str | None:
    parameters = owned(layers)
    if len(set(parameters)) < len(parameters):
        return "two layers share a parameter, whose gradient is a sum over both"
    for p in parameters:
        if not p.requires_grad:
            return "a parameter is frozen"
        if p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None):
            return "a hook wants to see a gradient"
        if not p.is_contiguous():
            return "a parameter is not contiguous"
    return None


def _optimizer(layers: list[tuple[nn.Linear, str, float]], optimizer: torch.optim.Optimizer) -> str | None:
    if type(optimizer) not in (torch.optim.SGD, torch.optim.AdamW):
        return f"the optimizer is {type(optimizer).__module__}.{type(optimizer).__name__}, not torch's SGD or AdamW"
    if hooked(optimizer):
        return "a hook wants to see the optimizer's step"
    group_of = groups_of(optimizer)
    for layer, *_ in layers:
        for p in (layer.weight, layer.bias):
            if p is None:
                continue
            group = group_of.get(p)
            if group is None:
                return "the optimizer does not have every parameter"
            unsupported = [name for name in _UNSUPPORTED if group.get(name)]
            if unsupported:
                return f"the optimizer uses {unsupported[0]}"
            if p is layer.bias and group["weight_decay"] and type(optimizer) is torch.optim.SGD:
                return "weight_decay is on intercepts, which alg.average leaves out; give them a group of their own"
            state = optimizer.state.get(p, {})
            if not all(_fits(state.get(name), p) for names in STATES.values() for name in names):
                return "a state of the optimizer has another shape, dtype or order than its parameter"
    return None


def groups_of(optimizer: torch.optim.Optimizer) -> dict[Tensor, dict[str, Any]]:
    return {p: group for group in optimizer.param_groups for p in group["params"]}


def hooked(optimizer: torch.optim.Optimizer) -> bool:
    """Does something see this optimizer step? (A scheduler of the learning rate only counts.)"""
    own = vars(optimizer).get("step")
    return bool(
        optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
        or torchs_optimizer._global_optimizer_pre_hooks or torchs_optimizer._global_optimizer_post_hooks
        or (own is not None and not hasattr(own, "_wrapped_by_lr_sched")))


def _fits(t: Any, p: Tensor) -> bool:
    """Is this a state that lies in memory as its parameter does, or none yet?"""
    return t is None or (
        isinstance(t, Tensor) and (t.shape, t.dtype, t.device) == (p.shape, p.dtype, p.device) and t.is_contiguous())


@dataclass
class Held:
    """What the kernels read beside a parameter: its group's numbers."""

    group: dict[str, Any]
    table: Tensor
    shown: tuple[float, ...] = ()


class FusedStep:
    """x, y → the mean loss; Θ, b and the optimizer's states move in place, and no `.grad` is set."""

    def __init__(
        self, model: nn.Module, loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer,
        narrow: torch.dtype | None = None,
    ) -> None:
        self.model, self.loss, self.optimizer, self.narrow = model, loss, optimizer, narrow
        self.identity = LOSSES[loss]
        self.layers: list[tuple[nn.Linear, str, float]] = []
        self.held: dict[Tensor, Held] = {}
        self.rule = ""

    def numbers(self, group: dict[str, Any]) -> dict[str, float]:
        if self.rule == "adamw":
            beta1, beta2 = group["betas"]
            return {"eta": float(group["lr"]), "lam": group["weight_decay"], "beta1": beta1, "share": 1 - beta1,
                    "beta2": beta2, "eps": group["eps"]}
        return {"eta": float(group["lr"]), "beta1": group.get("momentum", 0.0), "share": 1.0}

    def refresh(self) -> None:
        """Look at the model and the optimizer as they are now, and put what the groups say where the kernels read it:
        also before a graph is replayed."""
        reason = refusal(self.model, self.loss, self.optimizer)
        if reason is not None:
            raise ValueError(f"make_step(fused=True): by now {reason}; make the step again, without fused")
        self.layers = layers_of(self.model) or []
        groups = groups_of(self.optimizer)
        momentum = any(group.get("momentum") for group in self.optimizer.param_groups)
        adamw = type(self.optimizer) is torch.optim.AdamW
        self.rule = "adamw" if adamw else "momentum" if momentum else "sgd"
        self.held = {p: self.held.get(p) or Held(groups[p], torch.empty(7, dtype=torch.float64, device=p.device))
                     for p in owned(self.layers)}
        for p, held in self.held.items():
            held.group = groups[p]
            said = tuple({**dict.fromkeys(("eta", "lam", "beta1", "share", "beta2", "eps", "slowing"), 0.0),
                          **self.numbers(held.group)}.values())
            if held.shown != said:
                held.table.copy_(torch.tensor(said, dtype=torch.float64))
                held.shown = said

    def states(self, p: Tensor) -> list[Tensor]:
        """The optimizer's own, by torch's names, so that its checkpoints stay whole."""
        state = self.optimizer.state[p]
        for name in STATES[self.rule]:
            if state.get(name) is None:
                state[name] = torch.zeros_like(p)
        if self.rule == "adamw":
            t = state.get("step", 0.0)
            if not (isinstance(t, Tensor) and t.device == p.device and t.dtype == torch.float32 and not t.dim()):
                state["step"] = torch.tensor(float(t), dtype=torch.float32, device=p.device)
        return [state[name] for name in STATES[self.rule]]

    def moved(self, l: int, delta: Tensor, a: Tensor, n: float, sums: Tensor | None) -> None:
        layer = self.layers[l][0]
        kernels = room("updates.fused", f"alg.average.{self.rule}", layer.weight)
        lam = 0.0 if self.rule == "adamw" else float(self.held[layer.weight].group["weight_decay"])
        if kernels is not composite_updates:
            weight, bias = (None if p is None else self.parameter(kernels, p) for p in (layer.weight, layer.bias))
            kernels.layer(self.rule, delta, a, weight, bias, lam, n, sums)
            return
        widened = wide(delta)
        D = widened.t() @ wide(a) / n
        self.stepped(layer.weight, D + lam * wide(layer.weight) if lam else D)
        if layer.bias is not None:
            self.stepped(layer.bias, widened.sum(0) / n)

    def counted(self, p: Tensor) -> Tensor | None:
        """The optimizer's own count of steps, this one included, where it keeps one."""
        t: Tensor | None = self.optimizer.state[p].get("step")
        return t if t is None else t.add_(1)

    def parameter(self, kernels: Any, p: Tensor) -> Any:
        tensors, t = (p.detach(), *self.states(p)), self.counted(p)
        held = self.held[p]
        return kernels.Parameter(tensors, tensors, held.table, held.table if t is None else t)

    def seen(self) -> dict[Tensor | None, Tensor | None]:
        """What the products multiply by, for each parameter: itself, or a copy in `narrow`. A copy of the step before
        may be no copy any more: `p.data.mul_()` moves neither p's version nor its address, and to compare the two
        reads more than to make it again."""
        own = owned(self.layers)
        if self.narrow is None:
            return {None: None, **{p: p for p in own}}
        copies = [torch.empty_like(p, dtype=self.narrow) for p in own]
        torch._foreach_copy_(copies, own)
        return {None: None, **dict(zip(own, copies))}

    def stepped(self, p: Tensor, D: Tensor) -> None:
        own, t = self.states(p), self.counted(p)
        numbers = {**self.numbers(self.held[p].group), "t": 1 if t is None else int(t)}
        composite_training.step_(self.rule, p, D, own, numbers)

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        x = x if self.narrow is None else x.to(self.narrow)
        linear, kept, seen = room("layers.kernels", "net.layer.affine", x), [], self.seen()
        activations = [x]
        for layer, act, p in self.layers:
            form = saved.form(act, x.dtype, p)
            a, z = linear.affine_keeping(
                activations[-1], seen[layer.weight], seen[layer.bias], act, p, form == "z", None)
            activations.append(a)
            kept.append(z if form == "z" else a)
        losses, delta = room("losses.kernels", self.identity, x).loss(self.identity, activations[-1], y)
        n = float(len(delta) if self.identity == "loss.softmax" else delta.numel())
        _, act, p = self.layers[-1]
        delta = through(delta, kept[-1], act, saved.form(act, x.dtype, p), p)
        sums = None
        for l in reversed(range(len(self.layers))):
            below = sums_below = None
            if l:                       # from the old Θ, so before it moves
                _, act, p = self.layers[l - 1]
                weight = seen[self.layers[l][0].weight]
                below, sums_below = linear.delta_partial(
                    delta, weight, kept[l - 1], act, saved.form(act, x.dtype, p), p, "bp.delta.chain", None)
            self.moved(l, delta, activations[l], n, sums)
            delta, sums = below, sums_below
        self.optimizer._opt_called = True       # type: ignore[attr-defined]    # as schedulers ask
        return torch.mean(losses)


__all__ = ["ACTIVATIONS", "LOSSES", "FusedStep", "composite_updates", "layers_of", "refusal"]
