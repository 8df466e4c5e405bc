"""Whole networks, certified: every partial derivative of the deck's `Net` and of LeNet, from the derived Python alone.

The backward pass below is the chain rule over the layers; each of its factors is a derived gradient.
"""

from __future__ import annotations

from typing import Any

from chainrule import reference
from chainrule.reference.networks import LENET, NET, build
from chainrule.spec.derivations import derived
from chainrule.spec.field import Certificate, Field, draw

from .claim import Functions, Numbers, flat

Parameters = dict[str, Any]


def network_gradient(f: Functions, p: Parameters, image: Numbers, y: Numbers) -> Parameters:
    """∂/∂(every parameter) of loss.softmax behind two convolutions with ReLU and pooling and three full layers."""
    x, kept = image, {}
    for name in ("conv1", "conv2"):
        z = f["conv2d.layer"](x, *p[name])
        a = [[[f["act.relu"](v) for v in row] for row in channel] for channel in z]
        kept[name] = (x, z, a, [f["pool.max.index"](channel) for channel in a])
        x = [f["pool.max"](channel) for channel in a]
    zs, layers = [], [[1, *flat(x)]]
    for name in ("fc1", "fc2", "fc3"):
        zs.append(f["net.z"](p[name], layers[-1]))
        layers.append(f["net.a"](zs[-1], f["act.relu"]))
    delta = [None, *derived("loss.softmax.delta")(zs[-1][1:], y)]
    gradient, delta = _full_layers(p, zs, layers, delta)
    return _convolutions(p, kept, _as(x, delta), gradient)


def _full_layers(p: Parameters, zs: Numbers, layers: Numbers, delta: Numbers) -> tuple[Parameters, Numbers]:
    """bp.grad and bp.delta.chain from the top; the delta of the flattened image has no g′."""
    gradient, prime, chain = {}, derived("act.relu.prime"), derived("bp.delta.chain")
    for l, name in ((2, "fc3"), (1, "fc2"), (0, "fc1")):
        gradient[name] = derived("bp.grad")(delta, layers[l])
        slopes = [None, *(prime(v) for v in zs[l - 1][1:])] if l else [None, *(1 for _ in layers[0][1:])]
        delta = chain(p[name], delta, slopes)
    return gradient, delta[1:]


def _convolutions(p: Parameters, kept: Parameters, delta: Numbers, gradient: Parameters) -> Parameters:
    prime, unpool = derived("act.relu.prime"), derived("pool.max.grad_x")
    for name in ("conv2", "conv1"):
        x, z, a, index = kept[name]
        H, W = len(a[0]), len(a[0][0])
        delta = [unpool(d, at, H, W) for d, at in zip(delta, index)]
        delta = [[[d * prime(v) for d, v in zip(*rows)] for rows in zip(*channels)] for channels in zip(delta, z)]
        w = p[name][0]
        gradient[name] = (derived("conv2d.layer.grad_w")(delta, x, len(w[0][0]), len(w[0][0][0])),
                          derived("conv2d.layer.grad_b")(delta))
        if name == "conv2":
            delta = derived("conv2d.layer.grad_x")(delta, w, len(x[0]), len(x[0][0]))
    return gradient


def _as(x: Numbers, numbers: Numbers) -> Numbers:
    rest = iter(numbers)
    return [[[next(rest) for _ in row] for row in channel] for channel in x]


def parameters_in_order(p: Parameters) -> Numbers:
    """The stream that `reference.networks.build` reads: weights before intercepts."""
    found = []
    for value in p.values():
        if isinstance(value, tuple):
            found += flat(value)
        else:
            found += [v for row in value[1:] for v in row[1:]] + [row[0] for row in value[1:]]
    return found


def count(shapes: dict[str, tuple[int, ...]]) -> int:
    """The number of parameters."""
    return len(parameters_in_order(build(shapes, iter(range(10**6)))))


def certify_network(
    id: str = "torch.net", side: int = 32, seed: int = 0, functions: Functions | None = None
) -> Certificate:
    """All partial derivatives of loss.softmax(network(x)) at a random point; true if every one is right."""
    f = {**reference.FUNCTIONS, **(functions or {})}
    shapes = {"torch.net": NET, "lenet": LENET}[id]
    with Field(seed) as field:
        image = [[[draw(field.random) for _ in range(side)] for _ in range(side)]]
        y = [draw(field.random) for _ in range(10)]

    def loss(numbers: Numbers) -> Any:
        return f["loss.softmax"](y, f[id](build(shapes, iter(numbers)), image))

    def gradient(numbers: Numbers) -> Numbers:
        found = network_gradient(f, build(shapes, iter(numbers)), image, y)
        return parameters_in_order({name: found[name] for name in shapes})

    return Certificate(loss, count(shapes), gradient, seed)
