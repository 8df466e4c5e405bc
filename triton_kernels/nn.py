"""torch.nn's modules over these kernels: same constructor, repr and `state_dict` as their torch twin, which they
subclass; the deck's networks; and layers that torch has as several modules, fused.

A module adds no state of its own in `__init__`, so that a torch module becomes one by changing its class (`patch`).
Names that are not here are torch.nn's (`torch_names`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Flatten as Flatten
from torch.nn import Identity as Identity
from torch.nn import Module as Module
from torch.nn import ModuleDict as ModuleDict
from torch.nn import ModuleList as ModuleList
from torch.nn import Parameter as Parameter
from torch.nn import Sequential as Sequential
from torch.nn.modules.module import _has_any_global_hook

from . import functional as F
from . import functional as functional
from .activations import checks as activation_checks
from .activations.nodes import activation
from .bands.modules import LocallyConnected1d as LocallyConnected1d
from .bands.modules import SharedLinear as SharedLinear
from .runtime import torch_names
from .runtime.launch import fall_back
from .runtime.leaves import Twin, leaf
from .runtime.leaves import untouched as untouched


class Sigmoid(Twin, nn.Sigmoid):
    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Twin, nn.Tanh):
    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class ReLU(Twin, nn.ReLU):
    """With `inplace=True` torch's own: no kernel writes to its input."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class LeakyReLU(Twin, nn.LeakyReLU):
    """With `inplace=True` torch's own."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class ELU(Twin, nn.ELU):
    """With `inplace=True` torch's own."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class Linear(Twin, nn.Linear):
    """net.layer.affine   x wᵀ + b."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)


class Conv1d(Twin, nn.Conv1d):
    """conv2d.layer with one row; zeros around, or nothing, else torch's own."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        if not _zeros_around(self):
            found: Tensor = super().forward(input)
            return found
        return F.conv1d(input, self.weight, self.bias, *geometry(self))


class Conv2d(Twin, nn.Conv2d):
    """conv2d.layer   b + x ∗ w; zeros around, or nothing, else torch's own."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        if not _zeros_around(self):
            found: Tensor = super().forward(input)
            return found
        return F.conv2d(input, self.weight, self.bias, *geometry(self))


class MaxPool2d(Twin, nn.MaxPool2d):
    """pool.max   with dilation or ceil_mode torch's own."""

    @leaf
    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                            return_indices=self.return_indices)


class MaxPool1d(Twin, nn.MaxPool1d):
    """pool.max with one row; with dilation or ceil_mode torch's own."""

    @leaf
    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                            return_indices=self.return_indices)


class _Norm(Twin, nn.modules.batchnorm._BatchNorm):
    """norm.batch in training, norm.batch.inference in evaluation, as torch decides between them."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)                # type: ignore[no-untyped-call]
        return normalized(self, input)


class BatchNorm1d(_Norm, nn.BatchNorm1d):
    pass


class BatchNorm2d(_Norm, nn.BatchNorm2d):
    pass


class BatchNorm3d(_Norm, nn.BatchNorm3d):
    pass


def _lazy(kind: type[nn.Module], lazy: type[nn.Module]) -> type[nn.Module]:
    """torch's lazy module, which becomes ours at its first call."""
    return type(lazy.__name__, (lazy,), {"cls_to_become": kind, "__module__": __name__, "__doc__": lazy.__doc__})


LazyLinear = _lazy(Linear, nn.LazyLinear)
LazyConv1d = _lazy(Conv1d, nn.LazyConv1d)
LazyConv2d = _lazy(Conv2d, nn.LazyConv2d)
LazyBatchNorm1d = _lazy(BatchNorm1d, nn.LazyBatchNorm1d)
LazyBatchNorm2d = _lazy(BatchNorm2d, nn.LazyBatchNorm2d)
LazyBatchNorm3d = _lazy(BatchNorm3d, nn.LazyBatchNorm3d)


def normalized(
    norm: nn.modules.batchnorm._BatchNorm, input: Tensor, added: Tensor | None = None, act: str = "identity"
) -> Tensor:
    """What a batch norm module computes, with what is added and a ReLU behind it; its counters move as torch's."""
    tracked = norm.running_mean is not None
    training = norm.training or not tracked
    momentum = 0.0 if norm.momentum is None else norm.momentum
    if norm.training and norm.track_running_stats and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:
            momentum = 1.0 / float(norm.num_batches_tracked)
    keep = tracked and (not norm.training or norm.track_running_stats)
    return F.batch_norm(
        input, norm.running_mean if keep else None, norm.running_var if keep else None, norm.weight, norm.bias,
        training, momentum, norm.eps, added=added, act=act)


class CrossEntropyLoss(Twin, nn.CrossEntropyLoss):
    """loss.softmax.weighted of class indices, and its mean (or sum, or none)."""

    @leaf
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing)


if hasattr(nn, "LinearCrossEntropyLoss"):           # torch has it from 2.13 on
    class LinearCrossEntropyLoss(Twin, nn.LinearCrossEntropyLoss):
        """loss.softmax.weighted behind a linear layer, the logits never whole in memory; `options` as `functional`."""

        @leaf
        def forward(self, input: Tensor, target: Tensor) -> Tensor:
            places = (self.num_classes, *self.out_features)
            w, b = self.linear.weight, self.linear.bias
            return F.linear_cross_entropy(
                input, w.view(*places, w.shape[1]), target, linear_bias=None if b is None else b.view(places),
                weight=self.weight, reduction=self.reduction, ignore_index=self.ignore_index,
                label_smoothing=self.label_smoothing, options=self.options)


class MSELoss(Twin, nn.MSELoss):
    """loss.square, its mean (or sum, or none)."""

    @leaf
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class BCEWithLogitsLoss(Twin, nn.BCEWithLogitsLoss):
    """loss.xent.logits, its mean (or sum, or none); with weights torch's own."""

    @leaf
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight)


class LinearAct(Linear):
    """net.layer.affine   g(x wᵀ + b) in one pass: Linear's arguments, then the name of g and its parameter.

    act is sigmoid, tanh, relu, leaky (slope=0.1), elu (alpha=1) or identity. `state_dict` is Linear's.
    """

    def __init__(self, in_features: int, out_features: int, act: str = "relu", bias: bool = True, **how: Any) -> None:
        parameter = {key: how.pop(key) for key in ("slope", "alpha") if key in how}
        activation_checks.activation("LinearAct", act, **parameter)
        super().__init__(in_features, out_features, bias, **how)
        self.act, self.parameter = act, parameter

    def forward(self, input: Tensor) -> Tensor:
        return F.linear_act(input, self.weight, self.bias, self.act, **self.parameter)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, act={self.act}"


class ConvActPool(Conv2d):
    """conv2d.layer, g, and the maximum of 2 × 2 windows where `pool`, in one pass. `state_dict` is Conv2d's."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, act: str = "relu", pool: bool = True,
        stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True, **how: Any,
    ) -> None:
        parameter = {key: how.pop(key) for key in ("slope", "alpha") if key in how}
        activation_checks.activation("ConvActPool", act, **parameter)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, **how)
        self.act, self.pool, self.parameter = act, pool, parameter

    def forward(self, input: Tensor) -> Tensor:
        if not _zeros_around(self):
            p = activation_checks.activation("", self.act, **self.parameter)
            a = activation(nn.Conv2d.forward(self, input), self.act, p)
            return F.max_pool2d(a, 2) if self.pool else a
        return F.conv2d_act(input, self.weight, self.bias, self.act, *geometry(self), pool=self.pool, **self.parameter)

    def extra_repr(self) -> str:
        return f"{nn.Conv2d.extra_repr(self)}, act={self.act}, pool={self.pool}"  # type: ignore[no-untyped-call]


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

    With batch norm, the sum and the ReLU ride on the second norm's pass. Channels stay, or change with the
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
        alone = type(self.conv1) is Conv2d and untouched(self.conv1)
        if alone and self.norm1 is None and not _has_any_global_hook():          # type: ignore[no-untyped-call]
            inner = F.conv2d_act(x, self.conv1.weight, self.conv1.bias, "relu", *geometry(self.conv1))
        else:
            inner = _normed(self.norm1, self.conv1(x), None)
        return _normed(self.norm2, self.conv2(inner), past)


def _normed(norm: nn.Module | None, x: Tensor, past: Tensor | None) -> Tensor:
    """relu(norm(x) + past), in one pass where it is our norm and nobody would see it called."""
    if type(norm) is BatchNorm2d and untouched(norm) and not _has_any_global_hook():     # type: ignore[no-untyped-call]
        return normalized(norm, x, past, "relu")
    x = x if norm is None else norm(x)
    return F.relu(x if past is None else x + past)


def _layers(layers: Sequence[Any], x: Tensor, act: str, **parameter: Any) -> Tensor:
    """Linear layers, act after every one but the last: one node, or where that would pass something over, one by
    one."""
    alone = not _has_any_global_hook()                       # type: ignore[no-untyped-call]
    if alone and all(type(one) is Linear and untouched(one) for one in layers):
        return F.mlp(x, [one.weight for one in layers], [one.bias for one in layers], act, **parameter)
    p = activation_checks.activation("MLP", act, **parameter)
    for one in layers[:-1]:
        x = activation(one(x), act, p)
    found: Tensor = layers[-1](x)
    return found


def geometry(conv: nn.Conv1d | nn.Conv2d) -> tuple[Any, ...]:
    """(stride, padding, dilation, groups)."""
    return conv.stride, conv.padding, conv.dilation, conv.groups


def _zeros_around(conv: Any) -> bool:
    """Is this a convolution of ours? With another padding, or another's `_conv_forward`, it is torch's."""
    if conv.padding_mode == "zeros":
        return "_conv_forward" not in vars(conv)
    fall_back(f"{type(conv).__name__}: padding_mode={conv.padding_mode!r} has no kernel", "torch's own module runs")
    return False


__getattr__ = torch_names.torchs("nn", nn)
__dir__ = torch_names.listed(globals(), nn)
