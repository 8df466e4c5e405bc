"""Views that are not what they seem: what torch keeps beside an address is settled before a kernel reads it, and what a
kernel writes arrives where it belongs."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import optim


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def negative(t, expanded=False):
    """The numbers of t in a view whose negative bit is on, with gaps between them."""
    view = torch.complex(torch.zeros_like(t), -t).conj().imag
    assert view.is_neg()
    assert torch.equal(view, t)
    return view


def zeros(*shape):
    """Zeros without memory, as autograd makes them."""
    t = torch._efficientzerotensor(shape)
    assert t._is_zerotensor()
    return t


X, W, B = data(3, 8), data(4, 8, seed=1), data(4, seed=2)
IMAGE, FILTERS = data(2, 3, 6, 5), data(4, 3, 3, 3, seed=1)
#: what takes tensors, in ours and in torch's functions
CALLS = {
    "linear": (lambda f, x, w, b: f.linear(x, w, b), (X, W, B)),
    "conv2d": (lambda f, x, w, b: f.conv2d(x, w, b, 1, 1), (IMAGE, FILTERS, B)),
    "conv1d": (lambda f, x, w, b: f.conv1d(x, w, b), (data(2, 3, 6), data(4, 3, 2), B)),
    "max_pool2d": (lambda f, x: f.max_pool2d(x, 2), (IMAGE,)),
    "relu": (lambda f, x: f.relu(x), (X,)), "tanh": (lambda f, x: f.tanh(x), (X,)),
    "leaky": (lambda f, x: f.leaky_relu(x, 0.25), (X,)), "elu": (lambda f, x: f.elu(x), (X,)),
    "batch_norm": (lambda f, x, g, b: f.batch_norm(x, None, None, g, b, True), (X, data(8), data(8, seed=1))),
    "batch_norm, given": (lambda f, x, mu, var: f.batch_norm(x, mu, var), (X, data(8), data(8, seed=1).abs())),
    "cross_entropy": (lambda f, x: f.cross_entropy(x, torch.tensor([0, 7, 3])), (X,)),
    "mse_loss": (lambda f, x, y: f.mse_loss(x, y), (X, data(3, 8, seed=4))),
    "BCE": (lambda f, x, y: f.binary_cross_entropy_with_logits(x, y), (X, data(3, 8, seed=4).sigmoid())),
}


def close(found, wanted):
    assert found.shape == wanted.shape
    room = 32 * torch.finfo(torch.float32).eps * max(1.0, float(wanted.abs().max()))
    assert (found - wanted).abs().max() <= room


def run(name, f, given, upstream):
    """The value, and the gradients for an upstream gradient."""
    statistics = 2 if name == "batch_norm, given" else 0            # which torch does not differentiate
    leaves = [t.detach().requires_grad_(not 0 < k <= statistics) for k, t in enumerate(given)]
    y = CALLS[name][0](f, *leaves)
    g = upstream(y)
    gradients = torch.autograd.grad(y, [t for t in leaves if t.requires_grad], g, allow_unused=True)
    return [y, *(t for t in gradients if t is not None)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("how", ["inputs", "gradient", "zeros"])
def test_signs(name, how):
    """Inputs with the bit, or the upstream gradient with it, or one of zeros without memory."""
    given = CALLS[name][1]
    upstream = {"inputs": torch.ones_like, "gradient": lambda y: negative(torch.full_like(y, 0.5)),
                "zeros": lambda y: zeros(*y.shape)}[how]
    taken = [negative(t) for t in given] if how == "inputs" else given
    wanted = run(name, T, taken, upstream)
    with simulate() as sim:
        found = run(name, F, taken, upstream)
    assert sim.launches
    for a, b in zip(found, wanted, strict=True):
        close(a.detach(), b.detach())


def places(mean, var):
    """Statistics as they may lie: side by side, with gaps, in a matrix's columns, negated."""
    yield "dense", mean.clone(), var.clone()
    columns = torch.stack([mean, var], 1)
    yield "columns", columns[:, 0], columns[:, 1]
    rows = torch.zeros(3, len(mean), 2)
    rows[1, :, 1], rows[2, :, 0] = mean, var
    yield "gaps", rows[1, :, 1], rows[2, :, 0]
    yield "negated", negative(mean), negative(var)


@pytest.mark.parametrize("where", ["cpu", "kernel"])
@pytest.mark.parametrize("k", range(4))
def test_running_statistics_wherever_they_lie(k, where):
    mean, var, x = data(5), data(5, seed=1).abs() + 0.5, data(8, 5, 3, seed=2)
    name, mu, sigma = list(places(mean, var))[k]
    before = mu._version
    his_mu, his_sigma = mean.clone(), var.clone()                   # torch loses what it writes to a negated view
    wanted = T.batch_norm(x, his_mu, his_sigma, training=True, momentum=0.25)
    with simulate() if where == "kernel" else contextlib.nullcontext():
        found = F.batch_norm(x, mu, sigma, training=True, momentum=0.25)
    for a, b in ((found, wanted), (mu, his_mu), (sigma, his_sigma)):
        close(a, b)
    assert where == "cpu" or mu._version > before                    # torch's own write is as invisible
    assert not torch.equal(mu, mean), name


def test_statistics_that_share_memory_are_torchs_to_judge():
    x = data(8, 5)
    own, his = torch.zeros(1), torch.zeros(1)
    with simulate():
        found = F.batch_norm(x, own.expand(5), torch.ones(5), training=True)
    wanted = T.batch_norm(x, his.expand(5), torch.ones(5), training=True)
    close(found, wanted)
    close(own, his)


def test_a_step_of_sgd_in_a_negated_view():
    theta, D = data(3, 4), data(3, 4, seed=1)
    for view in (negative(theta), theta.clone(), torch.zeros(3, 4, 2)[..., 1].copy_(theta)):
        with simulate():
            F.sgd_(view, negative(D), 0.5)
        close(view, theta - 0.5 * D)


STEPS = {
    "sgd": lambda lib, p: lib.SGD(p, lr=0.1), "momentum": lambda lib, p: lib.SGD(p, lr=0.1, momentum=0.5),
    "adagrad": lambda lib, p: lib.Adagrad(p, lr=0.1), "adam": lambda lib, p: lib.Adam(p, lr=0.1),
    "adamw": lambda lib, p: lib.AdamW(p, lr=0.1, weight_decay=0.25)}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("what", ["gradient", "state", "parameter", "zeros"])
def test_an_optimizer_goes_downhill(name, what):
    """The gradient, a state or the parameter itself in a view with the bit on; or a gradient without memory."""
    start = data(6, 7)

    def trained(lib):
        p = nn.Parameter(negative(start) if what == "parameter" else start.clone())
        optimizer = STEPS[name](lib, [p])
        for k in range(3):
            D = data(6, 7, seed=k + 1)
            p.grad = negative(D) if what == "gradient" else zeros(6, 7) if what == "zeros" and k == 1 else D
            optimizer.step()
            if what == "state":
                for key, t in optimizer.state[p].items():
                    if isinstance(t, torch.Tensor):
                        optimizer.state[p][key] = negative(t.clone())
        return p.detach()

    wanted = trained(torch.optim)
    with simulate():
        found = trained(optim)
    close(found, wanted)


#: in-place arithmetic on an output that torch allows: what makes it
OUTPUTS = {
    "leaky": lambda f, x: f.leaky_relu(x * 1, 0.25), "elu": lambda f, x: f.elu(x * 1),
    "linear": lambda f, x: f.linear(x, W), "max_pool2d": lambda f, x: f.max_pool2d(x * 1, 2),
    "conv2d": lambda f, x: f.conv2d(x, FILTERS), "batch_norm": lambda f, x: f.batch_norm(x, None, None, training=True),
    "batch_norm, given": lambda f, x: f.batch_norm(x, torch.zeros(x.shape[1]), torch.ones(x.shape[1])),
}


@pytest.mark.parametrize("where", ["cpu", "kernel"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_may_be_written_over_as_torchs_may(name, where):
    def went(f):
        x = (IMAGE if "2d" in name else X).clone().requires_grad_()
        y = OUTPUTS[name](f, x)
        y += 1
        y *= 2
        y.sin().sum().backward()
        return x.grad

    wanted = went(T)
    if where == "cpu":
        close(went(F), wanted)
    else:
        with simulate():
            close(went(F), wanted)


@pytest.mark.parametrize("where", ["cpu", "kernel"])
@pytest.mark.parametrize("act", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid])
def test_so_may_those_of_a_patched_model(act, where):
    """Behind a pooling anything; behind a leaky ReLU and an ELU, too; and logits after their loss."""
    from chainrule.triton_kernels.patch import patch

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), act(), nn.MaxPool2d(2))
    row = nn.Sequential(nn.Linear(8, 5), act() if act in (nn.LeakyReLU, nn.ELU) else nn.Identity())

    def went(images, rows, f):
        x, z = IMAGE.clone().requires_grad_(), X.clone().requires_grad_()
        y = images(x)
        y += 1
        a = rows(z)
        a *= 2
        loss = f.cross_entropy(a * 1, torch.tensor([0, 1, 2])) + y.sin().sum()
        logits = a * 3
        mean = f.cross_entropy(logits, torch.tensor([1, 1, 2]))
        logits.zero_()
        (loss + mean).backward()
        return x.grad, z.grad

    wanted = went(plain, row, T)
    own = copy.deepcopy(plain), copy.deepcopy(row)
    for model in own:
        patch(model)
    if where == "cpu":
        found = went(*own, F)
    else:
        with simulate():
            found = went(*own, F)
    for a, b in zip(found, wanted, strict=True):
        close(a, b)
