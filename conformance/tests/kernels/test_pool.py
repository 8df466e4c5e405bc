"""Pooling, alone and fused with the convolution before it, and both under autograd."""

import contextlib
import math

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels.images import checks as image_checks
from chainrule.triton_kernels.images import composite as composite_images
from chainrule.triton_kernels.images import nodes as image_autograd
from chainrule.triton_kernels.runtime.launch import composites

PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
ACTS = ["identity", "relu", "leaky", "sigmoid", "tanh", "elu"]
WINDOWS = [(2, None, 0), ((2, 3), (1, 2), (1, 1)), (3, 2, 1), ((3, 2), (2, 4), 0), (2, 3, 1)]
HOW = {"stride": (1, 2), "padding": (1, 0), "dilation": 1, "groups": 2}


def ties(shape, last, seed=0):
    x = torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(seed)).float()
    x.view(-1)[::17], x.view(-1)[5::23], x.view(-1)[7::19] = math.nan, -math.inf, math.inf
    return x.contiguous(memory_format=torch.channels_last) if last else x


def operands(dtype=torch.float32, last=False, seed=0):
    g = torch.Generator().manual_seed(seed)
    x, w, b = (torch.randint(-2, 3, s, generator=g).to(dtype) / 2 for s in ((2, 4, 7, 12), (6, 2, 2, 3), (6,)))
    return (x.contiguous(memory_format=torch.channels_last) if last else x), w, b


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("where", PLACES)
def test_ties_and_nan_are_torch_s(window, last, where):
    x = ties((2, 3, 9, 10), last)
    wanted, at = torch.nn.functional.max_pool2d(x, *window, return_indices=True)
    with PLACES[where]():
        got, index = F.max_pool2d(x, *window, return_indices=True)
    assert torch.equal(got.isnan(), wanted.isnan())
    assert torch.equal(got.nan_to_num(), wanted.nan_to_num())
    assert torch.equal(index, at)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_gradient_goes_to_the_maximum_alone(window, dtype):
    x = ties((2, 3, 9, 10), True).nan_to_num(0, 3, -3).to(dtype)
    y, index = OPS["pool.max"](x, *window)
    d = torch.randint(-3, 4, y.shape).to(dtype)
    leaf = x.double().requires_grad_()
    torch.nn.functional.max_pool2d(leaf, *window).backward(d.double())
    with simulate() as sim:
        dx = OPS["pool.max.grad_x"](d, index, 9, 10, *window)
    assert sim.launches == 1
    assert torch.equal(dx.double(), leaf.grad)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("act", ["identity", "relu", "leaky", "elu", "tanh"])
def test_fused_pooling_is_the_two_ops_in_turn(act, dtype):
    """The value, bit for bit; a place where a is largest, of these that of the largest z; and z there."""
    x, w, b = operands(dtype, last=True)
    sizes = image_checks.forward(x, w, b, **HOW)
    p = {"leaky": 0.1, "elu": 1.0}.get(act, 0.0)
    with simulate() as sim:
        fused = image_autograd.room("images.pooled", "fused", x).pooled_keeping(x, w, b, sizes, act, p, True)
        assert sim.launches == 1
        assert all(bool(sim.stored(one).all()) for one in fused)
        a = OPS["conv2d.layer"](x, w, b, **HOW, act=act)
        z = OPS["conv2d.layer"](x, w, b, **HOW)
        y, index = OPS["pool.max"](a)[0], OPS["pool.max"](z)[1]
    assert torch.equal(fused[0], y)
    assert torch.equal(fused[1], index)
    at = F.max_pool2d(z, 2, return_indices=True)[1].flatten(2)
    assert torch.equal(a.flatten(2).gather(2, at).view(y.shape), y)
    assert torch.equal(fused[2], z.flatten(2).gather(2, at).view(y.shape))
    composite = composite_images.pooled_keeping(x, w, b, sizes, act, p, True)
    assert all(map(torch.equal, composite[1:], fused[1:]))


def test_every_window_of_five_numbers_and_nan_has_torch_s_place():
    """Two rows of 6⁴ windows through a filter that is 1: ties, infinities and NaN in every order."""
    numbers = torch.tensor([-math.inf, -1.0, 0.0, 2.0, math.inf, math.nan])
    x = torch.cartesian_prod(*[numbers] * 4).reshape(1, 1, -1, 2, 2).permute(0, 1, 3, 2, 4).reshape(1, 1, 2, -1)
    wanted, at = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    sizes = image_checks.layer("conv2d.layer", x.shape, (1, 1, 1, 1), 1, 0, 1, 1)
    with simulate():
        y, index, _ = image_autograd.room("images.pooled", "conv2d.layer", x).pooled_keeping(
            x, torch.ones(1, 1, 1, 1), None, sizes, "identity", 0.0, False)
    assert torch.equal(y.nan_to_num(7.0), wanted.nan_to_num(7.0))
    assert torch.equal(composite_images.in_image(index, image_checks.pool("pool.max", x.shape, 2, 2, 0)), at)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("act", ["relu", "leaky"])
def test_the_side_of_0_beside_the_place_does_for_z(act, dtype):
    """Of the z that would have been stored: rounded, −0; NaN as torch has it, whose ReLU lets a gradient through there;
    in kernel and composite alike, bit by bit."""
    x, w, b = operands(dtype, last=True)
    x[0, 0, 2, 3] = torch.nan
    sizes = image_checks.forward(x, w, b, **HOW)
    pool = image_checks.pool("pool.max.grad_x", sizes.y_shape, 2, 2, 0)
    wanted = composite_images.pooled_keeping(x, w, b, sizes, act, 0.1, True)
    d = torch.randn(wanted[0].shape).to(dtype)
    through = composite_images.pooled_backward(d, wanted[1], pool, wanted[2].nan_to_num(1), act, "z", 0.1)
    z = wanted[2]
    assert min((z > 0).sum(), (z <= 0).sum(), z.isnan().sum()) > 0
    for where in PLACES:
        with PLACES[where]():
            y, index, none = image_autograd.room("images.pooled", "fused", x).pooled_keeping(
                x, w, b, sizes, act, 0.1, False, None, True, True)
            dx = image_autograd.room("images.pool", "fused", x).pooled_backward(d, index, pool, None, act, "side", 0.1)
        assert none is y
        assert torch.equal(index & 3, wanted[1])
        assert torch.equal(index >> 2, (z <= 0).byte())
        assert torch.equal(dx, through)


@pytest.mark.parametrize("act", ["relu", "sigmoid", "identity"])
def test_behind_a_pooling_a_byte_a_maximum_is_kept_and_z_where_it_must_be(act):
    x, w, b = operands(last=True)
    kept = []
    with simulate(), saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = F.conv2d_act(*(t.requires_grad_() for t in (x, w, b)), act, **HOW, pool=True)
    assert sum(t.nbytes for t in kept) == x.nbytes + w.nbytes + y.numel() * (5 if act == "sigmoid" else 1)
    assert y.data_ptr() not in {t.data_ptr() for t in kept}


@pytest.mark.parametrize("where", PLACES)
def test_without_a_gradient_no_place_is_stored(where):
    """Nor is it read: the same values, NaN and all; a byte a maximum less."""
    x, w, b = operands(last=True)
    x[0, 0, 2, 3] = torch.nan
    leaves = [t.requires_grad_() for t in (x, w, b)]
    with PLACES[where]() as sim:
        wanted = F.conv2d_act(*leaves, "relu", **HOW, pool=True)
        kept = sim and sim.bytes_written
        with torch.no_grad():
            y = F.conv2d_act(*leaves, "relu", **HOW, pool=True)
    assert sim is None or sim.bytes_written - kept == kept - y.numel()
    assert bool(y.isnan().any())
    assert torch.equal(y.isnan(), wanted.isnan())
    assert torch.equal(y.nan_to_num(), wanted.nan_to_num())


def trained(function, tensors):
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    y = function(*leaves)
    (y * torch.arange(1.0, y.numel() + 1, dtype=y.dtype).view(y.shape).sin()).sum().backward()
    return [y.detach(), *(leaf.grad for leaf in leaves)]


PLAIN = {"identity": lambda z: z, "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
         "elu": torch.nn.functional.elu, "leaky": lambda z: torch.nn.functional.leaky_relu(z, 0.1)}


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("act", ACTS)
def test_autograd(act, pool):
    """float64 composites are torch's own network to rounding; the kernels are the composites to float32's."""
    tensors = [t + 0.01 * torch.rand(t.shape) for t in operands()]

    def ours(x, w, b):
        return F.conv2d_act(x, w, b, act, **HOW, pool=pool)

    def plain(x, w, b):
        a = PLAIN[act](torch.nn.functional.conv2d(x, w, b, **HOW))
        return torch.nn.functional.max_pool2d(a, 2) if pool else a

    wanted = trained(plain, [t.double() for t in tensors])
    composite = trained(ours, [t.double() for t in tensors])
    with simulate() as sim:
        kernels = trained(ours, tensors)
    assert sim.launches == 3 + (act != "identity" and not pool) + pool
    for want, one, other in zip(wanted, composite, kernels):
        assert other.dtype == torch.float32
        scale = float(want.abs().max())
        assert float((one - want).abs().max()) <= 2.0**-45 * scale
        assert float((other - want).abs().max()) <= 2.0**-17 * scale


def test_pooling_and_1d_layers_under_autograd():
    x, w = torch.randn(2, 4, 31), torch.randn(6, 2, 5)

    def pooled(f):
        return lambda x, w: f.max_pool2d(f.conv1d(x, w, stride=2, padding=3, groups=2).unsqueeze(2), (1, 3), (1, 2))

    wanted = trained(pooled(torch.nn.functional), [x.double(), w.double()])
    with simulate():
        got = trained(pooled(F), [x, w])
    for one, other in zip(got, wanted):
        assert float((one - other).abs().max()) <= 2.0**-17 * float(other.abs().max())


def test_what_needs_no_gradient_is_not_computed():
    x, w, b = operands()
    w.requires_grad_()
    with simulate() as sim:
        F.conv2d(x, w, b, **HOW).sum().backward()
        assert {name.split(".")[-1] for name in sim.kernels} == {"correlate_kernel", "average_kernel"}
        assert sim.launches == 2


def test_a_second_derivative_is_refused():
    x, w, b = operands()
    w.requires_grad_()
    with composites():
        (grad,) = torch.autograd.grad(F.conv2d(x, w, b, **HOW).square().sum(), w, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        grad.sum().backward()


def test_an_activation_that_falls_is_not_pooled_by_its_z():
    x, w, b = operands(last=False)
    a = torch.nn.functional.elu(torch.nn.functional.conv2d(x, w, b, **HOW), -1.0)
    y = F.conv2d_act(x, w, b, "elu", **HOW, alpha=-1.0, pool=True)         # torch's own functions, said once
    assert torch.equal(y, torch.nn.functional.max_pool2d(a, 2))


def test_an_output_without_a_window_is_refused():
    with pytest.raises(ValueError, match="conv2d_act: an output of 1 × 5 has no 2 × 2 window"):
        F.conv2d_act(torch.ones(1, 1, 3, 7), torch.ones(1, 1, 3, 3), pool=True)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 1, 1), (2, 1, 4, 4), (1, 1, 1, 5), (2, 3, 1, 4)], ids=str)
@pytest.mark.parametrize("strides", ["rows", "last", "odd"])
def test_memory_order_is_torch_s_where_both_orders_hold(strides, shape, where):
    x = torch.ones(shape)
    if strides == "last":
        x = torch.ones(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)
    elif strides == "odd":                                      # axes of one entry, whose strides mean nothing
        x = x.as_strided(shape, [7 if n == 1 else s for n, s in zip(shape, x.stride())])
    w = torch.ones(4, shape[1], 2, 2)
    wanted = torch.nn.functional.conv2d(x, w, padding=1)
    with PLACES[where]():
        assert F.conv2d(x, w, padding=1).stride() == wanted.stride()
