"""torch.nn.functional's names and contracts over the deck's equations.

Losses are means here unless told otherwise, as in torch, and leaky ReLU's slope is torch's 0.01; the ops underneath
(`OPS`) are per example and have the deck's 0.1. Inputs are never changed. Names that are not here are torch's
(`torch_names`).

A CUDA tensor runs the Triton kernels. A CPU tensor runs torch's functions of the same equations (`launch.by_torch`), or
where there are none, ATen composites: 16-bit numbers, which these round once; tanh, whose g′ torch reads off a rounded
a; ELU, whose g′(0) is the deck's; the loss from logits, where torch's cancels; the local and shared layers. Only
torch's functions have a second derivative. g′ of NaN is torch's (of ELU, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .activations import checks as activation_checks
from .activations import nodes as activations
from .attention.functional import scaled_dot_product_attention as scaled_dot_product_attention
from .attention.functional import self_attention as self_attention
from .bands.functional import locally_connected1d as locally_connected1d
from .bands.functional import shared_linear as shared_linear
from .images.functional import conv1d as conv1d
from .images.functional import conv2d as conv2d
from .images.functional import conv2d_act as conv2d_act
from .images.functional import max_pool1d as max_pool1d
from .images.functional import max_pool2d as max_pool2d
from .layers import checks as layer_checks
from .layers import nodes as layers
from .losses import checks as loss_checks
from .losses import linear as _linear_loss
from .losses import nodes as losses
from .losses.functional import cross_entropy as cross_entropy
from .norms.functional import batch_norm as batch_norm
from .norms.layer_functional import add_layer_norm as add_layer_norm
from .norms.layer_functional import layer_norm as layer_norm
from .patches.functional import patch_embedding as patch_embedding
from .runtime import checks, instead, library, nodes, refusals, resolved, torch_names
from .runtime import precision as casting
from .runtime.launch import asked
from .runtime.precision import autocast_somewhere
from .updates import composite
from .updates import ops as _declared  # noqa: F401  the room that sgd asks for


@instead.or_torch(torch.sigmoid)
def sigmoid(input: Tensor) -> Tensor:
    """act.sigmoid   1 / (1 + e⁻ᶻ), elementwise."""
    checks.floating("sigmoid", input=input)
    return activations.activation(input, "sigmoid", 0.0)


@instead.or_torch(torch.tanh)
def tanh(input: Tensor) -> Tensor:
    """act.tanh   elementwise."""
    checks.floating("tanh", input=input)
    return activations.activation(input, "tanh", 0.0)


@instead.or_torch(torch.nn.functional.relu)
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """act.relu   max(0, z), elementwise; the derivative at 0 is 0."""
    _not_in_place("relu", inplace)
    checks.floating("relu", input=input)
    return activations.activation(input, "relu", 0.0)


@instead.or_torch(torch.nn.functional.leaky_relu)
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """act.leaky   z if z > 0 else negative_slope · z, elementwise; any slope, as in torch."""
    _not_in_place("leaky_relu", inplace)
    checks.floating("leaky_relu", input=input)
    return activations.activation(input, "leaky", negative_slope)


@instead.or_torch(torch.nn.functional.elu)
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """act.elu   z if z ≥ 0 else alpha (eᶻ − 1), elementwise; the derivative at 0 is 1."""
    _not_in_place("elu", inplace)
    checks.floating("elu", input=input)
    return activations.activation(input, "elu", alpha)


@instead.or_torch(torch.nn.functional.gelu)
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """act.gelu   z Φ(z), elementwise; with approximate="tanh" act.gelu.tanh. Far below 0 it keeps its digits."""
    if approximate not in ("none", "tanh"):
        raise refusals.WrongValue(f"gelu: approximate = {approximate!r}; expected 'none' or 'tanh'")
    checks.floating("gelu", input=input)
    return activations.activation(input, "gelu" if approximate == "none" else "gelu.tanh", 0.0)


@instead.or_torch(torch.nn.functional.softmax)
def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Tensor:
    """act.softmax   e^(z_k) / Σ_q e^(z_q) along one axis; dtype is the result's. Of a row of −∞ alone NaN, as torch."""
    (input,) = casting.statistics(input)
    checks.floating("softmax", input=input)
    if dim is None:
        raise refusals.WrongValue("softmax: dim = None; which axis is summed over has to be said")
    if not -input.dim() <= dim < input.dim() or not input.shape[dim]:
        raise refusals.WrongValue(f"softmax: no numbers along axis {dim} of shape {tuple(input.shape)}")
    if dtype not in (None, input.dtype, torch.float32):
        raise refusals.WrongValue(f"softmax: dtype = {dtype} has no kernel for {input.dtype}")
    return activations.softmax(input, dim, dtype or input.dtype)


def _not_in_place(name: str, inplace: bool) -> None:
    if inplace:
        raise refusals.WrongValue(f"{name}: inplace=True has no kernel")


@instead.or_torch(instead.dropping(torch.nn.functional.linear, "precision"))
def linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, *, precision: str | None = None
) -> Tensor:
    """net.layer.affine   x wᵀ + b: input (…, I), weight (O, I), bias (O,) or None."""
    return _layer("linear", input, weight, bias, "identity", 0.0, precision)


def _linear_and_act(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "relu", *,
    precision: str | None = None, **parameter: float,
) -> Tensor:
    """linear_act by torch's functions."""
    return activation_checks.anyhow(torch.nn.functional.linear(input, weight, bias), act, **parameter)


@instead.or_torch(_linear_and_act)
def linear_act(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "relu", *,
    precision: str | None = None, **parameter: float,
) -> Tensor:
    """net.layer.affine   g(x wᵀ + b) in one pass: input (…, I), weight (O, I), bias (O,) or None.

    act is sigmoid, tanh, relu, leaky (slope=0.1), elu (alpha=1), gelu, gelu.tanh or identity. precision is for float32:
    `ieee`, `tf32`, or None, which follows torch.set_float32_matmul_precision.
    """
    p = activation_checks.activation("linear_act", act, **parameter)
    return _layer("linear_act", input, weight, bias, act, p, precision)


def _layer(
    name: str, input: Tensor, weight: Tensor, bias: Tensor | None, act: str, p: float, precision: str | None
) -> Tensor:
    if autocast_somewhere():
        input, weight, bias = casting.products(input, weight, bias)
    layer_checks.layer(input, weight, bias, name)
    math = None if precision is None else asked(precision)
    if input.dim() == 2:
        return layers.layer(input, weight, bias, act, p, math)
    rows = input.reshape(input.shape[:-1].numel(), input.shape[-1])
    return layers.layer(rows, weight, bias, act, p, math).view(*input.shape[:-1], weight.shape[0])


def _layers_and_acts(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], act: str = "relu", *,
    precision: str | None = None, **parameter: float,
) -> Tensor:
    """mlp by torch's functions."""
    *hidden, last = zip(weights, biases, strict=True)
    for w, b in hidden:
        x = activation_checks.anyhow(torch.nn.functional.linear(x, w, b), act, **parameter)
    return torch.nn.functional.linear(x, *last)


@instead.or_torch(_layers_and_acts)
def mlp(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], act: str = "relu", *,
    precision: str | None = None, **parameter: float,
) -> Tensor:
    """A feed-forward network: act after every layer but the last, which returns its z (losses take logits).

    x (B, I), weights[l] (n_{l+1}, n_l), biases[l] (n_{l+1},) or None. Of kernels one autograd node: in the backward
    pass each layer's δ is multiplied by the previous layer's g′ before it is written (bp.delta.chain).
    """
    p = activation_checks.activation("mlp", act, **parameter)
    if len(weights) != len(biases) or not weights:
        raise refusals.WrongValue(
            f"mlp: {len(weights)} weights and {len(biases)} biases; expected as many, at least one")
    if autocast_somewhere():
        x, *weights = casting.products(x, *weights)
        biases = casting.products(x, *biases)[1:]
    layer_checks.layers(x, weights, biases, "mlp")
    math = None if precision is None else asked(precision)
    return layers.chain(x, weights, biases, act, p, math)


def _logits_whole(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0, options: Any = None, product: Callable[..., Tensor] = torch.nn.functional.linear,
    loss: Callable[..., Tensor] = torch.nn.functional.cross_entropy,
) -> Tensor:
    """linear_cross_entropy in two steps, each by a function that is given: a matrix for each place of the target."""
    K, *places, width = linear_weight.shape
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    z = product(input, linear_weight.reshape(-1, width), bias).view(*input.shape[:-1], K, *places)
    return loss(z, target, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
                label_smoothing=label_smoothing)


@instead.or_torch(getattr(torch.nn.functional, "linear_cross_entropy", _logits_whole))      # torch has it from 2.13 on
def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:
    """loss.softmax.weighted of x wᵀ + b, the logits never whole in memory: input (N, I), linear_weight (K, I), target
    (N,) int64, linear_bias (K,), weight (K,) or None; all else as `cross_entropy` takes it.

    As in torch, input may be one example (I,) with target (), and linear_weight (K, d₁, …, I) with target (N, d₁, …),
    whose logits are whole, as they are in a graph. Else some rows are taken at a time, without options too: as many as
    leave their logits a fifth of the room of the gradients, or options.batch_chunk_size; ∂w is added up in float32 in
    the order of the rows. A second backward pass computes again; where torch computes, there is a second derivative.
    """
    name = "linear_cross_entropy"
    loss_checks.reduction(name, reduction)
    checks.tensors(name, input=input, linear_weight=linear_weight, target=target)
    if linear_weight.dim() < 2 or input.dim() not in (1, 2):
        raise refusals.WrongValue(
            f"{name}: input has shape {tuple(input.shape)}, linear_weight {tuple(linear_weight.shape)}; expected "
            "(N, I) or (I,), and (K, I) or (K, …, I)")
    if linear_weight.dim() > 2 or nodes.in_graph():
        return _logits_whole(
            input, linear_weight, target, linear_bias=linear_bias, weight=weight, reduction=reduction,
            ignore_index=ignore_index, label_smoothing=label_smoothing, product=linear, loss=cross_entropy)
    shape, out = target.shape, torch.promote_types(casting.losses(input)[0].dtype, input.dtype)
    if input.dim() == 1:
        input, target = input[None], target[None]
    layer_checks.layer(input, linear_weight, linear_bias, name)
    loss_checks.linear_classes(name, input, linear_weight, target, weight, label_smoothing)
    if weight is not None and weight.requires_grad and torch.is_grad_enabled():
        raise refusals.WrongValue(f"{name}: weight requires a gradient, and no kernel has it")
    input, linear_weight, linear_bias = casting.products(input, linear_weight, linear_bias)
    how = (-100 if ignore_index is None else int(ignore_index), float(label_smoothing),
           getattr(options, "batch_chunk_size", None))
    loss = _linear_loss.linear_loss(input, linear_weight, linear_bias, target, weight, how, reduction).to(out)
    return loss if reduction != "none" else loss.view(shape)


@instead.or_torch(torch.nn.functional.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, reduce: None = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:
    """The mean (or sum, or none) of loss.xent.logits, −y log g(z) − (1 − y) log(1 − g(z)); input and target alike.

    With weight or pos_weight torch's own runs: no kernel reads a third tensor here.
    """
    loss_checks.reduction("binary_cross_entropy_with_logits", reduction, size_average, reduce)
    _unweighted("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    input, target = casting.losses(input, target)
    checks.same("binary_cross_entropy_with_logits", input=input, target=target)
    return losses.loss("loss.xent.logits", input, target, reduction)


@instead.or_torch(torch.nn.functional.mse_loss)
def mse_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The mean (or sum, or none) of loss.square, (y − ŷ)², without a factor ½; input and target alike."""
    loss_checks.reduction("mse_loss", reduction, size_average, reduce)
    _unweighted("mse_loss", weight=weight)
    input, target = casting.losses(input, target)
    checks.same("mse_loss", input=input, target=target)
    return losses.loss("loss.square", input, target, reduction)


def _unweighted(name: str, **weights: Tensor | None) -> None:
    for option, given in weights.items():
        if given is not None:
            raise refusals.WrongValue(f"{name}: {option} has no kernel")


def sgd(theta: Tensor, D: Tensor, eta: float) -> Tensor:
    """opt.sgd   Θ − η D, a new tensor."""
    result: Tensor = library.room("updates.sgd", "opt.sgd", theta).sgd(theta, D, eta)
    return result


@torch.no_grad()
def sgd_(theta: Tensor, D: Tensor, eta: float) -> Tensor:
    """opt.sgd   Θ ← Θ − η D, in place: the one function here that changes an argument; returns it."""
    room = library.room("updates.sgd", "opt.sgd", theta) if resolved.is_settled(theta) else composite
    room.sgd_(theta, D, eta)
    if room is not composite and not torch.compiler.is_compiling():
        torch.autograd.graph.increment_version(theta)       # a kernel's write is invisible to autograd
    return theta


__getattr__ = torch_names.torchs("functional", torch.nn.functional)
__dir__ = torch_names.listed(globals(), torch.nn.functional)
