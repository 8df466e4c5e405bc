"""Batch normalization as training code calls it, against torch: forward, backward, running statistics, layouts."""

from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels.norms.functional import batch_norm
from chainrule.triton_kernels.runtime.launch import composites

PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}
SHAPES = {"rows": (37, 5), "channels-last": (3, 7, 5, 4), "channels-first": (3, 7, 5, 4), "signal": (4, 3, 11),
          "one-example": (1, 3, 4, 4)}


def data(shape, seed, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def laid(name, t):
    return t.contiguous(memory_format=torch.channels_last) if name == "channels-last" else t


def run(function, name, dtype=torch.float32, mode="composite", training=True, relu=False, added=False, affine=True):
    """(y, gradients of x, γ, β and what was added, running statistics)"""
    shape = SHAPES[name]
    x = laid(name, data(shape, 0).to(dtype) * 2 + 3).requires_grad_()
    other = laid(name, data(shape, 1).to(dtype)).requires_grad_() if added else None
    gamma, beta = ((data(shape[1], s).to(dtype) + 1).requires_grad_() for s in (2, 3)) if affine else (None, None)
    mu, var = data(shape[1], 4).to(dtype), data(shape[1], 5).to(dtype).square() + 0.5
    d = data(shape, 6).to(dtype)
    inputs = [t for t in (x, gamma, beta, other) if t is not None]
    with PLACES[mode]():
        y = function(x, mu, var, gamma, beta, training, 0.25, 1e-3, other, relu)
        gradients = torch.autograd.grad(y, inputs, d)
    return [y.detach(), *gradients, mu, var]


def ours(x, mu, var, gamma, beta, training, rho, eps, added, relu):
    return batch_norm(x, mu, var, gamma, beta, training, rho, eps, added=added, act="relu" if relu else "identity")


def theirs(x, mu, var, gamma, beta, training, rho, eps, added, relu):
    y = T.batch_norm(x, mu, var, gamma, beta, training, rho, eps)
    y = y if added is None else y + added
    return T.relu(y) if relu else y


def no_further(ours, theirs, exact):
    """From the float64 run: twice torch's own distance, and a rounding for each of the three sums, which torch takes
    in float64 on a CPU."""
    for a, b, c in zip(ours, theirs, exact, strict=True):
        assert a.shape == c.shape
        unit = torch.finfo(a.dtype).eps * c.abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + 3 * unit


HOW = {"plain": {}, "evaluation": {"training": False}, "relu": {"relu": True}, "added": {"added": True},
       "residual": {"relu": True, "added": True},
       "residual, evaluation": {"relu": True, "added": True, "training": False}, "no scale": {"affine": False}}


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", SHAPES)
def test_as_torch(name, how, mode):
    options = HOW[how]
    no_further(run(ours, name, mode=mode, **options), run(theirs, name, **options),
               run(theirs, name, torch.float64, **options))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_inputs_with_float32_statistics(dtype):
    """Mixed as under autocast: x is 16-bit, all that is per channel is float32; gradients follow their own tensors."""
    x = data((64, 6), 0, dtype).requires_grad_()
    gamma, beta = torch.ones(6).requires_grad_(), torch.zeros(6).requires_grad_()
    mu, var = torch.zeros(6), torch.ones(6)
    with simulate():
        y = batch_norm(x, mu, var, gamma, beta, True)
        dx, dgamma, dbeta = torch.autograd.grad(y, (x, gamma, beta), torch.ones_like(y))
    assert (y.dtype, dx.dtype, dgamma.dtype, dbeta.dtype, mu.dtype) == (dtype, dtype, *[torch.float32] * 3)
    assert dbeta.tolist() == [64.0] * 6


def test_many_rows_are_shared_out_and_repeatable():
    x = data((9000, 3), 0) + 100
    with simulate() as sim:
        first = batch_norm(x, None, None, training=True)
        programs = sim.kernels["statistics_kernel"].launches
    with simulate(order="random", seed=5):
        second = batch_norm(x, None, None, training=True)
    assert programs == 1
    assert torch.equal(first, second)
    no_further([first], [T.batch_norm(x, None, None, training=True)],
               [T.batch_norm(x.double(), None, None, training=True)])


def test_launches():
    """Three forward, three backward, whatever is fused."""
    x, other = data((4, 8, 5, 5), 0).requires_grad_(), data((4, 8, 5, 5), 1).requires_grad_()
    gamma, beta = torch.ones(8, requires_grad=True), torch.zeros(8, requires_grad=True)
    with simulate() as sim:
        y = batch_norm(x, torch.zeros(8), torch.ones(8), gamma, beta, True, added=other, act="relu")
        assert sim.launches == 3
        torch.autograd.grad(y, (x, gamma, beta, other), torch.ones_like(y))
        assert sim.launches == 6


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_memory_order_is_kept(order):
    x = data((3, 4, 5, 6), 0).contiguous(memory_format=order).requires_grad_()
    with simulate():
        y = batch_norm(x, None, None, training=True)
        (dx,) = torch.autograd.grad(y, x, torch.ones_like(y).expand_as(y))
    assert y.stride() == dx.stride() == x.stride()


@pytest.mark.parametrize("mode", PLACES)
def test_gradients_that_nobody_wants_are_not_computed(mode):
    x = data((8, 3), 0)
    beta = torch.zeros(3, requires_grad=True)
    gamma = torch.ones(3)
    with PLACES[mode]() as sim:
        y = batch_norm(x, None, None, gamma, beta, True)
        (dbeta,) = torch.autograd.grad(y, beta, torch.ones_like(y))
        assert sim is None or "grad_x_kernel" not in sim.kernels
    assert dbeta.tolist() == [8.0] * 3


def test_gradcheck():
    x, gamma, beta = (data(s, i, torch.float64).requires_grad_() for i, s in enumerate(((5, 3, 2), (3,), (3,))))
    other = data((5, 3, 2), 7, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, g, b, o: batch_norm(x, None, None, g, b, True, added=o, act="relu"), (x, gamma, beta, other))
    assert torch.autograd.gradcheck(
        lambda x, g, b: batch_norm(x, torch.zeros(3).double(), torch.ones(3).double(), g, b), (x, gamma, beta))


MISUSE = {
    "running_mean has shape (4,); expected (3,), one per channel": {"running_mean": torch.zeros(4)},
    "input is int64; expected float16": {"input": torch.arange(6).view(2, 3)},
    "weight is float16, input is float32": {"weight": torch.ones(3, dtype=torch.float16), "bias": torch.zeros(3)},
    "input has shape (3,); expected (N, C)": {"input": torch.ones(3)},
    "one value per channel has no unbiased variance": {"input": torch.ones(1, 3), "training": True},
    "evaluation needs running_mean and running_var": {"running_mean": None, "running_var": None},
    "act = 'tanh' is not fused; choose identity or relu": {"act": "tanh"},
    "input has shape (4, 3), added has (2, 3)": {"added": torch.ones(2, 3)},
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse(message):
    arguments = {"input": torch.ones(4, 3), "running_mean": torch.zeros(3), "running_var": torch.ones(3)}
    with pytest.raises((TypeError, ValueError)) as caught:
        batch_norm(**{**arguments, **MISUSE[message]})
    assert message in str(caught.value)
    assert str(caught.value).startswith("batch_norm: ")


def test_a_weight_without_a_bias_is_torchs():
    x, weight = data((4, 3), 1), data((3,), 2)
    mean, var = torch.zeros(3), torch.ones(3)
    wanted = torch.nn.functional.batch_norm(x, mean, var, weight)
    assert torch.equal(batch_norm(x, mean, var, weight), wanted)
