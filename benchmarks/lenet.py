"""A training step of LeNet: two convolution layers with pooling, three layers on top; by our ops, and by torch's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import attrs
import torch
from torch import Tensor

from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.images.checks import forward, pool
from chainrule.triton_kernels.runtime.library import room

from . import floors
from .floors import Floor
from .steps import ETA, LAM, start

SIDE, TAPS, FILTERS = 28, 5, (1, 6, 16)
NODES = (400, 120, 84, 10)
PADDING = (2, 0)                # the first layer keeps the image's size
#: The fewest: a and both gradients of five layers, δ through two poolings, the loss, one step on all parameters.
LAUNCHES = 2 * 5 + 2 + 2


@attrs.define
class Network:
    filters: list[Tensor]
    filter_biases: list[Tensor]
    weights: list[Tensor]
    biases: list[Tensor]
    optimizer: Any = None

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.filters, *self.filter_biases, *self.weights, *self.biases]


def network(generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Network:
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    filters = [normal(o, i, TAPS, TAPS) / (i * TAPS**2) ** 0.5 for i, o in pairwise(FILTERS)]
    weights = [normal(o, i) / i**0.5 for i, o in pairwise(NODES)]
    return Network(filters, [normal(f) / 9 for f in FILTERS[1:]], weights, [normal(o) / 9 for o in NODES[1:]])


def data(batch: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    images = torch.randn((batch, 1, SIDE, SIDE), generator=generator, dtype=dtype)
    return images, torch.randint(0, NODES[-1], (batch,), generator=generator)


@torch.no_grad()
def by_ops(net: Network, x: Tensor, y: Tensor) -> Tensor:
    """The ops that training code asks for, a convolution with its pooling one of them, and one optimizer step for all
    tensors. The per-example losses."""
    n, inputs, sizes, places = len(x), [x], [], []
    images = {name: room(f"images.{name}", "conv2d.layer", x) for name in ("pooled", "pool", "layer", "filters")}
    linear = room("layers.gradients", "bp.delta.chain", x)
    for w, b, padding in zip(net.filters, net.filter_biases, PADDING):
        sizes.append(forward(inputs[-1], w, b, 1, padding, 1, 1, pooled=True))
        pooled, index, _ = images["pooled"].pooled_keeping(
            inputs[-1], w, b, sizes[-1], "relu", 0.0, False, None, True, True)
        inputs.append(pooled)
        places.append(index)
    a = [inputs[-1].flatten(1)]
    for w, b in zip(net.weights[:-1], net.biases[:-1]):
        a.append(OPS["net.layer.affine"](x=a[-1], w=w, b=b, act="relu"))
    z = OPS["net.layer.affine"](x=a[-1], w=net.weights[-1], b=net.biases[-1], act="identity")
    loss, delta = OPS["loss.softmax"](z=z, y=y)
    for l in reversed(range(len(net.weights))):
        w, act = net.weights[l], "relu" if l else "identity"
        delta, w.grad, net.biases[l].grad = linear.gradients(delta, w, a[l], a[l], act, "a", 0.0, LAM, float(n))
    delta = delta.view(inputs[-1].shape)
    for l in reversed(range(len(net.filters))):
        window = pool("pool.max.grad_x", sizes[l].y_shape, 2, 2, 0)
        delta = images["pool"].pooled_backward(delta, places[l], window, None, "relu", "side", 0.0)
        w = net.filters[l]
        below = images["layer"].delta_through(delta, w, sizes[l], None, "identity", 0.0, None) if l else None
        w.grad, net.filter_biases[l].grad = images["filters"].averaged(
            delta, inputs[l], w, sizes[l], LAM, float(n), True, True, None)
        delta = below
    if net.optimizer is None:
        start(net)
    net.optimizer.step()
    return loss                                                                     # type: ignore[no-any-return]


def eager(net: Network) -> Callable[[Tensor, Tensor], Tensor]:
    for t in net.parameters:
        t.requires_grad_()
    groups: list[dict[str, Any]] = [
        {"params": [*net.filters, *net.weights], "weight_decay": LAM}, {"params": [*net.filter_biases, *net.biases]}]
    optimizer = torch.optim.SGD(groups, lr=ETA, fused=True)
    torch_f = torch.nn.functional

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        a = x
        for w, b, padding in zip(net.filters, net.filter_biases, PADDING):
            a = torch_f.max_pool2d(torch.relu(torch_f.conv2d(a, w, b, padding=padding)), 2)
        a = a.flatten(1)
        for w, b in zip(net.weights[:-1], net.biases[:-1]):
            a = torch.relu(torch_f.linear(a, w, b))
        loss = torch_f.cross_entropy(torch_f.linear(a, net.weights[-1], net.biases[-1]), y)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return step


def floor(
    batch: int, size: int = 4, side: int = SIDE, taps: int = TAPS, padding: tuple[int, ...] = PADDING,
    nodes: tuple[int, ...] = NODES, states: int = 0,
) -> list[Floor]:
    """One entry an equation. A convolution layer ends in its pooling and keeps a byte for each window; δ comes back
    through window and g′ in one pass, which the gradients of filters and input read; D is never in memory."""
    B, parts, kept = batch, [], 2 * (1 + states)
    for l, (i, o) in enumerate(pairwise(FILTERS)):
        out = side + 2 * padding[l] - taps + 1
        image, layer, pooled = B * i * side**2, B * o * out**2, B * o * (out // 2) ** 2
        work, parameters = 2 * layer * i * taps**2, o * i * taps**2 + o
        parts += [
            Floor(work, size * (image + parameters + pooled) + pooled, "fp32"),     # convolution, g, pooling
            Floor(0, size * (2 * pooled + layer) + pooled, "fp32"),                 # δ from the pooled δ, a and places
            Floor(work, size * (layer + image + kept * parameters), "fp32"),           # D and the step
        ]
        if l:
            parts.append(Floor(work, size * (layer + o * i * taps**2 + image), "fp32"))
        side = out // 2
    for i, o in pairwise(nodes):
        parts += [floors.layer(B, i, o, size, "fp32"), floors.update(B, i, o, size, "fp32", states, size)]
        hidden = floors.delta(B, i, o, size, "fp32")
        parts.append(hidden if i != nodes[0] else Floor(hidden.flops, size * (B * o + i * o + B * i), "fp32"))
    return [*parts, floors.rows(B, nodes[-1], size)]
