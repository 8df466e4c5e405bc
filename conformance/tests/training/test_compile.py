"""Training code under torch.compile on a CPU: one graph, the bits of eager code, errors that say what is wrong.

By both routes: torch's own nodes, and our ops with the composites in them, as where a kernel is missing."""

from __future__ import annotations

import contextlib

import pytest
import torch

from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.norms.functional import batch_norm
from chainrule.triton_kernels.runtime import library
from chainrule.triton_kernels.runtime.launch import composites

# torch's own tracer does what torch warns about
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.* is deprecated:DeprecationWarning"),
]


def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def leaves(*shapes):
    return [data(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]


def running():
    return torch.zeros(6), torch.ones(6)


ROUTES = {"torch": contextlib.nullcontext, "composite": composites}
IMAGE, FILTERS = (2, 3, 7, 6), (4, 3, 3, 3)
X, W, B, W2, B2, C = (4, 6), (3, 6), (3,), (2, 3), (2,), (6,)
CASES = {
    **{name: (lambda x, name=name: getattr(F, name)(x), (X,))
       for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu")},
    "gelu": (lambda x: F.gelu(x, "tanh"), (X,)), "softmax": (lambda x: F.softmax(x, 0), (X,)),
    "linear": (lambda x, w, b: F.linear(x, w, b), (X, W, B)),
    "linear without bias": (lambda x, w: F.linear(x, w), (X, W)),
    **{f"linear_act {act}": (lambda x, w, b, act=act: F.linear_act(x, w, b, act), (X, W, B))
       for act in ("sigmoid", "tanh", "relu", "leaky", "elu", "gelu")},
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
    "conv2d, grouped": (lambda x, w: F.conv2d(x, w, None, 1, (2, 0), 2, 3), (IMAGE, (6, 1, 3, 2))),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (IMAGE,)),
    "max_pool2d, indices": (lambda x: sum(F.max_pool2d(x, 3, 2, 1, return_indices=True)), (IMAGE,)),
    "locally_connected1d": (lambda x, w, b: F.locally_connected1d(x, w, b, "tanh"), (X, (6, 5), C)),
    "shared_linear": (lambda x, w, b: F.shared_linear(x, w, b, "elu"), (X, (3,), (1,))),
    "shared_linear without bias": (lambda x, w: F.shared_linear(x, w), (X, (3,))),
    "sgd": (lambda x, y: F.sgd(x.detach(), y.detach(), 0.5) * x * y, (X, X)),
    "batch_norm": (lambda x, g, b: batch_norm(x, None, None, g, b, True), (X, C, C)),
    "layer_norm": (lambda x, g, b: F.layer_norm(x, (6,), g, b), (X, C, C)),
    "layer_norm, bare": (lambda x: F.layer_norm(x, X), (X,)),
    "add_layer_norm": (lambda x, y, g, b: torch.cat(F.add_layer_norm(x, y, (6,), g, b)), (X, X, C, C)),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))),
    "attention, masked": (lambda q, k, v: F.scaled_dot_product_attention(
        q, k, v, torch.tensor([[[[True, False, True]]]])), ((2, 2, 3, 4),) * 3),
    "self_attention": (lambda x: F.self_attention(x, None, True), ((2, 3, 3, 2, 4),)),
    "batch_norm, residual": (
        lambda x, g, b, r: batch_norm(x, None, None, g, b, True, added=r, act="relu"), (X, C, C, X)),
    "batch_norm, evaluation": (lambda x, g, b: batch_norm(x, *running(), g, b), (X, C, C)),
}


@pytest.mark.parametrize("dynamic", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("route", ROUTES)
def test_one_graph_and_the_same_bits(route, name, dynamic):
    function, shapes = CASES[name]
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    inputs = leaves(*shapes)
    with ROUTES[route]():
        eager, traced = function(*inputs), compiled(*inputs)
        assert torch.equal(eager, traced)
        upstream = data(eager.numel(), seed=9).reshape(eager.shape)
        gradients = (torch.autograd.grad(found, inputs, upstream) for found in (eager, traced))
        for a, b in zip(*gradients, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", CASES)
def test_without_gradients(name, route):
    """Dynamo takes another way through a node of which nobody wants a gradient."""
    function, shapes = CASES[name]
    torch._dynamo.reset()
    inputs = [data(*shape, seed=i) for i, shape in enumerate(shapes)]
    with ROUTES[route]():
        assert torch.equal(torch.compile(function, fullgraph=True, backend="aot_eager")(*inputs), function(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", CASES)
def test_inductor_is_no_further_from_the_exact_result(name, route):
    """Inductor fuses and reorders; the yardstick is float64, and twice how far torch's own ops in turn are from it."""
    function, shapes = CASES[name]
    torch._dynamo.reset()

    def everything(function, dtype):
        inputs = [leaf.detach().to(dtype).requires_grad_() for leaf in leaves(*shapes)]
        torch.set_default_dtype(dtype)                      # for what a case makes itself
        try:
            result = function(*inputs)
        finally:
            torch.set_default_dtype(torch.float32)
        return [result.detach(), *torch.autograd.grad(result.sum(), inputs)]

    exact, eager = everything(function, torch.float64), everything(function, torch.float32)
    with ROUTES[route]():
        compiled = everything(torch.compile(function, fullgraph=True), torch.float32)
    for a, b, e in zip(compiled, eager, exact, strict=True):
        unit = torch.finfo(torch.float32).eps * e.abs().max()
        assert (a.double() - e).abs().max() <= 2 * (b.double() - e).abs().max() + unit


@pytest.mark.slow
def test_other_sources_are_other_entries_of_inductors_cache(monkeypatch):
    """It keeps graphs on disk by what Dynamo saw, our ops' names; changed sources must not meet an old graph."""
    from torch._dynamo.utils import counters
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    def compiled(digest):
        monkeypatch.setattr(config, "unsafe_marked_cacheable_functions", {"torch.ops.chainrule": digest})
        torch._dynamo.reset()
        counters.clear()
        torch.compile(F.linear, fullgraph=True)(data(*X), data(*W))
        return counters["aot_autograd"]["autograd_cache_hit"]

    library.keep_caches_apart()
    ours = config.unsafe_marked_cacheable_functions["torch.ops.chainrule"]
    with fresh_cache():
        assert [compiled(digest) for digest in (ours, ours, "other")] == [0, 1, 0]

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
        with composites():
            assert torch.equal(compiled(x, w), layer(x, w))
    assert len(graphs) == 1
    assert "chainrule.affine_keeping" in graphs[0].print_readable(print_output=False)


def test_a_schedule_of_learning_rates_uses_two_graphs():
    """One for the first number, one for all others."""
    graphs = []
    torch._dynamo.reset()
    step = torch.compile(F.sgd, fullgraph=True, backend=lambda graph, _: graphs.append(graph) or graph)
    theta, D = data(*X), data(*X, seed=1)
    for k in range(12):
        assert torch.equal(step(theta, D, 0.1 / (k + 1)), F.sgd(theta, D, 0.1 / (k + 1)))
    assert len(graphs) == 2


def test_in_place_update():
    torch._dynamo.reset()
    theta, D = torch.nn.Parameter(data(*X)), data(*X, seed=1)
    wanted = F.sgd(theta.detach(), D, 0.5)
    torch.compile(lambda theta, D: F.sgd_(theta, D, 0.5), fullgraph=True, backend="aot_eager")(theta, D)
    assert torch.equal(theta, wanted)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")     # its tracer's
def test_a_compiled_training_loop_with_its_optimizer():
    """The step of our optimizers stands between two graphs, and says so where one is asked for."""
    def trained(wrap):
        torch.manual_seed(0)
        torch._dynamo.reset()
        net = nn.MLP((6, 5, 3), act="elu")
        optimizer = optim.Adam(net.parameters(), lr=0.01)

        def step(x, target):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), target)
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        return [run(data(*X, seed=k), torch.tensor([0, 2, 1, 1])).detach() for k in range(3)], list(net.parameters())

    eager, compiled = trained(lambda f: f), trained(lambda f: torch.compile(f, backend="aot_eager"))
    for a, b in zip([*eager[0], *eager[1]], [*compiled[0], *compiled[1]], strict=True):
        assert torch.equal(a, b)
    optimizer = optim.Adam(compiled[1], lr=0.01)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="so leave it out of fullgraph=True"):
        torch.compile(optimizer.step, backend="aot_eager", fullgraph=True)()


REFUSED = {
    "is more than half of the window": (lambda: F.max_pool2d(data(*IMAGE), 2, padding=2)),
    "columns of input and of weight differ: 6 and 3": (lambda: F.linear(data(*X), data(4, 3))),
    "input has 3 channels, 1 group": (lambda: F.conv2d(data(*IMAGE), data(4, 2, 3, 3))),
    "an output of 1 × 1 has no 2 × 2 window": (lambda: F.conv2d_act(data(1, 3, 3, 3), data(*FILTERS), pool=True)),
    "expected int64 class indices": (lambda: F.cross_entropy(data(*X), data(4, 5))),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("sentence", REFUSED)
def test_a_refusal_keeps_its_sentence(sentence, route):
    torch._dynamo.reset()
    with ROUTES[route](), pytest.raises(Exception, match=sentence.replace("(", "[(]")):
        REFUSED[sentence]()
    with ROUTES[route](), pytest.raises(Exception, match=sentence.replace("(", "[(]")):
        torch.compile(REFUSED[sentence], fullgraph=True, backend="aot_eager")()


@pytest.mark.parametrize("route", ROUTES)
def test_running_statistics_are_updated_once(route):
    torch._dynamo.reset()
    x = data(8, 6)
    seen = []
    for wrap in (lambda f: f, lambda f: torch.compile(f, fullgraph=True, backend="aot_eager")):
        mu, var = running()
        with ROUTES[route]():
            wrap(lambda x, mu, var: batch_norm(x, mu, var, training=True))(x, mu, var)
        seen.append((mu, var))
    for a, b in zip(*seen, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, running()[0])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_whole_network_in_one_graph(order, route):
    """The deck's Net, in both memory orders: same bits, same strides."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    net = nn.Net()
    x = data(2, 1, 32, 32).contiguous(memory_format=order).requires_grad_()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    inputs = [x, *net.parameters()]
    with ROUTES[route]():
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
