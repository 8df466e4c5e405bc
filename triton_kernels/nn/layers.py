"""torch.nn's modules over these kernels, and layers that torch has as several modules, fused."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .. import functional as F
from ..activations import checks as activation_checks
from ..activations.nodes import activation
from ..runtime.launch import fall_back
from ..runtime.leaves import Twin, leaf
from ..runtime.leaves import alone as alone
from ..runtime.leaves import untouched as untouched


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


class GELU(Twin, nn.GELU):
    """act.gelu, or act.gelu.tanh where approximate="tanh"."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)


class Softmax(Twin, nn.Softmax):
    """act.softmax   along one axis."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


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


class LayerNorm(Twin, nn.LayerNorm):
    """norm.layer   γ (x − μ) / √(σ² + ε) + β of the last axes."""

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


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

    act is sigmoid, tanh, relu, leaky (slope=0.1), elu (alpha=1), gelu, gelu.tanh or identity. `state_dict` is Linear's.
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


#: The activations' names here, and the attribute that holds the parameter of each, by its class.
ACTIVATIONS: dict[type[nn.Module], tuple[str, str, str]] = {
    Sigmoid: ("sigmoid", "", ""), Tanh: ("tanh", "", ""), ReLU: ("relu", "", ""), GELU: ("gelu", "", ""),
    LeakyReLU: ("leaky", "slope", "negative_slope"), ELU: ("elu", "alpha", "alpha")}


def named(module: nn.Module) -> tuple[str, dict[str, Any]] | None:
    """What an activation module of ours computes: its name here, and its parameter."""
    if type(module) not in ACTIVATIONS:
        return None
    name, keyword, attribute = ACTIVATIONS[type(module)]
    if name == "gelu" and module.approximate != "none":
        return (f"gelu.{module.approximate}", {}) if module.approximate == "tanh" else None
    return name, {keyword: float(getattr(module, attribute))} if attribute else {}


def geometry(conv: nn.Conv1d | nn.Conv2d) -> tuple[Any, ...]:
    """(stride, padding, dilation, groups)."""
    return conv.stride, conv.padding, conv.dilation, conv.groups


def _zeros_around(conv: Any) -> bool:
    """Is this a convolution of ours? With another padding, or another's `_conv_forward`, it is torch's."""
    if conv.padding_mode == "zeros":
        return "_conv_forward" not in vars(conv)
    fall_back(f"{type(conv).__name__}: padding_mode={conv.padding_mode!r} has no kernel", "torch's own module runs")
    return False
