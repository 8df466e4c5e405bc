"""What every function of `functional` promises besides its numbers: inputs unchanged, graphs that can be kept, only the
gradients that are asked for, no second derivative without a word, and torch's arguments in torch's order."""

from __future__ import annotations

import contextlib
import inspect
import itertools

import pytest
import torch
import torch.nn.functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels.runtime.launch import composites

WHERE = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pooled(x, w, b):
    return F.conv2d_act(x, w, b, "tanh", padding=1, pool=True)


IMAGE, FILTERS = (2, 2, 4, 6), (3, 2, 3, 3)
Y = torch.tensor([0, 4, 2, 2])
#: name: (function of its differentiable inputs, their shapes)
CALLS = {
    **{name: (getattr(F, name), ((4, 5),)) for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu")},
    "softmax": (lambda x: F.softmax(x, 1), ((4, 5),)),
    "linear": (F.linear, ((4, 5), (3, 5), (3,))),
    "linear_act": (lambda x, w, b: F.linear_act(x, w, b, "elu"), ((4, 5), (3, 5), (3,))),
    "mlp": (lambda x, w, b, u, c: F.mlp(x, [w, u], [b, c], "tanh"), ((4, 5), (3, 5), (3,), (2, 3), (2,))),
    "conv1d": (F.conv1d, ((2, 3, 7), (4, 3, 3), (4,))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, 2, 1), (IMAGE, FILTERS, (3,))),
    "conv2d_act": (lambda x, w, b: F.conv2d_act(x, w, b, "sigmoid"), (IMAGE, FILTERS, (3,))),
    "conv2d_act, pooled": (pooled, (IMAGE, FILTERS, (3,))),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (IMAGE,)),
    "max_pool1d": (lambda x: F.max_pool1d(x, 2), ((2, 3, 7),)),
    "batch_norm": (lambda x, g, b: F.batch_norm(x, None, None, g, b, True), ((4, 5), (5,), (5,))),
    "batch_norm, all in one": (
        lambda x, g, b, r: F.batch_norm(x, None, None, g, b, True, added=r, act="relu"), ((4, 5), (5,), (5,), (4, 5))),
    "batch_norm, evaluation": (
        lambda x, g, b: F.batch_norm(x, data(5, seed=8).to(x), data(5, seed=9).to(x).abs(), g, b),
        ((4, 5), (5,), (5,))),
    "layer_norm": (lambda x, g, b: F.layer_norm(x, 5, g, b), ((4, 5), (5,), (5,))),
    "add_layer_norm": (lambda x, y, g, b: F.add_layer_norm(x, y, (5,), g, b)[0], ((4, 5), (4, 5), (5,), (5,))),
    "scaled_dot_product_attention": (F.scaled_dot_product_attention, ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))),
    "self_attention": (lambda x: F.self_attention(x, None, True), ((2, 3, 3, 2, 4),)),
    "cross_entropy": (lambda z: F.cross_entropy(z, Y), ((4, 5),)),
    "cross_entropy, each": (lambda z: F.cross_entropy(z, Y, label_smoothing=0.25, reduction="none"), ((4, 5),)),
    "linear_cross_entropy": (lambda x, w: F.linear_cross_entropy(x, w, Y), ((4, 6), (5, 6))),
    "mse_loss": (F.mse_loss, ((4, 5), (4, 5))),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, ((4, 5), (4, 5))),
    "patch_embedding": (F.patch_embedding, ((2, 2, 4, 6), (3, 2, 2, 2), (3,), (3,), (7, 3))),
    "locally_connected1d": (F.locally_connected1d, ((4, 5), (5, 3), (5,))),
    "shared_linear": (F.shared_linear, ((4, 5), (3,), (1,))),
}


def inputs(name, wanted=None):
    made = [data(*shape, seed=i) for i, shape in enumerate(CALLS[name][1])]
    return [t.requires_grad_(wanted is None or wanted[i]) for i, t in enumerate(made)]


def loss_of(y):
    """A number whose gradient differs from entry to entry."""
    return (y * torch.arange(1.0, y.numel() + 1).reshape(y.shape)).sum()


def test_every_function_is_here():
    """F.sgd and F.sgd_ are updates, not functions of a graph."""
    own = {name for name, f in vars(F).items() if inspect.isfunction(f) and not name.startswith("_")
           and f.__module__.startswith("chainrule.triton_kernels")} - {"sgd", "sgd_", "asked"}
    assert own == {name.partition(",")[0] for name in CALLS}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", CALLS)
def test_inputs_stay_and_a_kept_graph_gives_the_same_again(name, where):
    given = inputs(name)
    before, versions = [t.detach().clone() for t in given], [t._version for t in given]
    with WHERE[where]():
        y = CALLS[name][0](*given)
        kept = y.detach().clone()
        first = torch.autograd.grad(loss_of(y), given, retain_graph=True)
        second = torch.autograd.grad(loss_of(y), given)
        assert torch.equal(y, kept)
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            torch.autograd.grad(loss_of(y), given)
    for t, old, version in zip(given, before, versions, strict=True):
        assert torch.equal(t, old)
        assert t._version == version
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", CALLS)
def test_only_the_gradients_that_are_asked_for(name, where):
    """Every choice of inputs: the same bits for those, nothing for the others, and never more launches than for all."""
    count = len(CALLS[name][1])
    with WHERE[where]() as sim:
        def gradients(wanted):
            given = inputs(name, wanted)
            before = sim.launches if sim else 0
            loss_of(CALLS[name][0](*given)).backward()
            return [t.grad for t in given], (sim.launches if sim else 0) - before

        every, most = gradients([True] * count)
        for wanted in itertools.product([False, True], repeat=count):
            if any(wanted):
                found, launches = gradients(wanted)
                for one, whole, asked in zip(found, every, wanted, strict=True):
                    assert torch.equal(one, whole) if asked else one is None
                assert launches <= most


@pytest.mark.parametrize("where", ["composite", "kernel"])
@pytest.mark.parametrize("name", CALLS)
def test_a_second_derivative_is_refused_in_one_sentence(name, where):
    """A constant incoming gradient too, for which torch's own `once_differentiable` says nothing. (Where its maxima
    stand, a pooling's gradient does not depend on x, so there the loss must.)"""
    given = inputs(name)
    with WHERE[where]():
        loss = loss_of(CALLS[name][0](*given))
        first = torch.autograd.grad(loss.square() if name.startswith("max_pool") else loss, given, create_graph=True)
        for gradient in first:
            with pytest.raises(RuntimeError, match=r"cannot be differentiated again; use torch\.nn\.functional where"):
                gradient.square().sum().backward(retain_graph=True)


#: where torch does not stand in on a CPU: its g′ of a stored tanh has lost digits, ELU's at 0 is not the deck's
OURS_EVERYWHERE = {"tanh", "elu", "linear_act", "mlp", "conv2d_act, pooled", "locally_connected1d", "shared_linear",
                   "gelu", "self_attention", "binary_cross_entropy_with_logits"}


@pytest.mark.parametrize("name", CALLS)
def test_on_a_cpu_a_second_derivative_is_right_or_refused(name):
    given = [t.detach().double().requires_grad_() for t in inputs(name)]
    if name not in OURS_EVERYWHERE:
        assert torch.autograd.gradgradcheck(CALLS[name][0], given)
        return
    (gradient, *_) = torch.autograd.grad(loss_of(CALLS[name][0](*given)), given, create_graph=True)
    with pytest.raises(RuntimeError, match=r"cannot be differentiated again|derivative for aten::.* is not impl"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", CALLS)
def test_without_gradients_nothing_is_kept(name, where):
    with WHERE[where](), torch.no_grad():
        assert CALLS[name][0](*inputs(name)).grad_fn is None


#: torch's own signatures where Python can read them; the others by their documentation
SIGNATURES = {
    **{name: tuple(inspect.signature(getattr(T, name)).parameters) for name in (
        "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softmax", "batch_norm", "layer_norm", "cross_entropy",
        "mse_loss", "binary_cross_entropy_with_logits")},
    "linear": ("input", "weight", "bias"), "gelu": ("input", "approximate"),
    "scaled_dot_product_attention": (
        "query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
    **dict.fromkeys(("conv1d", "conv2d"), ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    **dict.fromkeys(("max_pool1d", "max_pool2d"), (
        "input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_torchs_in_torchs_order(name):
    """What is ours besides is by keyword only."""
    ours = inspect.signature(getattr(F, name)).parameters
    positional = [p.name for p in ours.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert tuple(positional) == SIGNATURES[name]
    assert all(p.annotation is not inspect.Parameter.empty for p in ours.values())


def with_nan(*shape):
    t = data(*shape, seed=7)
    t.view(-1)[7] = torch.nan
    return t


def norm(f, x, act=None):
    how = {"act": "relu"} if act else {}
    return f(x, data(5, seed=8), data(5, seed=9).abs(), data(5, seed=2), data(5, seed=3), **how)


V, K = data(3, 5, seed=4), data(3, 2, 3, 3, seed=5)
#: name: (ours, torch's, the shape of x)
AT_NAN = {
    **{name: (getattr(F, name), getattr(T, name), (4, 5)) for name in ("sigmoid", "tanh", "relu", "leaky_relu")},
    "linear_act": (lambda x: F.linear_act(x, V, None, "relu"), lambda x: T.relu(T.linear(x, V)), (4, 5)),
    "linear_act, leaky": (lambda x: F.linear_act(x, V, None, "leaky"), lambda x: T.leaky_relu(T.linear(x, V), 0.1),
                          (4, 5)),
    "mlp": (lambda x: F.mlp(x, [V, V.t()], [None, None], "relu"), lambda x: T.linear(T.relu(T.linear(x, V)), V.t()),
            (4, 5)),
    "conv2d_act": (lambda x: F.conv2d_act(x, K, None, "relu"), lambda x: T.relu(T.conv2d(x, K)), (2, 2, 6, 6)),
    "conv2d_act, pooled": (lambda x: F.conv2d_act(x, K, None, "relu", pool=True),
                           lambda x: T.max_pool2d(T.relu(T.conv2d(x, K)), 2), (2, 2, 6, 6)),
    "batch_norm, relu": (lambda x: norm(F.batch_norm, x, "relu"), lambda x: T.relu(norm(T.batch_norm, x)), (4, 5)),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", AT_NAN)
def test_the_gradient_at_nan_is_torchs(name, where):
    ours, theirs, shape = AT_NAN[name]
    found = []
    for function, how in ((theirs, contextlib.nullcontext), (ours, WHERE[where])):
        x = with_nan(*shape).requires_grad_()
        with how():
            y = function(x)
            y.backward(torch.full_like(y, 2.0))
        found.append((y.detach(), x.grad))
    for a, b in zip(*found, strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        unit = torch.finfo(torch.float32).eps * a.nan_to_num().abs().max()
        assert (a.nan_to_num() - b.nan_to_num()).abs().max() <= 16 * unit


@pytest.mark.parametrize("where", WHERE)
def test_the_gradient_of_elu_at_nan(where):
    """1, as torch has it on a GPU; on a CPU its gradient there depends on where in the tensor the NaN stands."""
    x = with_nan(4, 5).requires_grad_()
    with WHERE[where]():
        F.elu(x).backward(torch.full_like(x, 2.0))
    assert float(x.grad.view(-1)[7]) == 2
