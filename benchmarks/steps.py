"""Whole training steps of the deck's network: op by op, with the gradient kept out of memory, and as torch's users do.

A step changes its network in place, so that a CUDA graph can replay it. Hidden layers have the sigmoid, the last a
softmax; D = Δ/n + λΘ, the intercepts unregularised, as the deck's algorithm says.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import attrs
import torch
from torch import Tensor

from chainrule.triton_kernels import OPS, optim
from chainrule.triton_kernels.runtime import library
from chainrule.triton_kernels.runtime.launch import runs_kernel

ETA, LAM, MU = 0.1, 1e-4, 0.9


@attrs.define
class Network:
    """Weights and intercepts of every layer, with as many states each as the rule keeps."""

    weights: list[Tensor]
    biases: list[Tensor]
    weight_states: list[Tensor]
    bias_states: list[Tensor]
    optimizer: Any = None
    tables: Any = None          # the fused update's numbers and step, on the device

    @property
    def rule(self) -> str:
        return "momentum" if self.weight_states else "sgd"

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]


@attrs.frozen
class Mlp:
    """A network of these nodes and a minibatch for it."""

    nodes: tuple[int, ...]
    batch: int
    dtype: torch.dtype = torch.float32
    rule: str = "sgd"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each."""
        return list(pairwise(self.nodes))

    def network(self, device: str, generator: torch.Generator) -> Network:
        weights = [self._normal(device, generator, o, i) / i**0.5 for i, o in self.layers]
        biases = [self._normal(device, generator, o) for _, o in self.layers]
        states = self.rule == "momentum"
        zeros = [[torch.zeros_like(t) for t in group] if states else [] for group in (weights, biases)]
        return Network(weights, biases, *zeros)

    def data(self, device: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = self._normal(device, generator, self.batch, self.nodes[0])
        return x, torch.randint(0, self.nodes[-1], (self.batch,), device=device, generator=generator)

    def _normal(self, device: str, generator: torch.Generator, *shape: int) -> Tensor:
        return torch.randn(shape, device=device, generator=generator).to(self.dtype)


def forward(net: Network, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Every layer's input, and the last z."""
    a = [x]
    for w, b in zip(net.weights[:-1], net.biases[:-1]):
        a.append(OPS["net.layer.affine"](x=a[-1], w=w, b=b, act="sigmoid"))
    return a, OPS["net.layer.affine"](x=a[-1], w=net.weights[-1], b=net.biases[-1], act="identity")


@torch.no_grad()
def start(net: Any, mu: float = 0.0) -> None:
    """An optimizer that has made its states and tables, by a step along no gradient."""
    grads, net.optimizer = [t.grad for t in net.parameters], optim.SGD(net.parameters, lr=ETA, momentum=mu)
    for t in net.parameters:
        t.grad = torch.zeros_like(t)
    net.optimizer.step()
    for t, grad in zip(net.parameters, grads):
        t.grad = grad


@torch.no_grad()
def by_ops(net: Network, x: Tensor, y: Tensor) -> Tensor:
    """The ops that training code asks for, both gradients of a layer one of them, and one optimizer step for all
    tensors. The per-example losses."""
    if net.optimizer is None:
        start(net, MU if net.weight_states else 0.0)
    both = library.room("layers.gradients", "bp.delta.rec", x)
    a, z = forward(net, x)
    loss, delta = OPS["loss.softmax"](z=z, y=y)
    for l in reversed(range(len(net.weights))):
        w = net.weights[l]
        if l:
            delta, *D = both.gradients(delta, w, a[l], a[l], "sigmoid", "a", 0.0, LAM, float(len(x)))
        else:
            D = OPS["alg.average"](delta=delta, a=a[l], w=w, lam=LAM, n=len(x))
        w.grad, net.biases[l].grad = D
    net.optimizer.step()
    return loss                                                                     # type: ignore[no-any-return]


@torch.no_grad()
def fused(net: Network, x: Tensor, y: Tensor) -> Tensor:
    """D and the step on Θ in one op a layer; D is never in memory, and each δ leaves the sums for its intercepts."""
    linear = library.room("layers.kernels", "bp.delta.rec", x)
    sums = None
    a, z = forward(net, x)
    loss, delta = OPS["loss.softmax"](z=z, y=y)
    for l in reversed(range(len(net.weights))):
        below = sums_below = None
        if l:
            below, sums_below = linear.delta_partial(
                delta, net.weights[l], a[l], "sigmoid", "a", 0.0, "bp.delta.rec")
        (update if runs_kernel(x) else updated)(net, l, delta, a[l], sums)
        delta, sums = below, sums_below
    return loss                                                                     # type: ignore[no-any-return]


def update(net: Network, l: int, delta: Tensor, a: Tensor, sums: Tensor | None) -> None:
    """By the kernels, in place."""
    from chainrule.triton_kernels.updates import fused as fused_update

    if net.tables is None:
        numbers = {"eta": ETA, "beta1": MU if net.weight_states else 0.0, "share": 1.0}
        net.tables = fused_update.tables(numbers, 1.0, net.weights[0].device)
    kept = [(one[l], *(state[l] for state in [states] if state))
            for one, states in ((net.weights, net.weight_states), (net.biases, net.bias_states))]
    theta, b = (fused_update.Parameter(one, one, *net.tables) for one in kept)
    fused_update.layer(net.rule, delta, a, theta, b, LAM, float(len(delta)), sums)


def updated(net: Network, l: int, delta: Tensor, a: Tensor, sums: Tensor | None) -> None:
    """By the composites of the same ops."""
    given = {"delta": delta, "a": a, "theta": net.weights[l], "b": net.biases[l], "lam": LAM, "n": len(delta)}
    old = [net.weights[l], net.biases[l]]
    if net.weight_states:
        old += [net.weight_states[l], net.bias_states[l]]
        new = OPS["alg.average.momentum"](**given, v=old[2], vb=old[3], eta=ETA, mu=MU)
    else:
        new = OPS["alg.average.sgd"](**given, eta=ETA)
    for one, value in zip(old, new):
        one.copy_(value)


def objective(weights: list[Tensor], biases: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    a = x
    for w, b in zip(weights[:-1], biases[:-1]):
        a = torch.sigmoid(torch.nn.functional.linear(a, w, b))
    return torch.nn.functional.cross_entropy(torch.nn.functional.linear(a, weights[-1], biases[-1]), y)


def eager(net: Network, run: Callable[..., Tensor] = objective) -> Callable[[Tensor, Tensor], Tensor]:
    """torch as its users write it: autograd, and the fused optimizer with weight decay on the weights alone. `run` may
    be a compiled objective, which brings its backward pass."""
    for t in net.parameters:
        t.requires_grad_()
    mu = MU if net.weight_states else 0.0
    groups: list[dict[str, Any]] = [{"params": net.weights, "weight_decay": LAM}, {"params": net.biases}]
    optimizer = torch.optim.SGD(groups, lr=ETA, momentum=mu, fused=True)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = run(net.weights, net.biases, x, y)
            torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return step
