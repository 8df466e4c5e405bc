"""Convolution layers over random shapes: exactly the reference and the derived gradients, on integers."""

import random

import numpy as np
import pytest
import torch

from chainrule.conformance.judging.oracle import exact_truth
from chainrule.conformance.mutate.faults.convolution_layers import conv, into_w, into_x
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.images import checks as image_checks
from chainrule.triton_kernels.images import nodes as image_autograd
from chainrule.triton_kernels.runtime import configs
from chainrule.triton_kernels.runtime.configs import rows
from chainrule.triton_kernels.runtime.layout import is_channels_last

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def integers(rng, shape, dtype, last=False, most=2):
    """Small integers, few enough that float16 and bfloat16 hold their sums of products."""
    x = torch.from_numpy(rng.integers(-most, most + 1, shape).astype(np.float32))
    if dtype == torch.bfloat16:
        x *= torch.from_numpy(rng.random(shape) < 0.3)
    x = x.to(dtype)
    return x.contiguous(memory_format=torch.channels_last) if last else x


class Configuration:
    """One random layer: sizes, layouts and data, all from a seed."""

    def __init__(self, seed):
        pick, rng = random.Random(seed), np.random.default_rng(seed)
        depthwise = pick.random() < 0.2
        G = pick.choice([3, 5]) if depthwise else pick.choice([1, 1, 2, 3])
        C, F = (1, pick.choice([1, 2])) if depthwise else (pick.choice([1, 2, 3, 9]), pick.choice([1, 2, 5, 17]))
        self.B, self.dtype = pick.choice([1, 2, 3]), pick.choice(DTYPES)
        M, N = pick.randint(1, 4), pick.randint(1, 4)
        self.how = {"stride": (pick.randint(1, 3), pick.randint(1, 3)), "groups": G,
                    "padding": (pick.randint(0, M), pick.randint(0, N)),
                    "dilation": (pick.randint(1, 3), pick.randint(1, 3))}
        self.H, self.W = (pick.randint(max(1, e * (m - 1) + 1 - 2 * p), e * (m - 1) + 6)
                          for m, p, e in zip((M, N), self.how["padding"], self.how["dilation"]))
        last = pick.random() < 0.5
        self.x = integers(rng, (self.B, C * G, self.H, self.W), self.dtype, last)
        self.w = integers(rng, (F * G, C, M, N), self.dtype, pick.random() < 0.5)
        self.b = integers(rng, (F * G,), self.dtype)
        sizes = image_checks.forward(self.x, self.w, self.b, **self.how)
        self.d = integers(rng, sizes.y_shape, self.dtype, last)

    def calls(self):
        M, N = self.w.shape[2:]
        return {"conv2d.layer": {"x": self.x, "w": self.w, "b": self.b, **self.how},
                "conv2d.layer.grad_x": {"d": self.d, "w": self.w, "H": self.H, "W": self.W, **self.how},
                "conv2d.layer.grad_w": {"d": self.d, "x": self.x, "M": M, "N": N, **self.how},
                "conv2d.layer.grad_b": {"d": self.d}}


def lists(value):
    return value.double().numpy() if isinstance(value, torch.Tensor) else value


def agrees(id, call, dtype):
    """The kernel's outputs are the reference's; sums that the dtype cannot hold are rounded once."""
    with simulate(check=True) as sim:
        got = OPS[id](**call)
    assert bool(sim.stored(got).all())
    (wanted,) = exact_truth(id, {name: lists(value) for name, value in call.items()}).values()
    assert torch.equal(got, torch.from_numpy(wanted.value).float().to(dtype)), (id, call)
    return got


def check(seed):
    one = Configuration(seed)
    y, dx, D, _ = (agrees(id, call, one.dtype).double() for id, call in one.calls().items())
    y = y - one.b.double()[:, None, None]
    if one.dtype == torch.float32:                   # else y, ∂x and D may have been rounded
        products = [(y * one.d.double()).sum(), (dx * one.x.double()).sum(), (D * one.w.double()).sum()]
        assert products[0] == products[1] == products[2], (seed, products)


@pytest.mark.parametrize("block", [0, 1, 2, *(pytest.param(b, marks=pytest.mark.slow) for b in range(3, 10))])
def test_random_layers_equal_the_reference(block):
    for seed in range(20 * block, 20 * block + 20):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(100))
def test_two_thousand_random_layers_equal_the_reference(block):
    for seed in range(1000 + 20 * block, 1000 + 20 * block + 20):
        check(seed)


SHAPES = {"x": (2, 4, 7, 9), "w": (6, 2, 3, 2)}
HOW = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}


def example(dtype=torch.float32, last=False):
    rng = np.random.default_rng(0)
    x, w = integers(rng, SHAPES["x"], dtype, last, 1), integers(rng, SHAPES["w"], dtype, last, 1)
    sizes = image_checks.forward(x, w, None, **HOW)
    return x, w, integers(rng, sizes.y_shape, dtype, last, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adjoint(dtype):
    """⟨conv(x, w), g⟩ = ⟨x, ∂x⟩ = ⟨w, ∂w⟩, to the last bit."""
    x, w, g = example(dtype)
    with simulate():
        y = OPS["conv2d.layer"](x, w, **HOW)
        dx = OPS["conv2d.layer.grad_x"](g, w, 7, 9, **HOW)
        dw = OPS["conv2d.layer.grad_w"](g, x, 3, 2, **HOW)
    inner = [(a.double() * b.double()).sum() for a, b in ((y, g), (x, dx), (w, dw))]
    assert inner[0] == inner[1] == inner[2] != 0


def test_the_result_lies_in_memory_as_the_input():
    for last in (False, True):
        x, w, d = example(last=last)
        for run in (simulate, lambda: torch.no_grad()):
            with run():
                found = [OPS["conv2d.layer"](x, w, **HOW), OPS["conv2d.layer.grad_w"](d, x, 3, 2, **HOW),
                         OPS["conv2d.layer.grad_x"](d, w, 7, 9, **HOW), *OPS["pool.max"](x)]
            assert [is_channels_last(t) for t in found] == [last] * 5


def test_nothing_is_copied():
    """A channels_last layer is one launch that reads its operands where they lie; so is ∂x, for every stride."""
    x, w, d = example(last=True)
    with simulate() as sim:
        OPS["conv2d.layer"](x, w, **HOW)
        assert sim.launches == 1
        OPS["conv2d.layer.grad_x"](d, w, 7, 9, **HOW)
        assert sim.launches == 2


@pytest.mark.parametrize("which", ["slice", "expanded"])
def test_slices_and_expanded_gradients(which):
    x, w, d = example()
    if which == "slice":
        wide = torch.full((2, 9, 7, 12), torch.nan).contiguous(memory_format=torch.channels_last)
        wide[:, 3:7, :, 2:11] = x
        x = wide[:, 3:7, :, 2:11]
        assert is_channels_last(x)
    else:
        d = torch.ones(()).expand(d.shape)
    for id, call in {"conv2d.layer": {"x": x, "w": w, **HOW},
                     "conv2d.layer.grad_w": {"d": d, "x": x, "M": 3, "N": 2, **HOW},
                     "conv2d.layer.grad_x": {"d": d, "w": w, "H": 7, "W": 9, **HOW},
                     "conv2d.layer.grad_b": {"d": d}}.items():
        with simulate():
            got = OPS[id](**call)
        assert torch.equal(got, OPS[id](**call))


def results(table, x, w, d, sizes):
    """What the kernels of one configuration table compute."""
    if table == "conv2d.layer":
        return [OPS[table](x, w, padding=1), OPS["conv2d.layer.grad_x"](d, w, *x.shape[2:], padding=1)]
    if table == "conv2d.layer.grad_w":
        return [OPS[table](d, x, *w.shape[2:], padding=1)]
    return image_autograd.room("images.pooled", table, x).pooled_keeping(x, w, None, sizes, "identity", 0.0, False)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("table", ["conv2d.layer", "conv2d.layer.pool", "conv2d.layer.grad_w"])
def test_every_row_with_ragged_edges(table, dtype):
    """19 or 70 filters, 5 or 30 channels: both ways of walking the terms, partial tiles on every side."""
    rng = np.random.default_rng(1)
    for channels, filters in ((5, 19), (30, 70)):
        x = integers(rng, (2, channels, 7, 8), dtype, True, 1)
        w = integers(rng, (filters, channels, 3, 2), dtype, True, 1)
        sizes = image_checks.forward(x, w, None, 1, 1, 1, 1)
        d = integers(rng, sizes.y_shape, dtype, True, 1)
        wanted = results(table, x, w, d, sizes)
        for row in {row for arch in ("sm_90", "sm_80", "default") for row in rows(table, arch, dtype)}:
            with configs.pinned(table, row), simulate():
                got = results(table, x, w, d, sizes)
            assert all(torch.equal(one, other) for one, other in zip(got, wanted)), row


def test_filters_over_many_pixels_are_split_and_repeatable():
    """Parts are added in one order, whatever order the programs run in; one part is as good as several."""
    g = torch.Generator().manual_seed(0)
    x, d = torch.randn(9, 3, 20, 17, generator=g), torch.randn(9, 5, 18, 16, generator=g)
    w = torch.randn(5, 3, 3, 2, generator=g)
    found = []
    for order in ("forward", "reverse"):
        with simulate(order=order) as sim:
            found.append(OPS["conv2d.layer.grad_w"](d, x, 3, 2, w=w, lam=0.5, n=9))
        assert sim.launches == 2
    assert torch.equal(*found)
    exact = OPS["conv2d.layer.grad_w"](d.double(), x.double(), 3, 2, w=w.double(), lam=0.5, n=9)
    assert float((found[0] - exact).abs().max()) <= 2.0**-20 * float(d.abs().sum())


def test_the_faults_are_changes_of_right_formulas():
    x, w, d = example()
    how = tuple(HOW.values())
    y = conv(x.numpy(), w.numpy(), np.zeros(6), *how)
    assert np.array_equal(y, OPS["conv2d.layer"](x, w, **HOW).numpy())
    assert np.array_equal(into_x(d.numpy(), w.numpy(), 7, 9, *how), OPS["conv2d.layer.grad_x"](d, w, 7, 9, **HOW))
    assert np.array_equal(into_w(d.numpy(), x.numpy(), 3, 2, *how), OPS["conv2d.layer.grad_w"](d, x, 3, 2, **HOW))
