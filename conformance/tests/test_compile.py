"""Training code under torch's transformations: one graph, opcheck, torch.func, export, checkpointing, autocast."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as T
from torch.func import grad, vmap
from torch.utils.checkpoint import checkpoint

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.batch_norm import batch_norm

# torch's own tracer does what torch warns about
pytestmark = pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")


def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def leaves(*shapes):
    return [data(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]


def running():
    return torch.zeros(6), torch.ones(6)


IMAGE, FILTERS = (2, 3, 7, 6), (4, 3, 3, 3)
X, W, B, W2, B2, C = (4, 6), (3, 6), (3,), (2, 3), (2,), (6,)
CASES = {
    **{name: (lambda x, name=name: getattr(F, name)(x), (X,))
       for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu")},
    "linear": (lambda x, w, b: F.linear(x, w, b), (X, W, B)),
    "linear without bias": (lambda x, w: F.linear(x, w), (X, W)),
    **{f"linear_act {act}": (lambda x, w, b, act=act: F.linear_act(x, w, b, act), (X, W, B))
       for act in ("sigmoid", "tanh", "relu", "leaky", "elu")},
    "mlp": (lambda x, w, b, w2, b2: F.mlp(x, [w, w2], [b, b2], "elu"), (X, W, B, W2, B2)),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.tensor([0, 5, 2, 2])), (X,)),
    "cross_entropy, weighted": (lambda x: F.cross_entropy(
        x, torch.tensor([0, 5, -100, 2]), torch.arange(1.0, 7.0), label_smoothing=0.25), (X,)),
    "cross_entropy, each": (lambda x: F.cross_entropy(x, torch.tensor([0, 5, 2, 2]), reduction="none"), (X,)),
    "mse_loss": (lambda x, y: F.mse_loss(x, y), (X, X)),
    "mse_loss, summed": (lambda x, y: F.mse_loss(x, y, reduction="sum"), (X, X)),
    "binary_cross_entropy_with_logits": (lambda x: F.binary_cross_entropy_with_logits(x, torch.ones(X)), (X,)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, 2, 1), (IMAGE, FILTERS, (4,))),
    "conv1d": (lambda x, w: F.conv1d(x, w), ((2, 3, 9), (4, 3, 3))),
    "conv2d_act": (lambda x, w, b: F.conv2d_act(x, w, b, "tanh", padding=1), (IMAGE, FILTERS, (4,))),
    "conv2d_act, pooled": (lambda x, w, b: F.conv2d_act(x, w, b, "elu", pool=True), (IMAGE, FILTERS, (4,))),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (IMAGE,)),
    "locally_connected1d": (lambda x, w, b: F.locally_connected1d(x, w, b, "tanh"), (X, (6, 5), C)),
    "shared_linear": (lambda x, w, b: F.shared_linear(x, w, b, "elu"), (X, (3,), (1,))),
    "shared_linear without bias": (lambda x, w: F.shared_linear(x, w), (X, (3,))),
    "batch_norm": (lambda x, g, b: batch_norm(x, None, None, g, b, True), (X, C, C)),
    "batch_norm, residual": (
        lambda x, g, b, r: batch_norm(x, None, None, g, b, True, added=r, act="relu"), (X, C, C, X)),
    "batch_norm, evaluation": (lambda x, g, b: batch_norm(x, *running(), g, b), (X, C, C)),
}


@pytest.mark.parametrize("dynamic", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", CASES)
def test_one_graph_and_the_same_bits(name, dynamic):
    function, shapes = CASES[name]
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    inputs = leaves(*shapes)
    eager, traced = function(*inputs), compiled(*inputs)
    assert torch.equal(eager, traced)
    for a, b in zip(torch.autograd.grad(eager.sum(), inputs), torch.autograd.grad(traced.sum(), inputs), strict=True):
        assert torch.equal(a, b)


def test_other_sizes_use_the_same_graph():
    torch._dynamo.reset()
    graphs = []

    def counting(graph, _):
        graphs.append(graph)
        return graph

    def layer(x, w):
        return F.linear_act(x, w, None, "tanh")

    compiled = torch.compile(layer, fullgraph=True, backend=counting, dynamic=True)
    for rows in (4, 5, 9):
        x, w = leaves((rows, 6), W)
        assert torch.equal(compiled(x, w), layer(x, w))
    assert len(graphs) == 1
    assert "chainrule.affine_keeping" in graphs[0].print_readable(print_output=False)


def test_running_statistics_are_updated_once():
    torch._dynamo.reset()
    x = data(8, 6)
    seen = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, fullgraph=True, backend="aot_eager")):
        mu, var = running()
        wrap(lambda x, mu, var: batch_norm(x, mu, var, training=True))(x, mu, var)
        seen.append((mu, var))
    for a, b in zip(*seen, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, running()[0])


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_whole_network_in_one_graph(order):
    """The deck's Net, in both memory orders: same bits, same strides."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    net = nn.Net()
    x = data(2, 1, 32, 32).contiguous(memory_format=order).requires_grad_()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    inputs = [x, *net.parameters()]
    eager = torch.autograd.grad(net(x).square().sum(), inputs)
    traced = torch.autograd.grad(compiled(x).square().sum(), inputs)
    for a, b in zip(eager, traced, strict=True):
        assert torch.equal(a, b)


def test_importing_registers_nothing():
    import subprocess
    import sys

    code = ("import torch, chainrule.triton_kernels.functional as F\n"
            "assert not hasattr(torch.ops.chainrule, 'act_value')\n")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def ours(w, b, w2, b2, x, t):
    return F.cross_entropy(F.mlp(x[None], [w, w2], [b, b2], "tanh"), t[None])


def theirs(w, b, w2, b2, x, t):
    return T.cross_entropy(T.linear(torch.tanh(T.linear(x[None], w, b)), w2, b2), t[None])


@pytest.mark.parametrize("mode", ["composite", "kernel"])
def test_per_example_gradients_by_vmap_of_grad(mode):
    x, w, b, w2, b2 = (data(*s, seed=i) for i, s in enumerate((X, W, B, W2, B2)))
    t = torch.tensor([0, 1, 1, 0])

    def each(f, *parameters):
        return vmap(grad(f, argnums=(0, 1, 2, 3)), in_dims=(None,) * 4 + (0, 0))(*parameters, t)

    plain = each(theirs, w, b, w2, b2, x)
    exact = each(theirs, *(p.double() for p in (w, b, w2, b2, x)))
    if mode == "kernel":
        with simulate() as sim:
            own = each(ours, w, b, w2, b2, x)
        assert sim.launches
    else:
        own = each(ours, w, b, w2, b2, x)
    for a, p, e in zip(own, plain, exact, strict=True):
        unit = torch.finfo(a.dtype).eps * e.abs().max()
        assert (a.double() - e).abs().max() <= 2 * (p.double() - e).abs().max() + unit


def test_a_second_derivative_is_refused():
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        grad(lambda x: grad(lambda y: (F.tanh(y) * F.tanh(y)).sum())(x).sum())(data(3))
    x = data(5, 6).requires_grad_()
    (g,) = torch.autograd.grad(batch_norm(x, None, None, training=True).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        g.sum().backward()


def test_export():
    class Layer(torch.nn.Module):
        def forward(self, x, w):
            return F.linear_act(x, w, None, "relu")

    x, w = data(*X), data(*W)
    program = torch.export.export(Layer(), (x, w))
    assert "chainrule" in str(program.graph)
    assert torch.equal(program.module()(x, w), F.linear_act(x, w, None, "relu"))


def test_checkpointing_recomputes_the_same_bits():
    x, w, b, w2, b2 = leaves(X, W, B, W2, B2)

    def block(x):
        return F.mlp(x, [w, w2], [b, b2], "sigmoid")

    plain = torch.autograd.grad(block(x).sum(), (x, w, b, w2))
    again = torch.autograd.grad(checkpoint(block, x, use_reentrant=False).sum(), (x, w, b, w2))
    for a, c in zip(plain, again, strict=True):
        assert torch.equal(a, c)
