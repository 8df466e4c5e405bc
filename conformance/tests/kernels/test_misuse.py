"""What people get wrong, and the one sentence each gets: what, where, the numbers, what is expected."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.patch import patch

ONE, CLASS = torch.ones, torch.zeros(4, dtype=torch.int64)


def half(*shape):
    return torch.ones(*shape, dtype=torch.float16)


def elsewhere(*shape, dtype=torch.float32):
    return torch.ones(*shape, device="meta", dtype=dtype)


def whole(*shape):
    return torch.ones(*shape, dtype=torch.int64)


def leaf(*shape):
    return torch.nn.Parameter(torch.ones(*shape))


def on_the_gpu():
    """Without one: tensors that only say where they are."""
    with FakeTensorMode():
        F.linear(torch.empty(2, 3, device="cuda"), torch.empty(4, 3))


def patched_twice():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    patch(model)
    patch(model)


def patched_twice_in_part():
    layer = torch.nn.Linear(3, 2)
    patch(layer)
    patch(torch.nn.ModuleDict({"layers": torch.nn.ModuleList([layer])}))


def class_changed_since():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    report = patch(model)
    model[0].__class__ = torch.nn.Bilinear
    report.undo()


MISUSE = {
    # dtypes
    "linear: weight is float16, input is float32; expected one dtype": lambda: F.linear(ONE(2, 3), half(4, 3)),
    "linear: bias is float16, input is float32; expected one dtype": lambda: F.linear(ONE(2, 3), ONE(4, 3), half(4)),
    "mlp, layer 2: w is float16, x is float32; expected one dtype": lambda: F.mlp(
        ONE(2, 3), [ONE(4, 3), half(2, 4)], [None, None]),
    "conv2d: weight is float16, input is float32; expected one dtype": lambda: F.conv2d(
        ONE(1, 1, 4, 4), half(1, 1, 3, 3)),
    "batch_norm: running_mean is float16, input is float32; expected that, or float32": lambda: F.batch_norm(
        ONE(4, 3), half(3), half(3), training=True),
    "cross_entropy: weight is float16, input is float32; expected one dtype": lambda: F.cross_entropy(
        ONE(4, 3), CLASS, half(3)),
    "opt.sgd: D is float16, theta is float32; expected one dtype": lambda: F.sgd_(ONE(3), half(3), 0.1),
    # integers
    "only Tensors of floating point dtype can require gradients": lambda: F.relu(torch.arange(3).requires_grad_()),
    "linear: input is int64; expected float16, bfloat16, float32 or float64": lambda: nn.Linear(3, 2)(whole(1, 3)),
    "conv1d: input is int64; expected float16, bfloat16, float32 or float64": lambda: F.conv1d(
        whole(1, 1, 4), ONE(1, 1, 3)),
    "cross_entropy: input is int64; expected float16": lambda: F.cross_entropy(whole(4, 3), CLASS),
    "cross_entropy: target is float32; expected int64 class indices (shares of classes have no kernel)": lambda: (
        F.cross_entropy(ONE(4, 3), ONE(4, 2))),
    "binary_cross_entropy_with_logits: target is int64; expected float16": lambda: (
        F.binary_cross_entropy_with_logits(ONE(4), whole(4))),
    # no tensor at all
    "relu: input is None; expected a tensor": lambda: F.relu(None),
    "linear: weight is None; expected a tensor": lambda: F.linear(ONE(2, 3), None),
    "conv2d: weight is None; expected a tensor": lambda: F.conv2d(ONE(1, 1, 4, 4), None),
    "tanh: input is a list; expected a tensor": lambda: F.tanh([1.0]),
    # devices
    "linear: weight is on cpu, input is on cuda:0; expected one device": on_the_gpu,
    "linear: weight is on meta, input is on cpu; expected one device": lambda: F.linear(ONE(2, 3), elsewhere(4, 3)),
    "mlp, layer 1: b is on meta, x is on cpu; expected one device": lambda: F.mlp(
        ONE(2, 3), [ONE(4, 3)], [elsewhere(4)]),
    "conv2d: bias is on meta, input is on cpu; expected one device": lambda: F.conv2d(
        ONE(1, 1, 4, 4), ONE(1, 1, 3, 3), elsewhere(1)),
    "batch_norm: running_mean is on meta, input is on cpu; expected one device": lambda: F.batch_norm(
        ONE(4, 3), elsewhere(3), elsewhere(3)),
    "cross_entropy: target is on meta, input is on cpu; expected one device": lambda: F.cross_entropy(
        ONE(4, 3), elsewhere(4, dtype=torch.int64)),
    "cross_entropy: weight is on meta, input is on cpu; expected one device": lambda: F.cross_entropy(
        ONE(4, 3), CLASS, elsewhere(3)),
    "binary_cross_entropy_with_logits: target is on meta, input is on cpu": lambda: (
        F.binary_cross_entropy_with_logits(ONE(4), elsewhere(4))),
    "opt.sgd: D is on meta, theta is on cpu; expected one device": lambda: F.sgd_(ONE(3), elsewhere(3), 0.1),
    # statistics
    "batch_norm: running_mean has shape (2,); expected (3,), one per channel": lambda: F.batch_norm(
        ONE(4, 3), ONE(2), ONE(2), training=True),
    "batch_norm: running_var has shape (2,); expected (3,), one per channel": lambda: F.batch_norm(
        ONE(4, 3), ONE(3), ONE(2)),
    "batch_norm: running_mean has shape (4,); expected (3,), one per channel": lambda: nn.BatchNorm2d(4)(
        ONE(2, 3, 4, 4)),
    "batch_norm: input has shape (1, 3): one value per channel has no unbiased variance": lambda: F.batch_norm(
        ONE(1, 3), None, None, training=True),
    "batch_norm: evaluation needs running_mean and running_var": lambda: F.batch_norm(ONE(4, 3), None, None),
    # shapes of a loss
    "mse_loss: input has shape (4, 1), target has (4,); expected equal shapes": lambda: F.mse_loss(ONE(4, 1), ONE(4)),
    "cross_entropy: input has shape (2, 3, 5), target has (2, 4); expected (B, K, …) and (B, …)": lambda: (
        F.cross_entropy(ONE(2, 3, 5), whole(2, 4))),
    # optimizers
    "can't optimize a non-leaf Tensor": lambda: optim.SGD([leaf(2) * 2], lr=0.1),
    "params argument given to the optimizer should be an iterable of Tensors": lambda: optim.SGD(ONE(3), lr=0.1),
    "LAMB: group 0 has no parameters; leave it out": lambda: optim.LAMB([{"params": []}]),
    "LAMB: group 1 has no parameters; leave it out": lambda: optim.LAMB([leaf(2)]).add_param_group({"params": []}),
    "LAMB: lr = -1 is out of range": lambda: optim.LAMB([leaf(2)], lr=-1),
    # patch
    "patch: (model) is patched already; undo that first": patched_twice,
    "patch: layers.0 is patched already; undo that first": patched_twice_in_part,
    "patch: 0 has become a Bilinear since it was patched; undo that change first": class_changed_since,
    "patch: the model is a list; expected a torch.nn.Module": lambda: patch([torch.nn.Linear(2, 2)]),
}


@pytest.mark.parametrize("where", [contextlib.nullcontext, simulate], ids=["composite", "kernel"])
@pytest.mark.parametrize("message", MISUSE)
def test_misuse(message, where):
    """One sentence, the same by both routes, before any kernel has run."""
    with where() as sim, pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        MISUSE[message]()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert sim is None or sim.launches == 0


def test_an_empty_group_leaves_the_optimizer_as_it_was():
    optimizer = optim.LAMB([leaf(2)])
    with pytest.raises(ValueError, match="group 1 has no parameters"):
        optimizer.add_param_group({"params": []})
    assert len(optimizer.param_groups) == 1
