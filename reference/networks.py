"""Networks the deck writes down or names: `Net` as PyTorch code (lines 253–276), LeNet (1981), ResNet (332).

Parameters are dicts by layer: (K, b) for a convolution, Θ with its intercepts in slot 0 for a full layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .activations import relu
from .backprop import Activation, layer, linear, net_input
from .convolution import conv2d_layer
from .ids import implements
from .lists import Image, Matrix, Vector, same
from .pooling import flatten, maxpool

NET = {"conv1": (6, 1, 3, 3), "conv2": (16, 6, 3, 3), "fc1": (120, 576), "fc2": (84, 120), "fc3": (10, 84)}
LENET = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}


@implements("torch.net")
def net(p: dict[str, Any], x: Image) -> Vector:
    """torch.net   fc3(relu(fc2(relu(fc1(flatten(pool(relu(conv2(pool(relu(conv1(x)))))))))))

    Filters of 3 × 3, pooling by 2, one channel in; 16 × 6 × 6 numbers are left for images of side 30 to 33.
    """
    x = [maxpool(channel) for channel in rectified(conv2d_layer(x, *p["conv1"]))]
    x = [maxpool(channel) for channel in rectified(conv2d_layer(x, *p["conv2"]))]
    a = layer(p["fc1"], net_input(flatten(x)), relu)
    a = layer(p["fc2"], a, relu)
    return linear(p["fc3"], a)


@implements("lenet")
def lenet(p: dict[str, Any], x: Image, g: Activation = relu) -> Vector:
    """lenet   fc3(g(fc2(g(fc1(flatten(pool(g(conv2(pool(g(conv1(x)))))))))))

    LeNet-5 (LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998) as it is used today:
    filters of 5 × 5 on a 32 × 32 image, all maps connected, max pooling without weights, a linear last layer.
    """
    for conv in ("conv1", "conv2"):
        x = [maxpool([[g(v) for v in row] for row in channel]) for channel in conv2d_layer(x, *p[conv])]
    a = layer(p["fc1"], net_input(flatten(x)), g)
    a = layer(p["fc2"], a, g)
    return linear(p["fc3"], a)


@implements("net.residual")
def residual(x: Vector, f: Vector) -> Vector:
    """net.residual   y = f(x) + x,   f(x) given      (He et al., Deep Residual Learning, 2016)"""
    same("lengths of x and f(x)", len(x), len(f))
    return [f[i] + x[i] for i in range(len(x))]


@implements("net.residual.block")
def residual_block(x: Image, conv1: Any, conv2: Any) -> Image:
    """net.residual.block   relu(conv2(relu(conv1(x))) + x),   padded so that sizes stay; each conv is (K, b)

    The plain block of He et al., Deep Residual Learning, 2016, figure 2.
    """
    (K1, b1), (K2, b2) = conv1, conv2
    f = conv2d_layer(rectified(conv2d_layer(x, K1, b1, padding=1)), K2, b2, padding=1)
    return rectified([[residual(x[c][p], f[c][p]) for p in range(len(x[c]))] for c in range(len(x))])


def rectified(x: Image) -> Image:
    """relu of every entry"""
    return [[[relu(v) for v in row] for row in channel] for channel in x]


def build(shapes: dict[str, tuple[int, ...]], values: Iterator[Any]) -> dict[str, Any]:
    """Parameters of these shapes from a stream of numbers: per layer the weights, then the intercepts."""
    return {name: convolutional(size, values) if len(size) == 4 else connected(size, values)
            for name, size in shapes.items()}


def convolutional(size: tuple[int, ...], values: Iterator[Any]) -> tuple[Any, Vector]:
    """(K, b) for F filters of C × M × N"""
    F, C, M, N = size
    K = [[[[next(values) for _ in range(N)] for _ in range(M)] for _ in range(C)] for _ in range(F)]
    return K, [next(values) for _ in range(F)]


def connected(size: tuple[int, ...], values: Iterator[Any]) -> Matrix:
    """Θ with its intercepts in slot 0, for n_out × n_in weights"""
    n_out, n_in = size
    weights = [[next(values) for _ in range(n_in)] for _ in range(n_out)]
    return [None, *([next(values), *row] for row in weights)]
