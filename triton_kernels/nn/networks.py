"""The deck's networks, and blocks of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .. import functional as F
from ..activations import checks as activation_checks
from ..activations.nodes import activation
from ..runtime.leaves import Twin
from .layers import BatchNorm2d, Conv2d, ConvActPool, Linear, alone, geometry, normalized
from .normed import together


class MLP(Twin, nn.Module):
    """net.out   a feed-forward network: act after every layer but the last, all kernels one autograd node.

    sizes n_1 … n_{L+1}. The parameters are those of `layers`, Linear modules; where one of these has been replaced, or
    has hooks, they are called one after the other. device and dtype as torch's modules take them.
    """

    def __init__(
        self, sizes: Sequence[int], act: str = "relu", bias: bool = True, *, device: Any = None,
        dtype: torch.dtype | None = None, **parameter: float,
    ) -> None:
        super().__init__()
        activation_checks.activation("MLP", act, **parameter)
        if len(sizes) < 2:
            raise ValueError(f"MLP: sizes = {list(sizes)}; expected at least two, of the input and of the output")
        self.layers = nn.ModuleList(Linear(a, b, bias, device, dtype) for a, b in pairwise(sizes))
        self.act = act
        self.parameter: dict[str, Any] = dict(parameter)

    def forward(self, input: Tensor) -> Tensor:
        return _layers(list(self.layers), input, self.act, **self.parameter)


class Net(Twin, nn.Module):
    """torch.net   the deck's network for images of one channel and side 30 to 33: 81,194 parameters."""

    kernel_size, features = 3, 16 * 6 * 6

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvActPool(1, 6, self.kernel_size)
        self.conv2 = ConvActPool(6, 16, self.kernel_size)
        self.fc1 = Linear(self.features, 120)
        self.fc2 = Linear(120, 84)
        self.fc3 = Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(self.conv2(self.conv1(x)), 1)
        return _layers((self.fc1, self.fc2, self.fc3), x, "relu")


class LeNet(Net):
    """lenet   5 × 5 filters on a 32 × 32 image, all maps connected, max pooling, ReLU, a linear last layer."""

    kernel_size, features = 5, 16 * 5 * 5


class ResidualBlock(Twin, nn.Module):
    """net.residual.block   relu(conv₂(relu(conv₁(x))) + x) with 3 × 3 filters; with `norm`, batch norm behind each.

    With batch norm, all of it is one node where `nn.normed` can, else the sum and the ReLU ride on the second norm's
    pass. Channels stay, or change with the
    stride by a 1 × 1 convolution on the way past.
    """

    def __init__(self, channels: int, out_channels: int | None = None, stride: int = 1, norm: bool = True) -> None:
        super().__init__()
        out = channels if out_channels is None else out_channels
        self.conv1 = Conv2d(channels, out, 3, stride, 1, bias=not norm)
        self.conv2 = Conv2d(out, out, 3, 1, 1, bias=not norm)
        self.norm1 = BatchNorm2d(out) if norm else None
        self.norm2 = BatchNorm2d(out) if norm else None
        self.past = Conv2d(channels, out, 1, stride, bias=False) if stride != 1 or out != channels else None

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.past is None else self.past(x)
        found = together([(self.conv1, self.norm1), (self.conv2, self.norm2)], x, past)
        if found is not None:
            return found
        if type(self.conv1) is Conv2d and self.norm1 is None and alone(self.conv1):
            inner = F.conv2d_act(x, self.conv1.weight, self.conv1.bias, "relu", *geometry(self.conv1))
        else:
            inner = _normed(self.norm1, self.conv1(x), None)
        return _normed(self.norm2, self.conv2(inner), past)


def _normed(norm: nn.Module | None, x: Tensor, past: Tensor | None) -> Tensor:
    """relu(norm(x) + past), in one pass where it is our norm and nobody would see it called."""
    if type(norm) is BatchNorm2d and alone(norm):
        return normalized(norm, x, past, "relu")
    x = x if norm is None else norm(x)
    return F.relu(x if past is None else x + past)


def _layers(layers: Sequence[Any], x: Tensor, act: str, **parameter: Any) -> Tensor:
    """Linear layers, act after every one but the last: one node, or where that would pass something over, one by
    one."""
    if set(map(type, layers)) == {Linear} and alone(*layers):
        return F.mlp(x, [one.weight for one in layers], [one.bias for one in layers], act, **parameter)
    p = activation_checks.activation("MLP", act, **parameter)
    for one in layers[:-1]:
        x = activation(one(x), act, p)
    found: Tensor = layers[-1](x)
    return found
