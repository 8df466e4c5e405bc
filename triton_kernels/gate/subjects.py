"""What is compiled: for every op a call at a size that is aligned and large, for every row of its table.

A new kernel joins by one line in `SUBJECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import torch
from torch import Tensor

from ..activations import saved, softmax
from ..attention import kernels as attention
from ..attention import recalled
from ..attention.checks import apart
from ..bands import weights as band_weights
from ..blocks.reduce import column_sums
from ..images import checks as image_checks
from ..images import filters as conv_filters
from ..images import pool
from ..images import pooled as conv_pool
from ..images.join import join
from ..layers import gradients
from ..layers import kernels as linear
from ..losses import kernels as losses
from ..normed import ends, filters
from ..normed import kernels as normed
from ..normed.state import LIMIT, Norm, Sums, Work
from ..norms import kernels as norm
from ..norms import layer as layer_norm
from ..ops import OPS
from ..patches import kernels as patches
from ..runtime import configs
from ..runtime.configs import Row
from ..updates import fused as fused_update
from ..updates.tiles import Parameter
from .machine_code import Facts

N = 4096
BF16, FP32 = torch.bfloat16, torch.float32
NAMES = {BF16: "bf16", FP32: "fp32"}


def empty(*shape: int, dtype: torch.dtype = BF16) -> Tensor:
    """Shape and strides without memory."""
    return torch.empty(*shape, dtype=dtype, device="meta")


@attrs.frozen
class Subject:
    """`call(dtype, row)` makes the launches; `wide` if its transfers must be 128 bits, `matrix` if it multiplies.

    `launch`: which of the launches has the row of `table`; that one must be wide and multiply, others only be sound.
    `direct`: what it multiplies goes from where a box lands to the tensor cores, by no other way through shared memory.
    `beside_boxes`: started only where a GPU moves boxes. `boxes`: what it does by boxes, if its table is one of them.
    `unpooled`: the same layer without its pooling, the table and the row that do as many positions at a time; `places`:
    the pooled one stores those of its maxima too, and `sides`: on which side of 0 each lies.
    """

    name: str
    table: str
    call: Callable[[torch.dtype, Row], Any]
    wide: bool = True
    matrix: bool = False
    dtypes: tuple[torch.dtype, ...] = (BF16, FP32)
    launch: int = 0
    direct: bool = False
    beside_boxes: bool = False
    boxes: tuple[str, ...] = ("load", "store")
    unpooled: Subject | None = None
    places: bool = False
    sides: bool = False
    as_many: Callable[[Row], Row] = lambda row: row


def _layer(act: str, precision: str | None = None) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        x, w, b = empty(N, N, dtype=d), empty(N, N, dtype=d), empty(N, dtype=d)
        return OPS["net.layer.affine"](x, w, b, act, precision=precision)
    return call


def _delta(act: str, precision: str | None = None) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        delta, w, z = (empty(N, N, dtype=d) for _ in range(3))
        return OPS["bp.delta.chain"](delta, w, z, act, precision=precision)
    return call


def _average(precision: str | None = None) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        delta, a, w = (empty(N, N, dtype=d) for _ in range(3))
        return OPS["alg.average"](delta, a, w, 0.1, N, precision=precision)
    return call


def _kept(d: torch.dtype, row: Row) -> Any:
    """A layer whose z is stored too, as elu's g′ wants it."""
    return linear.affine_keeping(empty(N, N, dtype=d), empty(N, N, dtype=d), empty(N, dtype=d), "elu", 1.0, True)


def _parameter(states: int, *shape: int, shadow: torch.dtype | None = None) -> Parameter:
    tensors = (empty(*shape, dtype=FP32),) * (states + 1)
    return Parameter(tensors, tensors, empty(7, dtype=torch.float64), empty(1, dtype=FP32),
                     None if shadow is None else empty(*shape, dtype=shadow))


def _update(rule: str, states: int, batch: int = N) -> Callable[[torch.dtype, Row], Any]:
    """float32 parameters, and their shadow where the operands are narrower."""
    def call(d: torch.dtype, row: Row) -> Any:
        delta, a = empty(batch, N, dtype=d), empty(batch, N, dtype=d)
        theta, b = _parameter(states, N, N, shadow=None if d == FP32 else d), _parameter(states, N)
        return fused_update.layer(rule, delta, a, theta, b, 0.1, N)
    return call


def _joined_update(d: torch.dtype, row: Row) -> Any:
    """Few outputs, so that the batch is split."""
    theta, b = _parameter(2, 64, 64), _parameter(2, 64)
    return fused_update.layer("adamw", empty(N, 64, dtype=d), empty(N, 64, dtype=d), theta, b, 0.1, N)


_UPDATES = (("sgd", 0), ("momentum", 1), ("adamw", 2))


def _pair(op: str) -> Callable[[torch.dtype, Row], Any]:
    return lambda d, row: OPS[op](empty(N, N, dtype=d), empty(N, N, dtype=d))


def image(batch: int, channels: int, side: int, dtype: torch.dtype, second: int | None = None) -> Tensor:
    """NHWC, as convolution likes it."""
    return empty(batch, channels, side, second or side, dtype=dtype).to(memory_format=torch.channels_last)


def _convolution(channels: int, filters: int, act: str = "relu", **how: Any) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        x, w, b = image(64, channels, 56, d), image(filters, channels, 3, d), empty(filters, dtype=d)
        return OPS["conv2d.layer"](x, w, b, padding=1, act=act, **how)
    return call


def _input_gradient(
    channels: int, filters: int, stride: int = 1, act: str = "relu"
) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        delta, w, z = image(64, filters, 56 // stride, d), image(filters, channels, 3, d), image(64, channels, 56, d)
        return OPS["conv2d.layer.grad_x"](delta, w, 56, 56, stride, 1, z=z, act=act)
    return call


def _filter_gradient(channels: int, filters: int) -> Callable[[torch.dtype, Row], Any]:
    """D and Db, as backward wants both."""
    def call(d: torch.dtype, row: Row) -> Any:
        delta, x, w = image(64, filters, 56, d), image(64, channels, 56, d), image(filters, channels, 3, d)
        sizes = image_checks.grad_w(delta, x, 3, 3, 1, 1, 1, 1, w, 0.1, 64)
        return conv_filters.averaged(delta, x, w, sizes, 0.1, 64.0, True, True)
    return call


def _pooled(channels: int, filters: int, act: str = "relu", places: bool = True) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        x, w, b = image(64, channels, 56, d), image(filters, channels, 3, d), empty(filters, dtype=d)
        sizes = image_checks.forward(x, w, b, 1, 1, 1, 1)
        form = saved.pooled(act) if places else "nothing"
        return conv_pool.pooled_keeping(x, w, b, sizes, act, 0.0, form == "z", None, places, form == "side")
    return call


def _pool_gradient(d: torch.dtype, row: Row) -> Any:
    delta = image(64, 64, 28, d)
    return OPS["pool.max.grad_x"](delta, image(64, 64, 28, torch.uint8), 56, 56, saved=delta, act="tanh")


def _pooled_relu_gradient(d: torch.dtype, row: Row) -> Any:
    sizes = image_checks.pool("pool.max.grad_x", (64, 64, 56, 56), 2, 2, 0)
    return pool.pooled_backward(image(64, 64, 28, d), image(64, 64, 28, torch.uint8), sizes, None, "relu", "side", 0.0)


def _added(d: torch.dtype, row: Row) -> Any:
    """A layer around which a matrix goes."""
    x, w, added = (empty(N, N, dtype=d) for _ in range(3))
    return linear.affine_added(x, w, empty(N, dtype=d), added)


def _both(act: str) -> Callable[[torch.dtype, Row], Any]:
    """Both gradients of a layer whose inputs were kept."""
    def call(d: torch.dtype, row: Row) -> Any:
        delta, w, a, z = (empty(N, N, dtype=d) for _ in range(4))
        return gradients.gradients(delta, w, a, z, act, "z", 0.0, 0.1, N)
    return call


def _recalled(normed: bool, both: bool = True) -> Callable[[torch.dtype, Row], Any]:
    """δᵀ a of an a that was not kept, g(z) or a layer norm's, and the δ before it beside it or not."""
    def call(d: torch.dtype, row: Row) -> Any:
        delta, w, saved, numbers, features = (*(empty(N, N, dtype=d) for _ in range(3)), empty(N, dtype=FP32),
                                              empty(N, dtype=d))
        how = saved, "identity" if normed else "gelu", 0.0, *(
            (numbers, numbers, features, features) if normed else (None,) * 4)
        return recalled.gradients(delta, w, *how) if both else recalled.averaged(delta, *how)
    return call


def _added_up(d: torch.dtype, row: Row) -> Any:
    """δᵀ a onto a float32 D."""
    D, Db = empty(N, N, dtype=FP32), empty(N, dtype=FP32)
    return linear.accumulate(empty(N, N, dtype=d), empty(N, N, dtype=d), D, Db)


def _join(d: torch.dtype, row: Row) -> Any:
    sizes = image_checks.layer("join", (64, 64, 56, 56), (64, 64, 3, 3), 1, 1, 1, 1)
    return join(
        empty(8, 64, 592, dtype=FP32), empty(64, 64, 3, 3, dtype=d), empty(64, 64, 3, 3, dtype=d), empty(64, dtype=d),
        sizes, 64.0, 0.1, {"COLUMNS": True, "INTERCEPTS": True, "REGULARISED": True}, "sm_90")


def _adaptive(op: str) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        theta, D, m, v = (empty(N, N, dtype=d) for _ in range(4))
        return OPS[op](theta, D, m, v, 1, 0.1, *([0.1] if op != "opt.adam" else []), 0.9, 0.999, 1e-8)
    return call


def _features(channels_last: bool, what: str) -> Callable[[torch.dtype, Row], Any]:
    """Statistics, the application or the gradient of a batch norm over 64 images of 64 channels."""
    def call(d: torch.dtype, row: Row) -> Any:
        order = torch.channels_last if channels_last else torch.contiguous_format
        x = empty(64, 64, 56, 56, dtype=d).to(memory_format=order)
        mean, rstd = empty(64, dtype=FP32), empty(64, dtype=FP32)
        if what == "statistics":
            return norm.statistics(x, 1e-5)
        if what == "sums":
            return norm.sums(x, x, x, mean, rstd, d, True)
        if what == "apply":
            return norm.applied(x, mean, rstd, mean, mean, x, True)
        return norm.backward(x, x, x, mean, rstd, mean, empty(2, 64, dtype=FP32), True, True)
    return call


def _normed(what: str) -> Callable[[torch.dtype, Row], Any]:
    """A convolution of 64 channels with a norm on the way, of as many shares as it adds up itself; its gradients."""
    def call(d: torch.dtype, row: Row) -> Any:
        z, w = image(64, 64, 56, d), image(64, 64, 3, d)
        numbers, shares = empty(64, dtype=FP32), empty(LIMIT, 2, 64, dtype=FP32)
        sizes = image_checks.forward(z, w, None, 1, 1, 1, 1)
        still = Norm(numbers, numbers, numbers, numbers, 1e-5)
        moving = Norm(numbers, numbers, numbers, numbers, 1e-5, shares, 3136, (numbers, numbers),
                             empty(1, dtype=torch.int64), 0.1)
        sums = Sums(empty(2, 64, dtype=FP32), numbers, numbers, shares)
        if what == "forward":
            return normed.convolved(z, w, sizes, moving, None)
        if what == "y":
            return ends.ended(z, moving, z)
        if what == "s":
            return ends.slopes(z, z, still, z)
        if what == "filters":
            one = Work(z, z, still, sums.both, z, still, sizes)
            return filters.averaged([one, one._replace(below=None)], None)
        below, past = ((z, still), None) if what == "s below" else (None, z)
        return normed.to_image(z, z, still, sums, w, sizes, below, past, None)
    return call


def _rows_norm(backward: bool) -> Callable[[torch.dtype, Row], Any]:
    """A layer norm with a tensor added before, or all its gradients and what comes on the other way; rows that just
    fit, or of eight tiles."""
    def call(d: torch.dtype, row: Row) -> Any:
        x = empty(N, 8 * row.BN if configs.is_pinned("norm.rows.long") else row.BN, dtype=d)
        numbers, features = empty(N, dtype=FP32), empty(x.shape[1], dtype=d)
        if backward:
            return layer_norm.backward(x, x, numbers, numbers, features, x)
        return layer_norm.forward(x, features, features, 1e-5, x)
    return call


def _heads(numbers: int, backward: bool) -> Callable[[torch.dtype, Row], Any]:
    """Attention of 64 × 12 heads of so many numbers, or as many as the row holds, where they lie in one product."""
    def call(d: torch.dtype, row: Row) -> Any:
        D = max(numbers, row.BK) if row.BK > 32 else numbers
        qkv = empty(64, 256, 3, 12, D, dtype=d)
        q, k, v = apart(qkv)
        if not backward:
            return attention.forward(q, k, v, 0.125)
        o, lse = attention.heads(64, 12, 256, D, q), empty(64, 12, 256, dtype=FP32)
        return attention.packed_backward(o, qkv, o, lse, 0.125, None, False, None)
    return call


def _patches(what: str) -> Callable[[torch.dtype, Row], Any]:
    """64 images of 224 × 224 as patches of 16 × 16, tokens of 768 numbers."""
    def call(d: torch.dtype, row: Row) -> Any:
        x, w, b = empty(64, 3, 224, 224, dtype=d), empty(768, 3, 16, 16, dtype=d), empty(768, dtype=d)
        z = empty(64, 197, 768, dtype=d)
        if what == "patch":
            return patches.to_patch(z, w, 224, 224)
        if what == "Theta":
            return patches.to_theta(z, x, 16)
        return patches.sums(z) if what == "position" else patches.forward(x, w, b, b, z[0])
    return call


def _each(op: str) -> Callable[[torch.dtype, Row], Any]:
    return lambda d, row: OPS[op](empty(N, N, dtype=d))


def _shares(d: torch.dtype, row: Row) -> Any:
    """Softmax of rows that just fit, or of four tiles."""
    return OPS["act.softmax"](empty(N, 4 * row.BN if configs.is_pinned("act.softmax.long") else row.BN, dtype=d))


def _shares_gradient(d: torch.dtype, row: Row) -> Any:
    x = empty(N, 4 * row.BN if configs.is_pinned("act.softmax.long") else row.BN, dtype=d)
    return softmax.backward(x, x)


def _neighbours(op: str, shared: bool) -> Callable[[torch.dtype, Row], Any]:
    """A layer of 4096 nodes and windows of nine, from few examples for the row that is made for few."""
    def call(d: torch.dtype, row: Row) -> Any:
        x = empty(2 if row.BM == 1 else N, N, dtype=d)
        w, b = (empty(9, dtype=d), empty(1, dtype=d)) if shared else (empty(N, 9, dtype=d), empty(N, dtype=d))
        return OPS[op](x, w, b, "tanh") if op.endswith("layer") else OPS[op](x, w, x, "elu")
    return call


def _neighbours_weights(shared: bool) -> Callable[[torch.dtype, Row], Any]:
    def call(d: torch.dtype, row: Row) -> Any:
        w = empty(*(() if shared else (N,)), 9, dtype=d)
        return band_weights.averaged(empty(N, N, dtype=d), empty(N, N, dtype=d), w, 9, shared, 0.1, N, True, True)
    return call


_UNPOOLED = Subject("convolution", "conv2d.layer", _convolution(64, 64), matrix=True)

SUBJECTS = (
    Subject("adam", "optimizers", _adaptive("opt.adam")),
    Subject("lamb", "optimizers", _adaptive("opt.lamb")),
    *(Subject(f"batch norm, {what}", "norm.channels", _features(True, what), what in ("apply", "gradient"))
      for what in ("statistics", "apply", "sums", "gradient")),
    *(Subject(f"batch norm, {what}, planes", "norm.planes", _features(False, what), what in ("apply", "gradient"))
      for what in ("statistics", "apply", "sums", "gradient")),
    *(Subject(f"layer norm, {'gradients' if backward else 'sum'}{long}", f"norm.rows{long.replace(', ', '.')}",
              _rows_norm(backward)) for backward in (False, True) for long in ("", ", long")),
    *(Subject(f"attention{', gradients' if backward else ''}, {numbers}", f"attn.head{'.grad' if backward else ''}",
              _heads(numbers, backward), matrix=True) for backward in (False, True) for numbers in (64, 128)),
    *(Subject(f"patches{', ∂ ' if of else ''}{of}", f"vit.embed{'.grad_' if of else ''}{of}", _patches(of),
              matrix=of != "position") for of in ("", "patch", "Theta", "position")),
    Subject("layer, tanh", "net.layer.affine", _layer("tanh"), matrix=True, dtypes=(BF16,)),
    Subject("layer, added", "net.layer.affine", _added, matrix=True),
    Subject("layer, relu, tf32", "net.layer.affine", _layer("relu", "tf32"), matrix=True, dtypes=(FP32,)),
    Subject("delta, elu", "bp.delta", _delta("elu"), matrix=True),
    Subject("layer, gelu", "net.layer.affine", _layer("gelu"), matrix=True),
    Subject("delta, gelu", "bp.delta.heavy", _delta("gelu"), matrix=True),
    Subject("delta, relu, tf32", "bp.delta", _delta("relu", "tf32"), False, True, dtypes=(FP32,)),
    Subject("average", "alg.average", _average(), matrix=True),
    Subject("average, added up", "alg.average", _added_up, matrix=True),
    *(Subject(f"δ and average, {act}", "layer.gradients", _both(act), dtypes=(FP32,))
      for act in ("relu", "gelu")),
    *(Subject(f"δ and average, {what} again", "alg.average.recalled", _recalled(what == "norm"), matrix=True)
      for what in ("gelu", "norm")),
    Subject("average, norm again", "alg.average.recalled", _recalled(True, False), matrix=True, dtypes=(BF16,),
            beside_boxes=True),
    Subject("average, tf32", "alg.average", _average("tf32"), False, True, dtypes=(FP32,)),
    Subject("layer, boxes, tanh", "net.layer.affine.boxes", _layer("tanh"), matrix=True, dtypes=(BF16,)),
    Subject("layer, boxes, added", "bp.delta.boxes", _added, matrix=True, dtypes=(BF16,)),
    Subject("layer, boxes, z kept", "net.layer.affine.boxes", _kept, matrix=True, dtypes=(BF16,)),
    Subject("delta, boxes, elu", "bp.delta.boxes", _delta("elu"), matrix=True, dtypes=(BF16,)),
    Subject("average, boxes", "alg.average.boxes", _average(), matrix=True, dtypes=(BF16,)),
    *(Subject(f"average and {rule}, boxes", "alg.average.update.boxes", _update(rule, states), matrix=True,
              dtypes=(BF16,)) for rule, states in _UPDATES),
    *(Subject(f"average and {rule}", "alg.average.update", _update(rule, states), matrix=True)
      for rule, states in _UPDATES),
    Subject("average and adamw, split", "alg.average.update", _joined_update, matrix=True),
    Subject("average and adamw, boxes, split", "alg.average.update.boxes", _joined_update, matrix=True, dtypes=(BF16,)),
    Subject("average and adamw, joined", "alg.average.update.join", _joined_update, dtypes=(FP32,), launch=1),
    Subject("tanh", "pointwise", lambda d, row: OPS["act.tanh"](empty(N, N, dtype=d))),
    *(Subject(f"{g}{prime}", "pointwise", _each(f"act.{g}{prime}"))
      for g in ("gelu", "gelu.tanh") for prime in ("", ".prime")),
    *(Subject(f"{what} of rows{long}", f"act.softmax{long.replace(', ', '.')}", call)
      for what, call in (("softmax", _shares), ("∂ softmax", _shares_gradient)) for long in ("", ", long")),
    Subject("tanh, strided", "strided", lambda d, row: OPS["act.tanh"](empty(9, N, N, dtype=d)[::2, ::2, ::2]), False),
    Subject("sgd", "pointwise", lambda d, row: OPS["opt.sgd"](empty(N, N, dtype=d), empty(N, N, dtype=d), 0.1)),
    Subject("logits", "pointwise", _pair("loss.xent.logits")),
    Subject("softmax", "loss.softmax",
            lambda d, row: OPS["loss.softmax"](empty(N, row.BN, dtype=d), empty(N, dtype=torch.int64))),
    Subject("softmax, two passes", "loss.softmax.long",
            lambda d, row: OPS["loss.softmax"](empty(N, 65536, dtype=d), empty(N, dtype=torch.int64))),
    Subject("softmax, weighted", "loss.softmax", lambda d, row: OPS["loss.softmax.weighted"](
        empty(N, row.BN, dtype=d), empty(N, dtype=torch.int64), empty(row.BN, dtype=d), smoothing=0.1)),
    Subject("softmax, weighted, two passes", "loss.softmax.long",
            lambda d, row: OPS["loss.softmax.weighted"](
                empty(N, 65536, dtype=d), empty(N, dtype=torch.int64), empty(65536, dtype=d), smoothing=0.1)),
    Subject("softmax, weighted, its mean", "loss.softmax.whole", lambda d, row: losses.weighted_mean(
        empty(row.BM, row.BN, dtype=d), empty(row.BM, dtype=torch.int64), empty(row.BN, dtype=d), -100, 0.1), False),
    Subject("mean loss", "loss.mean", lambda d, row: OPS["loss.mean"](empty(row.BM, dtype=d), empty(row.BM, dtype=d)),
            False),
    Subject("conv1d", "conv1d",
            lambda d, row: OPS["conv1d.valid"](empty(5, dtype=d), empty(N * N, dtype=d)), False),
    Subject("conv2d", "conv2d", lambda d, row: OPS["conv2d.valid"](empty(N, N, dtype=d), empty(5, 5, dtype=d)), False),
    _UNPOOLED,
    Subject("convolution, tf32", "conv2d.layer", _convolution(64, 64, precision="tf32"), False, True, dtypes=(FP32,)),
    Subject("convolution, few channels", "conv2d.layer", _convolution(3, 16), False, True),
    Subject("convolution, tanh", "conv2d.layer", _convolution(64, 64, "tanh"), matrix=True),
    Subject("convolution, pooled", "conv2d.layer.pool", _pooled(64, 64), False, True, unpooled=_UNPOOLED,
            places=True, sides=True, as_many=lambda row: attrs.evolve(row, BM=4 * row.BM)),
    Subject("convolution, pooled, few channels", "conv2d.layer.pool", _pooled(1, 6), False, True),
    Subject("convolution, boxes, tanh", "conv2d.layer.boxes", _convolution(256, 256, "tanh"), matrix=True,
            dtypes=(BF16,), direct=True),
    Subject("convolution, boxes, stride 2", "conv2d.layer.boxes", _convolution(256, 256, stride=2), matrix=True,
            dtypes=(BF16,), direct=True),
    Subject("∂x, boxes, elu", "conv2d.layer.boxes", _input_gradient(256, 256, act="elu"), matrix=True,
            dtypes=(BF16,), direct=True),
    *(Subject(f"convolution, {'placed' if places else 'pooled'}, boxes, {act}", "conv2d.layer.pool.boxes",
              _pooled(256, 256, act, places), matrix=True, dtypes=(BF16,), direct=True, places=places,
              sides=places and act == "relu",
              unpooled=attrs.evolve(_UNPOOLED, table="conv2d.layer.boxes", call=_convolution(256, 256, act)))
      for act in ("relu", "tanh") for places in (False, True)),
    Subject("D of filters, boxes", "conv2d.layer.grad_w.boxes", _filter_gradient(256, 256), matrix=True,
            dtypes=(BF16,), boxes=("load",)),
    Subject("∂x of a convolution", "conv2d.layer", _input_gradient(64, 64), matrix=True),
    Subject("∂x, stride 2", "conv2d.layer", _input_gradient(64, 64, 2), matrix=True),
    Subject("∂x, few channels", "conv2d.layer", _input_gradient(6, 16), False, True),
    Subject("D of filters", "conv2d.layer.grad_w", _filter_gradient(64, 64), matrix=True),
    Subject("D of filters, few channels", "conv2d.layer.grad_w", _filter_gradient(3, 16), False, True),
    *(Subject(f"normed convolution, {what}", "conv2d.normed", _normed(what), matrix=True)
      for what in ("forward", "s below", "x")),
    *(Subject(f"normed convolution, {what}", "norm.channels", _normed(what)) for what in ("y", "s")),
    Subject("normed convolution, filters", "conv2d.normed.grad_w", _normed("filters"), False, True),
    Subject("D, its parts joined", "conv2d.layer.join", _join, False),
    Subject("max pool", "pool", lambda d, row: OPS["pool.max"](image(64, 64, 56, d)), False),
    Subject("∂x of a max pool", "pool", _pool_gradient, False),
    Subject("∂x of a max pool, sides", "pool", _pooled_relu_gradient, False),
    Subject("local layer", "arch.band", _neighbours("arch.local.layer", False), False),
    Subject("shared layer", "arch.band", _neighbours("arch.shared.layer", True), False),
    Subject("∂x of a local layer", "arch.band", _neighbours("arch.local.layer.grad_x", False), False),
    Subject("D of a local layer", "arch.band.grad", _neighbours_weights(False), False),
    Subject("D of a shared layer", "arch.band.grad", _neighbours_weights(True), False),
    Subject("D of a shared layer, joined", "arch.band.join", _neighbours_weights(True), False, launch=1),
    Subject("columns", "columns", lambda d, row: column_sums(empty(64, N, dtype=FP32), d), dtypes=(FP32,)),
)


#: Where a complaint fails the gate: everything, or the layers' products. Elsewhere one row of each is reported.
WHOLE, PRODUCTS_ONLY, REPORTED = ("sm_80", "sm_90"), ("sm_89", "sm_120"), ("sm_100", "gfx942")


def every(arch: str) -> Iterator[tuple[Subject, torch.dtype, Row]]:
    """Every (subject, dtype, row) that ships for an architecture, as far as the gate looks there."""
    for subject in SUBJECTS:
        if arch in PRODUCTS_ONLY and subject.table not in (*configs.PRODUCTS, *configs.ATTENTION, *configs.EMBEDDING):
            continue
        if subject.beside_boxes and not configs.rows("net.layer.affine.boxes", arch):
            continue
        for dtype in subject.dtypes[:1] if arch in REPORTED else subject.dtypes:
            shipped = configs.rows(subject.table, arch, dtype)
            for row in shipped[:1] if arch in REPORTED else shipped:
                yield subject, dtype, row


def unsound(found: Facts, shared: int) -> list[str]:
    """What no kernel may have."""
    wrong = list(found.warnings)
    if found.spills:
        wrong.append(f"{found.spills} spill instructions")
    if found.shared > shared:
        wrong.append(f"{found.shared} bytes of shared memory, the limit is {shared}")
    return wrong


def detours(found: Facts) -> list[str]:
    """Shared memory used by the main loop of a kernel whose boxes Hopper multiplies from where they land."""
    if not found.loop:
        return ["no main loop found"]
    return [f"{n} {name} in the main loop" for name, n in found.loop.items() if name != "all"]


#: A place is found by three comparisons (is it larger, is it NaN), takes as many selections, and is stored: all that a
#: window may cost more than without pooling. The second store, of all places, is begun and waited for. On which side
#: of 0 the maximum lies is a comparison, a selection and a sum.
PLACE, STORE, SIDE = 3 * 2 + 3 + 1, 16, 3


def over(pooled: Facts, plain: Facts, positions: int, places: bool, sides: bool = False) -> list[str]:
    """A pooled layer may have no more instructions than the same layer without pooling, besides those that find and
    store the places of its maxima, where it does."""
    windows = positions // 4 // pooled.threads
    more = windows * (PLACE + SIDE * sides) + STORE if places else 0
    if pooled.instructions <= plain.instructions + more:
        return []
    extra = f", and the places of {windows} windows a thread may take {more}" if places else ""
    return [f"{pooled.instructions} instructions; the layer without pooling has {plain.instructions}{extra}"]


def complaints(subject: Subject, dtype: torch.dtype, row: Row, found: Facts, shared: int) -> list[str]:
    """What a compiled kernel must not be; empty if all is well."""
    wrong = unsound(found, shared)
    if subject.matrix and (dtype == BF16 or "tf32" in subject.name):
        step = row.BM * row.BN * row.BK
        if not found.matrix:
            wrong.append("no tensor-core instruction")
        elif found.products is not None and found.products < step:
            wrong.append(f"tensor cores do {found.products} of a step's {step} products: {found.matrix}")
    if subject.direct and any(name.startswith("HGMMA") for name in found.matrix):
        wrong += detours(found)
    if subject.table.endswith(".boxes"):
        wrong += [f"no {what} of a box" for what in subject.boxes if not found.boxes.get(what)]
    elif subject.wide:
        reads = found.copies or found.loads
        if not reads.get("128"):
            wrong.append(f"no 128-bit read: {reads}")
        if subject.name != "columns" and not found.stores.get("128"):
            wrong.append(f"no 128-bit store: {found.stores}")
    return wrong
